"""The error of averages of 1, 2, ..., L nets: over all subsets of a size, or over a sample of them.

Only a class whose output is at least that of the label in some net can beat the label in an average. All others are
left out, which makes all 4095 averages of 12 nets cheap also with a thousand classes.

A sample of subsets is made of chains: the nets in a random order, of which the first 1, 2, ... are averaged, from
several starts around the circle, so that no net is preferred. There are `ORDERS` such orders, and the spread between
them gives the error of the sampling.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from mvtheory.decision.chains import chain_subsets, every_subset, gather, neighbours, widths

__all__ = ["EXACT", "ORDERS", "SubsetCounter", "Subsets", "average_errors"]

#: Up to so many nets, every subset of them is averaged.
EXACT = 12

#: Random orders of the nets in a sample of subsets.
ORDERS = 8

_LEADERS = 6  # candidates with which all others are compared
_ROW_BUDGET = 2e10  # candidate outputs times subsets of all inputs, beyond which subsets are sampled
_PIECE = 2**18  # numbers at a time: so many that the calls are cheap, so few that they stay in a processor's cache


@dataclass(frozen=True)
class Subsets:
    """Errors of averages of nets.

    Attributes
    ----------
    errs : array of bool, shape [L, n]
        Which inputs each net misclassifies.
    average_errs : array of bool, shape [n]
        Which inputs the average of all misclassifies.
    others_err : array of bool, shape [L, n]
        Which inputs the average of all but one net misclassifies, by that net.
    by_size : array of shape [L, n]
        On each input, the share of the averages of 1, ..., L nets that err.
    without : array of shape [L, L - 1]
        Error of averages of 1, ..., L - 1 nets that lack one net, by that net (first axis).
    disagree, resolved : array of shape [L, L]
        For each two nets, the number of inputs that exactly one of them gets right, and of those of them that their
        average gets right; 0 for two that were not sampled, and below the diagonal.
    disagree_by_input, resolved_by_input : array of shape [n]
        The same by input.
    sampling : array of shape [L]
        Standard error of the mean over inputs of `by_size` by the sampling of subsets; 0 where all were averaged.
    """

    errs: Bool[np.ndarray, "L n"]
    average_errs: Bool[np.ndarray, " n"]
    others_err: Bool[np.ndarray, "L n"]
    by_size: Float[np.ndarray, "L n"]
    without: Float[np.ndarray, "L L-1"]
    disagree: Float[np.ndarray, "L L"]
    resolved: Float[np.ndarray, "L L"]
    disagree_by_input: Float[np.ndarray, " n"]
    resolved_by_input: Float[np.ndarray, " n"]
    sampling: Float[np.ndarray, " L"]

    @property
    def corrected_by_input(self) -> Float[np.ndarray, " n"]:
        """The errors that another net gets right, a mean over the other nets, summed over nets."""
        L, count = len(self.errs), self.errs.sum(0).astype(float)
        return count * (L - count) / (L - 1)

    @property
    def corrected(self) -> float:
        """Fraction of one net's errors that another gets right; NaN where none errs."""
        errors = self.errs.sum()
        return float(self.corrected_by_input.sum() / errors) if errors else math.nan

    @property
    def resolved_share(self) -> float:
        """Fraction of the disagreements of two nets that their average gets right; NaN where there is none."""
        disagreements = self.disagree_by_input.sum()
        return float(self.resolved_by_input.sum() / disagreements) if disagreements else math.nan

    def lacking(self) -> dict[str, Float[np.ndarray, " L"]]:
        """Return the numbers of a diagnosis without each net, for the jackknife; NaN where they are undefined."""
        L, one, most = len(self.errs), self.without[:, 0], self.without[:, -1]
        count = self.errs.sum(0) - self.errs
        with np.errstate(divide="ignore", invalid="ignore"):
            pairs = [part.sum() - part.sum(0) - part.sum(1) for part in (self.disagree.astype(float), self.resolved)]
            return {
                "one": one,
                "all": most,
                "gain": one - most,
                "removed": 1 - most / one,
                "corrected": (count * (L - 1 - count)).sum(1) / max(L - 2, 1) / count.sum(1),
                "resolved": pairs[1] / pairs[0],
                "factor": self.without[:, 1:].sum(1) / self.without[:, :-1].sum(1),
                "floor": (count == L - 1).mean(1),
            }

    def noise(self) -> dict[str, float]:
        """Return how much of the squared standard error of the jackknife comes from the sample of inputs alone.

        This is that of errors and gains, which the interval over inputs has already.
        """
        L, n = self.errs.shape
        one = (self.errs.sum(0) - self.errs) / (L - 1)
        ratio = self.others_err.mean() / max(one.mean(), 1e-300)
        values = {
            "one": one,
            "all": self.others_err,
            "gain": one - self.others_err,
            "removed": (ratio * one - self.others_err) / max(one.mean(), 1e-300),
        }
        return {
            name: float((L - 1) / L * (value - value.mean(0)).var(1).sum() / (n - 1)) for name, value in values.items()
        }


