"""Claims and studies by name, for those who work without notebooks: see ``python -m mvtheory --help``.

The claims are those of the chapters, measured on draws and in settings of the caller's choice. The studies are
functions for :class:`mvtheory.sweeps.sweep.Sweep`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from mvtheory._check import check_choice
from mvtheory.claims import Claim, predict
from mvtheory.ensemble import average, predict_lottery, view_outputs
from mvtheory.experiments.nets import (
    DRAWS,
    NET_SETTING,
    STUDENT_SETTING,
    Nets,
    Setting,
    distilled_students,
    each_draw,
    lottery_control_variate,
    singles,
    trained_average,
)
from mvtheory.experiments.scale import law, step
from mvtheory.measurement import Estimate, difference_over_draws, error_rate, over_draws

__all__ = ["CLAIMS", "STUDIES", "CatalogueEntry", "measure"]


@dataclass(frozen=True)
class CatalogueEntry:
    """A claim that can be measured by name.

    Attributes
    ----------
    statement : str
        The claim in a sentence.
    predicted : (float, float)
        Range that the theory allows.
    setting : Setting
        The setting in which the book measures it.
    run : callable
        Takes draws and setting; returns the estimate and the seconds of the training.
    """

    statement: str
    predicted: tuple[float, float]
    setting: Setting
    run: Callable[[Iterable[int], Setting], tuple[Estimate, float]]


def measure(name: str, draws: Iterable[int] = DRAWS, setting: Setting | None = None) -> Claim:
    """Measure a claim of the catalogue.

    Parameters
    ----------
    name : str
        A key of `CLAIMS`.
    draws : iterable of int
        Numbers of the data draws, at least two; by default those of the book.
    setting : Setting, optional
        By default that of the book.

    Returns
    -------
    Claim
        With its measurement and verdict.
    """
    known = CLAIMS[check_choice("name", name, CLAIMS)]
    claim = predict(name, known.statement, *known.predicted, chapter="catalogue")
    estimate, seconds = known.run(list(draws), known.setting if setting is None else setting)
    return claim.measure(estimate, seconds=seconds)


def _single(draws: Iterable[int], setting: Setting) -> tuple[Estimate, float]:
    return _errors_on("single", setting.test_single, draws, setting)


def _multi(draws: Iterable[int], setting: Setting) -> tuple[Estimate, float]:
    return _errors_on("multi", setting.test_multi, draws, setting)


def _errors_on(where: str, points: int, draws: Iterable[int], setting: Setting) -> tuple[Estimate, float]:
    base = each_draw(singles, draws, setting)
    return over_draws([nets.errors(where) for nets in base], points=points), _seconds(base)


def _ensemble(draws: Iterable[int], setting: Setting) -> tuple[Estimate, float]:
    """Average all members; the luck of their lots is evened out."""
    base = each_draw(singles, draws, setting)
    members = range(setting.members)
    adjusted = [
        max(0.0, nets.members.average_error("single") - lottery_control_variate(nets.draw, [members])) for nets in base
    ]
    count = setting.members * len(base)
    return over_draws([[e] for e in adjusted], points=setting.test_single, nets=count), _seconds(base)


def _law(draws: Iterable[int], setting: Setting) -> tuple[Estimate, float]:
    """Divide the errors of 2, 3, ... nets by those of 1, 2, ..., sum by sum; the luck of their lots is evened out."""
    base = each_draw(singles, draws, setting)
    curves = np.array([[_by_size(nets.members, L) for L in range(1, setting.members + 1)] for nets in base])
    factors = curves[:, 1:].sum(1, keepdims=True) / curves[:, :-1].sum(1, keepdims=True)
    return over_draws(factors, points=None, nets=setting.members * len(base)), _seconds(base)


def _by_size(members: Nets, L: int) -> float:
    """Error of the average of L nets, a mean over all choices, without the luck of their lots."""
    F, y = members.outputs["single"], members.labels("single")
    choices = list(combinations(range(len(F)), L))
    found = np.mean([error_rate(average(F[list(choice)]), y) for choice in choices])
    return max(0.0, float(found) - lottery_control_variate(members.draw, choices))


def _lottery(draws: Iterable[int], setting: Setting) -> tuple[Estimate, float]:
    """Compare the views named at initialisation with those that are kept."""
    base, agree = each_draw(singles, draws, setting), []
    for nets in base:
        views, start = nets.draw.task.views, nets.draw.init(0, len(nets.nets))
        named, kept = predict_lottery(start, views, nets.draw.train), view_outputs(nets.nets, views).argmax(-1)
        agree.append((named == kept).double().mean(-1))
    return over_draws(agree, points=agree[0].numel() * setting.task.k), _seconds(base)


def _train_average(draws: Iterable[int], setting: Setting) -> tuple[Estimate, float]:
    draws = list(draws)
    joint, base = each_draw(trained_average, draws, setting), each_draw(singles, draws, setting)
    count = (setting.members + setting.averaged) * len(base)
    gap = difference_over_draws(
        [[nets.average_error("single")] for nets in joint],
        [nets.members.errors("single") for nets in base],
        points=setting.test_single,
        nets=count,
    )
    return gap, _seconds(joint) + _seconds(base)


def _distill(draws: Iterable[int], setting: Setting) -> tuple[Estimate, float]:
    """Test students of the ensemble, which know what the teacher's nets and their own lottery know."""
    return _taught("ensemble", lambda own: (*range(setting.members), own), draws, setting)


