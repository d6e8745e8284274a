r"""Is an ensemble worth it on one's own data? A test of any predictors that differ by seed.

All numbers come from one table: which nets, and which averages of nets, err on which test inputs. There
is one data set, so here the unit of an interval is the *test input*.

Every number is a share :math:`\hat\theta = \sum_i u_i / \sum_i v_i` of sums over the inputs, such as
errors that went among errors that were there. Its interval is
:math:`\hat\theta \pm \sqrt{h^2 + r^2}` with

.. math:: h = \frac{t_{n-1}}{\sum_i v_i} \sqrt{\frac{n}{n-1} \sum_i (u_i - \hat\theta v_i)^2}, \qquad
          r = 1 - 0.025^{1/n_v}, \qquad n_v = \frac{(\sum_i v_i)^2}{\sum_i v_i^2}.

The first term is Student's interval of a ratio of means, and the second the resolution of the test, as in
:func:`mvtheory.measurement.over_draws`: the exact upper limit after nothing was seen on the :math:`n_v`
inputs that count, which are all of them for an error, and those on which nets err for a share of errors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import scipy
from jaxtyping import Bool, Float, Int, Shaped

from mvtheory._check import check_finite, check_int, check_labels, check_number, check_shape
from mvtheory.measurement import Estimate

__all__ = ["Diagnosis", "diagnose"]

MOST_NETS = 12  # all of their subsets are averaged
TAIL = 0.025  # beyond each end of an interval


@dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` found; print it for a table with the verdict in words.

    Shares of errors are `None` where there is no error to share.

    Attributes
    ----------
    n : int
        Test inputs.
    errors : tuple of Estimate
        Error of one net, of an average of 2 nets, ..., of the average of all; means over all choices.
    gain : Estimate
        Error of one net minus that of the average of all.
    removed : Estimate or None
        The gain as a share of one net's error: 1 if the average never errs, 0 if it errs as one net does.
    corrected : Estimate or None
        Share of a net's errors on which another net is right. Nets with the same mistakes: 0.
    corrected_if_independent : float or None
        The same, if nets erred independently of each other: about 1 minus the error of one net.
    resolved : Estimate or None
        Share of the inputs on which exactly one of two nets is right and so is the average of the two.
    factor : Estimate or None
        Factor by which one more net multiplies the error: (e_2 + ... + e_L) / (e_1 + ... + e_(L-1)).
    floor : Estimate
        Share of inputs on which all nets err. Nets with the same mistakes: the error of one net.
    floor_if_independent : float
        The same, if nets erred independently: the product of their errors.
    student : Estimate or None
        Error of a student, where students were given.
    kept : Estimate or None
        Share of the gain that a student keeps, where the gain is more than none for certain.
    students_corrected : Estimate or None
        `corrected` among the students, where there are two or more.
    worth : float
        The share of the errors that must go for an ensemble to be worth it.
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
    kept: Estimate | None
    students_corrected: Estimate | None
    worth: float

    @property
    def verdict(self) -> str:
        """``"pays"``, ``"does not pay"`` or ``"cannot tell"``: the interval of `removed` against `worth`."""
        return _side(self.removed, self.worth, "pays", "does not pay")

    @property
    def student_verdict(self) -> str | None:
        """``"keeps it"``, ``"does not keep it"`` or ``"cannot tell"``: `kept` against one half."""
        return None if self.student is None else _side(self.kept, 0.5, "keeps it", "does not keep it")

    def __str__(self) -> str:
        rows: list[tuple[str, Estimate | None, str]] = [("error of one net", self.errors[0], "")]
        rows += [(f"error of an average of {size}", error, "") for size, error in enumerate(self.errors[1:], 2)]
        same, independent = self.errors[0].value_text, self.corrected_if_independent
        corrected = "" if independent is None else f"same mistakes 0, independent {independent:.2f}"
        rows += [
            ("gain", self.gain, ""),
            ("share of the errors that it removes", self.removed, f"worth it from {self.worth:g}"),
            ("a net's errors on which another is right", self.corrected, corrected),
            ("disputes of two nets that their average settles", self.resolved, "a coin 0.5, who knows prevails 1"),
            ("one more net multiplies the error by", self.factor, "no gain 1, two views 0.5"),
            ("inputs on which all nets err", self.floor,
             f"same mistakes {same}, independent {self.floor_if_independent:.2g}"),
        ]  # fmt: skip
        if self.student is not None:
            rows += [
                ("error of a student", self.student, ""),
                ("share of the gain that it keeps", self.kept, "no student 0, the average 1"),
                ("a student's errors on which another is right", self.students_corrected, "same mistakes 0"),
            ]
        lines = [f"{name:49}{'unknown' if value is None else value!s:24}{told}".rstrip() for name, value, told in rows]
        head = f"{len(self.errors)} nets, {self.n} test inputs; 95% intervals over inputs"
        return "\n".join([head, *lines, self.words])

    @property
    def words(self) -> str:
        """The verdicts in words, a line each."""
        if self.removed is None:
            lines = [f"an ensemble: cannot tell. No net errs on these {self.n} inputs, so there is nothing to remove."]
        else:
            asked = f"of the errors of one net; {self.worth:g} was asked for."
            lines = [f"an ensemble: {self.verdict}. It removes {self.removed} {asked}"]
        if self.student is not None:
            found = "there is no gain for certain" if self.kept is None else f"it keeps {self.kept} of the gain"
            lines += [f"a student: {self.student_verdict}; {found}."]
        return "\n".join(lines)


def diagnose(
    logits: Float[Any, "L n k"],
    y: Int[Any, " n"],
    students: Float[Any, "S n k"] | None = None,
    *,
    worth: float = 0.1,
) -> Diagnosis:
    r"""Tell whether averaging nets that differ by seed is worth it on these data.

    The intervals say how far the numbers may move with other *test inputs*, drawn like these, for the nets
    at hand. They do not cover what other training sets or other seeds would do: for this, repeat the whole
    and use :func:`mvtheory.measurement.over_draws`. The inputs must not have been trained on, nor used to
    choose the nets, and must be independent of each other.

    In simulations with 3 to 1000 expected errors of one net, each interval covers at least 94%; with few
    errors the intervals are wide and cover more.

    Parameters
    ----------
    logits : array or tensor of shape [L, n, k]
        Outputs of 2 to 12 nets on n >= 2 inputs for k >= 2 classes, all finite. What is given is what is
        averaged: give logits, log-probabilities or probabilities, whichever you would average.
    y : integer array or tensor of shape [n]
        True classes, 0 to ``k - 1``. An answer is right if its output is strictly the largest.
    students : array or tensor of shape [S, n, k], optional
        Outputs of nets that were taught by the average.
    worth : float, in [0, 1)
        The share of the errors that must go for an ensemble to be worth it.

    Returns
    -------
    Diagnosis

    Raises
    ------
    ValueError, TypeError
        If an argument is not as above.

    Examples
    --------
    Three nets; on the first half of the inputs one of them, in turn, knows the answer and says it loudly.

    >>> y = np.arange(600) % 2
    >>> loud = 5.0 * (np.arange(600) % 3 == np.arange(3)[:, None]) - 1
    >>> loud[:, 300:] = 1
    >>> margin = loud * (2 * y - 1)
    >>> found = diagnose(np.stack([-margin, margin], -1), y)
    >>> found.verdict, found.errors[0].value, found.errors[2].value
    ('pays', 0.3333333333333333, 0.0)
    >>> print(found.corrected)
    0.500 [0.488, 0.512]
    """
    F = _outputs("logits", logits)
    L, n, k = F.shape
    check_int("L (first axis of logits)", L, 2, MOST_NETS)
    check_int("n (second axis of logits)", n, 2)
    check_int("k (last axis of logits)", k, 2)
    labels = np.asarray(_numpy(y))
    check_labels("y", labels, k)
    check_shape("y", labels, (n,))
    check_number("worth", worth, 0, 1, open_high=True)
    if students is not None:
        taught = _outputs("students", students)
        check_shape("students", taught, ("S", n, k))

    wrong = _wrong(F, labels)
    score_by_size, resolved, disagreements = _errors_by_size(F, wrong, labels)
    single, last, e = score_by_size[0], score_by_size[-1], wrong.mean(1)
    gain = _mean(single - last, L, low=-1.0)
    student = kept = students_corrected = None
    if students is not None:
        theirs = _wrong(taught, labels)
        S, error = len(theirs), theirs.mean(0)
        student = _mean(error, S)
        if gain.low > 0:
            kept = _ratio(single - error, single - last, L + S, low=-math.inf, high=math.inf)
        if S > 1:
            students_corrected = _ratio(*_corrected(theirs), S)
    return Diagnosis(
        n=n,
        errors=tuple(_mean(error, L) for error in score_by_size),
        gain=gain,
        removed=_ratio(single - last, single, L, low=-math.inf),
        corrected=_ratio(*_corrected(wrong), L),
        corrected_if_independent=float(1 - (e.sum() ** 2 - (e**2).sum()) / (L - 1) / e.sum()) if e.any() else None,
        resolved=_ratio(resolved, disagreements, L),
        factor=_ratio(score_by_size[1:].sum(0), score_by_size[:-1].sum(0), L, high=math.inf),
        floor=_mean(np.all(wrong, 0), L),
        floor_if_independent=float(e.prod()),
        student=student,
        kept=kept,
        students_corrected=students_corrected,
        worth=worth,
    )


def _errors_by_size(
    F: Float[np.ndarray, "L n k"], wrong: Bool[np.ndarray, "L n"], y: Int[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, "L n"], Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Return how many averages of 1, 2, ..., L nets err on each input, as shares, and the disputes.

    The second and third result count, over all pairs of nets: exactly one is right and so is their average;
    exactly one is right.
    """
    L, n, _ = F.shape
    errors, resolved, disagreements = np.zeros((L, n)), np.zeros(n), np.zeros(n)
    for size in range(1, L + 1):
        for members in combinations(range(L), size):
            errs = _wrong(F[list(members)].mean(0), y)
            errors[size - 1] += errs
            if size == 2:
                split = wrong[members[0]] ^ wrong[members[1]]
                disagreements += split
                resolved += split & ~errs
        errors[size - 1] /= math.comb(L, size)
    return errors, resolved, disagreements


