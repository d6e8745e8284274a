"""Claims about pairs of photographs: nets, averages and students where the views are pictures.

The independent repetitions are splits, each with pictures of its own, and a *draw* is the number of a split. All nets
of a split see the same pairs. What is measured of a method is laid out as by
:class:`~mvtheory.experiments.digit_images.DigitStudy`, so that the same functions read it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor

from mvtheory._check import check_int
from mvtheory.distillation import Distillation, OnOff, Rule
from mvtheory.ensemble import AverageCrossEntropy, average
from mvtheory.experiments.base import Experiment, Measurement, labelled
from mvtheory.experiments.digit_images import CONTRAST, gain_share, gap, opposite_share, single_view_error
from mvtheory.experiments.rule_map import Matching
from mvtheory.images.planted import CLASSES, Halves, Split, planted_split
from mvtheory.measurement import Estimate, error_rate, over_draws
from mvtheory.model import PatchNets, SReLU
from mvtheory.training import Objective, Schedule, train

__all__ = [
    "ESTIMATORS", "SPLITS", "STUDENT_KINDS", "FashionNets", "FashionStudents", "PhotoSetting", "beside_teachers",
    "errors_on", "excess_removed", "factor", "mean_by_size", "mean_error", "one_half_share", "over_splits",
    "without_denormals",
]  # fmt: skip

#: The splits that the book reports. The settings were chosen on the splits 1, 2 and 3.
SPLITS = tuple(range(201, 211))

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
class FashionNets(Experiment):
    """Single nets, their averages, the trained average and the control.

    By the name of the method, :meth:`run` returns its errors on the test pairs of which one picture is replaced, axes
    ``contrast``, ``half`` (the one that is kept), the nets of the method if there are several, and ``class``; under
    ``"training <method>"`` and ``"two-view <method>"`` those on the training pairs and on the test pairs. The methods
    are ``single``, its ``ensemble``, ``trained average``, ``reference`` (nets that saw each half alone, so that they
    know both views) and the control ``shared`` with ``shared ensemble``. ``by size`` is the mean error of the averages
    of L single nets, over all ways to choose them, axes ``size`` and ``half``. ``weights`` are those of the
    single nets.

    Attributes
    ----------
    draws : tuple of int
        Numbers of the splits.
    nets, references : int
        Single nets (and of the control, and of the trained average), and reference nets, of each split.
    setting : PhotoSetting
        All else.
    """

    draws: tuple[int, ...] = SPLITS
    nets: int = 10
    references: int = 3
    setting: PhotoSetting = field(default_factory=PhotoSetting)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_int("nets", self.nets, 2, 12)
        check_int("references", self.references, 1, 100)

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
class FashionStudents(Experiment):
    """Students of the single nets' average and of single nets, each by two rules.

    Laid out as :class:`FashionNets`, for the methods `STUDENT_KINDS`, with the axis ``student``. All students begin as
    single nets whom the labels have taught: student i is net i, and the teacher of a self-distilled one is another net.
    ``distilled`` and ``self-distilled`` learn by the on/off rule, ``matched`` and ``self-matched`` by the squared
    distance of the outputs.

    Attributes
    ----------
    draws : tuple of int
        Numbers of the splits.
    students : int
        Students of a kind on each split.
    nets : FashionNets
        Who teaches.
    """

    draws: tuple[int, ...] = SPLITS[:5]
    students: int = 2
    nets: FashionNets = field(default_factory=FashionNets)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_int("students", self.students, 1, self.nets.nets // 2)

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


@contextmanager
def without_denormals() -> Iterator[None]:
    """Let numbers below 1e-38 be zero on this thread: large outputs leave many, with which processors are slow."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def errors_on(
    name: str, nets: Callable[[Tensor], Tensor], split: Split, axis: str = ""
) -> dict[str, tuple[str, np.ndarray]]:
    """Return the errors of the nets, or of their average where they have no axis, class by class.

    Parameters
    ----------
    name : str
        The method.
    nets : callable
        Returns outputs [L, n, k] for inputs.
    split : Split
        The inputs.
    axis : str
        The name of the nets' axis.

    Returns
    -------
    dict of str to (str, array)
        Laid out as :class:`FashionNets` says, for :func:`mvtheory.experiments.base.labelled`.
    """

    def on(part: Halves) -> Float[np.ndarray, "*nets 8"]:
        F = nets(part.x)
        return _by_class(F if axis else average(F), part.y)

    halves = np.stack([on(split.left), on(split.right)])[None]
    return {
        name: (f"contrast half {axis} class", halves),
        f"training {name}": (f"{axis} class", on(split.train)),
        f"two-view {name}": (f"{axis} class", on(split.two_view)),
    }


def _by_class(F: Float[Tensor, "*nets n 8"], y: Tensor) -> Float[np.ndarray, "*nets 8"]:
    """Return the error on each class."""
    return np.stack([error_rate(F[..., y == c, :], y[y == c]) for c in range(len(CLASSES))], -1)


def mean_by_size(nets: Callable[[Tensor], Tensor], split: Split) -> Float[np.ndarray, "size half"]:
    """Return the mean error of the averages of 1, 2, ... nets, over all choices of that many; `nets` give [L, n, k]."""
    outputs = [(nets(part.x), part.y) for part in (split.left, split.right)]
    count = len(outputs[0][0])
    means = np.zeros((count, 2))
    for L in range(1, count + 1):
        chosen = [list(members) for members in combinations(range(count), L)]
        for half, (F, y) in enumerate(outputs):
            means[L - 1, half] = np.mean([float(error_rate(F[members].mean(0), y)) for members in chosen])
    return means


