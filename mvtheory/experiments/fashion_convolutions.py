"""Claims about pairs of photographs read by convolutional nets: with planted views, and stacked as channels.

Laid out as in :mod:`~mvtheory.experiments.photo_pairs`, whose functions read what is measured here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as nnf
import xarray as xr
from jaxtyping import Float
from torch import Tensor

from mvtheory.distillation import Distillation, Temperature
from mvtheory.ensemble import AverageCrossEntropy, average
from mvtheory.experiments.base import Measurement, labelled
from mvtheory.experiments.digit_images import gain_share, opposite_share
from mvtheory.experiments.photo_pairs import (
    SPLITS,
    PairNets,
    PairStudents,
    errors_on,
    excess_removed,
    factor,
    mean_by_size,
    of_nets,
    of_students,
    one_half,
    without_denormals,
)  # fmt: skip
from mvtheory.images.convolution import ConvNets, fit, outputs
from mvtheory.images.planted import CLASSES, Halves, Split, planted_split
from mvtheory.training import CrossEntropy, Objective

__all__ = [
    "ESTIMATORS", "GENTLE", "NETS", "PLANTED", "STACKED", "STUDENTS", "ConvSetting", "FashionConvNets",
    "FashionConvStudents",
]  # fmt: skip


@dataclass(frozen=True)
class ConvSetting:
    """Data, nets, training and rules.

    Parameters
    ----------
    filters, channels, scale, side
        See :class:`~mvtheory.images.convolution.ConvNets`. Pictures of 14 pixels are averages of four.
    contrast, per_class, test_per_class
        See :func:`~mvtheory.images.planted.planted_split`.
    steps, student_steps, mixture_steps : int
        Training steps of a net on labels, further ones of a student, and those on mixtures.
    rate, batch
        See :func:`~mvtheory.images.convolution.fit`. The rate of students is divided by (1 + weight) T, about the
        factor by which their gradient is larger.
    rule : Temperature
        Hinton's rule.
    weight : float
        Its weight.
    """

    filters: str = "separate"
    channels: tuple[int, int] = (8, 16)
    scale: float = 0.1
    side: int = 28
    contrast: float = 0.3
    per_class: int = 100
    test_per_class: int = 200
    steps: int = 200
    student_steps: int = 400
    mixture_steps: int = 300
    rate: float = 0.1
    batch: int = 100
    rule: Temperature = Temperature(8.0)
    weight: float = 9.0

    def split(self, number: int) -> Split:
        """Return the inputs of a split."""
        split = planted_split(
            number, per_class=self.per_class, test_per_class=self.test_per_class, contrast=self.contrast,
            form="pictures",
        )  # fmt: skip
        names = ("train", "two_view", "left", "right", "halves")
        parts: dict[str, Halves] = {name: getattr(split, name) for name in names}
        pool = partial(nnf.avg_pool2d, kernel_size=28 // self.side)
        pooled: dict[str, Any] = {name: Halves(pool(part.x), part.y) for name, part in parts.items()}
        return replace(split, **pooled)

    def init(self, number: int, first: int, count: int) -> ConvNets:
        """Return nets `first`, ... of a split at their initialisation."""
        seeds = range(1000 * number + first, 1000 * number + first + count)
        return ConvNets(
            seeds, side=self.side, k=len(CLASSES), channels=self.channels, scale=self.scale, filters=self.filters
        )

    def fit(self, nets: ConvNets, data: Halves, objective: Objective | None = None, **how: Any) -> ConvNets:
        """Return the nets, trained in place, on the labels unless an objective is given."""
        arguments = {"steps": self.steps, "rate": self.rate, "batch": self.batch} | how
        with without_denormals():
            return fit(nets, data.x, objective or CrossEntropy(data.y), **arguments)


#: Separate filters for each picture, as the theory's views are orthogonal; a weak picture of another class instead of
#: the lost one. Chosen on the splits 1, 2 and 3.
PLANTED = ConvSetting()

#: The same in smaller steps, by which hardly any filter falls silent.
GENTLE = replace(PLANTED, rate=0.05)

#: Two pictures stacked as channels of an ordinary net, one of them blank in tests: the benchmark of arXiv:2210.13512,
#: on a small net and few pictures.
STACKED = ConvSetting(filters="stacked", scale=0.3, side=14, contrast=0.0, steps=150)


@dataclass(frozen=True)
class FashionConvNets(PairNets):
    """Single convolutional nets, their averages, and the reference.

    Beside the methods of :class:`~mvtheory.experiments.photo_pairs.PairNets` there are ``teachers``, the single nets'
    outputs on the training pairs, and ``silent``, the share of the last convolution's filters, of each net and half,
    that are below zero on all of them (for stacked filters, which read both halves, twice the same).

    Attributes
    ----------
    draws, nets, references
        See :class:`~mvtheory.experiments.photo_pairs.PairNets`.
    setting : ConvSetting
        All else.
    """

    setting: ConvSetting = PLANTED

    @property
    def contrast(self) -> float:
        """Strength of the picture that replaces a half."""
        return self.setting.contrast

    def on(self, number: int) -> xr.Dataset:
        """Return what is measured on the split of this number, see :class:`FashionConvNets`."""
        s = self.setting
        split = s.split(number)
        nets = s.fit(s.init(number, 0, self.nets), split.train)
        single = partial(outputs, nets)
        reference = partial(outputs, s.fit(s.init(number, 500, self.references), split.halves))
        variables = {
            **errors_on("single", single, split, "net"),
            **errors_on("ensemble", single, split),
            **errors_on("reference", reference, split, "reference_net"),
            "by size": ("size half", mean_by_size(single, split)),
            "teachers": ("net input output", single(split.train.x)),
            "silent": ("net half", _silent(nets, split.train)),
        }
        return labelled(variables, contrast=[s.contrast], half=["left", "right"], size=range(1, self.nets + 1))


@torch.no_grad()
def _silent(nets: ConvNets, data: Halves) -> Float[Tensor, "L 2"]:
    """Return the share of each net's filters that are below zero on all inputs, in the last convolution."""
    highest = torch.stack([nets.responses(part).amax(0) for part in data.x.split(500)]).amax(0)  # [streams, L, c]
    return (highest <= 0).double().mean(-1).T.expand(-1, 2)