def _corrected(wrong: Bool[np.ndarray, "L n"]) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Return, by input: errors of a net on which another is right, a mean over the others; all errors."""
    L, count = len(wrong), wrong.sum(0).astype(float)
    return count * (L - count) / (L - 1), count


def _mean(u: Shaped[np.ndarray, " n"], nets: int, low: float = 0.0) -> Estimate:
    """Return the mean over the inputs, at most 1, with its interval."""
    return _interval(u, np.ones(len(u)), nets, low, 1.0)


def _ratio(
    u: Float[np.ndarray, " n"], v: Float[np.ndarray, " n"], nets: int, low: float = 0.0, high: float = 1.0
) -> Estimate | None:
    """Return sum u / sum v with its interval, or None if there is nothing to share."""
    return _interval(u, v, nets, low, high) if v.sum() > 0 else None


def _interval(u: np.ndarray, v: np.ndarray, nets: int, low: float, high: float) -> Estimate:
    """Return sum u / sum v with the interval at the top of the module, within [low, high]."""
    n, total = len(v), float(v.sum())
    value = min(max(float(u.sum()) / total, low), high)
    squares = float(((u - value * v) ** 2).sum())
    student = scipy.stats.t.ppf(1 - TAIL, n - 1) * math.sqrt(n / (n - 1) * squares) / total
    resolution = 1 - TAIL ** (float((v**2).sum()) / total**2)
    half = math.hypot(student, resolution)
    return Estimate(value, max(value - half, low), min(value + half, high), nets, 1)


def _wrong(F: Float[np.ndarray, "*nets n k"], y: Int[np.ndarray, " n"]) -> Bool[np.ndarray, "*nets n"]:
    """Tell where the output of the true class is not strictly the largest; see `error_rate`."""
    index = np.broadcast_to(y[:, None], (*F.shape[:-1], 1))
    rivals = F.copy()
    np.put_along_axis(rivals, index, -np.inf, -1)
    return np.take_along_axis(F, index, -1)[..., 0] <= rivals.max(-1)


def _side(share: Estimate | None, bound: float, above: str, below: str) -> str:
    """Say on which side of `bound` the interval lies."""
    if share is None or share.low <= bound <= share.high:
        return "cannot tell"
    return above if share.low > bound else below


def _outputs(name: str, outputs: Any) -> np.ndarray:
    """Return outputs as a finite array of doubles [nets, n, k]."""
    array = np.asarray(_numpy(outputs), float)
    check_shape(name, array, ("nets", "n", "k"))
    with np.errstate(invalid="ignore"):  # the check subtracts infinities
        return check_finite(name, array)


def _numpy(array: Any) -> Any:
    return array.detach().cpu().numpy() if hasattr(array, "detach") else array