def _self_distill(draws: Iterable[int], setting: Setting) -> tuple[Estimate, float]:
    first = setting.nets - setting.students
    return _taught("single", lambda own: (own - first, own), draws, setting)


def _taught(
    teacher: str, knowing: Callable[[int], tuple[int, ...]], draws: Iterable[int], setting: Setting
) -> tuple[Estimate, float]:
    """Error of students, without the luck of the lots of the nets that `knowing` names for a pupil's own number."""
    first = setting.nets - setting.students
    taught = each_draw(distilled_students, draws, setting, teacher)
    adjusted = [
        [
            max(0.0, float(e) - lottery_control_variate(nets.draw, [knowing(own)]))
            for own, e in enumerate(nets.errors("single"), first)
        ]
        for nets in taught
    ]
    return over_draws(np.minimum(adjusted, 1), points=setting.test_single), _seconds(taught)


def _seconds(runs: list[Nets]) -> float:
    return sum(nets.seconds for nets in runs)


# The claims, by the names that they have in the book's ledger.
CLAIMS: Mapping[str, CatalogueEntry] = {
    "single": CatalogueEntry("Error of a single net on single-view inputs", (0.49, 0.51), NET_SETTING, _single),
    "multi": CatalogueEntry("Error of a single net on multi-view inputs", (0, 0.005), NET_SETTING, _multi),
    "lottery": CatalogueEntry(
        "Share of (net, class) that keep the view named at initialisation", (0.97, 1), NET_SETTING, _lottery
    ),
    "ensemble": CatalogueEntry("Error of an average of nets on single-view inputs", (0, 0.01), NET_SETTING, _ensemble),
    "law": CatalogueEntry("Factor on the error by each further net", (0.4, 0.6), NET_SETTING, _law),
    "train-average": CatalogueEntry(
        "Error of a trained average, minus a single net's", (-0.05, 0.05), NET_SETTING, _train_average
    ),
    "distill": CatalogueEntry(
        "Error of a student of the ensemble on single-view inputs", (0, 0.01), STUDENT_SETTING, _distill
    ),
    "self-distill": CatalogueEntry("Error of a student of a single net", (0, 0.26), STUDENT_SETTING, _self_distill),
}

#: Functions for sweeps.
STUDIES: Mapping[str, Callable[..., Mapping[str, Any]]] = {"law": law, "step": step}