@dataclass(frozen=True)
class FashionConvStudents(PairStudents):
    """Students by Hinton's rule, the trained average, and nets trained on mixtures of inputs.

    The methods are ``distilled``, ``self-distilled``, ``trained average`` and the names of the mixtures.

    Attributes
    ----------
    draws, students
        See :class:`~mvtheory.experiments.photo_pairs.PairStudents`; as many nets are trained on mixtures.
    nets : FashionConvNets
        Who teaches.
    mixtures : tuple of str
        Names in :data:`~mvtheory.images.convolution.MIXTURES`.
    """

    nets: FashionConvNets = field(default_factory=FashionConvNets)
    mixtures: tuple[str, ...] = ()

    @property
    def teachers(self) -> FashionConvNets:
        """The single nets, who teach."""
        return self.nets

    def on(self, number: int) -> xr.Dataset:
        """Return what is measured on the split of this number, see :class:`FashionConvStudents`."""
        s, n = self.nets.setting, self.students
        split = s.split(number)
        G = torch.from_numpy(self.nets.run()["teachers"].sel(draw=number).values)
        taught = s.fit(s.init(number, 0, n), split.train)
        variables: dict[str, Any] = {}
        for kind, teacher in (("distilled", average(G).expand(n, -1, -1)), ("self-distilled", G[n : 2 * n])):
            objective = Distillation(split.train.y, teacher, s.rule, s.weight)
            rate = s.rate / (1 + s.weight) / s.rule.T
            student = s.fit(deepcopy(taught), split.train, objective, rate=rate, steps=s.student_steps)
            variables |= errors_on(kind, partial(outputs, student), split, "student")
        for mixture in self.mixtures:
            mixed = s.fit(s.init(number, 900, n), split.train, mixture=mixture, steps=s.mixture_steps)
            variables |= errors_on(mixture, partial(outputs, mixed), split, "student")
        joint = s.fit(s.init(number, 0, self.nets.nets), split.train, AverageCrossEntropy(split.train.y))
        variables |= errors_on("trained average", partial(outputs, joint), split)
        return labelled(variables, contrast=[s.contrast], half=["left", "right"])


#: The studies that the book reports, by name; that in smaller steps is a control.
NETS: Mapping[str, FashionConvNets] = {
    "planted": FashionConvNets(),
    "gentle": FashionConvNets(draws=SPLITS[:5], setting=GENTLE),
    "stacked": FashionConvNets(setting=STACKED),
}
#: The students that the book reports, by the name of their teachers.
STUDENTS: Mapping[str, FashionConvStudents] = {
    "planted": FashionConvStudents(),
    "stacked": FashionConvStudents(nets=NETS["stacked"], mixtures=("midpoint", "uniform")),
}


def _gain(method: str) -> Callable[..., Float[Tensor, " splits"]]:
    return partial(gain_share, method=method)


def _removed(method: str) -> Callable[..., Float[Tensor, " splits"]]:
    return partial(excess_removed, method=method)


_of_nets, _one_half = partial(of_nets, setting=NETS["planted"]), partial(one_half, setting=NETS["planted"])
_of_students, _of_stacked = (partial(of_students, setting=STUDENTS[name]) for name in ("planted", "stacked"))

#: The estimators of the claims on pairs, by id.
ESTIMATORS: Mapping[str, Callable[..., Measurement]] = {
    "conv-lottery": partial(_one_half, "single"),
    "conv-opposite-nets": partial(_of_nets, partial(opposite_share, method="single", across="nets")),
    "conv-ensemble": partial(_of_nets, _removed("ensemble")),
    "conv-law": partial(_of_nets, partial(factor, largest=2)),
    "conv-train-average": partial(_of_students, _gain("trained average")),
    "conv-distill": partial(_of_students, _gain("distilled")),
    "conv-self-distill": partial(_of_students, _gain("self-distilled")),
    "stacked-ensemble": partial(of_nets, _removed("ensemble"), setting=NETS["stacked"]),
    "stacked-distill": partial(_of_stacked, _gain("distilled")),
    "stacked-midpoint": partial(_of_stacked, _removed("midpoint")),
}
