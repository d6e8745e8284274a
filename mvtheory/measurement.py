"""Measured quantities with confidence intervals.

A test error varies for three reasons: the test points, the seeds of the nets and the training set
(the *data draw*). Nets trained on the same draw are not independent replicates, so the sampling unit
of an interval is the draw.

`wilson` is the interval for one net; `over_draws` and `difference_over_draws` are those over nets
and draws.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy  # its submodules load when first used, which keeps this import cheap
from jaxtyping import Bool, Float

from mvtheory._arrays import (
    by_draw,
    check_columns,
    check_same_draws,
    check_same_rows,
    to_labels,
    to_numpy,
    to_outputs,
)
from mvtheory._check import check_finite, check_int, check_number, check_shape

__all__ = [
    "Estimate",
    "difference_over_draws",
    "error_rate",
    "over_draws",
    "over_units",
    "stratified",
    "to_labels",
    "to_numpy",
    "to_outputs",
    "wilson",
    "wrong",
]


@dataclass(frozen=True)
class Estimate:
    """A measured value with its interval.

    Attributes
    ----------
    value, low, high : float
        The value and the ends of its (by default 95%) interval, ``low <= value <= high``.
    nets, draws : int
        Trained nets and data draws (independent training sets) behind the value.

    Examples
    --------
    >>> print(Estimate(0.48712, 0.4791, 0.4951, nets=50, draws=5))
    0.487 [0.479, 0.495]
    """

    value: float
    low: float
    high: float
    nets: int
    draws: int

    def __post_init__(self) -> None:
        check_number("value", self.value)
        check_number("low", self.low, high=self.value)
        check_number("high", self.high, low=self.value)
        check_int("draws", self.draws, 1)
        check_int("nets", self.nets, 1)

    @property
    def value_text(self) -> str:
        """The value, rounded so that its last digit is 3% to 32% of the interval's half-width."""
        return self._round(self.value)

    @property
    def interval_text(self) -> str:
        """The interval in brackets, rounded like the value."""
        return f"[{self._round(self.low)}, {self._round(self.high)}]"

    def __str__(self) -> str:
        return f"{self.value_text} {self.interval_text}"

    def _round(self, number: float) -> str:
        half = (self.high - self.low) / 2
        digits = max(0, math.ceil(0.5 - math.log10(half))) if half > 0 else 3
        return f"{round(number, digits) + 0.0:.{digits}f}"  # + 0.0 turns -0.0 into 0.0


def wrong(logits: Any, y: Any) -> Bool[np.ndarray, "*nets n"]:
    """Return which inputs each net misclassifies.

    An input is classified correctly if the output of its class is strictly larger than all others and
    all outputs are finite. A tie is therefore an error: a net with equal outputs carries no information,
    and must not be credited with the class that `argmax` happens to return.

    Parameters
    ----------
    logits : array, tensor or nested list of shape [..., n, k]
        Outputs of the nets (any leading axes) on ``n`` inputs for ``k >= 2`` classes; votes, too. Masked or missing
        values are refused, and so is a table whose columns are numbers in another order than that of the classes.
    y : array, tensor, list or series of integers, shape [n]
        True classes, 0 to ``k - 1``. If both are tables, their rows must have the same names in the same order.

    Returns
    -------
    array of bool, shape [..., n]

    Examples
    --------
    >>> wrong(np.array([[2.0, 1.0], [1.0, 1.0]]), np.array([0, 1]))
    array([False,  True])
    """
    outputs = to_outputs("logits", logits)
    n, k = check_shape("logits", outputs, (..., "n", "k")).values()
    labels = to_labels("y", y, check_int("k (last axis of logits)", k, 2))
    check_columns("logits", logits, k)
    check_same_rows(("logits", "y"), logits, y)
    check_shape("y", labels, (n,))
    label = np.broadcast_to(labels[:, None], (*outputs.shape[:-1], 1))
    own = np.take_along_axis(outputs, label, -1)[..., 0]
    rivals = outputs.copy()
    np.put_along_axis(rivals, label, -np.inf, -1)
    return ~((own > rivals.max(-1)) & np.isfinite(outputs).all(-1))


def error_rate(logits: Any, y: Any) -> Float[np.ndarray, "*nets"]:
    """Return the fraction of the inputs that each net misclassifies; a tie is an error, see `wrong`.

    Parameters
    ----------
    logits, y
        As in `wrong`.

    Returns
    -------
    array of shape [...]
        In [0, 1].

    Examples
    --------
    >>> right, tie = [[2.0, 1.0], [0.0, 3.0]], [[1.0, 1.0], [1.0, 1.0]]
    >>> error_rate(np.array([right, tie]), np.array([0, 1]))
    array([0., 1.])
    """
    correct = ~wrong(logits, y)
    return np.asarray(1 - correct.mean(-1))


