r"""Two pictures of clothes of one class as the two views of an input, for the learner of the theory.

An input has two halves, and each half is a picture of Fashion-MNIST. Both show the class, so each is a view. In a
single-view test input, one half is replaced by a faint picture of another class: the theory's single-view inputs have
one strong view and weak views of other classes.

A half is a patch. In :math:`\mathbb{R}^d` with d = 2p the left half fills the first p coordinates, the right half the
others. So a neuron :math:`w_{i,r}` has weights of its own for each half, and the views are orthogonal as in the theory.
In shared coordinates (d = p) both halves have the same features, and no view can be left unlearned: the control. For
convolutional nets the halves stay pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mvtheory._check import check_choice, check_int, check_number, check_seed
from mvtheory.images.fashion import FashionMNIST, load

__all__ = ["CLASSES", "FORMS", "Halves", "Split", "planted_split"]

#: The labels that are used. Coats and shirts are left out: nets cannot tell them from pullovers without error.
CLASSES = (0, 1, 2, 3, 5, 7, 8, 9)

#: As what nets read the two halves: patches with coordinates of their own, patches in shared coordinates, pictures.
FORMS = ("own", "shared", "pictures")


@dataclass(frozen=True)
class Halves:
    """Inputs of two halves, as nets read them.

    Attributes
    ----------
    x : Tensor, shape [n, 2, d] or [n, 2, 28, 28]
        A patch or a picture for each half.
    y : Tensor of int, shape [n]
        Classes, 0 to 7: positions in `CLASSES`.
    """

    x: Float[Tensor, "n 2 ..."]
    y: Int[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Split:
    """Training and test inputs, made from different pictures.

    Attributes
    ----------
    train : Halves
        Pairs of pictures, each twice: the second time with its pictures swapped.
    two_view : Halves
        Test pairs.
    left, right : Halves
        The same test pairs with their left picture alone, and with their right picture alone.
    halves : Halves
        The training pictures one at a time: the other half is empty. Whoever trains on them learns both views.
    shown : dict of str to Tensor, shape [n, 2, 28, 28]
        The test inputs for the eye, pixels from 0 to 1: ``"two-view"``, ``"left"`` and ``"right"``.
    variance : float
        The share of the training pictures' variance that the components hold.
    """

    train: Halves
    two_view: Halves
    left: Halves
    right: Halves
    halves: Halves
    shown: dict[str, Float[Tensor, "n 2 28 28"]]
    variance: float


def planted_split(
    seed: int,
    *,
    per_class: int = 100,
    test_per_class: int = 200,
    components: int = 128,
    contrast: float = 0.3,
    form: str = "own",
) -> Split:
    """Draw pictures of each class, pair them, and prepare them for the nets.

    The pictures' mean is subtracted and each is divided by its norm. For patches they are rotated to their principal
    components, of which the first are kept: a net whose weights start Gaussian does not notice a rotation. Pictures
    keep their 28 x 28 pixels, of mean square one. Mean and components are those of the training pictures.

    Parameters
    ----------
    seed : int, >= 0
        Determines the pictures, the pairs, and the pictures of other classes.
    per_class, test_per_class : int, even, 2 to 6000 and 2 to 1000
        Pictures of a class, for training (from the data set's training part) and for tests (from its test part).
    components : int, 1 to 784
        Principal components, p, of a patch.
    contrast : float, in [0, 1]
        Strength of the picture that replaces a half.
    form : {"own", "shared", "pictures"}
        See `FORMS`.

    Returns
    -------
    Split
        ``8 per_class`` training inputs, ``4 test_per_class`` test inputs.
    """
    check_number("contrast", contrast, 0, 1)
    check_int("components", components, 1, 784)
    check_choice("form", form, FORMS)
    for name, value, most in (("per_class", per_class, 6000), ("test_per_class", test_per_class, 1000)):
        if check_int(name, value, 2, most) % 2:
            raise ValueError(f"{name} must be even, for pairs of pictures; got {value}")
    data, rng = load(), torch.Generator().manual_seed(check_seed("seed", seed))
    train_pairs, test_pairs = _choose(data.train_y, per_class, rng), _choose(data.test_y, test_per_class, rng)
    pixels = _centred(data, train_pairs, test_pairs)
    train, test, variance = _components(*pixels, components)
    if form == "pictures":
        train, test = (28 * x.float().unflatten(-1, (28, 28)) for x in pixels)
    y, test_y = (torch.arange(len(CLASSES)).repeat_interleave(n // 2) for n in (per_class, test_per_class))
    # Tests are sorted by class, n / 8 of each: a shift by 1 to 7 eighths of n gives another class.
    n = len(test_y)
    other = (torch.arange(n) + torch.randint(1, len(CLASSES), (n,), generator=rng) * (n // len(CLASSES))) % n
    twins = torch.cat([train, train.flip(1)])
    kept = {half: _replace(test, 1 - half, other, contrast) for half in (0, 1)}
    shown = data.test_images[test_pairs] / 255
    shown_parts = {"two-view": shown} | {
        name: _replace(shown, 1 - half, other, contrast) for half, name in enumerate(("left", "right"))
    }
    alone = [_replace(twins, 1 - half, torch.arange(len(twins)), 0.0) for half in (0, 1)]
    parts: dict[str, tuple[Tensor, Tensor]] = {
        "train": (twins, y.repeat(2)),
        "two_view": (test, test_y),
        "left": (kept[0], test_y),
        "right": (kept[1], test_y),
        "halves": (torch.cat(alone), y.repeat(4)),
    }
    inputs = {name: Halves(_patches(x) if form == "own" else x, label) for name, (x, label) in parts.items()}
    return Split(**inputs, shown=shown_parts, variance=variance)


def _choose(y: Tensor, count: int, rng: torch.Generator) -> Int[Tensor, "n 2"]:
    """Draw pictures of each class, in pairs."""
    drawn = []
    for label in CLASSES:
        pictures = (y == label).nonzero()[:, 0]
        drawn.append(pictures[torch.randperm(len(pictures), generator=rng)[:count]].view(-1, 2))
    return torch.cat(drawn)


def _centred(data: FashionMNIST, train: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
    """Return training and test pictures [n, 2, 784] minus the mean training picture, each divided by its norm."""
    first, second = (
        images[pairs].flatten(2).double() / 255
        for images, pairs in ((data.train_images, train), (data.test_images, test))
    )
    mean = first.flatten(0, 1).mean(0)
    first, second = ((x - mean) / (x - mean).norm(dim=-1, keepdim=True) for x in (first, second))
    return first, second


def _components(train: Tensor, test: Tensor, p: int) -> tuple[Tensor, Tensor, float]:
    """Return the principal components [n, 2, p] of training and test pictures, and their share of the variance."""
    values, axes = torch.linalg.eigh(train.flatten(0, 1).T @ train.flatten(0, 1))  # in ascending order
    kept = axes[:, -p:]
    kept = torch.where(kept.sum(0) < 0, -kept, kept)  # the sign of an eigenvector is the library's choice
    return (train @ kept).float(), (test @ kept).float(), float(values[-p:].sum() / values.sum())


def _replace(x: Tensor, half: int, other: Tensor, contrast: float) -> Tensor:
    """Return the pairs [n, 2, ...] with one half replaced by that of other pairs, faintly."""
    x = x.clone()
    x[:, half] = contrast * x[other, half]
    return x


def _patches(x: Float[Tensor, "n 2 p"]) -> Float[Tensor, "n 2 d"]:
    """Return the halves as patches, each with coordinates of its own: d = 2p."""
    n, _, p = x.shape
    patches = x.new_zeros(n, 2, 2, p)
    patches[:, 0, 0], patches[:, 1, 1] = x[:, 0], x[:, 1]
    return patches.view(n, 2, 2 * p)
