r"""Error, NLL, Brier score and calibration of averages of nets, in both ways of averaging.

One way averages logits, which are log-probabilities up to a constant, and takes the softmax; the other averages
probabilities. Of each size, averages of neighbours around a circle of nets stand for all: every net is in as many.
Where there are many numbers, fewer of them are taken, except of one net, of all but one, and of all.

The NLL is the mean of :math:`-\log p_y`, where a probability below :math:`2^{-52}` counts as this, as in scikit-learn.
The Brier score is the mean of :math:`\sum_c (p_c - [c = y])^2`, between 0 and 2. The calibration error (ECE) is the
mean over 15 bins of equal width of \|accuracy - confidence\|, weighted by the inputs of a bin; the confidence is that
of the class that is chosen.

This estimator of the ECE is biased upwards: bins of few inputs differ by chance. If a net were perfectly calibrated, it
would still be about

.. math:: \frac1n \sum_{\text{bins}} \sqrt{\frac2\pi \sum_{i \in \text{bin}} c_i (1 - c_i)}

for confidences :math:`c_i`, which is reported beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

__all__ = ["BINS", "SMALLEST", "WAYS", "ScoreCounter", "Scores", "expected_ece", "fit_temperature"]

#: The two ways of averaging.
WAYS = ("logits", "probabilities")

#: Bins of the calibration error.
BINS = 15

#: The probability that smaller ones of a label count as.
SMALLEST = 2.0**-52

_LARGE = 1e8  # outputs, beyond which single precision is enough for scores
_LOWEST = -700.0  # log-probability, so that no sum loses the digits of the others
_BUDGET = 3e8  # outputs that are averaged for sizes between one net and all but one


@dataclass(frozen=True)
class Scores:
    """Scores of averages of 1, 2, ..., L nets in one way of averaging.

    Attributes
    ----------
    error, nll, brier : array of shape [L, n]
        On each input, means over the averages of each size.
    ece, ece_if_calibrated : array of shape [L]
        Calibration error, and what it would be for calibrated nets.
    reliability : array of shape [2, 3, BINS]
        Of one net, a mean over all, and of the average of all: inputs, confidence and accuracy in each bin.
    nll_without : array of shape [2, L]
        NLL without each net: of one net, and of the average of the others.
    clipped : int
        Inputs on which a net gives the label less than `SMALLEST`, counted over nets.
    """

    error: Float[np.ndarray, "L n"]
    nll: Float[np.ndarray, "L n"]
    brier: Float[np.ndarray, "L n"]
    ece: Float[np.ndarray, " L"]
    ece_if_calibrated: Float[np.ndarray, " L"]
    reliability: Float[np.ndarray, "2 3 B"]
    nll_without: Float[np.ndarray, "2 L"]
    clipped: int


class ScoreCounter:
    """Adds up scores over blocks of inputs.

    Parameters
    ----------
    L, n, k : int
        Nets, inputs and classes.
    scale : str
        What the outputs are, ``"logits"`` or ``"probabilities"``.
    T : float, > 0
        Temperature by which logits are divided before all else.
    """

    def __init__(self, L: int, n: int, k: int, scale: str, T: float = 1.0) -> None:
        self.L, self.n, self.scale, self.T = L, n, scale, T
        some = max(1, min(L, int(_BUDGET / (n * k * max(1, L - 3)))))
        self.starts = [
            list(range(L)) if size in (1, L - 1) else [0] if size == L else list(range(0, L, -(-L // some)))
            for size in range(1, L + 1)
        ]
        self.sums = {way: np.zeros((3, L, n)) for way in WAYS}
        self.bins = {way: [np.zeros((len(starts), 4, BINS)) for starts in self.starts] for way in WAYS}
        self.nll_totals = {way: [np.zeros(len(starts)) for starts in self.starts] for way in WAYS}
        self.clipped = 0
        self.dtype = np.float32 if float(L) * n * k > _LARGE else np.float64

    def add(self, rows: slice, F: Float[np.ndarray, "L b k"], y: Int[np.ndarray, " b"]) -> None:
        """Add the inputs of a block."""
        log_p = np.maximum(log_softmax(F.astype(self.dtype), self.scale, self.T), _LOWEST)
        p = np.exp(log_p)
        gram = np.matmul(p.transpose(1, 0, 2), p.transpose(1, 2, 0)).transpose(1, 2, 0)
        every = np.arange(len(y))
        self.clipped += int((p[:, every, y] < SMALLEST).sum())
        for size, place, members, log_sum, p_sum in self._sums(log_p, p):
            squares = gram[np.ix_(members, members)].sum((0, 1)) / size**2
            q = p_sum / size
            own, confidence = q[every, y], q.max(-1)
            self._add(1, rows, size, place, own, confidence, _right(q, own, confidence, every, y), squares)
            if size > 1:  # of one net both ways are the same
                own, confidence, right, squares = _softmax_scores(log_sum / size, every, y)
                self._add(0, rows, size, place, own, confidence, right, squares)

    def _sums(self, log_p: np.ndarray, p: np.ndarray) -> Iterator[tuple[int, int, list[int], np.ndarray, np.ndarray]]:
        """Yield the averages: size, place among those of this size, members, and sums of both kinds."""
        L = self.L
        log_total, total = log_p.sum(0), p.sum(0)
        for start in range(L):
            log_sum, p_sum = log_p[start].copy(), p[start].copy()
            last = max(
                (size for size in range(1, L + 1) if start in self.starts[size - 1] and size != L - 1), default=1
            )
            for size in range(1, last + 1):
                members = [(start + step) % L for step in range(size)]
                if size > 1:
                    log_sum += log_p[members[-1]]
                    p_sum += p[members[-1]]
                if start in self.starts[size - 1] and (size != L - 1 or L == 2):
                    yield size, self.starts[size - 1].index(start), members, log_sum, p_sum
        for start in range(L if L > 2 else 0):
            members = [(start + step) % L for step in range(L - 1)]
            yield L - 1, start, members, log_total - log_p[start - 1], total - p[start - 1]

    def _add(
        self, way: int, rows: slice, size: int, place: int, own: Float[np.ndarray, " b"],
        confidence: Float[np.ndarray, " b"], right: Bool[np.ndarray, " b"], squares: Float[np.ndarray, " b"],
    ) -> None:  # fmt: skip
        """Add the scores of one average, by the probability of the label and of the class that is chosen."""
        count = len(self.starts[size - 1])
        nll = -np.log(np.maximum(own, SMALLEST))
        sums = self.sums[WAYS[way]]
        sums[0, size - 1, rows] += ~right / count
        sums[1, size - 1, rows] += nll / count
        sums[2, size - 1, rows] += (1 - 2 * own + squares) / count
        self.nll_totals[WAYS[way]][size - 1][place] += nll.sum()
        which = np.minimum((confidence * BINS).astype(int), BINS - 1)
        bins = self.bins[WAYS[way]][size - 1][place]
        for row, values in enumerate((None, confidence, right, confidence * (1 - confidence))):
            bins[row] += np.bincount(which, values, BINS)

    def result(self) -> dict[str, Scores]:
        """Return the scores by way of averaging."""
        found = {}
        first, second = WAYS
        self.sums[first][:, 0] = self.sums[second][:, 0]  # of one net both ways are the same
        self.bins[first][0] = self.bins[second][0]
        self.nll_totals[first][0] = self.nll_totals[second][0]
        for way in WAYS:
            ece = [_ece(bins).mean() for bins in self.bins[way]]
            calibrated = [expected_ece(bins[:, 3]).mean() / self.n for bins in self.bins[way]]
            one, others = self.nll_totals[way][0] / self.n, self.nll_totals[way][max(self.L - 2, 0)] / self.n
            # The average of neighbours from i on, of all but one, lacks net i - 1.
            without = np.stack([(one.sum() - one) / max(self.L - 1, 1), np.roll(others, -1)])
            ends = np.stack([self.bins[way][0].mean(0), self.bins[way][-1][0]])
            filled = np.maximum(ends[:, :1], 1e-9)
            reliability = np.concatenate([ends[:, :1], ends[:, 1:3] / filled], 1)
            error, nll, brier = self.sums[way]
            found[way] = Scores(
                error, nll, brier, np.array(ece), np.array(calibrated), reliability, without, self.clipped
            )  # fmt: skip
        return found


def expected_ece(variances: Float[np.ndarray, "... B"]) -> Any:
    """Return the calibration error, times the inputs, that calibrated nets show by chance.

    Parameters
    ----------
    variances : array of shape [..., bins]
        Sums of c (1 - c) over the inputs of each bin, for confidences c.
    """
    return np.sqrt(2 / math.pi * np.maximum(variances, 0)).sum(-1)


def _ece(bins: Float[np.ndarray, "m 4 B"]) -> Float[np.ndarray, " m"]:
    return np.abs(bins[:, 1] - bins[:, 2]).sum(-1) / bins[:, 0].sum(-1)


def log_softmax(F: Float[np.ndarray, "... k"], scale: str, T: float = 1.0) -> Float[np.ndarray, "... k"]:
    """Return log-probabilities of outputs on a scale; a probability of zero becomes the smallest number."""
    if scale == "probabilities":
        F = np.log(np.maximum(F, np.finfo(F.dtype).tiny))
        F = F if T == 1 else F / T
    elif T != 1:
        F = F / T
    F = F - F.max(-1, keepdims=True)
    F -= np.log(np.exp(F).sum(-1, keepdims=True))
    return F


def _softmax_scores(
    F: Float[np.ndarray, "b k"], every: Int[np.ndarray, " b"], y: Int[np.ndarray, " b"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the label's probability, the largest one, whether this is the label's alone, and the sum of squares."""
    F = F - F.max(-1, keepdims=True)
    top = F[every, y]
    np.exp(F, out=F)
    total = F.sum(-1)
    own, confidence = np.exp(top) / total, 1 / total
    return own, confidence, _right(F, F[every, y], np.ones(len(y)), every, y), np.einsum("bk,bk->b", F, F) / total**2


