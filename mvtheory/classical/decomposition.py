r"""What is said to explain ensembles: variance for bagging, margins for boosting.

Each function takes what members of an ensemble say on some inputs, and returns what one of the accounts makes of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from sklearn.ensemble import AdaBoostClassifier
from sklearn.utils.validation import check_is_fitted

from mvtheory._check import check_choice, check_int, check_labels, check_number, check_shape

__all__ = [
    "brier_score",
    "cantelli_bound",
    "decompose_brier",
    "decompose_over_training_sets",
    "error_with_shared_ties",
    "margin_bound",
    "margins",
    "score_by_size",
    "staged_votes",
    "variance_curve",
]


def error_with_shared_ties(G: Float[np.ndarray, "n k"], y: Int[np.ndarray, " n"]) -> float:
    """Return the error where a tie for the largest output is settled at random.

    Two trees that name two classes are then right half of the time. (:func:`mvtheory.measurement.error_rate` counts
    a tie as an error.)

    Parameters
    ----------
    G : array, shape [n, k]
        Outputs.
    y : array of int, shape [n]
        Labels.
    """
    top = G.max(-1, keepdims=True) == G
    return float(1 - (top[np.arange(len(y)), y] / top.sum(-1)).mean())


def brier_score(G: Float[np.ndarray, "n k"], y: Int[np.ndarray, " n"]) -> float:
    r"""Return Brier's score of probabilities p, the mean of :math:`\sum_i (p_i - \mathbb 1\{y = i\})^2`.

    Parameters
    ----------
    G : array, shape [n, k]
        Probabilities.
    y : array of int, shape [n]
        Labels.
    """
    return float(((G - np.eye(G.shape[-1])[y]) ** 2).sum(-1).mean())


def score_by_size(
    p: Float[np.ndarray, "B n k"],
    y: Int[np.ndarray, " n"],
    sizes: Iterable[Any],
    score: Callable[[np.ndarray, np.ndarray], float] = error_with_shared_ties,
    *,
    choices: int = 300,
    seed: int = 0,
) -> Float[np.ndarray, " sizes"]:
    """Return the score of averages of members, by size: a mean over choices of members.

    Parameters
    ----------
    p : array, shape [B, n, k]
        Outputs of B members.
    y : array of int, shape [n]
        Labels.
    sizes : iterable of int, in [1, B]
        Members in an average.
    score : callable
        `shared_error`, `squared_loss` or another function of outputs and labels.
    choices : int, >= 1
        All choices of a size are taken where there are no more than so many, else so many are drawn.
    seed : int, >= 0
        Seed of that draw.
    """
    _check_members(p, y)
    check_int("choices", choices, low=1)
    rng, members = np.random.default_rng(seed), range(len(p))
    scores = []
    for size in sizes:
        check_int("sizes", size, low=1, high=len(p))
        chosen: Iterable[Any] = combinations(members, size)
        if math.comb(len(p), size) > choices:
            chosen = (rng.choice(len(p), size, replace=False) for _ in range(choices))
        scores.append(np.mean([score(p[list(choice)].mean(0), y) for choice in chosen]))
    return np.array(scores)


def decompose_brier(p: Float[np.ndarray, "B n k"], y: Int[np.ndarray, " n"]) -> tuple[float, float]:
    """Split the squared loss of one member into what an average of members keeps and what it loses.

    For members that are independent and alike, an average of B has the expected loss ``kept + lost / B``. Both are
    estimated without bias, so `kept` may come out below 0.

    Parameters
    ----------
    p : array, shape [B, n, k]
        Probabilities of B >= 2 members.
    y : array of int, shape [n]
        Labels.

    Returns
    -------
    kept, lost : float
        Squared bias and variance, means over the inputs.
    """
    _check_members(p, y, low=2)
    lost = float(p.var(0, ddof=1).sum(-1).mean())
    return float(np.mean([brier_score(member, y) for member in p])) - lost, lost


def decompose_over_training_sets(
    p: Float[np.ndarray, "T B n k"], y: Int[np.ndarray, " n"]
) -> tuple[float, float, float]:
    """Split the squared loss of one member in three, where members come from several training sets.

    An average of B members of one training set has the expected loss ``bias + shared + lost / B``.

    Parameters
    ----------
    p : array, shape [T, B, n, k]
        Probabilities of B >= 2 members on each of T >= 2 training sets.
    y : array of int, shape [n]
        Labels.

    Returns
    -------
    bias, shared, lost : float
        Squared bias; variance from set to set, which members of one set share; variance within a set.
    """
    check_int("T (first axis of p)", len(p), low=2)
    kept, lost = np.mean([decompose_brier(members, y) for members in p], 0)
    shared = float(p.mean(1).var(0, ddof=1).sum(-1).mean()) - lost / p.shape[1]
    return float(kept) - shared, shared, float(lost)


def variance_curve(errors: Float[np.ndarray, " L"]) -> Float[np.ndarray, " L"]:
    r"""Return the errors that an account by variance gives to averages of 1, 2, ..., L members.

    A variance falls like 1/L. If the error follows it, :math:`e_L = f + (e_1 - f) / L` with a floor
    :math:`f \ge 0`. It is matched to the first and to the last error, as far as a floor can: nothing is left free.

    Parameters
    ----------
    errors : array, shape [L]
        Measured errors of averages of 1, 2, ..., L >= 2 members.

    Returns
    -------
    array, shape [L]
    """
    L = check_int("L (length of errors)", len(errors), low=2)
    floor = max(0.0, (L * errors[-1] - errors[0]) / (L - 1))
    return floor + (errors[0] - floor) / np.arange(1, L + 1)


def cantelli_bound(
    p: Float[np.ndarray, "B n k"], y: Int[np.ndarray, " n"], sizes: Iterable[Any]
) -> Float[np.ndarray, " s"]:
    r"""Return the error that mean and variance alone can promise to an average of L members.

    An input's margin, the output of the label minus that of the strongest rival of the members' average, has over
    the members a mean m and a variance s^2. If m > 0, Cantelli's inequality bounds the probability that the margin of
    an average of L is not positive by :math:`1 / (1 + L m^2 / s^2)`. If not, nothing is promised: 1.

    Parameters
    ----------
    p : array, shape [B, n, k]
        Outputs of B >= 2 members.
    y : array of int, shape [n]
        Labels.
    sizes : iterable of int, >= 1
        Members in an average.

    Returns
    -------
    array, shape [sizes]
        Means over the inputs.
    """
    _check_members(p, y, low=2)
    rows = np.arange(len(y))
    rivals = p.mean(0)
    rivals[rows, y] = -np.inf
    margin = p[:, rows, y] - p[:, rows, rivals.argmax(-1)]
    mean, variance = margin.mean(0), margin.var(0, ddof=1)
    odds = np.where(mean > 0, mean, np.nan) ** 2
    return np.array([np.nan_to_num(variance / (variance + size * odds), nan=1.0).mean() for size in sizes])


def staged_votes(boosted: AdaBoostClassifier, X: Any) -> Float[np.ndarray, "rounds n k"]:
    """Return the votes of a boosted ensemble after each round, as shares that sum to 1.

    Parameters
    ----------
    boosted : AdaBoostClassifier
        Fitted.
    X : array
        Inputs, as it was fitted to.

    Returns
    -------
    array, shape [rounds, n, k]
    """
    check_is_fitted(boosted)
    named = np.stack([member.predict(X) for member in boosted.estimators_])
    weights = boosted.estimator_weights_[: len(named), None, None]
    votes = weights * (named[..., None] == boosted.classes_)
    return votes.cumsum(0) / weights.cumsum(0)


def margins(votes: Float[np.ndarray, "*stack n k"], y: Int[np.ndarray, " n"], rival: str = "strongest") -> np.ndarray:
    """Return what the label gets more than its rival: positive where the answer is right.

    Parameters
    ----------
    votes : array, shape [..., n, k]
        Votes for each class, as shares.
    y : array of int, shape [n]
        Labels, 0 to k - 1.
    rival : {"strongest", "average"}
        The other class with most votes, or the mean of the others (then a right answer may have any rank among
        positive margins, but a margin that is not positive is a wrong answer or a tie).

    Returns
    -------
    array, shape [..., n]
        In [-1, 1].
    """
    check_choice("rival", rival, ("strongest", "average"))
    check_labels("y", y, votes.shape[-1])
    check_shape("votes", votes, (..., len(y), None))
    rows = np.arange(len(y))
    own = votes[..., rows, y]
    if rival == "average":
        return own - (votes.sum(-1) - own) / (votes.shape[-1] - 1)
    others = votes.copy()
    others[..., rows, y] = -np.inf
    return own - others.max(-1)


def margin_bound(
    errors: Float[np.ndarray, " rounds"], weights: Float[np.ndarray, " rounds"], k: int, theta: float | int
) -> Float[np.ndarray, " rounds"]:
    r"""Return the bound on the share of training inputs whose margin over the average rival is at most theta.

    After each round of boosting whose members had the weighted training errors :math:`\varepsilon_t` and got the
    weights :math:`\alpha_t`:

    .. math:: \prod_t \big(1 - \varepsilon_t + \varepsilon_t e^{\alpha_t}\big)\, e^{-\alpha_t (1 - \theta)(1 - 1/k)}.

    With the weights of AdaBoost (SAMME), :math:`\alpha_t = \log((1 - \varepsilon_t)/\varepsilon_t) + \log(k - 1)`, the
    first factor is :math:`k (1 - \varepsilon_t)`.

    Parameters
    ----------
    errors : array, shape [rounds]
        In [0, 1].
    weights : array, shape [rounds]
        Positive.
    k : int, >= 2
        Classes.
    theta : float, in [-1, 1]
        The margin.

    Returns
    -------
    array, shape [rounds]
    """
    check_shape("weights", weights, errors.shape)
    check_int("k", k, low=2)
    check_number("theta", theta, low=-1, high=1)
    factors = 1 - errors + errors * np.exp(weights)
    return np.exp(np.cumsum(np.log(factors) - weights * (1 - theta) * (1 - 1 / k)))


def _check_members(p: np.ndarray, y: np.ndarray, low: int = 1) -> None:
    """Check the probabilities of members, and labels that fit them."""
    check_int("B (members in p)", len(p), low=low)
    n, k = check_shape("p", p, (..., "n", "k")).values()
    check_labels("y", y, k)
    check_shape("y", y, (n,))
