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

from mvtheory._check import check_choice
from mvtheory.distillation import Distillation, Rule, Temperature
from mvtheory.ensemble import AverageCrossEntropy, average
from mvtheory.experiments.base import Measurement, labelled
from mvtheory.experiments.digit_images import gain_share, opposite_share
from mvtheory.experiments.photo_pairs import (
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
from mvtheory.experiments.rule_map import Matching
from mvtheory.experiments.settings import STARTS
from mvtheory.images.convolution import ConvNets, fit, outputs
from mvtheory.images.planted import CLASSES, Halves, Split, planted_split
from mvtheory.model import SReLU
from mvtheory.training import CrossEntropy, Objective

__all__ = [
    "ESTIMATORS", "NETS", "PLANTED", "SMOOTH", "STACKED", "STUDENTS", "ConvSetting", "FashionConvNets",
    "FashionConvStudents",
]  # fmt: skip


@dataclass(frozen=True)
class ConvSetting:
    """Data, nets, training and rules.

    Parameters
    ----------
    filters, channels, scale, side
        See :class:`~mvtheory.images.convolution.ConvNets`. Pictures of 14 pixels are averages of four.
    activation : SReLU, optional
        That of the second convolution; the ReLU if not given.
    contrast, per_class, test_per_class
        See :func:`~mvtheory.images.planted.planted_split`.
    steps, reference_steps, average_steps, student_steps, mixture_steps : int
        Training steps of a net on labels, of the reference, of a trained average, of a student (further ones where it
        begins after the labels), and on mixtures.
    rate, student_rate, batch
        See :func:`~mvtheory.images.convolution.fit`; students have a rate of their own, since their gradient is larger.
    rule : Rule
        How students are compared with their teacher.
    weight : float
        Its weight.
    student_start : {"labels", "random"}
        Where students begin, see :data:`~mvtheory.experiments.settings.STARTS`.
    """

    filters: str = "separate"
    channels: tuple[int, int] = (8, 16)
    scale: float = 0.1
    side: int = 28
    activation: SReLU | None = None
    contrast: float = 0.3
    per_class: int = 100
    test_per_class: int = 200
    steps: int = 200
    reference_steps: int = 200
    average_steps: int = 200
    student_steps: int = 400
    mixture_steps: int = 300
    rate: float = 0.1
    student_rate: float = 0.00125
    batch: int = 100
    rule: Rule = Temperature(8.0)
    weight: float = 9.0
    student_start: str = "labels"

    def __post_init__(self) -> None:
        check_choice("student_start", self.student_start, STARTS)

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
            seeds, side=self.side, k=len(CLASSES), channels=self.channels, scale=self.scale, filters=self.filters,
            activation=self.activation or torch.relu,
        )  # fmt: skip

    def fit(self, nets: ConvNets, data: Halves, objective: Objective | None = None, **how: Any) -> ConvNets:
        """Return the nets, trained in place, on the labels unless an objective is given."""
        arguments = {"steps": self.steps, "rate": self.rate, "batch": self.batch} | how
        with without_denormals():
            return fit(nets, data.x, objective or CrossEntropy(data.y), **arguments)


#: Separate filters for each picture, as the theory's views are orthogonal; a weak picture of another class instead of
#: the lost one. Chosen on the splits 1, 2 and 3.
PLANTED = ConvSetting()

#: The same with the theory's activation in the second convolution. Steps follow from it: a race from a small start is
#: long. The reference has twice the inputs.
SMOOTH = replace(
    PLANTED, activation=SReLU(q=3, varrho=1.0), scale=0.2, side=14, steps=800, reference_steps=1600,
    average_steps=1600, student_steps=2000, student_rate=0.05, rule=Matching(), weight=0.01, student_start="random",
)  # fmt: skip

#: The splits of these nets.
SMOOTH_SPLITS = tuple(range(211, 221))

