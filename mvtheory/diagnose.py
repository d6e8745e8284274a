r"""Does an ensemble pay on your own data? A diagnosis of any predictors that differ by seed.

All numbers come from one table: which nets, and which averages of nets, misclassify which test inputs. There
is one data set, so here the unit of an interval is the *test input*.

Every number is a ratio :math:`\hat\theta = \sum_i u_i / \sum_i v_i` of sums over the inputs, such as errors
removed over errors of one net. Its interval is
:math:`\hat\theta \pm \sqrt{h^2 + r^2}` with

.. math:: h = \frac{t_{n-1}}{\sum_i v_i} \sqrt{\frac{n}{n-1} \sum_i (u_i - \hat\theta v_i)^2}, \qquad
          r = 1 - 0.025^{1/n_v}, \qquad n_v = \frac{(\sum_i v_i)^2}{\sum_i v_i^2}.

The first term is Student's interval of a ratio of means. The second is the resolution of the test, as in
:func:`mvtheory.measurement.over_draws`: the exact upper limit after no event in :math:`n_v` trials. For an error
these trials are all inputs; for a fraction of errors, the inputs on which nets err.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import scipy
from jaxtyping import Bool, Float, Int, Shaped

from mvtheory._arrays import to_labels, to_stack
from mvtheory._check import check_int, check_number, check_shape
from mvtheory.measurement import Estimate, wrong

__all__ = ["Diagnosis", "diagnose"]

MAX_NETS = 12  # every subset of them is averaged
TAIL = 0.025  # probability beyond each end of an interval


@dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` found; print it for a table and the verdicts.

    Fractions of errors are `None` where there are no errors.

    Attributes
    ----------
    n : int
        Test inputs.
    errors : tuple of Estimate
        Error of one net, of an average of 2 nets, ..., of the average of all L; means over all subsets of a size.
    gain : Estimate
        Error of one net minus error of the average of all.
    removed : Estimate or None
        The gain as a fraction of one net's error: 1 if the average never errs, 0 if it errs as often as one net.
    corrected : Estimate or None
        Fraction of one net's errors that another net gets right, averaged over pairs; 0 if all nets make the same
        errors.
    corrected_if_independent : float or None
        The same if the nets erred independently: about 1 minus the error of one net.
    resolved : Estimate or None
        Of the inputs that exactly one of two nets gets right (disagreements), the fraction that the average of the
        two gets right.
    factor : Estimate or None
        Factor by which one more net multiplies the error: (e_2 + ... + e_L) / (e_1 + ... + e_(L-1)).
    floor : Estimate
        Fraction of the inputs that all nets misclassify: the error of one net if all nets make the same errors.
    floor_if_independent : float
        The same if the nets erred independently: the product of their errors.
    student : Estimate or None
        Error of one student, where students were given.
    retained : Estimate or None
        Fraction of the gain that a student retains, where the interval of the gain lies above 0.
    students_corrected : Estimate or None
        `corrected` among the students, where there are at least two.
    worth : float
        Fraction of the errors that must be removed for an ensemble to pay.
    """

    n: int
    errors: tuple[Estimate, ...]
    gain: Estimate
    removed: Estimate | None
    corrected: Estimate | None
    corrected_if_independent: float | None
    resolved: Estimate | None
    factor: Estimate | None
    floor: Estimate
    floor_if_independent: float
    student: Estimate | None
    retained: Estimate | None
    students_corrected: Estimate | None
    worth: float

    @property
    def verdict(self) -> str:
        """``"pays"``, ``"does not pay"`` or ``"inconclusive"``: the interval of `removed` against `worth`."""
        return _side(self.removed, self.worth, "pays", "does not pay")

    @property
    def student_verdict(self) -> str | None:
        """``"retains most of the gain"``, ``"loses most of the gain"`` or ``"inconclusive"``; None without students."""
        if self.student is None:
            return None
        return _side(self.retained, 0.5, "retains most of the gain", "loses most of the gain")

    def __str__(self) -> str:
        rows: list[tuple[str, Estimate | None, str]] = [("error of one net", self.errors[0], "")]
        rows += [(f"error of an average of {size} nets", error, "") for size, error in enumerate(self.errors[1:], 2)]
        same, independent = self.errors[0].value_text, self.corrected_if_independent
        corrected = "" if independent is None else f"identical errors 0, independent errors {independent:.2f}"
        rows += [
            ("gain of the average of all", self.gain, ""),
            ("fraction of the errors removed", self.removed, f"required {self.worth:g}"),
            ("errors of one net that another gets right", self.corrected, corrected),
            ("disagreements of two nets that averaging resolves", self.resolved, "chance 0.5, ideal 1"),
            ("factor on the error per additional net", self.factor, "no gain 1, two views 0.5"),
            ("inputs misclassified by all nets", self.floor,
             f"identical errors {same}, independent errors {self.floor_if_independent:.2g}"),
        ]  # fmt: skip
        if self.student is not None:
            rows += [
                ("error of one student", self.student, ""),
                ("fraction of the gain retained by a student", self.retained, "single net 0, ensemble 1"),
                ("errors of one student that another gets right", self.students_corrected, "identical errors 0"),
            ]
        lines = [
            f"{name:50}{'undefined' if value is None else value!s:24}{note}".rstrip() for name, value, note in rows
        ]
        head = f"{len(self.errors)} nets, {self.n} test inputs; 95% intervals over inputs"
        return "\n".join([head, *lines, self.words])

    @property
    def words(self) -> str:
        """The verdicts as sentences, one per line."""
        if self.removed is None:
            lines = [f"Ensemble: inconclusive. No net errs on these {self.n} inputs, so there is no error to remove."]
        else:
            removed = f"Averaging removes {self.removed} of the errors of one net (required: {self.worth:g})."
            lines = [f"Ensemble: {self.verdict}. {removed}"]
        if self.student is not None:
            retained = "The gain may be zero" if self.retained is None else f"Fraction retained: {self.retained}"
            lines += [f"Student: {self.student_verdict}. {retained}."]
        return "\n".join(lines)


