"""Claims about convolutional nets on photographs in which nothing is planted.

The independent repetitions are subsets of the training pictures, and a *draw* is the number of a subset. All nets of a
subset see the same pictures; all are tested on the same 10,000.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor

from mvtheory._check import check_int
from mvtheory.distillation import Distillation, Temperature
from mvtheory.ensemble import AverageCrossEntropy, average
from mvtheory.experiments import fashion_convolutions
from mvtheory.experiments.base import Experiment, Measurement, labelled
from mvtheory.experiments.digit_images import opposite_signs
from mvtheory.experiments.photo_pairs import errors_by_class, over_splits, without_denormals
from mvtheory.images.convolution import ConvNets, fit, outputs
from mvtheory.images.fashion import CLASSES
from mvtheory.images.plain import Pictures, masked, plain_subset
from mvtheory.measurement import error_rate
from mvtheory.training import CrossEntropy, Objective

__all__ = ["ESTIMATORS", "METHODS", "SUBSETS", "FashionPlain", "PlainSetting", "opposite", "share_of_gain"]

#: The subsets that the book reports. The settings were chosen on the subsets 1, 2 and 3.
SUBSETS = tuple(range(301, 306))

#: Ways to make one answer; single nets, students and self-distilled students are several.
METHODS = ("single", "ensemble", "distilled", "self-distilled", "trained average")


@dataclass(frozen=True)
class PlainSetting:
    """Data, nets, training and Hinton's rule.

    Parameters
    ----------
    per_class, side
        See :func:`~mvtheory.images.plain.plain_subset`.
    channels : (int, int)
        See :class:`~mvtheory.images.convolution.ConvNets`, whose initial weights are those of He et al.
    steps, rate, batch
        See :func:`~mvtheory.images.convolution.fit`. The rate of students is divided by (1 + weight) T.
    rule : Temperature
        The rule.
    weight : float
        Its weight.
    """

    per_class: int = 200
    side: int = 14
    channels: tuple[int, int] = (8, 16)
    steps: int = 800
    rate: float = 0.04
    batch: int = 100
    rule: Temperature = Temperature(4.0)
    weight: float = 9.0

    def init(self, number: int, first: int, count: int) -> ConvNets:
        """Return nets `first`, ... of a subset at their initialisation."""
        seeds = range(1000 * number + first, 1000 * number + first + count)
        return ConvNets(seeds, pictures=1, side=self.side, k=len(CLASSES), channels=self.channels)

    def fit(self, nets: ConvNets, data: Pictures, objective: Objective | None = None, **how: Any) -> ConvNets:
        """Return the nets, trained in place, on the labels unless an objective is given."""
        arguments = {"steps": self.steps, "rate": self.rate, "batch": self.batch} | how
        with without_denormals():
            return fit(nets, data.x, objective or CrossEntropy(data.y), **arguments)


@dataclass(frozen=True)
class FashionPlain(Experiment):
    """Errors of the methods, and two probes of what single nets rely on.

    By the name of the method, :meth:`run` returns its errors on the test pictures (with axis ``net`` where the method
    is several nets), and under ``"training <method>"`` those on the training pictures. ``without half`` are the errors
    of single nets where the left or the right half of each picture is blank, axes ``half``, ``net`` and ``class``;
    ``without channels`` where the first or the second half of the last convolution's channels is, and ``reordered``
    those of the very same nets with their channels in another order.

    Students begin at initialisations of their own and learn from labels and teacher in one run. The teacher of
    self-distilled student i is net i.

    Attributes
    ----------
    draws : tuple of int
        Numbers of the subsets.
    nets : int
        Nets, and students of a kind, of each subset.
    setting : PlainSetting
        All else.
    """

    draws: tuple[int, ...] = SUBSETS
    nets: int = 5
    setting: PlainSetting = field(default_factory=PlainSetting)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_int("nets", self.nets, 2, 100)

    def on(self, number: int) -> xr.Dataset:
        """Return what is measured on the subset of this number, see :class:`FashionPlain`."""
        s, L = self.setting, self.nets
        train, test = plain_subset(number, per_class=s.per_class, side=s.side)
        single = s.fit(s.init(number, 0, L), train)
        joint = s.fit(s.init(number, 0, L), train, AverageCrossEntropy(train.y))
        G = outputs(single, train.x)

        def student(first: int, teachers: Tensor) -> ConvNets:
            objective = Distillation(train.y, teachers, s.rule, s.weight)
            return s.fit(s.init(number, first, L), train, objective, rate=s.rate / (1 + s.weight) / s.rule.T)

        distilled, self_distilled = student(500, average(G).expand(L, -1, -1)), student(600, G)
        variables: dict[str, tuple[str, np.ndarray]] = {}
        for prefix, part in (("", test), ("training ", train)):
            F = outputs(single, part.x)
            variables |= {
                f"{prefix}single": ("net", error_rate(F, part.y)),
                f"{prefix}ensemble": ("", error_rate(average(F), part.y)),
                f"{prefix}trained average": ("", error_rate(average(outputs(joint, part.x)), part.y)),
                f"{prefix}distilled": ("net", error_rate(outputs(distilled, part.x), part.y)),
                f"{prefix}self-distilled": ("net", error_rate(outputs(self_distilled, part.x), part.y)),
            }
        return labelled(variables | _probes(single, test, number), half=["left", "right"])


def _probes(nets: ConvNets, test: Pictures, seed: int) -> dict[str, tuple[str, np.ndarray]]:
    """Return the errors of single nets without one half of the picture, or of the channels."""
    axes = "half net class"
    halves = [errors_by_class(outputs(nets, masked(test, half).x), test.y) for half in ("left", "right")]
    found = {"without half": (axes, np.stack(halves))}
    channels = nets.second.out_channels // len(nets)
    order = torch.randperm(channels, generator=torch.Generator().manual_seed(seed))
    for name, which in (("without channels", torch.arange(channels)), ("reordered", order)):
        lost = which.chunk(2)
        found[name] = axes, np.stack([errors_by_class(outputs(nets.without(part), test.x), test.y) for part in lost])
    return found


def share_of_gain(data: xr.Dataset, method: str) -> Float[Tensor, " subsets"]:
    """Return how much of the ensemble's gain over single nets a method has.

    Parameters
    ----------
    data : xarray.Dataset
        What :class:`FashionPlain` measured.
    method : str
        One of `METHODS`.

    Returns
    -------
    Tensor, shape [subsets]
        0 for none, 1 for all of it.
    """
    net, best, other = (_mean(data, name) for name in ("single", "ensemble", method))
    return (net - other) / (net - best)


def opposite(data: xr.Dataset, probe: str) -> Float[Tensor, " subsets"]:
    """Return how often two nets rely on opposite halves for a class.

    Parameters
    ----------
    data : xarray.Dataset
        What :class:`FashionPlain` measured.
    probe : {"without half", "without channels", "reordered"}
        The nets are compared with each other; those with reordered channels with themselves.

    Returns
    -------
    Tensor, shape [subsets]
        In [0, 1]. A net that errs as much without either half counts as half an opposite.
    """
    errors = torch.from_numpy(data["without channels" if probe == "reordered" else probe].values)  # [subsets, 2, L, 10]
    side = (errors[:, 1] - errors[:, 0]).sign()
    if probe == "reordered":
        again = torch.from_numpy(data[probe].values)
        return (1 - side * (again[:, 1] - again[:, 0]).sign()).mean((1, 2)) / 2
    return opposite_signs(side, 1).mean(1)


def _mean(data: xr.Dataset, method: str) -> Float[Tensor, " subsets"]:
    """Return a method's error, the mean over its nets."""
    return torch.from_numpy(data[method].values).double().reshape(len(data.draw), -1).mean(1)


_STUDY = FashionPlain()


def of_study(
    of: Callable[[xr.Dataset], Float[Tensor, " subsets"]],
    draws: Sequence[int] = SUBSETS,
    setting: FashionPlain = _STUDY,
) -> Measurement:
    """Measure a quantity of each subset."""
    data = replace(setting, draws=tuple(draws)).run()
    return Measurement(over_splits(of(data), setting.nets), data.attrs["seconds"])


def removed(data: xr.Dataset) -> Float[Tensor, " subsets"]:
    """Return the share of single nets' error that their average removes."""
    return 1 - _mean(data, "ensemble") / _mean(data, "single")


#: The estimators of the chapter's claims, by id; those on pairs come from another module.
ESTIMATORS: Mapping[str, Callable[..., Measurement]] = {
    **fashion_convolutions.ESTIMATORS,
    "plain-ensemble": partial(of_study, removed),
    "plain-distill": partial(of_study, partial(share_of_gain, method="distilled")),
    "plain-self-distill": partial(of_study, partial(share_of_gain, method="self-distilled")),
    "plain-train-average": partial(of_study, partial(share_of_gain, method="trained average")),
    "plain-opposite-halves": partial(of_study, partial(opposite, probe="without half")),
}
