r"""Real images: two handwritten digits of one class as the two views of an input.

The images are the 1797 scans of 8 x 8 pixels that scikit-learn ships. An input consists of two of them,
side by side. In a single-view test input one of the two is replaced by a low-contrast image of another
class, as the theory's single-view inputs have one strong view and weak views of other classes.

The net is a small convolutional net with separate filters for each half, so that the halves are
different features, like the orthogonal views of the theory. With shared filters (``shared=True``) both
halves have the same features, and no view can be left unlearned: the control.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from mvtheory._check import check_finite, check_int, check_labels, check_number, check_seed, check_shape
from mvtheory._tensors import check_tensor
from mvtheory.distillation import Temperature

__all__ = ["DigitNets", "Pairs", "fit", "single_view", "split_pairs"]

CLASSES = 10
SMALLEST_CLASS = 174  # images of the digit 8, the rarest class of the data set


@dataclass(frozen=True)
class Pairs:
    """Pairs of images with one label each, sorted by class, with equal numbers per class.

    Attributes
    ----------
    images : Tensor of shape [n, 2, 8, 8]
        Left and right image, pixels in [0, 1].
    y : integer Tensor of shape [n]
        Classes, 0 to 9.
    index : integer Tensor of shape [n, 2]
        Indices of the two images among the 1797 scans.
    """

    images: Float[Tensor, "n 2 8 8"]
    y: Int[Tensor, " n"]
    index: Int[Tensor, "n 2"]

    def __len__(self) -> int:
        return len(self.y)


@cache
def _scans() -> tuple[Tensor, Tensor]:
    from sklearn.datasets import load_digits  # takes a second to import

    digits = load_digits()
    return torch.tensor(digits.images / 16, dtype=torch.float32), torch.tensor(digits.target)


def split_pairs(seed: int, per_class: int = 50) -> tuple[Pairs, Pairs]:
    """Split the scans into training and test images, and form pairs of each class.

    Each scan is in at most one pair, and no test scan is in a training pair. Each training pair
    occurs twice, the second time with the images swapped, so that both halves contain the same
    images and the training set favours neither of the two views.

    Parameters
    ----------
    seed : int, >= 0
        Determines the split and the pairs.
    per_class : int, even, 2 to 172
        Training scans per class; the others (equal numbers per class) are test scans.

    Returns
    -------
    train, test : Pairs
        ``10 per_class`` training pairs and ``10 floor((174 - per_class) / 2)`` test pairs.

    Examples
    --------
    >>> train, test = split_pairs(seed=0)
    >>> len(train), len(test)
    (500, 620)
    """
    if check_int("per_class", per_class, 2, SMALLEST_CLASS - 2) % 2:
        raise ValueError(f"per_class must be even, for pairs of images; got {per_class}")
    images, labels = _scans()
    generator = torch.Generator().manual_seed(check_seed("seed", seed))
    end = per_class + (SMALLEST_CLASS - per_class) // 2 * 2
    train, test = [], []
    for c in range(CLASSES):
        scans = (labels == c).nonzero()[:, 0]
        scans = scans[torch.randperm(len(scans), generator=generator)]
        pairs = scans[:per_class].view(-1, 2)
        train += [pairs, pairs.flip(1)]
        test += [scans[per_class:end].view(-1, 2)]
    indices = torch.cat(train), torch.cat(test)
    first, second = (Pairs(images[index], labels[index[:, 0]], index) for index in indices)
    return first, second


def single_view(pairs: Pairs, contrast: float, seed: int = 0) -> tuple[Pairs, Pairs]:
    """Replace one image of each pair by a low-contrast image of another class.

    Parameters
    ----------
    pairs : Pairs
        The two-view inputs, from which the distractors are taken as well.
    contrast : float, in [0, 1]
        Factor on the distractor's pixels: at 0 the half is empty.
    seed : int, >= 0
        Determines the distractors, which are the same for every contrast.

    Returns
    -------
    left, right : Pairs
        The same pairs with their left image alone, and with their right image alone.
    """
    check_number("contrast", contrast, 0, 1)
    n, generator = len(pairs), torch.Generator().manual_seed(check_seed("seed", seed))
    # Pairs are sorted by class, n / 10 of each: a shift by 1 to 9 tenths of n gives another class.
    shift = torch.randint(1, CLASSES, (n,), generator=generator) * (n // CLASSES)
    distractor = (torch.arange(n) + shift) % n
    left, right = (_replace(pairs, half, distractor, contrast) for half in (1, 0))
    return left, right


def _replace(pairs: Pairs, half: int, distractor: Tensor, contrast: float) -> Pairs:
    """Return the pairs with one half replaced by that of other pairs."""
    images, index = pairs.images.clone(), pairs.index.clone()
    images[:, half] = contrast * pairs.images[distractor, half]
    index[:, half] = pairs.index[distractor, half]
    return Pairs(images, pairs.y, index)


class DigitNets(nn.Module):
    r"""L small convolutional nets, stacked; each is initialised from its own seed.

    Each half goes through ``conv 4x4, stride 2, padding 1``, ReLU, ``conv 2x2, stride 2``, ReLU;
    a linear layer sums over both halves. The initial weights are ``scale`` times those of He et al.
    (normal, variance 2 / inputs), the biases 0.

    Parameters
    ----------
    seeds : sequence of int, >= 0
        One per net, on which alone its initial weights depend.
    channels : (int, int)
        Filters of the two convolutions, for each half.
    scale : float, > 0
        Scale of the initial weights. With small ones nets learn features; large ones hardly change in training.
    shared : bool
        Whether both halves have the same weights.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        *,
        channels: tuple[int, int] = (4, 8),
        scale: float = 0.1,
        shared: bool = False,
    ) -> None:
        super().__init__()
        if not seeds:
            raise ValueError("seeds must not be empty; got no seed")
        numbers = [check_seed("seeds", seed) for seed in seeds]
        c1, c2 = self.channels = tuple(check_int("channels", channel, 1) for channel in channels)
        check_number("scale", scale, 0, open_low=True)
        halves = 1 if shared else 2
        shapes = [(halves, c1, 16), (halves, c2, 4 * c1), (halves, CLASSES, 4 * c2)]
        inputs = [16, 4 * c1, 2 * 4 * c2]  # the last layer sums over two halves
        generators = [torch.Generator().manual_seed(seed) for seed in numbers]
        self.weights = nn.ParameterList(
            torch.stack([torch.randn(shape, generator=g, dtype=torch.float32) for g in generators])
            * scale
            * (2 / fan_in) ** 0.5
            for shape, fan_in in zip(shapes, inputs, strict=True)
        )
        L = len(seeds)
        sizes = [(L, halves, c1), (L, halves, c2), (L, CLASSES)]
        self.biases = nn.ParameterList(torch.zeros(size, dtype=torch.float32) for size in sizes)

    def __len__(self) -> int:
        return len(self.biases[2])

    def forward(self, images: Float[Tensor, "n 2 8 8"]) -> Float[Tensor, "L n 10"]:
        """Return the logits of all nets on the same images."""
        check_shape("images", images, ("n", 2, 8, 8))
        return self._logits(_patches(images))

    def _logits(self, patches: Tensor) -> Tensor:
        n = patches.shape[-1] // 16
        L, (c1, c2) = len(self), self.channels
        # The axis of the halves comes first; `expand` repeats shared weights.
        (w1, w2, w3), (b1, b2) = (
            [p.expand(L, 2, *p.shape[2:]).transpose(0, 1) for p in part] for part in (self.weights, self.biases[:2])
        )
        # The axis of the inputs comes last, so that the result of a layer is the matrix of the next
        # one without a copy. All nets have the same inputs: their first filters are the rows of one
        # matrix for each half.
        z = torch.baddbmm(b1.reshape(2, L * c1, 1), w1.reshape(2, L * c1, 16), patches).relu()
        z = z.view(2 * L, c1 * 4, 4 * n)
        z = torch.baddbmm(b2.reshape(2 * L, c2, 1), w2.reshape(2 * L, c2, c1 * 4), z).relu()
        z = torch.bmm(w3.reshape(2 * L, CLASSES, c2 * 4), z.view(2 * L, c2 * 4, n))
        return z.view(2, L, CLASSES, n).sum(0).mT + self.biases[2][:, None]