def diagnose(
    logits: Float[Any, "L n k"],
    y: Int[Any, " n"],
    students: Float[Any, "S n k"] | None = None,
    *,
    worth: float = 0.1,
) -> Diagnosis:
    r"""Diagnose whether averaging nets that differ by seed pays on these data, and why.

    The intervals cover other *test inputs* of the same distribution, for the given nets. They do not cover
    other training sets or other seeds: for these, repeat the whole procedure and use
    :func:`mvtheory.measurement.over_draws`. The inputs must be independent of each other, and must not have been
    used for training or for choosing the nets.

    In simulations with 3 to 1000 expected errors of one net, each interval covers at least 94%; with few
    errors the intervals are wide and cover more.

    Parameters
    ----------
    logits : array or tensor of shape [L, n, k]
        Outputs of 2 to 12 nets on n >= 2 inputs for k >= 2 classes, all finite. They are averaged as they are:
        give logits, log-probabilities or probabilities, whichever your ensemble averages.
    y : integer array or tensor of shape [n]
        True classes, 0 to ``k - 1``. As in :func:`mvtheory.measurement.wrong`, a tie is an error.
    students : array or tensor of shape [S, n, k], optional
        Outputs of nets distilled from the average.
    worth : float, in [0, 1)
        Fraction of the errors that must be removed for an ensemble to pay.

    Returns
    -------
    Diagnosis

    Raises
    ------
    ValueError, TypeError
        If an argument is not as above.

    Examples
    --------
    Three nets. On each of the first 300 inputs exactly one of them is right, and its margin is the largest.

    >>> y = np.arange(600) % 2
    >>> margin = 5.0 * (np.arange(600) % 3 == np.arange(3)[:, None]) - 1
    >>> margin[:, 300:] = 1
    >>> logits = np.stack([-margin, margin], -1) * (2 * y - 1)[:, None]
    >>> found = diagnose(logits, y)
    >>> found.verdict, found.errors[0].value, found.errors[2].value
    ('pays', 0.3333333333333333, 0.0)
    >>> print(found.corrected)
    0.500 [0.488, 0.512]
    """
    F = to_stack("logits", logits)
    L, n, k = F.shape
    check_int("L (first axis of logits)", L, 2, MAX_NETS)
    check_int("n (second axis of logits)", n, 2)
    check_int("k (last axis of logits)", k, 2)
    labels = to_labels("y", y, k)
    check_shape("y", labels, (n,))
    check_number("worth", worth, 0, 1, open_high=True)
    if students is not None:
        distilled = to_stack("students", students)
        check_shape("students", distilled, ("S", n, k))

    errs = wrong(F, labels)
    errors, resolved, disagreements = _errors_by_size(F, errs, labels)
    first, last, e = errors[0], errors[-1], errs.mean(1)
    gain = _mean(first - last, L, low=-1.0)
    student = retained = students_corrected = None
    if students is not None:
        student_errs = wrong(distilled, labels)
        S, error = len(student_errs), student_errs.mean(0)
        student = _mean(error, S)
        if gain.low > 0:
            retained = _ratio(first - error, first - last, L + S, low=-math.inf, high=math.inf)
        if S > 1:
            students_corrected = _ratio(*_corrected(student_errs), S)
    return Diagnosis(
        n=n,
        errors=tuple(_mean(error, L) for error in errors),
        gain=gain,
        removed=_ratio(first - last, first, L, low=-math.inf),
        corrected=_ratio(*_corrected(errs), L),
        corrected_if_independent=float(1 - (e.sum() ** 2 - (e**2).sum()) / (L - 1) / e.sum()) if e.any() else None,
        resolved=_ratio(resolved, disagreements, L),
        factor=_ratio(errors[1:].sum(0), errors[:-1].sum(0), L, high=math.inf),
        floor=_mean(np.all(errs, 0), L),
        floor_if_independent=float(e.prod()),
        student=student,
        retained=retained,
        students_corrected=students_corrected,
        worth=worth,
    )


