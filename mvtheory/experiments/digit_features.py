"""Fixed features of the digit pairs: tangent features of the convolutional nets, random ReLU features of the halves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import xarray as xr
from jaxtyping import Bool, Float
from torch import Tensor
from torch.func import functional_call, jacrev, vmap

from mvtheory._check import check_number, check_shape
from mvtheory.experiments.base import Experiment, labelled
from mvtheory.experiments.digit_images import SPLITS
from mvtheory.experiments.fixed_features import STRATA, FeatureStudy
from mvtheory.images.digits import CLASSES, DigitNets, Pairs, single_view, split_pairs
from mvtheory.linear.comparison import compare
from mvtheory.linear.feature_maps import gaussian_weights, one_hot, relu_features
from mvtheory.linear.kernels import kernel_ridge, patch_kernel
from mvtheory.linear.ridge import RIDGES, Ridge, choose_ridge, side_by_side
from mvtheory.measurement import error_rate

__all__ = [
    "STUDIES",
    "DigitFeatures",
    "DigitKernelLimit",
    "digit_tangent_features",
    "equivalent_ridge",
    "halves",
    "hold_out_pairs",
]


def digit_tangent_features(nets: DigitNets, images: Float[Tensor, "n 2 8 8"]) -> Float[Tensor, "L 1 r f"]:
    """Return the gradient of each output with respect to all weights of its net.

    Classes share the filters, so all outputs of a net share the weights of a linear model: one block of rows, those
    of the 10 classes of an input one after the other. Biases start at 0 and are left out: their gradients do not
    shrink with the initial weights as the others do.

    Parameters
    ----------
    nets : DigitNets
        L nets at their initialisation.
    images : Tensor, shape [n, 2, 8, 8]

    Returns
    -------
    Tensor, shape [L, 1, 10 n, f]
    """
    check_shape("images", images, ("n", 2, 8, 8))
    c1, c2 = nets.channels
    shell = DigitNets([0], channels=(c1, c2), shared=nets.weights[0].shape[1] == 1)
    weights = {f"weights.{layer}": weight.detach() for layer, weight in enumerate(nets.weights)}

    def outputs(weights: dict[str, Tensor], image: Tensor) -> Tensor:
        return functional_call(shell, weights, (image[None],))[0, 0]

    gradients = vmap(jacrev(outputs), in_dims=(None, 0))
    rows = []
    for net in range(len(nets)):
        parts = gradients({name: weight[net : net + 1] for name, weight in weights.items()}, images)
        rows.append(torch.cat([part.detach().flatten(2) for part in parts.values()], -1).flatten(0, 1))
    return torch.stack(rows)[:, None]


def halves(images: Float[Tensor, "n 2 8 8"]) -> Float[Tensor, "n 2 128"]:
    """Return pairs as inputs of two patches, each half in coordinates of its own: two halves are different features."""
    check_shape("images", images, ("n", 2, 8, 8))
    x = images.new_zeros(len(images), 2, 2, 64)
    x[:, 0, 0], x[:, 1, 1] = images[:, 0].flatten(1), images[:, 1].flatten(1)
    return x.flatten(2)


def hold_out_pairs(pairs: Pairs) -> Bool[Tensor, " n"]:
    """Mark every fifth pair of images, together with its swapped twin."""
    images = pairs.index.sort(1).values.tolist()
    order = {twins: number for number, twins in enumerate(dict.fromkeys(map(tuple, images)))}
    return torch.tensor([order[tuple(pair)] % 5 == 0 for pair in images])


def _tests(test: Pairs, contrast: float, seed: int) -> list[tuple[Tensor, Tensor]]:
    """Return inputs and labels of the two strata: pairs, and pairs that lost one image."""
    left, right = single_view(test, contrast, seed=seed)
    return [(test.images, test.y), (torch.cat([left.images, right.images]), torch.cat([left.y, right.y]))]


@dataclass(frozen=True)
class DigitFeatures(FeatureStudy):
    """Models with fixed features on pairs of digits: the training pairs that the nets of the book learn from.

    Pairs that show two images take the place of multi-view inputs. The features are the tangent features of the
    convolutional nets, with `widths` filters in the first layer of each half and twice as many in the second, or random
    ReLU features of the halves, with `widths` their number R.

    Attributes
    ----------
    draws : tuple of int
        Seeds of the splits.
    per_class : int
        See :func:`mvtheory.images.digits.split_pairs`.
    contrast : float, in [0, 1]
        Of the image that takes the place of a lost one.
    """

    draws: tuple[int, ...] = SPLITS
    per_class: int = 50
    contrast: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("contrast", self.contrast, low=0, high=1)

    def on(self, number: int) -> xr.Dataset:
        """Return what all methods reach on the split with this seed."""
        train, test = split_pairs(number, self.per_class)
        tests, held = _tests(test, self.contrast, number), hold_out_pairs(train)
        features = {"tangent": self._tangent, "ReLU": self._relu}[self.kind]
        found = [
            compare(features(number, width), train.images, train.y, tests, k=CLASSES, held=held)[0]
            for width in self.widths
        ]
        return self._labelled(found, points=len(test))

    def _tangent(self, split: int, width: int) -> Callable[[Tensor], Tensor]:
        start = DigitNets(range(1000 * split, 1000 * split + self.nets), channels=(width, 2 * width), scale=1.0)
        return lambda images: digit_tangent_features(start, images)

    def _relu(self, split: int, R: int) -> Callable[[Tensor], Tensor]:
        w = gaussian_weights(self.nets, R, 128, seed=1000 * split + 500)
        return lambda images: relu_features(w, halves(images))


#: The experiments of the book, by kind of features. The claims are about the least width.
STUDIES: Mapping[str, DigitFeatures] = {
    "tangent": DigitFeatures(kind="tangent", widths=(1,)),
    "ReLU": DigitFeatures(kind="ReLU", widths=(20, 40, 80, 160, 320)),
}


@dataclass(frozen=True)
class DigitKernelLimit(Experiment):
    """Ridge regression on the pairs of digits with the kernel of infinitely many ReLU features.

    The dataset of a run holds the ``"error"`` on each ``stratum``, with the ridge that is best on the held-out pairs.

    Attributes
    ----------
    draws, per_class, contrast
        See `DigitFeatures`.
    """

    draws: tuple[int, ...] = SPLITS
    per_class: int = 50
    contrast: float = 0.3

    def on(self, number: int) -> xr.Dataset:
        """Return the errors on the split with this seed."""
        train, test = split_pairs(number, self.per_class)
        x, labels = halves(train.images), one_hot(train.y, CLASSES)[0]
        alpha, _ = kernel_ridge(patch_kernel(x, x, 1), labels, hold_out_pairs(train))
        tests = _tests(test, self.contrast, number)
        errors = [float(error_rate(patch_kernel(halves(images), x, 1) @ alpha, y)) for images, y in tests]
        return labelled({"error": ("stratum", torch.tensor(errors))}, stratum=STRATA)


def equivalent_ridge(
    split: int, nets: int = 10, R: int = 20, contrast: float = 0.3
) -> tuple[dict[str, float], dict[str, float], float]:
    """Compare the ensemble of models with random ReLU features with one wide model that has the features of all.

    Parameters
    ----------
    split : int, >= 0
        Seed of the split and of the features.
    nets : int, >= 1
        Models L in the ensemble.
    R : int, >= 1
        Features of each.
    contrast : float, in [0, 1]
        Of the image that takes the place of a lost one.

    Returns
    -------
    ridges, errors : dict of str to float
        Ridge and error on pairs that keep the left image: of the ``"ensemble"``, of the ``"wide model"`` with its own
        ridge, and of the wide model with the ridge at which its outputs come ``"closest"`` to the ensemble's.
    gap : float
        Distance of the closest to the ensemble's outputs, relative to their length.
    """
    train, test = split_pairs(split)
    test = single_view(test, contrast, seed=split)[0]
    w = gaussian_weights(nets, R, 128, seed=split)
    phi, psi = (relu_features(w, halves(pairs.images)) for pairs in (train, test))
    target, held = one_hot(train.y, CLASSES)[:, None], hold_out_pairs(train)
    (own,), (best,) = (choose_ridge(features, [target], target, held) for features in (phi, side_by_side(phi)))
    ensemble = (psi @ Ridge(phi).solve(target, own)).mean(0)
    joint, inputs = Ridge(side_by_side(phi)), side_by_side(psi)
    wide = {ridge: (inputs @ joint.solve(target, ridge))[0] for ridge in (*RIDGES, 10.0, 30.0)}
    gaps = {ridge: float((F - ensemble).norm()) for ridge, F in wide.items()}
    closest = min(gaps, key=gaps.__getitem__)
    ridges = {"ensemble": own, "wide model": best, "closest": closest}
    outputs = {"ensemble": ensemble, "wide model": wide[best], "closest": wide[closest]}
    errors = {name: float(error_rate(F[0], test.y)) for name, F in outputs.items()}
    return ridges, errors, gaps[closest] / float(ensemble.norm())
