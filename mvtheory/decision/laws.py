r"""How the error falls with the number of nets: two laws, which of them fits, and how many nets are enough.

**Coverage**: each net knows a part of the inputs, and who knows prevails. Each further net multiplies what can be
removed by :math:`\rho`: the error is :math:`f + A\rho^{L-1}`. With M views of equal chance, :math:`\rho = 1 - 1/M`,
and the error is proportional to :math:`(1 - 1/M)^L`.

**Variance**: nets are one function and independent noise, whose average has the variance 1/L. Where margins spread more
widely than this noise, the error follows it: :math:`f + B/L`.

Both have a floor f, where no net knows. Laws are fitted by least squares with f, A, B >= 0 and :math:`\rho` on a grid.
The share of the gain from coverage is that of the term :math:`A\rho^{L-1}` in a fit of all three terms. What is unsure
is measured by a bootstrap over inputs and the jackknife over nets. Curves of few points cannot tell; then this is what
is said.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import scipy
from jaxtyping import Float

from mvtheory.decision.intervals import TAIL, jackknife
from mvtheory.measurement import Estimate

__all__ = ["Laws", "fit_laws", "law_errors"]

_RATES = np.linspace(0.05, 0.95, 37)
_TERMS = {"coverage": (0, 1), "variance": (0, 2), "both": (0, 1, 2)}  # floor, coverage, variance
_REPLICATES = 100
_MOST = 10_000  # nets
_PREVAILS = 0.75  # share of the disagreements that are resolved, half way from chance to always


@dataclass(frozen=True)
class Laws:
    """Which law the error follows.

    Attributes
    ----------
    curve : tuple of float
        Error of averages of 1, 2, ..., L nets.
    coverage, variance : tuple of float
        Floor, A and rho of the first law; floor and B of the second.
    misfit : dict of str to float
        Root mean square of the deviations of each law, relative to the error of one net.
    better : str
        ``"coverage"`` or ``"variance"`` if one law fits better beyond chance, ``"vote"`` if it is coverage but
        disagreements are resolved by little more than chance, ``"neither"`` if averaging does not reduce the error,
        ``"cannot tell"`` otherwise.
    coverage_share : Estimate or None
        Share of the gain from coverage, with the interval over inputs and seeds; None if nothing is gained, or by a
        vote.
    """

    curve: tuple[float, ...]
    coverage: tuple[float, float, float]
    variance: tuple[float, float]
    misfit: dict[str, float]
    better: str
    coverage_share: Estimate | None

    def error(self, L: int, law: str) -> float:
        """Return the error of an average of L nets: as measured, or by a law beyond."""
        if len(self.curve) >= L:
            return self.curve[L - 1]
        return float(law_errors(law, self.coverage if law == "coverage" else self.variance, np.array([float(L)]))[0])

    def members(self, least: float, law: str) -> int | None:
        """Return after how many nets one more removes less than the share `least` of one net's errors.

        Parameters
        ----------
        least : float, > 0
            The share that is asked for.
        law : {"coverage", "variance"}
            What holds beyond the nets that were measured.

        Returns
        -------
        int or None
            None if more than 10,000.
        """
        first, size = self.curve[0], 1
        if first == 0:
            return 1
        while size < _MOST:
            if self.error(size, law) - self.error(size + 1, law) < least * first:
                return size
            size += 1
        return None


def law_errors(law: str, parameters: tuple[float, ...], L: Float[np.ndarray, " s"]) -> Float[np.ndarray, " s"]:
    """Return the errors of averages of L nets by a law with the parameters of `Laws`."""
    if law == "coverage":
        floor, A, rho = parameters
        return floor + A * rho ** (np.asarray(L) - 1.0)
    floor, B = parameters
    return floor + B / np.asarray(L, dtype=float)


def fit_laws(
    by_size: Float[np.ndarray, "L n"],
    without: Float[np.ndarray, "L L-1"],
    resolved: Estimate | None = None,
    seed: int = 0,
) -> Laws | None:
    """Fit both laws, and say which of them holds.

    Parameters
    ----------
    by_size : array of shape [L, n]
        On each input, the share of the averages of 1, ..., L nets that err.
    without : array of shape [L, L - 1]
        The error of averages of 1, ..., L - 1 nets without one net, by that net.
    resolved : Estimate, optional
        Of the disagreements of two nets, the share that their average resolves. Who knows does not prevail where less
        than half of what is above chance is resolved, whatever the shape of the curve.
    seed : int
        Decides the bootstrap.

    Returns
    -------
    Laws or None
        None if the nets are fewer than 4, or do not err.
    """
    L, n = by_size.shape
    curve = by_size.mean(1)
    if L < 4 or curve[0] <= 0:
        return None
    weights = np.random.default_rng(seed).standard_exponential((_REPLICATES, n))
    replicates = weights @ by_size.T / weights.sum(1, keepdims=True)
    curves = np.vstack([curve, replicates])
    fits, more = _fit(curves), _fit(without)
    gain = 1 - curves[:, -1] / curves[:, 0]

    def spread(over_inputs: np.ndarray, by_net: np.ndarray) -> float:
        """Return the half-width over inputs and seeds."""
        t = float(scipy.stats.t.ppf(1 - TAIL, L - 1))
        return math.hypot(scipy.stats.norm.ppf(1 - TAIL) * over_inputs[1:].std(ddof=1), t * jackknife(by_net))

    if gain[0] <= spread(gain, np.zeros(L)):  # for the nets at hand
        better = "neither"
    else:
        differ, differ_without = fits["variance"][0] - fits["coverage"][0], more["variance"][0] - more["coverage"][0]
        clear = abs(differ[0]) > spread(differ, differ_without)
        better = "cannot tell" if not clear else "coverage" if differ[0] > 0 else "variance"
        if better == "coverage" and resolved is not None and resolved.high < _PREVAILS:
            better = "vote"
    share = None
    if better not in ("neither", "vote"):
        value, half = float(fits["both"][4][0]), spread(fits["both"][4], more["both"][4])
        share = Estimate(value, max(0.0, value - half), min(1.0, value + half), L, 1)
    _, floor, A, _, _, rho = (float(part[0]) for part in fits["coverage"])
    _, variance_floor, _, B, _, _ = (float(part[0]) for part in fits["variance"])
    misfit = {law: math.sqrt(max(float(fits[law][0][0]), 0.0) / L) for law in ("coverage", "variance")}
    return Laws(
        tuple(map(float, curve)), (floor * curve[0], A * curve[0], rho), (variance_floor * curve[0], B * curve[0]),
        misfit, better, share,
    )  # fmt: skip


def _fit(curves: Float[np.ndarray, "r s"]) -> dict[str, list[np.ndarray]]:
    """Return by law the squared deviations, floor, A, B, coverage share and rho of each curve, relative to one net."""
    e = curves / np.maximum(curves[:, :1], 1e-300)
    sizes = np.arange(1, curves.shape[1] + 1)
    found = {}
    for law, terms in _TERMS.items():
        best: list[np.ndarray] | None = None
        for rho in _RATES if 1 in terms else _RATES[:1]:
            columns = np.stack([np.ones(len(sizes)), rho ** (sizes - 1.0), 1 / sizes], 1)
            for chosen in (c for size in range(1, len(terms) + 1) for c in combinations(terms, size)):
                design = columns[:, chosen]
                factors = np.zeros((len(e), 3))
                factors[:, chosen] = e @ np.linalg.pinv(design).T
                squares = ((e - factors @ columns.T) ** 2).sum(1)
                squares[(factors < -1e-12).any(1)] = math.inf
                falls = factors[:, 1] * (1 - rho ** (sizes[-1] - 1.0)), factors[:, 2] * (1 - 1 / sizes[-1])
                share = falls[0] / np.maximum(falls[0] + falls[1], 1e-300)
                new = [squares, *factors.T, share, np.full(len(e), rho)]
                better = squares < (best[0] - 1e-15 if best else math.inf)
                best = new if best is None else [np.where(better, a, b) for a, b in zip(new, best, strict=True)]
        assert best is not None
        found[law] = best
    return found