def _errors_by_size(
    F: Float[np.ndarray, "L n k"], errs: Bool[np.ndarray, "L n"], y: Int[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, "L n"], Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Return the fraction of averages of 1, 2, ..., L nets that err on each input, and counts of pairs of nets.

    These counts are the pairs of which exactly one net and also the average of the two is right, and the pairs of
    which exactly one net is right.
    """
    L, n, _ = F.shape
    errors, resolved, disagreements = np.zeros((L, n)), np.zeros(n), np.zeros(n)
    for size in range(1, L + 1):
        for members in combinations(range(L), size):
            average_errs = wrong(F[list(members)].mean(0), y)
            errors[size - 1] += average_errs
            if size == 2:
                disagree = errs[members[0]] ^ errs[members[1]]
                disagreements += disagree
                resolved += disagree & ~average_errs
        errors[size - 1] /= math.comb(L, size)
    return errors, resolved, disagreements


def _corrected(errs: Bool[np.ndarray, "L n"]) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Return, by input, the errors that another net gets right, as a mean over the other nets, and all errors."""
    L, count = len(errs), errs.sum(0).astype(float)
    return count * (L - count) / (L - 1), count


def _mean(u: Shaped[np.ndarray, " n"], nets: int, low: float = 0.0) -> Estimate:
    """Return the mean over the inputs, at most 1, with its interval."""
    return _interval(u, np.ones(len(u)), nets, low, 1.0)


def _ratio(
    u: Float[np.ndarray, " n"], v: Float[np.ndarray, " n"], nets: int, low: float = 0.0, high: float = 1.0
) -> Estimate | None:
    """Return sum u / sum v with its interval, or None where the denominator is 0."""
    return _interval(u, v, nets, low, high) if v.sum() > 0 else None


def _interval(u: np.ndarray, v: np.ndarray, nets: int, low: float, high: float) -> Estimate:
    """Return sum u / sum v with the interval at the top of the module, within [low, high]."""
    n, total = len(v), float(v.sum())
    value = min(max(float(u.sum()) / total, low), high)
    squares = float(((u - value * v) ** 2).sum())
    student = scipy.stats.t.ppf(1 - TAIL, n - 1) * math.sqrt(n / (n - 1) * squares) / total
    half = math.hypot(student, 1 - TAIL ** (float((v**2).sum()) / total**2))  # with the resolution
    return Estimate(value, max(value - half, low), min(value + half, high), nets, 1)


def _side(ratio: Estimate | None, bound: float, above: str, below: str) -> str:
    """Return on which side of `bound` the interval lies."""
    if ratio is None or ratio.low <= bound <= ratio.high:
        return "inconclusive"
    return above if ratio.low > bound else below
