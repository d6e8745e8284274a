"""Is an ensemble worth it where the target is a number? MSE and Gaussian NLL of one net and of averages.

Here the law of variance holds exactly: the MSE of the average of L nets is that of one net less the share (L - 1)/L of
the variance of the nets, a mean over inputs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mvtheory._arrays import to_numpy, to_outputs
from mvtheory._check import check_finite, check_int, check_shape
from mvtheory.decision.intervals import mean_of, ratio_of, side, widened
from mvtheory.measurement import Estimate

__all__ = ["RegressionDiagnosis", "diagnose_regression"]


@dataclass(frozen=True)
class RegressionDiagnosis:
    """What `diagnose_regression` found; print it for a table.

    Attributes
    ----------
    n : int
        Test inputs.
    mse : tuple of Estimate
        Of one net, of an average of 2 nets, ..., of all L; means over all subsets of a size.
    removed : Estimate or None
        Fraction of one net's MSE that the average of all removes, over inputs; None if no net errs.
    removed_over_seeds : Estimate or None
        The same with the interval over inputs and seeds; None with fewer than three nets.
    nll : tuple of Estimate
        Gaussian NLL of one net, and of the mixture's Gaussian: the mean of the nets' means, with the variance of the
        mixture. Empty without variances.
    worth : float
        Fraction that must be removed.
    """

    n: int
    mse: tuple[Estimate, ...]
    removed: Estimate | None
    removed_over_seeds: Estimate | None
    nll: tuple[Estimate, ...]
    worth: float

    @property
    def verdict(self) -> str:
        """``"pays"``, ``"does not pay"`` or ``"inconclusive"``: `removed`, over inputs, against `worth`."""
        return side(self.removed, self.worth, "pays", "does not pay")

    def __str__(self) -> str:
        lines = [f"{len(self.mse)} nets, {self.n} test inputs; 95% intervals over inputs"]
        lines += [f"{f'MSE of an average of {size}':32}{value}" for size, value in enumerate(self.mse, 1)]
        lines += [f"{name:32}{value}" for name, value in zip(("NLL of one net", "NLL of all"), self.nll, strict=False)]
        seeds = self.removed_over_seeds
        wide = "" if seeds is None else f" With other seeds as well, {seeds.interval_text}."
        lines.append(f"Ensemble: {self.verdict}. Averaging removes {self.removed} of the MSE of one net.{wide}")
        return "\n".join(lines)


def diagnose_regression(means: Any, y: Any, variances: Any = None, *, worth: float = 0.1) -> RegressionDiagnosis:
    """Diagnose whether averaging pays where nets predict a number.

    Parameters
    ----------
    means : array of shape [L, n]
        Predictions of at least 2 nets.
    y : array of shape [n]
        True values.
    variances : array of shape [L, n], optional
        Variances that the nets predict, > 0, for the Gaussian NLL.
    worth : float
        Fraction of the MSE that must be removed for an ensemble to pay.

    Returns
    -------
    RegressionDiagnosis

    Raises
    ------
    ValueError, TypeError
        If an argument is not as above.

    Examples
    --------
    >>> found = diagnose_regression([[1.0, -1.0], [-1.0, 1.0]], [0.0, 0.0])
    >>> [float(e.value) for e in found.mse]
    [1.0, 0.0]
    """
    mu = check_finite("means", to_outputs("means", means).astype(float))
    L, n = check_shape("means", mu, ("L", "n")).values()
    check_int("L (first axis of means)", L, 2)
    check_int("n (second axis of means)", n, 2)
    target = check_finite("y", to_numpy("y", y).astype(float))
    check_shape("y", target, (n,))
    errors = ((mu - target) ** 2).mean(0)
    spread = mu.var(0, ddof=1)  # between nets
    by_size = [errors - (1 - 1 / size) * spread for size in range(1, L + 1)]
    removed = ratio_of(by_size[0] - by_size[-1], errors, L, low=-math.inf, events=False)
    others = [np.delete(mu, net, 0) for net in range(L)] if L > 2 else []
    without = [1 - ((part.mean(0) - target) ** 2).sum() / max(((part - target) ** 2).mean(0).sum(), 1e-300)
               for part in others]  # fmt: skip
    nll: tuple[Estimate, ...] = ()
    if variances is not None:
        sigma = check_finite("variances", to_outputs("variances", variances).astype(float))
        check_shape("variances", sigma, (L, n))
        if sigma.min() <= 0:
            raise ValueError(f"variances must be > 0; got {sigma.min()}")
        mean = mu.mean(0)
        whole = (sigma + mu**2).mean(0) - mean**2
        parts = _nll(mu, sigma, target).mean(0), _nll(mean, whole, target)
        nll = (
            mean_of(parts[0], L, -math.inf, math.inf, events=False),
            mean_of(parts[1], L, -math.inf, math.inf, events=False),
        )
    mse = tuple(mean_of(values, L, high=math.inf, events=False) for values in by_size)
    return RegressionDiagnosis(n, mse, removed, widened(removed, without, high=1.0) if without else None, nll, worth)


def _nll(mean: np.ndarray, variance: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (np.log(2 * math.pi * variance) + (y - mean) ** 2 / variance) / 2