def _right(
    q: np.ndarray, own: np.ndarray, largest: np.ndarray, every: np.ndarray, y: np.ndarray
) -> Bool[np.ndarray, " b"]:
    """Return where the label's output is the largest, and no other equals it: a tie is an error, as everywhere."""
    right = own == largest
    unsure = np.flatnonzero(right & (2 * own <= q.sum(-1) + 1e-9))  # a tie needs twice as much
    right[unsure] = (q[unsure] == largest[unsure, None]).sum(-1) == 1
    return right


def fit_temperature(F: Float[np.ndarray, "n k"], y: Int[np.ndarray, " n"], scale: str = "logits") -> float:
    """Return the temperature between 0.05 and 20 at which the NLL is least.

    Parameters
    ----------
    F : array of shape [n, k]
        Outputs, which must be held out from what is then measured.
    y : array of int, shape [n]
        True classes.
    scale : {"logits", "probabilities"}
        What the outputs are.
    """
    import scipy.optimize

    logits = log_softmax(F, scale)

    def nll(log_T: float) -> float:
        own = log_softmax(logits, "logits", math.exp(log_T))[np.arange(len(y)), y]
        return float(-np.maximum(own, math.log(SMALLEST)).mean())

    bounds = math.log(0.05), math.log(20)
    return float(math.exp(scipy.optimize.minimize_scalar(nll, bounds=bounds, method="bounded").x))