def mean_error(data: xr.Dataset, method: str, contrast: float = CONTRAST) -> Float[Tensor, " splits"]:
    """Return a method's error on single-view inputs, the mean over its nets."""
    return single_view_error(data, method, contrast).reshape(len(data.draw), -1).mean(1)


def excess_removed(data: xr.Dataset, method: str, contrast: float = CONTRAST) -> Float[Tensor, " splits"]:
    """Return the share of single nets' excess error that a method removes.

    Parameters
    ----------
    data : xarray.Dataset
        What :class:`FashionNets` measured.
    method : str
        One of its methods.
    contrast : float
        Of the picture in place of the lost one.

    Returns
    -------
    Tensor, shape [splits]
        The excess is measured from the error of nets that know both views.
    """
    single, other, reference = (mean_error(data, name, contrast) for name in ("single", method, "reference"))
    return (single - other) / (single - reference)


def factor(data: xr.Dataset, largest: int = 4, contrast: float = CONTRAST) -> Float[Tensor, " splits"]:
    """Return the mean factor on the excess error by each further net, from one net to `largest`.

    Parameters
    ----------
    data : xarray.Dataset
        What :class:`FashionNets` measured.
    largest : int
        Nets in the largest average.
    contrast : float
        Of the picture in place of the lost one.

    Returns
    -------
    Tensor, shape [splits]
        One half where every view is lost by every second net.
    """
    sizes = torch.from_numpy(data["by size"].sel(size=[1, largest]).values).mean(-1)
    excess = sizes - mean_error(data, "reference", contrast)[:, None]
    return (excess[:, 1] / excess[:, 0]) ** (1 / (largest - 1))


def one_half_share(data: xr.Dataset, method: str, contrast: float = CONTRAST) -> Float[Tensor, " splits"]:
    """Return the share of (net, class) whose error differs by more than a half between the halves.

    Parameters
    ----------
    data : xarray.Dataset
        What :class:`FashionNets` or :class:`FashionStudents` measured.
    method : str
        One of its methods.
    contrast : float
        Of the picture in place of the lost one.

    Returns
    -------
    Tensor, shape [splits]
    """
    apart = (gap(data, method, contrast).abs() > 0.5).double()
    return apart.reshape(len(data.draw), -1).mean(1)


def over_splits(values: Float[Tensor, " splits"], nets: int) -> Estimate:
    """Return the mean over splits with its interval; `nets` nets of each split were used."""
    return over_draws(values, points=None, nets=nets * len(values))


def single(draws: Sequence[int] = SPLITS, setting: FashionNets = _NETS) -> Measurement:
    """Measure the error of single nets on single-view inputs."""
    data = replace(setting, draws=tuple(draws)).run()
    points = len(CLASSES) * setting.setting.test_per_class // 2
    error = over_draws(single_view_error(data, "single", setting.setting.contrast), points=points)
    return Measurement(error, data.attrs["seconds"])


def of_nets(
    of: Callable[..., Float[Tensor, " splits"]], draws: Sequence[int] = SPLITS, setting: FashionNets = _NETS
) -> Measurement:
    """Measure a quantity of the nets of each split."""
    data = replace(setting, draws=tuple(draws)).run()
    return Measurement(over_splits(of(data), setting.nets), data.attrs["seconds"])


def one_half(method: str, draws: Sequence[int] = SPLITS, setting: FashionNets = _NETS) -> Measurement:
    """Measure the share of (net, class) that rely on one half."""
    data = replace(setting, draws=tuple(draws)).run()
    shares = one_half_share(data, method)
    points = len(CLASSES) * setting.nets
    return Measurement(
        over_draws(shares[:, None], points=points, nets=setting.nets * len(shares)), data.attrs["seconds"]
    )


def of_students(kind: str, draws: Sequence[int] = SPLITS[:5], setting: FashionStudents = _STUDENTS) -> Measurement:
    """Measure the share of the ensemble's gain that a kind of students has."""
    data = replace(setting, draws=tuple(draws)).run()
    share = gain_share(beside_teachers(data, setting.nets.run()), kind)
    return Measurement(over_splits(share, setting.nets.nets + setting.students), data.attrs["seconds"])


def beside_teachers(students: xr.Dataset, nets: xr.Dataset) -> xr.Dataset:
    """Return what was measured of students with what was measured of the nets of their splits."""
    return students.merge(nets.sel(draw=students.draw), compat="override", combine_attrs="override")


#: The estimators of the chapter's claims, by id.
ESTIMATORS: Mapping[str, Callable[..., Measurement]] = {
    "photos-single": single,
    "photos-lottery": partial(one_half, "single"),
    "photos-opposite-nets": partial(of_nets, partial(opposite_share, method="single", across="nets")),
    "photos-opposite-classes": partial(of_nets, partial(opposite_share, method="single", across="classes")),
    "photos-ensemble": partial(of_nets, partial(excess_removed, method="ensemble")),
    "photos-law": partial(of_nets, factor),
    "photos-train-average": partial(of_nets, partial(gain_share, method="trained average")),
    "photos-distill": partial(of_students, "distilled"),
    "photos-self-distill": partial(of_students, "self-distilled"),
    "photos-self-matched": partial(of_students, "self-matched"),
    "photos-control": partial(one_half, "shared"),
}
