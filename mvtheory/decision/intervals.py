r"""Intervals of ratios: over test inputs, over nets of other seeds, and over both.

**Over inputs.** Every number is a ratio :math:`\hat\theta = \sum_i u_i / \sum_i v_i` of sums over the inputs, such as
errors removed over errors of one net. Its interval is :math:`\hat\theta \pm \sqrt{h^2 + r^2}` with

.. math:: h = \frac{t_{n-1}}{\sum_i v_i} \sqrt{\frac{n}{n-1} \sum_i (u_i - \hat\theta v_i)^2}, \qquad
          r = 1 - 0.025^{1/n_v}, \qquad n_v = \frac{(\sum_i v_i)^2}{\sum_i v_i^2}.

The first term is Student's interval of a ratio of means. The second is the resolution of the test, as in
:func:`mvtheory.measurement.over_draws`: the exact upper limit after no event in :math:`n_v` trials. For an error
these trials are all inputs; for a fraction of errors, the inputs on which nets err. Scores such as the NLL have no
second term.

**Over seeds.** Leave out one of the L nets in turn: :math:`\hat\theta_{(j)}` is the same number from the others. The
jackknife estimates its standard error over other seeds,

.. math:: s = \sqrt{\frac{L-1}{L} \sum_j \big(\hat\theta_{(j)} - \bar\theta\big)^2},

and the interval over both, for other inputs *and* other seeds, is
:math:`\hat\theta \pm \sqrt{h^2 + r^2 + (t_{L-1} s)^2}`. It needs three nets. Without one net the number also moves
because there are few inputs, and this is in the first term already: for errors and gains it is taken off from
:math:`s^2`. For the others it counts twice, so that their intervals are rather too wide.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy
from jaxtyping import Float, Shaped

from mvtheory.measurement import Estimate

__all__ = ["TAIL", "jackknife", "mean_of", "more_inputs", "ratio_of", "side", "widened"]

#: Probability beyond each end of an interval.
TAIL = 0.025


def mean_of(
    u: Shaped[np.ndarray, " n"], nets: int, low: float = 0.0, high: float = 1.0, extra: float = 0.0, events: bool = True
) -> Estimate:
    """Return the mean over the inputs with its interval, within [low, high].

    Parameters
    ----------
    u : array of shape [n]
        Values by input.
    nets : int
        Nets behind them.
    low, high : float
        Bounds of the mean.
    extra : float, >= 0
        A further half-width, such as that of sampled subsets, which is added in squares.
    events : bool
        Whether the values count events, such as errors, so that the resolution of the test is added.
    """
    return _interval(u, np.ones(len(u)), nets, low, high, extra, events)


def ratio_of(
    u: Float[np.ndarray, " n"],
    v: Float[np.ndarray, " n"],
    nets: int,
    low: float = 0.0,
    high: float = 1.0,
    extra: float = 0.0,
    events: bool = True,
) -> Estimate | None:
    """Return sum u / sum v with its interval, as `mean_of`, or None where the denominator is 0."""
    return _interval(u, v, nets, low, high, extra, events) if v.sum() > 0 else None


def _interval(u: np.ndarray, v: np.ndarray, nets: int, low: float, high: float, extra: float, events: bool) -> Estimate:
    n, total = len(v), float(v.sum())
    value = min(max(float(u.sum()) / total, low), high)
    squares = float(((u - value * v) ** 2).sum())
    student = _quantile(n - 1) * math.sqrt(n / (n - 1) * squares) / total
    resolution = 1 - TAIL ** (float((v**2).sum()) / total**2) if events else 0.0
    half = math.hypot(student, resolution, extra)
    return Estimate(value, max(value - half, low), min(value + half, high), nets, 1)


def _quantile(degrees: int) -> float:
    """Return that of Student's distribution; what scipy.stats has does the same after a hundred times the work."""
    return float(scipy.special.stdtrit(degrees, 1 - TAIL))


def jackknife(without: Float[np.ndarray, " L"]) -> float:
    """Return the standard error over nets of a number, from its values without each of them.

    Parameters
    ----------
    without : array of shape [L]
        The number without each net; NaN where it is undefined.

    Returns
    -------
    float
        NaN if a value is NaN or there are fewer than 3 nets.
    """
    L = len(without)
    if L < 3:
        return math.nan
    return math.sqrt((L - 1) / L * float(((without - without.mean()) ** 2).sum()))


def widened(
    estimate: Estimate | None, without: Any, low: float = -math.inf, high: float = math.inf, noise: float = 0.0
) -> Estimate | None:
    """Return the interval over inputs and seeds, from that over inputs and the values without each net.

    The half-width over inputs is the longer side of the interval, since a bound may have cut the other.

    Parameters
    ----------
    estimate : Estimate or None
        The interval over inputs.
    without : array of shape [L]
        The values.
    low, high : float
        Bounds of the number.
    noise : float, >= 0
        What is taken off from the squared standard error of the jackknife, since the interval over inputs has it.

    Returns
    -------
    Estimate or None
        None if the number is undefined, or there are fewer than three nets.
    """
    standard_error = jackknife(np.asarray(without, dtype=float))
    if estimate is None or math.isnan(standard_error):
        return None
    seeds = _quantile(len(without) - 1) * math.sqrt(max(standard_error**2 - noise, 0.0))
    value = estimate.value
    half = math.hypot(max(value - estimate.low, estimate.high - value), seeds)
    return Estimate(value, max(value - half, low), min(value + half, high), estimate.nets, 1)


def side(ratio: Estimate | None, bound: float, above: str, below: str) -> str:
    """Return on which side of `bound` the interval lies, or ``"inconclusive"``."""
    if ratio is None or ratio.low <= bound <= ratio.high:
        return "inconclusive"
    return above if ratio.low > bound else below


def more_inputs(estimate: Estimate, bound: float, n: int) -> float:
    """Return how many inputs would decide on which side of `bound` the number lies, if its value is as measured.

    The half-width falls as the root of their number. Infinite where the value is the bound.
    """
    half = (estimate.high - estimate.value) if estimate.value < bound else (estimate.value - estimate.low)
    gap = abs(estimate.value - bound)
    return math.inf if gap == 0 else n * max(1.0, (half / gap) ** 2)
