"""Fixed features of the digit pairs: tangent features of the convolutional nets, random ReLU features of the halves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.func import functional_call, jacrev, vmap

from mvtheory._check import check_int, check_number, check_shape
from mvtheory.experiments.random_features import FeatureResults, Tensors, _on_one_thread, _stack
from mvtheory.images.digits import CLASSES, SMALLEST_CLASS, DigitNets, Pairs, single_view, split_pairs
from mvtheory.linear.comparison import compare
from mvtheory.linear.feature_maps import gaussian_weights, one_hot, relu_features
from mvtheory.linear.kernels import kernel_ridge, patch_kernel
from mvtheory.measurement import error_rate
from mvtheory.persistence.store import cached

__all__ = ["DigitFeatureStudy", "digit_tangent_features", "halves", "hold_out_pairs"]


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


@dataclass(frozen=True)
class DigitFeatureStudy:
    """Models with fixed features on pairs of digits, by all methods: see :func:`mvtheory.linear.comparison.compare`.

    They are fitted to the training pairs of the nets of :class:`mvtheory.experiments.digit_images.DigitStudy`.

    Attributes
    ----------
    splits : tuple of int
        Seeds of the data splits. The sizes were chosen on the splits 1, 2 and 3.
    nets : int, >= 2
        Models L in the ensemble.
    channels : (int, int)
        Filters of the nets whose tangent features are used, for each half.
    relu_widths : tuple of int
        Numbers R of random ReLU features.
    per_class : int
        See `split_pairs`.
    contrast : float, in [0, 1]
        Of the image that takes the place of a lost one.
    """

    splits: tuple[int, ...] = (101, 102, 103, 104, 105)
    nets: int = 10
    channels: tuple[int, int] = (1, 2)
    relu_widths: tuple[int, ...] = (20, 40, 80, 160, 320)
    per_class: int = 50
    contrast: float = 0.3

    def __post_init__(self) -> None:
        if len(set(self.splits)) < len(self.splits) or len(self.splits) < 2:
            raise ValueError(f"splits must be at least 2 different seeds; got {self.splits}")
        check_int("nets", self.nets, low=2)
        check_number("contrast", self.contrast, low=0, high=1)
        for width in (*self.channels, *self.relu_widths):
            check_int("channels and relu_widths", width, low=1)

    def run(self) -> tuple[FeatureResults, Float[Tensor, "splits 2"]]:
        """Fit and test everything, or read what an earlier run left on disk.

        Returns
        -------
        results : FeatureResults
            Two-view pairs take the place of multi-view inputs. The width of tangent features is the first number of
            channels.
        limit : Tensor, shape [splits, 2]
            Errors, on two-view and single-view inputs, of ridge regression with the kernel of infinitely many ReLU
            features, by the ridge that is best on the held-out pairs.
        """
        tensors, meta = cached({"study": "digit features", **asdict(self)}, lambda: _on_one_thread(self._compute))
        limit, pairs = tensors.pop("limit"), CLASSES * ((SMALLEST_CLASS - self.per_class) // 2)
        widths = {"tangent": self.channels[:1], "ReLU": self.relu_widths}
        return FeatureResults(widths, self.nets, pairs, tensors, meta["seconds"]), limit

    def _compute(self) -> Tensors:
        return _stack([self._on(split) for split in self.splits])

    def _on(self, split: int) -> Tensors:
        """Return what was found on one split, with an axis of widths in front."""
        train, two = split_pairs(split, self.per_class)
        left, right = single_view(two, self.contrast, seed=split)
        tests = [(two.images, two.y), (torch.cat([left.images, right.images]), torch.cat([left.y, right.y]))]
        held = hold_out_pairs(train)

        def found(features: Callable[[Tensor], Tensor]) -> Tensors:
            return compare(features, train.images, train.y, tests, k=CLASSES, held=held)[0]

        def relu(R: int) -> Tensors:
            w = gaussian_weights(self.nets, R, 128, seed=1000 * split + 500)
            return found(lambda images: relu_features(w, halves(images)))

        start = DigitNets(range(1000 * split, 1000 * split + self.nets), channels=self.channels, scale=1.0)
        tangent = found(lambda images: digit_tangent_features(start, images))
        parts = {"tangent": _stack([tangent]), "ReLU": _stack([relu(R) for R in self.relu_widths])}
        every = {f"{kind} {name}": value for kind, part in parts.items() for name, value in part.items()}
        return every | {"limit": self._limit(train, tests, held)}

    def _limit(self, train: Pairs, tests: list[tuple[Tensor, Tensor]], held: Tensor) -> Float[Tensor, " 2"]:
        x, labels = halves(train.images), one_hot(train.y, CLASSES)[0]
        alpha, _ = kernel_ridge(patch_kernel(x, x, 1), labels, held)
        errors = [error_rate(patch_kernel(halves(images), x, 1) @ alpha, y) for images, y in tests]
        return torch.tensor([float(error) for error in errors])