#: Two pictures stacked as channels of an ordinary net, one of them blank in tests: the benchmark of arXiv:2210.13512,
#: on a small net and few pictures.
STACKED = ConvSetting(
    filters="stacked", scale=0.3, side=14, contrast=0.0, steps=150, reference_steps=150, average_steps=150
)


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
        taught = s.fit(s.init(number, 500, self.references), split.halves, steps=s.reference_steps)
        reference = partial(outputs, taught)
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
    """Students, the trained average, and nets trained on mixtures of inputs.

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
        start = s.init(number, 700, n)
        if s.student_start == "labels":
            start = s.fit(s.init(number, 0, n), split.train)
        variables: dict[str, Any] = {}
        for kind, teacher in (("distilled", average(G).expand(n, -1, -1)), ("self-distilled", G[n : 2 * n])):
            objective = Distillation(split.train.y, teacher, s.rule, s.weight)
            student = s.fit(deepcopy(start), split.train, objective, rate=s.student_rate, steps=s.student_steps)
            variables |= errors_on(kind, partial(outputs, student), split, "student")
        for mixture in self.mixtures:
            mixed = s.fit(s.init(number, 900, n), split.train, mixture=mixture, steps=s.mixture_steps)
            variables |= errors_on(mixture, partial(outputs, mixed), split, "student")
        average_loss = AverageCrossEntropy(split.train.y)
        joint = s.fit(s.init(number, 0, self.nets.nets), split.train, average_loss, steps=s.average_steps)
        variables |= errors_on("trained average", partial(outputs, joint), split)
        return labelled(variables, contrast=[s.contrast], half=["left", "right"])


#: The studies that the book reports, by name.
NETS: Mapping[str, FashionConvNets] = {
    "planted": FashionConvNets(),
    "smooth": FashionConvNets(draws=SMOOTH_SPLITS, setting=SMOOTH),
    "stacked": FashionConvNets(setting=STACKED),
}
#: The students that the book reports, by the name of their teachers.
STUDENTS: Mapping[str, FashionConvStudents] = {
    "planted": FashionConvStudents(),
    "smooth": FashionConvStudents(draws=SMOOTH_SPLITS[:5], students=3, nets=NETS["smooth"]),
    "stacked": FashionConvStudents(nets=NETS["stacked"], mixtures=("midpoint", "uniform")),
}


def _gain(method: str) -> Callable[..., Float[Tensor, " splits"]]:
    return partial(gain_share, method=method)


def _removed(method: str) -> Callable[..., Float[Tensor, " splits"]]:
    return partial(excess_removed, method=method)


def _estimators(name: str) -> dict[str, Callable[..., Measurement]]:
    """Return what is measured of the nets and students of a name, by the end of the claim's id.

    Where students match the outputs of their teachers, those of single nets are said to be self-matched.
    """
    nets, students = NETS[name], STUDENTS[name]
    of_these = partial(of_nets, draws=nets.draws, setting=nets)
    of_taught = partial(of_students, draws=students.draws, setting=students)
    return {
        "lottery": partial(one_half, "single", draws=nets.draws, setting=nets),
        "opposite-nets": partial(of_these, partial(opposite_share, method="single", across="nets")),
        "ensemble": partial(of_these, _removed("ensemble")),
        "law": partial(of_these, partial(factor, largest=2)),
        "train-average": partial(of_taught, _gain("trained average")),
        "distill": partial(of_taught, _gain("distilled")),
        **dict.fromkeys(("self-distill", "self-matched"), partial(of_taught, _gain("self-distilled"))),
        "midpoint": partial(of_taught, _removed("midpoint")),
    }


_LOTTERY = ("lottery", "opposite-nets", "ensemble", "law", "train-average", "distill")
_CLAIMED = {
    "conv": ("planted", (*_LOTTERY, "self-distill")),
    "smooth": ("smooth", (*_LOTTERY, "self-matched")),
    "stacked": ("stacked", ("ensemble", "distill", "midpoint")),
}

#: The estimators of the claims on pairs, by id.
ESTIMATORS: Mapping[str, Callable[..., Measurement]] = {
    f"{prefix}-{what}": _estimators(name)[what] for prefix, (name, claimed) in _CLAIMED.items() for what in claimed
}
