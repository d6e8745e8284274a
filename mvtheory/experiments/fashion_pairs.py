"""Claims about pairs of photographs for the learner of the theory: nets, averages and students."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
import xarray as xr
from torch import Tensor

from mvtheory.distillation import Distillation, OnOff, Rule
from mvtheory.ensemble import AverageCrossEntropy, average
from mvtheory.experiments.base import Measurement, labelled
from mvtheory.experiments.digit_images import CONTRAST, gain_share, opposite_share, single_view_error
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
from mvtheory.experiments.rule_map import Matching
from mvtheory.images.planted import CLASSES, Halves, Split, planted_split
from mvtheory.measurement import over_draws
from mvtheory.model import PatchNets, SReLU
from mvtheory.training import Objective, Schedule, train

__all__ = ["ESTIMATORS", "STUDENT_KINDS", "FashionNets", "FashionStudents", "PhotoSetting"]

#: The kinds of students: who teaches them, and by which rule.
STUDENT_KINDS = ("distilled", "self-distilled", "matched", "self-matched")


@dataclass(frozen=True)
class PhotoSetting:
    """Data, learner, schedules and rule.

    Parameters
    ----------
    per_class, test_per_class, components, contrast
        See :func:`~mvtheory.images.planted.planted_split`.
    activation : SReLU
        Power and cut.
    m : int
        Neurons per class.
    sigma_0 : float
        Standard deviation of the initial weights.
    schedule : Schedule
        Training on labels: each net stops when it makes no error.
    distillation_schedule : Schedule
        Training of students, which begin where the labels have led them.
    rule : OnOff
        The on/off rule for a teacher that is one net.
    weight : float
        Weight of the rule.
    matching_weight : float
        Weight of the other rule, half the squared distance of the outputs.
    """

    per_class: int = 100
    test_per_class: int = 200
    components: int = 128
    contrast: float = CONTRAST
    activation: SReLU = SReLU(q=3, varrho=4.0)
    m: int = 4
    sigma_0: float = 0.003
    schedule: Schedule = Schedule(steps=1500, stop_loss=1.0, eta=1e9, max_change=0.1, warn=False)
    distillation_schedule: Schedule = Schedule(steps=1500, stop_loss=1e-3, eta=1e9, max_change=0.15, warn=False)
    rule: OnOff = OnOff(threshold=5.0, cut=10.0, slack=0.6, baseline_quantile=0.0)
    weight: float = 2.0
    matching_weight: float = 0.01

    def split(self, number: int, form: str = "own") -> Split:
        """Return the inputs of a split."""
        return planted_split(
            number, per_class=self.per_class, test_per_class=self.test_per_class, components=self.components,
            contrast=self.contrast, form=form,
        )  # fmt: skip

    def init(self, number: int, first: int, count: int, d: int) -> PatchNets:
        """Return nets `first`, ... of a split at their initialisation."""
        return PatchNets.init(
            count, k=len(CLASSES), m=self.m, d=d, sigma_0=self.sigma_0, seed=1000 * number + first,
            activation=self.activation,
        )  # fmt: skip

    def fit(self, nets: PatchNets, data: Halves, objective: Objective | None = None) -> PatchNets:
        """Return the nets, trained on the labels."""
        with without_denormals():
            return train(nets, data, objective, schedule=self.schedule).nets


@dataclass(frozen=True)
class FashionNets(PairNets):
    """Single nets, their averages, the trained average and the control, by the theory's learner.

    Beside the methods of :class:`~mvtheory.experiments.photo_pairs.PairNets` there are ``trained average`` and the
    control ``shared`` with ``shared ensemble``. ``weights`` are those of the single nets.

    Attributes
    ----------
    draws, nets, references
        See :class:`~mvtheory.experiments.photo_pairs.PairNets`; as many nets of the control and of the trained average.
    setting : PhotoSetting
        All else.
    """

    setting: PhotoSetting = field(default_factory=PhotoSetting)

    @property
    def contrast(self) -> float:
        """Strength of the picture that replaces a half."""
        return self.setting.contrast

    def on(self, number: int) -> xr.Dataset:
        """Return what is measured on the split of this number, see :class:`FashionNets`."""
        s = self.setting
        own, common = s.split(number), s.split(number, form="shared")
        d = own.train.x.shape[-1]
        single = s.fit(s.init(number, 0, self.nets, d), own.train)
        joint = s.fit(s.init(number, 0, self.nets, d), own.train, AverageCrossEntropy(own.train.y))
        reference = s.fit(s.init(number, 500, self.references, d), own.halves)
        shared = s.fit(s.init(number, 0, self.nets, d // 2), common.train)
        variables = {
            **errors_on("single", single, own, "net"),
            **errors_on("ensemble", single, own),
            **errors_on("trained average", joint, own),
            **errors_on("reference", reference, own, "reference_net"),
            **errors_on("shared", shared, common, "net"),
            **errors_on("shared ensemble", shared, common),
            "weights": ("net class neuron dimension", single.W),
            "by size": ("size half", mean_by_size(single, own)),
        }
        return labelled(variables, contrast=[s.contrast], half=["left", "right"], size=range(1, self.nets + 1))


@dataclass(frozen=True)
class FashionStudents(PairStudents):
    """Students of the single nets' average and of single nets, each by two rules.

    The methods are `STUDENT_KINDS`: ``distilled`` and ``self-distilled`` learn by the on/off rule, ``matched`` and
    ``self-matched`` by the squared distance of the outputs.

    Attributes
    ----------
    draws, students
        See :class:`~mvtheory.experiments.photo_pairs.PairStudents`.
    nets : FashionNets
        Who teaches.
    """

    nets: FashionNets = field(default_factory=FashionNets)

    @property
    def teachers(self) -> FashionNets:
        """The single nets, who teach."""
        return self.nets

    def on(self, number: int) -> xr.Dataset:
        """Return what is measured on the split of this number, see :class:`FashionStudents`."""
        s, data = self.nets.setting, self.nets.run()
        split = s.split(number)
        weights = torch.from_numpy(data["weights"].sel(draw=number).values)
        singles = PatchNets(weights, s.activation)
        G, n = singles(split.train.x), self.students
        one, all_nets = G[n : 2 * n], average(G).expand(n, -1, -1)
        on_average = replace(s.rule, threshold=s.rule.threshold / len(G))  # on if one of its nets has it on
        rules: dict[str, tuple[Tensor, Rule, float]] = {
            "distilled": (all_nets, on_average, s.weight),
            "self-distilled": (one, s.rule, s.weight),
            "matched": (all_nets, Matching(), s.matching_weight),
            "self-matched": (one, Matching(), s.matching_weight),
        }
        variables: dict[str, Any] = {}
        for kind, (teacher, rule, weight) in rules.items():
            objective = Distillation(split.train.y, teacher, rule, weight)
            with without_denormals():
                student = train(singles[:n], split.train, objective, s.distillation_schedule).nets
            variables |= errors_on(kind, student, split, "student")
        return labelled(variables, contrast=[s.contrast], half=["left", "right"])


_NETS, _STUDENTS = FashionNets(), FashionStudents()


def single(draws: Sequence[int] = SPLITS, setting: FashionNets = _NETS) -> Measurement:
    """Measure the error of single nets on single-view inputs."""
    data = replace(setting, draws=tuple(draws)).run()
    points = len(CLASSES) * setting.setting.test_per_class // 2
    error = over_draws(single_view_error(data, "single", setting.setting.contrast), points=points)
    return Measurement(error, data.attrs["seconds"])


_of_nets, _one_half = partial(of_nets, setting=_NETS), partial(one_half, setting=_NETS)
_of_students = partial(of_students, setting=_STUDENTS)

#: The estimators of the chapter's claims, by id.
ESTIMATORS: Mapping[str, Callable[..., Measurement]] = {
    "photos-single": single,
    "photos-lottery": partial(_one_half, "single"),
    "photos-opposite-nets": partial(_of_nets, partial(opposite_share, method="single", across="nets")),
    "photos-opposite-classes": partial(_of_nets, partial(opposite_share, method="single", across="classes")),
    "photos-ensemble": partial(_of_nets, partial(excess_removed, method="ensemble")),
    "photos-law": partial(_of_nets, factor),
    "photos-train-average": partial(_of_nets, partial(gain_share, method="trained average")),
    "photos-distill": partial(_of_students, partial(gain_share, method="distilled")),
    "photos-self-distill": partial(_of_students, partial(gain_share, method="self-distilled")),
    "photos-self-matched": partial(_of_students, partial(gain_share, method="self-matched")),
    "photos-control": partial(_one_half, "shared"),
}