def _patches(images: Tensor) -> Tensor:
    """Return [2, 16, 16 n]: the pixels of the 4 x 4 patches, ordered (position in block, block, image).

    A block is the 2 x 2 neighbouring patches of one position of the second convolution.
    """
    n = len(images)
    patches = F.pad(images, (1, 1, 1, 1)).unfold(2, 4, 2).unfold(3, 4, 2)  # [n, 2, row, column, 4, 4]
    patches = patches.reshape(n, 2, 2, 2, 2, 2, 16)  # row = (block row, position), columns likewise
    return patches.permute(1, 6, 3, 5, 2, 4, 0).reshape(2, 16, 16 * n)


def fit(
    nets: DigitNets,
    pairs: Pairs,
    *,
    steps: int = 300,
    rate: float = 0.1,
    momentum: float = 0.9,
    teacher: Tensor | None = None,
    rule: Temperature = Temperature(8.0),
    weight: float = 9.0,
    joint: bool = False,
) -> DigitNets:
    r"""Train all nets in place, by full-batch gradient descent with momentum.

    The loss of a net is the cross-entropy of the labels and, with a teacher, `weight` times Hinton's
    rule (arXiv:1503.02531), which is

    .. math:: T^2 \, \mathrm{KL}(\mathrm{softmax}(G/T) \,\|\, \mathrm{softmax}(F/T)).

    Parameters
    ----------
    nets, pairs
        The nets and their common training set.
    steps : int, >= 0
        Number of steps.
    rate, momentum : float
        Learning rate, > 0, and momentum in [0, 1). With a teacher, the learning rate is divided by
        ``(1 + weight) T``, about the factor by which the initial gradient is larger.
    teacher : Tensor of shape [L, n, 10] or [1, n, 10], optional
        Logits G on the training pairs: a teacher for each net, or one for all.
    rule : Temperature
        The rule, with its temperature T.
    weight : float, >= 0
        Weight of the rule.
    joint : bool
        Train the average of the nets' outputs as one net. Its loss is multiplied by L, so that the
        steps of a net are as large as in separate training.

    Returns
    -------
    DigitNets
        `nets`, trained.
    """
    check_int("steps", steps, 0)
    check_number("rate", rate, 0, open_low=True)
    check_number("momentum", momentum, 0, 1, open_high=True)
    y = check_labels("pairs.y", check_tensor("pairs.y", pairs.y), CLASSES)
    check_finite("pairs.images", pairs.images)
    L, n = len(nets), len(pairs)
    if teacher is not None:
        if joint:
            raise ValueError("joint must be False where a teacher is given; got True")
        check_shape("teacher", check_tensor("teacher", teacher), (L if len(teacher) > 1 else 1, n, CLASSES))
        teacher = check_finite("teacher", teacher.detach())
        rate = rate / (1 + check_number("weight", weight, 0)) / rule.T
    optimizer = torch.optim.SGD(nets.parameters(), rate, momentum=momentum)
    patches = _patches(pairs.images)
    for _ in range(steps):
        logits = nets._logits(patches)
        outputs = logits.mean(0, keepdim=True) if joint else logits
        loss = L * F.cross_entropy(outputs.flatten(0, 1), y.repeat(len(outputs)))
        if teacher is not None:
            loss = loss + weight * rule(logits, teacher)[0].mean(1).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return nets
