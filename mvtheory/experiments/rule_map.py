"""Rules of distillation side by side, and what remains of a teacher whose outputs are shuffled.

The number that each rule has, and its weight, were chosen on a data set that is not reported: label smoothing from 4
candidates, matching from 3, temperature from 9, the paper's rule from 16.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as nnf
import xarray as xr
from jaxtyping import Bool, Int
from torch import Tensor

from mvtheory.distillation import Distillation, OneSided, Rule, Temperature
from mvtheory.ensemble import average, learned_views
from mvtheory.experiments import paper_rule
from mvtheory.experiments.base import STUDENT_DRAWS, Experiment, Measurement, labelled, select
from mvtheory.experiments.nets import Draw, Nets, distilled_students, each_draw, singles
from mvtheory.experiments.self_distilling import views_by_stage
from mvtheory.experiments.settings import SETTING, Setting
from mvtheory.measurement import Estimate, difference_over_draws, over_draws, wrong
from mvtheory.model import PatchNets
from mvtheory.training import Schedule, train

__all__ = [
    "ESTIMATORS",
    "OF_NEWS",
    "WAYS",
    "Matching",
    "RuleMap",
    "ShuffledTeacher",
    "by_way",
    "found_by_teacher",
    "shuffled_within_classes",
]

#: Ways to train a student, and where it begins: without a teacher, by five rules, and with a shuffled teacher.
WAYS = tuple(
    [(way, "random") for way in ("labels only", "label smoothing", "matching", "temperature", "paper", "on/off")]
    + [("on/off, shuffled", "random"), ("paper, shuffled", "random")]
    + [(way, "labels") for way in ("temperature", "paper", "on/off")]
)

#: Short training: enough for the book's rule to teach nearly all views.
BRIEF = Schedule(steps=600, stop_loss=1e-6, eta=240000.0, max_change=0.3, warn=False)


@dataclass(frozen=True)
class Matching(Rule):
    r"""Half the squared distance of the outputs, :math:`\tfrac12 \sum_j (F_j - G_j)^2`."""

    def __call__(self, F: Tensor, G: Tensor) -> tuple[Tensor, Tensor]:
        """Return penalty and gradient, see :class:`mvtheory.distillation.Rule`."""
        apart = F - G
        return apart.square().sum(-1) / 2, apart


@dataclass(frozen=True)
class RuleMap(Experiment):
    """One student of the ensemble in each of `WAYS`.

    The data set of a number holds, with axis ``way`` (``"paper from random"``), the ``error`` of the student on
    single-view inputs, and ``both``, the share of classes of which it holds all views.

    Attributes
    ----------
    draws : tuple of int
        Numbers of the data sets.
    smoothing : float, in (0, 1)
        Probability that label smoothing spreads over all classes.
    T, tau : float
        Temperature, and that of the paper's rule.
    weights : tuple of float
        Weights of label smoothing, matching, temperature and the paper's rule; the book's rule has the setting's.
    schedule : Schedule
        Training of the students.
    setting : Setting
        Data and nets.
    """

    draws: tuple[int, ...] = STUDENT_DRAWS
    smoothing: float = 0.1
    T: float = 16.0
    tau: float = 1.0
    weights: tuple[float, ...] = (1.0, 0.1, 10.0, 10.0)
    schedule: Schedule = BRIEF
    setting: Setting = SETTING

    def on(self, number: int) -> xr.Dataset:
        """Train the students of one data set."""
        nets = singles(Draw(number, self.setting))
        students = [self._student(nets, way, start) for way, start in WAYS]
        test, views = nets.draw.test_single_view, nets.draw.task.views
        error = [wrong(student(test.x), test.y).mean() for student in students]
        both = [float(learned_views(student, views).all(-1).double().mean()) for student in students]
        names = [f"{way} from {start}" for way, start in WAYS]
        return labelled({"error": ("way", error), "both": ("way", both)}, way=names)

    def _student(self, nets: Nets, way: str, start: str) -> PatchNets:
        draw, s = nets.draw, self.setting
        begin = draw.init(s.members, 1) if start == "random" else nets.nets[:1]
        y, G = draw.train.y, average(nets.outputs["train"])
        smooth = (1 - self.smoothing) * nnf.one_hot(y, s.task.k) + self.smoothing / s.task.k
        smoothing, matching, temperature, paper = self.weights
        ways: dict[str, tuple[Tensor, Rule, float]] = {
            "label smoothing": (smooth.log().to(G), Temperature(1.0), smoothing),
            "matching": (G, Matching(), matching),
            "temperature": (G, Temperature(self.T), temperature),
            "paper": (G, OneSided(self.tau), paper),
            "on/off": (G, s.rule(s.members, start), s.weight),
        }
        if way == "labels only":
            return train(begin, draw.train, schedule=self.schedule).nets
        name, *shuffled = way.split(", ")
        G, rule, weight = ways[name]
        teacher = G[shuffled_within_classes(y)] if shuffled else G
        return train(begin, draw.train, Distillation(y, teacher[None], rule, weight), self.schedule).nets


@dataclass(frozen=True)
class ShuffledTeacher(Experiment):
    """Students of single nets, after the labels, that are given each teacher's output for a random input of the class.

    The data set of a number holds, with axes ``student``, ``class`` and ``view``, which views the ``teacher``, the
    student ``before``, and the student ``after`` have learned; and the ``error`` of each student on single-view inputs.

    Attributes
    ----------
    draws : tuple of int
        Numbers of the data sets.
    students : int, >= 1
        Students of a data set.
    schedule : Schedule
        Training of the students.
    setting : Setting
        Data and nets.
    """

    draws: tuple[int, ...] = STUDENT_DRAWS
    students: int = 2
    schedule: Schedule = BRIEF
    setting: Setting = SETTING

    def on(self, number: int) -> xr.Dataset:
        """Train the students of one data set."""
        s, nets = self.setting, singles(Draw(number, self.setting))
        teachers, before = nets.teachers[: self.students], nets.students[: self.students]
        data, test, views = nets.draw.train, nets.draw.test_single_view, nets.draw.task.views
        G = teachers.outputs["train"][:, shuffled_within_classes(data.y)]
        objective = Distillation(data.y, G, s.rule(1, "labels"), s.weight)
        after = train(before.nets, data, objective, self.schedule).nets
        stages = {"teacher": teachers.nets, "before": before.nets, "after": after}
        learned = {name: ("student class view", learned_views(some, views)) for name, some in stages.items()}
        return labelled(learned | {"error": ("student", wrong(after(test.x), test.y).mean(-1))})


def shuffled_within_classes(y: Int[Tensor, " n"], seed: int = 0) -> Int[Tensor, " n"]:
    """Return a random order of the inputs in which each one's place is taken by one of its class, rarely by itself."""
    rng, order = torch.Generator().manual_seed(seed), torch.arange(len(y))
    for j in range(int(y.max()) + 1):
        rows = (y == j).nonzero().flatten()
        order[rows] = rows[torch.randperm(len(rows), generator=rng)]
    return order