class SubsetCounter:
    """Adds up the errors of averages over blocks of inputs.

    Parameters
    ----------
    L, n : int
        Nets and inputs.
    seed : int
        Decides the sample of subsets.
    """

    def __init__(self, L: int, n: int, seed: int = 0) -> None:
        self.L, self.n = L, n
        rng = np.random.default_rng(seed)
        self.orders = [rng.permutation(L) for _ in range(ORDERS)]
        self.errs, self.others_err = np.zeros((2, L, n), bool)
        self.by_size, self.groups = np.zeros((L, n)), np.zeros((ORDERS, L))
        self.disagree, self.resolved = np.zeros((2, L, L))
        self.disagree_by_input, self.resolved_by_input = np.zeros((2, n))
        self.without = np.zeros((L, L))
        self.waiting: dict[int, list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = {}

    def add(self, rows: slice, F: Float[np.ndarray, "L b k"], y: Int[np.ndarray, " b"]) -> None:
        """Add the inputs of a block."""
        label = np.broadcast_to(y[None, :, None], (self.L, len(y), 1))
        own = np.take_along_axis(F, label, -1)
        candidates = own <= F
        np.put_along_axis(candidates, label, False, -1)
        rivals = np.any(candidates, 0) & ~_dominated(F, candidates)
        counts = rivals.sum(-1)
        for width in np.unique(widths(counts[counts > 0])).tolist():  # where there is none every average is right
            piece = np.flatnonzero((counts > 0) & (widths(counts) == width))
            waiting = self.waiting.setdefault(width, [])
            waiting.append((rows.start + piece, own[:, piece, 0], gather(F[:, piece], rivals[piece], width)))
            if sum(len(part[0]) for part in waiting) * width * self.L >= _PIECE:
                self._flush(width)

    def _flush(self, width: int) -> None:
        """Average the nets on all waiting inputs of as many candidates."""
        inputs, own, rivals = (np.concatenate(parts, -1) for parts in zip(*self.waiting.pop(width), strict=True))
        self._add_piece(inputs, own, rivals, self._is_sampled(width))

    def _is_sampled(self, candidates: int) -> bool:
        return self.L > EXACT or candidates * 2.0**self.L > _ROW_BUDGET / self.n

    def _add_piece(
        self,
        inputs: Int[np.ndarray, " r"],
        own: Float[np.ndarray, "L r"],
        rivals: Float[np.ndarray, "L c r"],
        many: bool,
    ) -> None:
        L = self.L
        singles = ~(own > rivals.max(1))
        self.errs[:, inputs] = singles
        by_size, groups = np.zeros((L, len(inputs))), np.zeros((ORDERS, L))
        count, holding, holding_count = np.zeros(L), np.zeros((L, L)), np.zeros((L, L))
        for group, members, own_sum, rival_sum in (
            chain_subsets(own, rivals, self.orders) if many else every_subset(own, rivals)
        ):
            size = len(members) - 1
            err = ~(own_sum > rival_sum.max(0))
            total = np.count_nonzero(err)
            by_size[size] += err
            count[size] += 1
            groups[group, size] += total
            holding[members, size] += total
            holding_count[members, size] += 1
            if size == L - 2 and not many:
                self.others_err[(set(range(L)) - set(members)).pop(), inputs] = err
            if size == 1 and not many:
                self._add_pair(inputs, singles, members[0], members[1], err)
        lacking = (by_size.sum(1) - holding) / np.maximum(count - holding_count, 1)
        by_size /= count[:, None]
        groups *= ORDERS / count
        if many:
            for a, b in neighbours(self.orders):
                self._add_pair(inputs, singles, a, b, ~(own[a] + own[b] > (rivals[a] + rivals[b]).max(0)))
            # The average of all but one net, and each net alone, are not left to chance.
            own_all, rival_all = own.sum(0), rivals.sum(0)
            for net in range(L):
                err = ~(own_all - own[net] > (rival_all - rivals[net]).max(0))
                self.others_err[net, inputs] = err
                lacking[net, L - 2] = err.sum()
            by_size[0] = singles.mean(0)
            lacking[:, 0] = (singles.sum() - singles.sum(1)) / (L - 1)
        for size in [0, L - 1] if many else range(L):
            groups[:, size] = by_size[size].sum()
        self.by_size[:, inputs] = by_size
        self.groups += groups
        self.without += lacking

    def _add_pair(
        self, inputs: Int[np.ndarray, " r"], errs: Bool[np.ndarray, "L r"], a: int, b: int, err: Bool[np.ndarray, " r"]
    ) -> None:
        disagree = errs[a] ^ errs[b]
        resolved = disagree & ~err
        self.disagree[a, b] += disagree.sum()
        self.resolved[a, b] += resolved.sum()
        self.disagree_by_input[inputs] += disagree
        self.resolved_by_input[inputs] += resolved

    def result(self) -> Subsets:
        """Return what was counted."""
        for width in list(self.waiting):
            self._flush(width)
        spread = self.groups.std(0, ddof=1) / math.sqrt(ORDERS) / self.n
        spread[spread < 1e-12] = 0  # rounding
        return Subsets(
            errs=self.errs,
            average_errs=self.by_size[-1] > 0.5,
            others_err=self.others_err,
            by_size=self.by_size,
            without=self.without[:, : self.L - 1] / self.n,
            disagree=self.disagree,
            resolved=self.resolved,
            disagree_by_input=self.disagree_by_input,
            resolved_by_input=self.resolved_by_input,
            sampling=spread,
        )


def _dominated(F: Float[np.ndarray, "L b k"], candidates: Bool[np.ndarray, "L b k"]) -> Bool[np.ndarray, "b k"]:
    """Return classes whose outputs are nowhere above those of one candidate: wherever they prevail, it does, too."""
    b, k = F.shape[1:]
    found = np.zeros((b, k), bool)
    if k <= _LEADERS:
        return found
    total = np.where(candidates.any(0), F.sum(0), -math.inf)
    leaders = np.argpartition(total, k - _LEADERS, axis=-1)[:, -_LEADERS:]
    for leader in leaders.T:  # each is kept, unless an earlier one dominates it
        above = np.take_along_axis(F, np.broadcast_to(leader[None, :, None], (len(F), b, 1)), -1) >= F
        worse = above.all(0) & ~np.take_along_axis(found, leader[:, None], -1)
        worse &= np.isfinite(np.take_along_axis(total, leader[:, None], -1))
        np.put_along_axis(worse, leader[:, None], False, -1)
        found |= worse
    return found


def average_errors(F: Float[np.ndarray, "L n k"], y: Int[np.ndarray, " n"], seed: int = 0) -> Subsets:
    """Return the errors of averages of nets whose outputs are in memory.

    Parameters
    ----------
    F : array of shape [L, n, k]
        Finite outputs of at least 2 nets, averaged as they are.
    y : array of int, shape [n]
        True classes. A tie is an error.
    seed : int
        Decides the sample of subsets, where there are too many of them.

    Returns
    -------
    Subsets
    """
    counter = SubsetCounter(F.shape[0], F.shape[1], seed)
    counter.add(slice(0, F.shape[1]), np.asarray(F, dtype=np.float64), y)
    return counter.result()
