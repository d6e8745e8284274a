"""How many classes does the paper's distillation rule need? Students without noise, in the view coordinates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor

from mvtheory._check import check_choice, check_int, check_number
from mvtheory.data import MultiView
from mvtheory.distillation import Distillation, OneSided, OnOff
from mvtheory.ensemble import average
from mvtheory.experiments.base import FULL, Experiment, Measurement, labelled, select
from mvtheory.experiments.nets import Draw
from mvtheory.experiments.settings import Setting
from mvtheory.measurement import Estimate, difference_over_draws, over_draws, wrong
from mvtheory.model import PatchNets, SReLU
from mvtheory.reduced.reduction import reduce_to_all_views
from mvtheory.training import Schedule, train

__all__ = [
    "CLASSES",
    "ESTIMATORS",
    "NOISE_FREE",
    "PaperRule",
    "by_classes",
    "excess_error",
    "lost_view_first",
    "predicted_excess",
]

#: Numbers of classes that are compared.
CLASSES = (10, 20, 40, 80) if FULL else (10, 20, 40)
#: Data sets. What is set here was chosen on others.
FIRST_DRAWS = tuple(range(901, 911 if FULL else 906))
TEACHERS = ("ensemble", "single")
RULES = ("paper", "two-sided")

#: Nets without noise. Main views fill two patches: with less strength in each, fewer classes are needed.
NOISE_FREE = Setting(
    task=MultiView(
        k=10, P=22, d=64, C_p=2, C_weak=1, s=5.0, main=(1.0, 1.0), weak=(0.4, 0.4), rho=0.01, Gamma=0.15,
        noise_signal=0.0, noise_background=0.0,
    ),
    n_single_view=0,
    activation=SReLU(q=3, varrho=12.0),
    m=8,
    sigma_0=0.06,
    members=4,
    students=2,
    test_single_view=2000,
    test_multi_view=1000,
    schedule=Schedule(steps=800, stop_loss=0.1, eta=12000.0, max_change=0.3),
    distillation_schedule=Schedule(steps=600, stop_loss=0.01, eta=20000.0, max_change=0.3, warn=False),
)  # fmt: skip


@dataclass(frozen=True)
class PaperRule(Experiment):
    """Students at one number of classes, by the paper's rule and by the two-sided one.

    The data set of a number holds the variables

    - ``error`` (teacher, rule, student): error of the students on single-view inputs,
    - ``alone`` (teacher, rule, student): share of the pairs (input, class) with the teacher off in which they are on,
    - ``lost`` (teacher, student): share of single-view inputs on which none of the nets that a student learned from,
      itself before distillation included, is right,
    - ``first`` (student): share of classes whose lost view comes first, see `lost_view_first`.

    Attributes
    ----------
    draws : tuple of int
        Numbers of the data sets.
    k : int, >= 2
        Number of classes.
    teachers : tuple of {"ensemble", "single"}
        What is distilled: the average of all members, or member i into student i.
    inputs : int, >= 1
        Training inputs per class.
    weight : float, > 0
        Weight of the rules.
    setting : Setting
        The setting at ten classes: nets, data and their strengths.
    """

    draws: tuple[int, ...] = FIRST_DRAWS
    k: int = 10
    teachers: tuple[str, ...] = TEACHERS
    inputs: int = 20
    weight: float = 20.0
    setting: Setting = NOISE_FREE

    def __post_init__(self) -> None:
        super().__post_init__()
        check_int("k", self.k, low=2)
        check_int("inputs", self.inputs, low=1)
        check_number("weight", self.weight, low=0, open_low=True)
        for teacher in self.teachers:
            check_choice("teachers", teacher, TEACHERS)

    def at(self, number: int) -> Draw:
        """Return the data set of this number."""
        s, task = self.setting, self.setting.task
        room = task.M * (task.C_p + (self.k - 1) * (task.C_weak or task.C_p))
        task = replace(task, k=self.k, d=self.k * task.M, P=room)
        test = max(s.test_single_view, 20 * self.k)
        return Draw(number, replace(s, task=task, n_multi_view=self.inputs * self.k, test_single_view=test))

    def on(self, number: int) -> xr.Dataset:
        """Train nets on the labels, then the students of all teachers and rules."""
        draw, s = self.at(number), self.setting
        start, data, axes = reduce_to_all_views(draw.init(0, s.members + s.students), draw.train, draw.task.views)
        single, multi = (
            reduce_to_all_views(draw.init(0, 1), sample, draw.task.views)[1]
            for sample in (draw.test_single_view, draw.test_multi_view)
        )
        nets = train(start, data, schedule=self._scaled(s.schedule)).nets
        students, schedule = nets[s.members :], self._scaled(s.distillation_schedule)
        outputs, on_multi, errs = nets(data.x), nets(multi.x), wrong(nets(single.x), single.y)
        error, alone, lost = [], [], []
        for teacher in self.teachers:
            G, L = self._teacher(outputs, teacher), s.members if teacher == "ensemble" else 1
            off = self._teacher(on_multi, teacher) < OnOff.for_average(L).threshold
            for rule in (OneSided(), OnOff.for_average(L)):
                distilled = train(students, data, Distillation(data.y, G, rule, self.weight), schedule).nets
                error.append(wrong(distilled(single.x), single.y).mean(-1))
                alone.append(((distilled(multi.x) >= OnOff.cut) & off).double().sum((1, 2)) / off.sum((1, 2)))
            of_teacher = errs[: s.members].all(0) if teacher == "ensemble" else errs[: s.students]
            lost.append((errs[s.members :] & of_teacher).mean(-1))
        shape = len(self.teachers), len(RULES), s.students
        variables = {
            "error": ("teacher rule student", np.reshape(error, shape)),
            "alone": ("teacher rule student", torch.stack(alone).reshape(shape)),
            "lost": ("teacher student", lost),
            "first": ("student", lost_view_first(students, axes, draw)),
        }
        return labelled(variables, teacher=self.teachers, rule=RULES)

    def _teacher(self, F: Float[Tensor, "L n k"], teacher: str) -> Float[Tensor, "students n k"]:
        """Return the outputs of each student's teacher."""
        s = self.setting
        return average(F[: s.members]).expand(s.students, -1, -1) if teacher == "ensemble" else F[: s.students]

    def _scaled(self, schedule: Schedule) -> Schedule:
        """Return a schedule with larger steps: a class is in one of k inputs, so time runs slower."""
        return replace(schedule, eta=self.k / 10 * schedule.eta)