def found_by_teacher(
    teacher: Bool[Any, "*s k M"], before: Bool[Any, "*s k M"], after: Bool[Any, "*s k M"]
) -> tuple[float, float]:
    """Return the share of the views that students lacked and then found: views of their teacher, and others.

    Parameters
    ----------
    teacher, before, after : bool arrays, shape [..., k, M]
        The views that each student's teacher has learned, and the student before and after distillation.

    Returns
    -------
    of_teacher, others : float
        In [0, 1]; 0 where there were none to find.
    """
    teacher, before, after = (np.asarray(some, dtype=bool) for some in (teacher, before, after))
    lacked = ~before
    found = [(after & lacked & which).sum() / max((lacked & which).sum(), 1) for which in (teacher, ~teacher)]
    return float(found[0]), float(found[1])


def by_way(draws: Sequence[int] = STUDENT_DRAWS, setting: Setting = SETTING) -> dict[str, Estimate]:
    """Return the error of students in each way, see `RuleMap`."""
    data = RuleMap(tuple(draws), setting=setting).run()
    points = setting.test_single_view
    return {name: over_draws(select(data, "error", way=name)[:, None], points=points) for name in data.way.values}


def error_of(way: str, draws: Sequence[int] = STUDENT_DRAWS, setting: Setting = SETTING) -> Measurement:
    """Measure the error of students in one of `WAYS`: ``"paper from random"``."""
    return Measurement(by_way(draws, setting)[way], RuleMap(tuple(draws), setting=setting).run().seconds)


def beyond_labels(way: str, draws: Sequence[int] = STUDENT_DRAWS, setting: Setting = SETTING) -> Measurement:
    """Measure the error of students in one of `WAYS`, minus that of nets from the same start without a teacher."""
    data = RuleMap(tuple(draws), setting=setting).run()
    error, alone = (select(data, "error", way=name)[:, None] for name in (way, "labels only from random"))
    return Measurement(difference_over_draws(error, alone, points=setting.test_single_view), data.seconds)


def news(draws: Sequence[int] = STUDENT_DRAWS, setting: Setting = SETTING) -> Measurement:
    """Measure the share of lost views that students of single nets find: their teacher's views, minus others."""
    base, students = each_draw(singles, draws, setting), each_draw(distilled_students, draws, setting, "single")
    shares = [found_by_teacher(*views_by_stage(nets, after)) for nets, after in zip(base, students, strict=True)]
    seconds = sum(nets.seconds for nets in students)
    return Measurement(_difference(shares, setting.students, setting), seconds)


def shuffled_news(draws: Sequence[int] = STUDENT_DRAWS, setting: Setting = SETTING) -> Measurement:
    """Measure the same where the teachers' outputs are shuffled, see `ShuffledTeacher`."""
    data = ShuffledTeacher(tuple(draws), setting=setting).run()
    stages = (select(data, name) for name in ("teacher", "before", "after"))
    shares = [found_by_teacher(*views) for views in zip(*stages, strict=True)]
    return Measurement(_difference(shares, data.sizes["student"], setting), data.seconds)


def _difference(shares: Sequence[tuple[float, float]], students: int, setting: Setting) -> Estimate:
    """Return the first share minus the second, over data sets of so many students."""
    gaps = [[of_teacher - others] for of_teacher, others in shares]
    nets = students * len(shares)
    return over_draws(gaps, points=students * setting.task.k, nets=nets, bounds=(-1, 1))


#: The estimators of the claims about rules, by id.
ESTIMATORS: Mapping[str, Callable[..., Measurement]] = {
    "distill-paper-rule": partial(error_of, "paper from random"),
    "distill-temperature": partial(beyond_labels, "temperature from random"),
    **paper_rule.ESTIMATORS,
}

#: Those of the claims about news.
OF_NEWS: Mapping[str, Callable[..., Measurement]] = {
    "distill-shuffled": partial(beyond_labels, "on/off, shuffled from random"),
    "distill-shuffled-paper": partial(beyond_labels, "paper, shuffled from random"),
    "news": news,
    "news-shuffled": shuffled_news,
}
