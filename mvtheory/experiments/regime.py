"""Claims about the regime: the reduction, more views, twice the classes, twice the dimensions."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np
from jaxtyping import Float
from torch import Tensor

from mvtheory.ensemble import view_outputs
from mvtheory.experiments import memorising
from mvtheory.experiments.base import DRAWS, STUDENT_DRAWS, Measurement
from mvtheory.experiments.ensembling import (
    all_choices,
    average_errors,
    curves_by_choices,
    disjoint_choices,
    factor,
    outweighed,
)
from mvtheory.experiments.nets import Draw, each_draw, singles
from mvtheory.experiments.problem import NOISE_FREE, Problem, vary
from mvtheory.experiments.settings import SETTING, Setting
from mvtheory.experiments.single_model import single
from mvtheory.measurement import Estimate, over_draws

__all__ = [
    "DOUBLED",
    "ESTIMATORS",
    "MORE_VIEWS",
    "MORE_VIEWS_REDUCED",
    "MORE_VIEWS_REDUCED_DRAWS",
    "law",
    "reduced_curves",
    "reduced_error",
    "reduction",
    "share_missed",
    "views_reduced",
]

#: Nets of three and four views a class; four views of each need 64 dimensions.
MORE_VIEWS: Mapping[int, Setting] = {M: vary(SETTING, M=M, P=12 * M, d=64, members=6, students=0) for M in (3, 4)}

#: The same for the reduction, where nets cost little.
MORE_VIEWS_REDUCED: Mapping[int, Setting] = {
    M: vary(NOISE_FREE, M=M, P=12 * M, d=64, members=12, students=0) for M in (3, 4)
}

#: The data sets of the reduction with more views.
MORE_VIEWS_REDUCED_DRAWS = tuple(range(81, 86))

#: Twice the classes (``"2k"``), with as many inputs of each, and twice the dimensions (``"2d"``). As many views of
#: other classes are present as before, so that they fill as many patches.
DOUBLED: Mapping[str, Setting] = {
    "2k": vary(SETTING, k=2 * SETTING.task.k, d=64, n_multi_view=2 * SETTING.n_multi_view + 1, members=4, students=0),
    "2d": vary(SETTING, d=2 * SETTING.task.d, members=4, students=0),
}


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


def reduction(draws: Sequence[int] = DRAWS, setting: Setting = SETTING) -> Measurement:
    """Measure the share of (net, class) for which the reduction learns the view that the full model learns.

    The reduced nets have the initial weights and the training sets of the full ones, without noise and single-view
    inputs.
    """
    agree, _, seconds = _beside_full(tuple(draws), setting)
    return Measurement(over_draws(agree, points=setting.members * setting.task.k), seconds)


def reduced_error(draws: Sequence[int] = DRAWS, setting: Setting = SETTING) -> Estimate:
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
    start, choices = time.perf_counter(), disjoint_choices(setting.members, largest)
    problems = [Problem.reduced(Draw(number, setting), setting.members).trained() for number in draws]
    errors = [average_errors(problem.outputs, problem.test.y, choices) for problem in problems]
    return np.array(errors), time.perf_counter() - start


def _factor(errors: Float[np.ndarray, "draws L"], setting: Setting) -> Estimate:
    return over_draws([[factor(row)] for row in errors], points=None, nets=setting.members * len(errors))


def views_reduced(draws: Sequence[int], setting: Setting) -> Measurement:
    """Measure the factor by which one more net multiplies the error, in the reduction."""
    errors, seconds = reduced_curves(tuple(draws), setting)
    return Measurement(_factor(errors, setting), seconds)


def law(draws: Sequence[int], setting: Setting) -> Measurement:
    """Measure the factor by which one more net multiplies the error, over all averages of fewer than all nets."""
    base = each_draw(singles, draws, setting)
    raw, adjusted = curves_by_choices(base, all_choices(setting.members, setting.members - 1))
    seconds = sum(nets.seconds for nets in base)
    return Measurement(_factor(adjusted, setting), seconds, _factor(raw, setting))


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
    **memorising.ESTIMATORS,
    **{
        f"views-{M}": partial(views_reduced, draws=MORE_VIEWS_REDUCED_DRAWS, setting=setting)
        for M, setting in MORE_VIEWS_REDUCED.items()
    },
    **{f"views-{M}-full": partial(law, draws=STUDENT_DRAWS, setting=setting) for M, setting in MORE_VIEWS.items()},
    **{
        f"{name}-{size}": partial(function, draws=STUDENT_DRAWS, setting=setting)
        for size, setting in DOUBLED.items()
        for name, function in {"single": single, "law": law}.items()
    },
}
