r"""Real images: two handwritten digits of one class as the two views of an input.

The images are the 1797 scans of 8 x 8 pixels that scikit-learn ships. An input shows two of them
side by side. A single-view test input keeps one of the two and shows a faint image of another class in
place of the other, as the theory's single-view inputs keep one view and hold weak traces of others.

The net is a small convolutional one with its own filters for each half, so that the halves are
different features, as the theory's orthogonal views are. With shared filters (``shared=True``) both
halves are one feature, and there is no view to lose: the control.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from mvtheory._check import check_finite, check_int, check_labels, check_number, check_shape
from mvtheory.distillation import Temperature

__all__ = ["DigitNets", "Pairs", "fit", "single_view", "split_pairs"]

CLASSES = 10
SMALLEST_CLASS = 174  # images of the digit 8, the rarest of the data set


@dataclass(frozen=True)
class Pairs:
    """Pairs of images with one label each, sorted by class, as many of each class.

    Attributes
    ----------
    images : Tensor of shape [n, 2, 8, 8]
        Left and right image, pixels in [0, 1].
    y : integer Tensor of shape [n]
        Classes, 0 to 9.
    index : integer Tensor of shape [n, 2]
        Which of the 1797 scans the two images are.
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
    """Part the scans into training and test images, then pair each part within its classes.

    Each scan is in one pair at most, and no test scan is in a training pair. Training pairs come
    twice, the second time with the images swapped: then both halves hold the same images, and the
    training set favours neither of the two views.

    Parameters
    ----------
    seed : int, >= 0
        Decides the split and the pairing.
    per_class : int, even, 2 to 172
        Training scans of each class; all others (as many of each class) are test scans.

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
    check_int("seed", seed, 0)
    if check_int("per_class", per_class, 2, SMALLEST_CLASS - 2) % 2:
        raise ValueError(f"per_class must be even, its images come in pairs; got {per_class}")
    images, labels = _scans()
    generator = torch.Generator().manual_seed(seed)
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
    """Replace one image of each pair by a faint image of another class.

    Parameters
    ----------
    pairs : Pairs
        The two-view inputs; the intruders are taken from them as well.
    contrast : float, in [0, 1]
        Factor on the intruder's pixels: 0 leaves the half empty.
    seed : int, >= 0
        Decides the intruders, which are the same for every contrast.

    Returns
    -------
    keeps_left, keeps_right : Pairs
        The same pairs without their right, and without their left image.
    """
    check_number("contrast", contrast, 0, 1)
    n, generator = len(pairs), torch.Generator().manual_seed(check_int("seed", seed, 0))
    # Pairs are sorted by class, n / 10 of each: a shift by 1 to 9 tenths of n meets another class.
    shift = torch.randint(1, CLASSES, (n,), generator=generator) * (n // CLASSES)
    intruder = (torch.arange(n) + shift) % n
    kept = []
    for lost in (1, 0):
        images, index = pairs.images.clone(), pairs.index.clone()
        images[:, lost] = contrast * pairs.images[intruder, lost]
        index[:, lost] = pairs.index[intruder, lost]
        kept.append(Pairs(images, pairs.y, index))
    return kept[0], kept[1]


class DigitNets(nn.Module):
    r"""L small convolutional nets, stacked; each is drawn from its own seed.

    Each half goes through ``conv 4x4, stride 2, padding 1``, ReLU, ``conv 2x2, stride 2``, ReLU;
    a linear layer adds up both halves. Weights start at ``scale`` times those of He et al.
    (normal, variance 2 / inputs), biases at 0.

    Parameters
    ----------
    seeds : sequence of int, >= 0
        One a net: a net is the same in any stack that holds it.
    channels : (int, int)
        Filters of the two convolutions, for each half.
    scale : float, > 0
        Size of the initial weights. Small ones learn features; large ones hardly leave their start.
    shared : bool
        Whether both halves go through the same weights.
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
            raise ValueError("seeds must name at least one net; got none")
        for seed in seeds:
            check_int("seeds", seed, 0)
        c1, c2 = self.channels = tuple(check_int("channels", channel, 1) for channel in channels)
        check_number("scale", scale, 0, open_low=True)
        halves = 1 if shared else 2
        shapes = [(halves, c1, 16), (halves, c2, 4 * c1), (halves, CLASSES, 4 * c2)]
        inputs = [16, 4 * c1, 2 * 4 * c2]  # the last layer adds up two halves
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.weights = nn.ParameterList(
            torch.stack([torch.randn(shape, generator=g) for g in generators]) * scale * (2 / fan_in) ** 0.5
            for shape, fan_in in zip(shapes, inputs, strict=True)
        )
        L = len(seeds)
        self.biases = nn.ParameterList(torch.zeros(shape) for shape in [(L, halves, c1), (L, halves, c2), (L, CLASSES)])

    def __len__(self) -> int:
        return len(self.biases[2])

    def forward(self, images: Float[Tensor, "n 2 8 8"]) -> Float[Tensor, "L n 10"]:
        """Return the logits of all nets on the same images."""
        check_shape("images", images, ("n", 2, 8, 8))
        return self._logits(_patches(images))

    def _logits(self, patches: Tensor) -> Tensor:
        n = patches.shape[-1] // 16
        L, (c1, c2) = len(self), self.channels
        # Half first; `expand` gives both halves the one set of shared weights.
        (w1, w2, w3), (b1, b2) = (
            [p.expand(L, 2, *p.shape[2:]).transpose(0, 1) for p in part] for part in (self.weights, self.biases[:2])
        )
        # Inputs come last, so each layer's result is the next one's matrix without a copy. All nets
        # see the same patches: their first filters are the rows of one matrix for each half.
        z = torch.baddbmm(b1.reshape(2, L * c1, 1), w1.reshape(2, L * c1, 16), patches).relu()
        z = z.view(2 * L, c1 * 4, 4 * n)
        z = torch.baddbmm(b2.reshape(2 * L, c2, 1), w2.reshape(2 * L, c2, c1 * 4), z).relu()
        z = torch.bmm(w3.reshape(2 * L, CLASSES, c2 * 4), z.view(2 * L, c2 * 4, n))
        return z.view(2, L, CLASSES, n).sum(0).mT + self.biases[2][:, None]