def lost_view_first(nets: PatchNets, views: Float[Tensor, "k M d"], draw: Draw) -> Float[Tensor, " L"]:
    r"""Return the share of classes in which the lost view grows faster than any shortcut, for each net.

    A rule that only raises outputs is satisfied by whatever raises them. The lost view of class j is present in a share
    s/k of the inputs, with the strength of weak views; the main views of another class i, a *shortcut*, in 1/k of them,
    of which :math:`1 - (1 - s/k)^M` are inputs with the teacher on for j. As with the labels, what has the larger
    :math:`S \Lambda^{q-2}` at the start arrives first.

    Parameters
    ----------
    nets : PatchNets
        Nets that have learned from labels.
    views : Tensor, shape [k, M, d]
        The views in their coordinates.
    draw : Draw
        The data, for s, k and the strengths.

    Returns
    -------
    Tensor, shape [L]
    """
    task, q = draw.task, check_int("nets.activation.q", getattr(nets.activation, "q", None), low=1)
    of_weak = task.C_weak or task.C_p
    weak = task.s / task.k * of_weak * (sum(task.weak) / 2 / of_weak) ** q
    main = (1 - (1 - task.s / task.k) ** task.M) / task.k * task.C_p * (sum(task.main) / 2 / task.C_p) ** q
    overlap = nets.products(views).amax(2).clamp(min=0)  # [L, k, k, M], of a class's neurons with every view
    own = overlap.diagonal(dim1=1, dim2=2).amin(1)  # [L, k], the view that was lost
    foreign = overlap.masked_fill(torch.eye(task.k, dtype=torch.bool)[None, :, :, None], 0).amax((2, 3))
    return (weak * own ** (q - 2) > main * foreign ** (q - 2)).double().mean(-1)


def by_classes(draws: Sequence[int] = FIRST_DRAWS, setting: Setting = NOISE_FREE) -> dict[int, xr.Dataset]:
    """Return what `PaperRule` measures at each of `CLASSES`; students of single nets at the largest number only."""
    return {
        k: PaperRule(tuple(draws), k, TEACHERS if k == max(CLASSES) else ("ensemble",), setting=setting).run()
        for k in CLASSES
    }


def predicted_excess(data: xr.Dataset) -> Float[np.ndarray, "draws students"]:
    """Return the predicted error of students by the paper's rule beyond what their nets lack.

    Where a shortcut comes first, the lost view is not found: half of the class's single-view inputs are lost.
    """
    return (1 - select(data, "first")) / 2


def excess_error(data: xr.Dataset, rule: str, points: int = NOISE_FREE.test_single_view) -> Estimate:
    """Return the error of the ensemble's students beyond what their nets lack together.

    Parameters
    ----------
    data : xarray.Dataset
        What `PaperRule` measured at one number of classes.
    rule : {"paper", "two-sided"}
        The rule of the students.
    points : int
        Single-view test inputs.

    Returns
    -------
    Estimate
    """
    error, lost = _of_ensemble(data, rule)
    return difference_over_draws(error, lost, points=points, nets=error.size)


def one_sided_excess(draws: Sequence[int] = FIRST_DRAWS, setting: Setting = NOISE_FREE) -> Measurement:
    """Measure the excess error by the paper's rule minus the predicted one, a mean over numbers of classes."""
    found = by_classes(draws, setting)
    gaps = []
    for data in found.values():
        error, lost = _of_ensemble(data, "paper")
        gaps.append(error - lost - predicted_excess(data))
    gap = over_draws(np.mean(gaps, 0), points=None, nets=np.size(gaps))
    return Measurement(gap, _seconds(found))


def one_sided(draws: Sequence[int] = FIRST_DRAWS, setting: Setting = NOISE_FREE) -> Measurement:
    """Measure the error of students of all teachers by the paper's rule, minus that by the two-sided rule."""
    found = by_classes(draws, setting)
    paper, two_sided = (select(found[max(CLASSES)], "error", rule=rule).reshape(len(draws), -1) for rule in RULES)
    return Measurement(difference_over_draws(paper, two_sided, points=setting.test_single_view), _seconds(found))


def _of_ensemble(data: xr.Dataset, rule: str) -> tuple[np.ndarray, np.ndarray]:
    """Return error and loss of the ensemble's students, shape [draws, students] each."""
    return select(data, "error", teacher="ensemble", rule=rule), select(data, "lost", teacher="ensemble")


def _seconds(found: Mapping[int, xr.Dataset]) -> float:
    return sum(data.attrs["seconds"] for data in found.values())


#: The estimators of the claims, by id.
ESTIMATORS: Mapping[str, Callable[..., Measurement]] = {"one-sided": one_sided, "one-sided-called": one_sided_excess}
