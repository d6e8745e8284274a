"""Claims about the regime: the reduction, more views, twice the classes, twice the dimensions."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np
from jaxtyping import Float
from torch import Tensor

from mvtheory._check import check_choice
from mvtheory.ensemble import view_outputs
from mvtheory.experiments.base import DRAWS, FULL, Measurement
from mvtheory.experiments.distilling import distill
from mvtheory.experiments.ensembling import (
    all_choices,
    average_errors,
    curves_by_choices,
    disjoint_choices,
    factor,
    outweighed,
)
from mvtheory.experiments.nets import Draw, Nets, distilled_students, each_draw, singles
from mvtheory.experiments.problem import NOISE_FREE, Problem, vary
from mvtheory.experiments.self_distilling import beyond_both
from mvtheory.experiments.settings import NET_SETTING, STUDENT_SETTING, Setting
from mvtheory.experiments.single_model import single
from mvtheory.measurement import Estimate, over_draws

__all__ = [
    "DOUBLED",
    "ESTIMATORS",
    "HALF",
    "MORE_VIEWS",
    "MORE_VIEWS_REDUCED",
    "MORE_VIEWS_REDUCED_DRAWS",
    "STUDENTS_DOUBLED",
    "law",
    "reduced_curves",
    "reduced_error",
    "reduction",
    "self_distill",
    "share_missed",
    "student_errors",
    "views_reduced",
]

#: The first half of the book's data sets, where nets cost more.
HALF = DRAWS[: len(DRAWS) // 2]

#: Nets of three and four views a class.
MORE_VIEWS: Mapping[int, Setting] = {M: vary(NET_SETTING, M=M, P=11 * M, members=6, ensembles=1) for M in (3, 4)}

#: The same for the reduction, where nets cost little.
MORE_VIEWS_REDUCED: Mapping[int, Setting] = {
    M: vary(NOISE_FREE, M=M, P=11 * M, n_multi_view=800, members=12, students=0) for M in (3, 4)
}

#: The data sets of the reduction with more views.
MORE_VIEWS_REDUCED_DRAWS = tuple(range(81, 86))

_TWICE: Mapping[str, Mapping[str, int]] = {
    "2k": {"k": 2 * NET_SETTING.task.k, "P": 42},
    "2d": {"d": 2 * NET_SETTING.task.d},
}

#: Single nets with twice the classes (``"2k"``) and twice the dimensions (``"2d"``), with more training inputs.
DOUBLED: Mapping[str, Setting] = {
    size: vary(NET_SETTING, members=4, ensembles=1, n_multi_view=698, **twice) for size, twice in _TWICE.items()
}

_EIGHT = replace(STUDENT_SETTING, members=8, students=1)

#: Students likewise. With twice the classes a class has a view in half as many inputs, so both learning rates double;
#: and the rule adds up over classes, so its weight halves. With twice the dimensions more noise can be memorised, so
#: there are twice as many inputs. Twice the patches add up twice as many small outputs, so *off* ends at three quarters
#: of the cut. All this was set on other data sets.
STUDENTS_DOUBLED: Mapping[str, Setting] = {
    "2k": vary(
        _EIGHT,
        weight=_EIGHT.weight / 2,
        slack=0.75,
        schedule=replace(_EIGHT.schedule, eta=2 * _EIGHT.schedule.eta),
        distillation_schedule=replace(_EIGHT.distillation_schedule, eta=2 * _EIGHT.distillation_schedule.eta),
        **_TWICE["2k"],
    ),
    "2d": vary(_EIGHT, n_multi_view=2 * _EIGHT.n_multi_view, **_TWICE["2d"]),
}

_DRAWS_8 = tuple(range(1011, 1026 if FULL else 1014))  # data sets of eight members and a student
_DRAWS_1 = tuple(range(1031, 1046 if FULL else 1034))  # data sets of one member and a student


@lru_cache(maxsize=4)
def _beside_full(
    draws: tuple[int, ...], setting: Setting
) -> tuple[list[Float[Tensor, " L"]], list[Float[np.ndarray, " L"]], float]:
    """Return where reduced nets learn the views of full ones, and their errors, for each data set; and the seconds."""
    base, start = each_draw(singles, draws, setting), time.perf_counter()
    agree, errors = [], []
    for nets in base:
        draw = Draw(nets.draw.number, replace(setting, n_single_view=0))
        small = Problem.reduced(draw, len(nets.nets)).trained()
        learned = view_outputs(nets.nets, nets.draw.task.views).argmax(-1)
        agree.append((view_outputs(small.nets, small.views).argmax(-1) == learned).double().mean(-1))
        errors.append(small.errors)
    return agree, errors, time.perf_counter() - start


def reduction(draws: Sequence[int] = DRAWS, setting: Setting = STUDENT_SETTING) -> Measurement:
    """Measure the share of (net, class) for which the reduction learns the view that the full model learns.

    The reduced nets have the initial weights and the training sets of the full ones, without noise and single-view
    inputs.
    """
    agree, _, seconds = _beside_full(tuple(draws), setting)
    return Measurement(over_draws(agree, points=setting.nets * setting.task.k), seconds)


def reduced_error(draws: Sequence[int] = DRAWS, setting: Setting = STUDENT_SETTING) -> Estimate:
    """Return the error of these reduced nets on single-view inputs."""
    return over_draws(_beside_full(tuple(draws), setting)[1], points=setting.test_single_view)


@lru_cache(maxsize=4)
def reduced_curves(
    draws: tuple[int, ...], setting: Setting, largest: int = 5
) -> tuple[Float[np.ndarray, "draws L"], float]:
    """Return errors of averages of 1, 2, ... nets in the reduction, over disjoint groups, and the seconds it took.

    Parameters
    ----------
    draws : tuple of int
        Numbers of the data sets.
    setting : Setting
        Nets and data; the noise is left out.
    largest : int, >= 1
        Most nets in an average.

    Returns
    -------
    errors : array, shape [draws, L]
    seconds : float
    """
    start, choices = time.perf_counter(), disjoint_choices(setting.nets, largest)
    problems = [Problem.reduced(Draw(number, setting), setting.nets).trained() for number in draws]
    errors = [average_errors(problem.outputs, problem.test.y, choices) for problem in problems]
    return np.array(errors), time.perf_counter() - start


def _factor(errors: Float[np.ndarray, "draws L"], setting: Setting) -> Estimate:
    return over_draws([[factor(row)] for row in errors], points=None, nets=setting.nets * len(errors))


def views_reduced(draws: Sequence[int], setting: Setting) -> Measurement:
    """Measure the factor by which one more net multiplies the error, in the reduction."""
    errors, seconds = reduced_curves(tuple(draws), setting)
    return Measurement(_factor(errors, setting), seconds)


def law(draws: Sequence[int], setting: Setting) -> Measurement:
    """Measure the factor by which one more net multiplies the error, over all averages of fewer than all nets."""
    base = each_draw(singles, draws, setting)
    raw, adjusted = curves_by_choices(base, all_choices(setting.nets, setting.nets - 1))
    seconds = sum(nets.seconds for nets in base)
    return Measurement(_factor(adjusted, setting), seconds, _factor(raw, setting))


def self_distill(draws: Sequence[int], pairs: Sequence[int], setting: Setting) -> Measurement:
    """Measure the error of students of one net, minus the share of inputs on which both nets erred before.

    The teacher is the first net of a data set. Those of `draws` have all the members of `setting`, those of `pairs` one
    member and one student.
    """
    students = _distilled_by_one(draws, pairs, setting)
    gap = beyond_both(_labelled(draws, pairs, setting), students)
    return Measurement(gap, sum(nets.seconds for nets in students))


def student_errors(size: str) -> dict[str, Estimate]:
    """Return errors on single-view inputs of students ``"before"`` distillation and of both teachers.

    Parameters
    ----------
    size : {"2k", "2d"}
        Twice the classes, or twice the dimensions.

    Returns
    -------
    dict of str to Estimate
        By ``"before"`` and the teacher, ``"ensemble"`` or ``"single"`` net.
    """
    setting = STUDENTS_DOUBLED[check_choice("size", size, STUDENTS_DOUBLED)]
    students = {
        "before": [nets.students for nets in _labelled(_DRAWS_8, _DRAWS_1, setting)],
        "ensemble": each_draw(distilled_students, _DRAWS_8, setting, "ensemble"),
        "single": _distilled_by_one(_DRAWS_8, _DRAWS_1, setting),
    }
    return {
        name: over_draws([nets.errors("single-view") for nets in each], points=setting.test_single_view)
        for name, each in students.items()
    }


def _labelled(draws: Sequence[int], pairs: Sequence[int], setting: Setting) -> list[Nets]:
    return each_draw(singles, draws, setting) + each_draw(singles, pairs, replace(setting, members=1))


def _distilled_by_one(draws: Sequence[int], pairs: Sequence[int], setting: Setting) -> list[Nets]:
    groups = (draws, setting), (pairs, replace(setting, members=1))
    return [nets for some, own in groups for nets in each_draw(distilled_students, some, own, "single")]


def share_missed(problem: Problem, choices: Sequence[Sequence[int]]) -> float:
    """Return the error of averages on the test inputs whose view exactly one of their nets has learned.

    Parameters
    ----------
    problem : Problem
        Trained nets.
    choices : sequence of sequences of int
        The nets of each average.

    Returns
    -------
    float
        In [0, 1].
    """
    known, missed = outweighed(problem.outputs, problem.test.y, problem.learned_kept_view, choices)
    return missed / known


#: The estimators of the chapter's claims, by id.
ESTIMATORS: Mapping[str, Callable[..., Measurement]] = {
    "reduction": reduction,
    **{
        f"views-{M}": partial(views_reduced, draws=MORE_VIEWS_REDUCED_DRAWS, setting=setting)
        for M, setting in MORE_VIEWS_REDUCED.items()
    },
    **{
        f"views-{M}-full": partial(law, draws=tuple(number + 50 for number in HALF), setting=setting)
        for M, setting in MORE_VIEWS.items()
    },
    **{
        f"{name}-{size}": partial(function, draws={"2k": HALF, "2d": DRAWS}[size], setting=setting)
        for size, setting in DOUBLED.items()
        for name, function in {"single": single, "law": law}.items()
    },
    # Adjusted by the views of the teacher's nets alone, as when these settings were chosen.
    **{
        f"distill-{size}": partial(distill, draws=_DRAWS_8, setting=setting, own=False)
        for size, setting in STUDENTS_DOUBLED.items()
    },
    **{
        f"self-distill-{size}": partial(self_distill, draws=_DRAWS_8, pairs=_DRAWS_1, setting=setting)
        for size, setting in STUDENTS_DOUBLED.items()
    },
}