def _patches(images: Tensor) -> Tensor:
    """Return [2, 16, 16 n]: the pixels of the 4 x 4 patches, ordered (place in block, block, image).

    A block is the 2 x 2 neighbouring patches that one filter of the second convolution sees.
    """
    n = len(images)
    patches = F.pad(images, (1, 1, 1, 1)).unfold(2, 4, 2).unfold(3, 4, 2)  # [n, 2, row, column, 4, 4]
    patches = patches.reshape(n, 2, 2, 2, 2, 2, 16)  # row = (block row, place), column alike
    return patches.permute(1, 6, 3, 5, 2, 4, 0).reshape(2, 16, 16 * n)


def fit(
    nets: DigitNets,
    pairs: Pairs,
    *,
    steps: int = 300,
    rate: float = 0.1,
    momentum: float = 0.9,
    teacher: Tensor | None = None,
    rule: Temperature = Temperature(8.0),  # noqa: B008 -- frozen
    weight: float = 9.0,
    joint: bool = False,
) -> DigitNets:
    r"""Train all nets at once, in place, by full-batch gradient descent with momentum.

    The loss of a net is the cross-entropy of the labels and, with a teacher, `weight` times Hinton's
    rule (arXiv:1503.02531), which is

    .. math:: T^2 \, \mathrm{KL}(\mathrm{softmax}(G/T) \,\|\, \mathrm{softmax}(F/T)).

    Parameters
    ----------
    nets, pairs
        The nets and their training set, the same for all of them.
    steps : int, >= 0
    rate, momentum : float
        Step size, > 0, and momentum in [0, 1). A student's step is `rate` over
        ``(1 + weight) T``, about the factor by which its gradient starts larger.
    teacher : Tensor of shape [L, n, 10] or [1, n, 10], optional
        Logits G on the training pairs: a teacher for each net, or one for all.
    rule : Temperature
        Holds T.
    weight : float, >= 0
    joint : bool
        Train the average of the nets' outputs as one net. The loss is then counted L times, so that
        a net's step is as large as when it trains alone.

    Returns
    -------
    DigitNets
        `nets`, trained.
    """
    check_int("steps", steps, 0)
    check_number("rate", rate, 0, open_low=True)
    check_number("momentum", momentum, 0, 1, open_high=True)
    check_labels("pairs.y", pairs.y, CLASSES)
    check_finite("pairs.images", pairs.images)
    L, n = len(nets), len(pairs)
    if teacher is not None:
        if joint:
            raise ValueError("joint must be False where a teacher is given; got True")
        check_shape("teacher", teacher, (L if len(teacher) > 1 else 1, n, CLASSES))
        check_finite("teacher", teacher)
        rate = rate / (1 + check_number("weight", weight, 0)) / rule.T
    optimizer = torch.optim.SGD(nets.parameters(), rate, momentum=momentum)
    patches = _patches(pairs.images)
    for _ in range(steps):
        logits = nets._logits(patches)
        heard = logits.mean(0, keepdim=True) if joint else logits
        loss = L * F.cross_entropy(heard.flatten(0, 1), pairs.y.repeat(len(heard)))
        if teacher is not None:
            loss = loss + weight * rule(logits, teacher)[0].mean(1).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return nets
