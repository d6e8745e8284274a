"""The numbers of a diagnosis with their intervals, from what was counted on the test inputs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mvtheory.decision.evidence import Evidence, Others
from mvtheory.decision.intervals import jackknife, mean_of, ratio_of, widened
from mvtheory.measurement import Estimate

__all__ = ["estimates"]


def estimates(found: Evidence) -> dict[str, Any]:
    """Turn what was counted into numbers with intervals.

    Parameters
    ----------
    found : Evidence
        The counts.

    Returns
    -------
    dict
        The attributes of :class:`mvtheory.diagnose.Diagnosis`, apart from what was asked for.
    """
    s, scores = found.subsets, found.scores[found.scale]
    L, n = s.errs.shape
    by_size, sampling = s.by_size, 2 * s.sampling  # about 95%
    first, last, e = by_size[0], by_size[-1], s.errs.mean(1)
    nll_gain = mean_of((scores.nll[0] - scores.nll[-1]).round(12), L, -math.inf, math.inf, events=False)
    count = s.errs.sum(0).astype(float)
    between = float(sampling.sum() / by_size[:-1].mean(1).sum()) if by_size[:-1].any() else 0.0
    gain = mean_of(first - last, L, low=-1.0)
    numbers: dict[str, Estimate | None] = {
        "one": mean_of(first, L),
        "all": mean_of(last, L),
        "gain": gain,
        "removed": ratio_of(first - last, first, L, low=-math.inf),
        "corrected": ratio_of(s.corrected_by_input, count, L),
        "resolved": ratio_of(s.resolved_by_input, s.disagree_by_input, L),
        "factor": ratio_of(by_size[1:].sum(0), by_size[:-1].sum(0), L, high=math.inf, extra=between),
        "floor": mean_of(np.all(s.errs, 0), L),
    }
    bounds = {"gain": (-1.0, 1.0), "removed": (-math.inf, 1.0), "factor": (0.0, math.inf)}
    noise = s.noise()
    over_seeds = {
        name: widened(numbers[name], values, *bounds.get(name, (0.0, 1.0)), noise=noise.get(name, 0.0))
        for name, values in s.lacking().items()
    }
    over_seeds["nll_gain"] = widened(nll_gain, scores.nll_without[0] - scores.nll_without[1])
    student = retained = students_corrected = None
    if found.students is not None:
        student, retained, students_corrected = _of_students(found.students, first, last, gain, L)
        over_seeds["retained"] = _retained_over_seeds(found, retained)
    larger = larger_nll = None
    if found.larger is not None:
        S = len(found.larger.errs)
        larger = mean_of(found.larger.errs.mean(0) - last, L + S, low=-1.0)
        larger_nll = mean_of(found.larger.nll.mean(0) - scores.nll[-1], L + S, -math.inf, math.inf, events=False)
    return {
        "n": n,
        "errors": tuple(mean_of(error, L, extra=extra) for error, extra in zip(by_size, sampling, strict=True)),
        "gain": gain,
        "removed": numbers["removed"],
        "corrected": numbers["corrected"],
        "corrected_if_independent": float(1 - (e.sum() ** 2 - (e**2).sum()) / (L - 1) / e.sum()) if e.any() else None,
        "resolved": numbers["resolved"],
        "factor": numbers["factor"],
        "floor": numbers["floor"],
        "floor_if_independent": float(e.prod()),
        "nll_gain": nll_gain,
        "student": student,
        "retained": retained,
        "students_corrected": students_corrected,
        "larger_gain": larger,
        "larger_nll_gain": larger_nll,
        "over_seeds": over_seeds,
        "evidence": found,
    }


def _of_students(
    students: Others, first: np.ndarray, last: np.ndarray, gain: Estimate, L: int
) -> tuple[Estimate, Estimate | None, Estimate | None]:
    """Return the error of one student, what it retains, and how often another student corrects it."""
    S, error = len(students.errs), students.errs.mean(0)
    retained = corrected = None
    if gain.low > 0:
        retained = ratio_of(first - error, first - last, L + S, low=-math.inf, high=math.inf)
    if S > 1:
        count = students.errs.sum(0).astype(float)
        corrected = ratio_of(count * (S - count) / (S - 1), count, S)
    return mean_of(error, S), retained, corrected


def _retained_over_seeds(found: Evidence, retained: Estimate | None) -> Estimate | None:
    """Return the interval over inputs, other nets and other students; None with fewer than three nets or students."""
    s, students = found.subsets, found.students
    assert students is not None
    S, error = len(students.errs), students.errs.mean(1)
    if retained is None or S < 3:
        return None
    one, most = s.without[:, 0], s.without[:, -1]
    with np.errstate(divide="ignore", invalid="ignore"):
        by_net = (one - error.mean()) / (one - most)
    whole = s.by_size[0].mean(), s.by_size[-1].mean()
    by_student = (whole[0] - (error.sum() - error) / (S - 1)) / (whole[0] - whole[1])
    wide, students_alone = widened(retained, by_net), jackknife(by_student)
    if wide is None:
        return None
    half = math.hypot(wide.high - wide.value, 2 * students_alone)
    return Estimate(wide.value, wide.value - half, wide.value + half, wide.nets, 1)