def wilson(errors: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval for the error of one net that misclassifies `errors` of `n` points.

    Parameters
    ----------
    errors : int
        Misclassified points, 0 to `n`.
    n : int
        Independent test points, at least 1.
    level : float
        Nominal coverage, in (0, 1).

    Returns
    -------
    low, high : float
        Ends of the interval, in [0, 1].

    Examples
    --------
    >>> low, high = wilson(487, 1000)
    >>> print(f"{low:.3f} {high:.3f}")
    0.456 0.518
    """
    n = check_int("n", n, 1)
    errors = check_int("errors", errors, 0, n)
    interval = scipy.stats.binomtest(errors, n).proportion_ci(_level(level), method="wilson")
    return float(interval.low), float(interval.high)


def over_draws(
    values: Iterable[Any],
    level: float = 0.95,
    *,
    points: int | None,
    nets: int | None = None,
    bounds: tuple[float | int, float | int] = (0, 1),
) -> Estimate:
    r"""Return the mean over data draws and nets, with an interval whose unit is the draw.

    Let :math:`\bar x` and :math:`s` be mean and standard deviation of the :math:`D` draw means
    and :math:`N = D \cdot` `points`. The interval is :math:`\bar x \pm \sqrt{h^2 + r^2}` with

    .. math:: h = t_{D-1}\, s / \sqrt{D}, \qquad r = 1 - ((1 - \mathrm{level})/2)^{1/N}.

    The first term is Student's interval of the draw means. With 3 to 10 draws a bootstrap over
    draws is much too narrow (3 draws: it covers about 75% instead of 95%); Student's is not. The
    second term is the resolution of the test: the exact upper limit after no error on :math:`N`
    points (the "rule of three", about :math:`3.7 / N`). Without it, nets without a single error
    would get an interval of width zero. Each test point counts once, however many nets are tested on
    it, because a hard point may be hard for all nets.

    In simulations with 3, 5 and 10 draws the interval covers at least 94% if the standard deviation
    of the draws' errors is at most a third of their mean, 93% at half and 88% at the whole of it, and
    less beyond: no interval can account for rare bad draws that were not sampled.

    Parameters
    ----------
    values : sequence over draws of sequences over nets, dict by draw, or data frame of a row per draw
        One number per net, such as its test error. Draws may have different numbers of nets and
        have equal weight. At least two draws.
    level : float
        Nominal coverage, in (0, 1).
    points : int or None
        Independent test points behind each draw's values, which must then lie within `bounds`;
        so does the interval. `None` for other quantities: Student's interval alone.
    nets : int, optional
        Total number of trained nets, where one value stands for several (an ensemble). By default,
        the number of values.
    bounds : (float, float)
        The range of a fraction. One that was adjusted by a control variate may leave [0, 1]: give
        (-1, 1), since cutting it off there would bias the mean.

    Returns
    -------
    Estimate

    Raises
    ------
    ValueError
        If a value is not finite or outside `bounds`, if there are fewer than two draws, or if all draw
        means are equal and `points` is None, so that the uncertainty cannot be estimated.

    Examples
    --------
    >>> print(over_draws([[0.48, 0.49], [0.50, 0.48], [0.49, 0.49]], points=2000))
    0.488 [0.481, 0.496]
    >>> print(over_draws([[0.0], [0.0], [0.0]], points=1000, nets=30))
    0.0000 [0.0000, 0.0012]
    """
    means, count = _draw_means("values", values, points, bounds)
    return _estimate(means, level, points, count if nets is None else nets, bounds)


def difference_over_draws(
    first: Iterable[Any],
    second: Iterable[Any],
    level: float = 0.95,
    *,
    points: int | None,
    nets: int | None = None,
) -> Estimate:
    """Return the mean of `first` minus `second`, paired by data draw, such as a gain in error.

    Both must come from the same draws in the same order (and the same test points), so that effects
    of a draw on both cancel. The interval and the errors are those of `over_draws`.

    Parameters
    ----------
    first, second : sequence over draws of sequences over nets
        One number per net, as in `over_draws`.
    level, points, nets
        As in `over_draws`, with all values in [0, 1] where `points` are given, and by default the nets of both.

    Returns
    -------
    Estimate
        In [-1, 1] for fractions.

    Examples
    --------
    >>> single, ensemble = [[0.48, 0.50], [0.47, 0.51], [0.49, 0.49]], [[0.01], [0.00], [0.02]]
    >>> print(difference_over_draws(single, ensemble, points=2000))
    0.480 [0.455, 0.505]
    """
    check_same_draws(first, second)
    (a, count_a), (b, count_b) = _draw_means("first", first, points), _draw_means("second", second, points)
    if len(a) != len(b):
        raise ValueError(f"second must have as many draws as first, {len(a)}; got {len(b)}")
    return _estimate(a - b, level, points, count_a + count_b if nets is None else nets, (-1, 1))


def over_units(values: Any, level: float = 0.95, *, nets: int, draws: int) -> Estimate:
    r"""Return the mean of rare failures with Clopper and Pearson's interval, whose unit is what fails as a whole.

    An average of ten nets lacks a view of a class on one data set in many. Student's interval over ten data sets then
    covers in less than half of the cases, since most often no data set fails, or one. Where views are lost
    independently, the number of lost views is binomial, and the interval is exact. A unit may also fail in part: of
    all quantities in [0, 1] with one mean, those that are 0 or 1 vary most, so the interval is wide enough.

    Parameters
    ----------
    values : array in [0, 1]
        The share of the inputs of each unit that are misclassified, such as those of one view of one class.
    level : float
        Nominal coverage, in (0, 1).
    nets, draws : int
        Trained nets and data draws behind the values.

    Returns
    -------
    Estimate

    Examples
    --------
    >>> print(over_units(np.zeros((10, 32)), nets=100, draws=10))
    0.000 [0.000, 0.011]
    """
    shares = check_finite("values", to_outputs("values", values)).ravel()
    if not (shares.size and shares.min() >= 0 and shares.max() <= 1):
        raise ValueError(f"values must be at least one number, all in [0, 1]; got {shares[:5]}")
    n, count, tail = shares.size, float(shares.sum()), (1 - _level(level)) / 2
    low = scipy.stats.beta.ppf(tail, count, n - count + 1) if count > 0 else 0.0
    high = scipy.stats.beta.ppf(1 - tail, count + 1, n - count) if count < n else 1.0
    value = count / n
    return Estimate(value, min(float(low), value), max(float(high), value), nets, draws)


def stratified(err_multi: Estimate, err_single: Estimate, mu: float) -> Estimate:
    """Return the error over the whole distribution: ``(1 - mu) err_multi + mu err_single``.

    With small `mu`, a sample of the distribution itself would contain hardly any single-view input, so
    the two strata are measured separately. The ends of the interval are combined like the values, which
    is exact or conservative, however the two errors are correlated (they come from the same nets).

    Parameters
    ----------
    err_multi, err_single : Estimate
        Errors of the same nets on multi-view and on single-view inputs.
    mu : float
        Probability of a single-view input, in [0, 1].

    Returns
    -------
    Estimate
        Of the error over the whole distribution, with the nets and draws of both.

    Examples
    --------
    >>> multi, single = Estimate(0.0, 0.0, 0.001, 50, 5), Estimate(0.49, 0.48, 0.50, 50, 5)
    >>> print(stratified(multi, single, mu=0.1))
    0.0490 [0.0480, 0.0509]
    """
    mu = check_number("mu", mu, 0, 1)
    for name in ("nets", "draws"):
        a, b = getattr(err_multi, name), getattr(err_single, name)
        if a != b:
            raise ValueError(f"err_single must have the {name} of err_multi, {a}; got {b}")
    value, low, high = (
        (1 - mu) * getattr(err_multi, end) + mu * getattr(err_single, end) for end in ("value", "low", "high")
    )
    return Estimate(value, low, high, err_multi.nets, err_multi.draws)


def _estimate(
    means: np.ndarray, level: float, points: int | None, nets: int, bounds: tuple[float | int, float | int]
) -> Estimate:
    """Return Student's interval of the draw means; with `points` widened by their resolution, and cut at `bounds`."""
    draws, tail, value = len(means), (1 - _level(level)) / 2, float(means.mean())
    half = scipy.stats.t.ppf(1 - tail, draws - 1) * means.std(ddof=1) / math.sqrt(draws)
    low, high = -math.inf, math.inf
    if points is not None:
        half = math.hypot(half, 1 - tail ** (1 / (draws * check_int("points", points, 1))))
        low, high = bounds
    if half == 0:
        raise ValueError(f"points must be given where all draw means are equal ({value}); got None")
    return Estimate(value, max(value - half, low), min(value + half, high), nets, draws)


def _draw_means(
    name: str, values: Iterable[Any], points: int | None, bounds: tuple[float | int, float | int] = (0, 1)
) -> tuple[np.ndarray, int]:
    """Return the mean of every draw and the number of values; with `points` all must lie within `bounds`."""
    rows = by_draw(name, values)
    least, most = min(row.min() for row in rows), max(row.max() for row in rows)
    if points is not None and not bounds[0] <= least <= most <= bounds[1]:
        allowed = f"[{bounds[0]:g}, {bounds[1]:g}]"
        raise ValueError(f"{name} must lie in {allowed} where points are given; got {least} to {most}")
    return np.array([row.mean() for row in rows]), sum(row.size for row in rows)


def _level(level: float) -> float:
    return check_number("level", level, 0, 1, open_low=True, open_high=True)
