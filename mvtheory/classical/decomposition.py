r"""Classical explanations of ensembles: variance for bagging, margins for boosting.

Each function takes the outputs of the members of an ensemble on some inputs, and returns a score, a decomposition or a
bound.
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
    """Return the expected error if ties for the largest output are broken at random.

    The votes of two trees for two classes are then right half of the time. (:func:`mvtheory.measurement.error_rate`
    counts a tie as an error.)

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
    r"""Return the Brier score of probabilities p, the mean of :math:`\sum_i (p_i - \mathbb 1\{y = i\})^2`.

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
    """Return the score of the average of members, by their number: a mean over subsets.

    Parameters
    ----------
    p : array, shape [B, n, k]
        Outputs of B members.
    y : array of int, shape [n]
        Labels.
    sizes : iterable of int, in [1, B]
        Numbers of members.
    score : callable
        `error_with_shared_ties`, `brier_score` or another function of outputs and labels.
    choices : int, >= 1
        Largest number of subsets of each size; if there are more, so many are drawn at random.
    seed : int, >= 0
        Seed of the random subsets.
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
    """Decompose the Brier score of one member into squared bias and variance.

    An average of B independent, identically distributed members has the expected score ``bias + variance / B``. The
    estimates are unbiased, so that of the squared bias may be negative.

    Parameters
    ----------
    p : array, shape [B, n, k]
        Probabilities of B >= 2 members.
    y : array of int, shape [n]
        Labels.

    Returns
    -------
    bias, variance : float
        Squared bias and variance, means over the inputs.
    """
    _check_members(p, y, low=2)
    variance = float(p.var(0, ddof=1).sum(-1).mean())
    return float(np.mean([brier_score(member, y) for member in p])) - variance, variance


def decompose_over_training_sets(
    p: Float[np.ndarray, "T B n k"], y: Int[np.ndarray, " n"]
) -> tuple[float, float, float]:
    """Decompose the Brier score of one member, where members come from several training sets.

    An average of B members of one training set has the expected score ``bias + between + within / B``.

    Parameters
    ----------
    p : array, shape [T, B, n, k]
        Probabilities of B >= 2 members on each of T >= 2 training sets.
    y : array of int, shape [n]
        Labels.

    Returns
    -------
    bias, between, within : float
        Squared bias, variance between training sets and variance within a training set.
    """
    check_int("T (first axis of p)", len(p), low=2)
    bias, within = np.mean([decompose_brier(members, y) for members in p], 0)
    between = float(p.mean(1).var(0, ddof=1).sum(-1).mean()) - within / p.shape[1]
    return float(bias) - between, between, float(within)


def variance_curve(errors: Float[np.ndarray, " L"]) -> Float[np.ndarray, " L"]:
    r"""Return the errors of averages of 1, 2, ..., L members if the error falls like a variance.

    The variance of an average falls like 1/L. If the error follows it, :math:`e_L = f + (e_1 - f) / L` with a floor
    :math:`f \ge 0`. The floor is determined by the first and the last error; no parameter is fitted.

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
    r"""Return the bound on the error of an average of L members from the mean and variance of their margins.

    The margin of an input is the output of the label minus that of the strongest rival in the members' average; over
    the members it has a mean m and a variance s^2. If m > 0, Cantelli's inequality bounds the probability that the
    margin of an average of L is not positive by :math:`1 / (1 + L m^2 / s^2)`. Otherwise the bound is 1.

    Parameters
    ----------
    p : array, shape [B, n, k]
        Outputs of B >= 2 members.
    y : array of int, shape [n]
        Labels.
    sizes : iterable of int, >= 1
        Numbers L of members.

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
    square = np.where(mean > 0, mean, np.nan) ** 2
    return np.array([np.nan_to_num(variance / (variance + size * square), nan=1.0).mean() for size in sizes])


def staged_votes(boosted: AdaBoostClassifier, X: Any) -> Float[np.ndarray, "rounds n k"]:
    """Return the votes of a boosted ensemble after each round, as fractions that sum to 1.

    Parameters
    ----------
    boosted : AdaBoostClassifier
        Fitted.
    X : array
        Inputs, in the format of `fit`.

    Returns
    -------
    array, shape [rounds, n, k]
    """
    check_is_fitted(boosted)
    predicted = np.stack([member.predict(X) for member in boosted.estimators_])
    weights = boosted.estimator_weights_[: len(predicted), None, None]
    votes = weights * (predicted[..., None] == boosted.classes_)
    return votes.cumsum(0) / weights.cumsum(0)


def margins(votes: Float[np.ndarray, "*stack n k"], y: Int[np.ndarray, " n"], rival: str = "strongest") -> np.ndarray:
    """Return the votes for the label minus those for its rival.

    Parameters
    ----------
    votes : array, shape [..., n, k]
        Votes for each class, as fractions.
    y : array of int, shape [n]
        Labels, 0 to k - 1.
    rival : {"strongest", "average"}
        The other class with the most votes, or the mean of the other classes. Over the strongest rival, the margin is
        positive where the prediction is right; over the average rival, also where some predictions are wrong.

    Returns
    -------
    array, shape [..., n]
        In [-1, 1].
    """
    check_choice("rival", rival, ("strongest", "average"))
    y = check_labels("y", y, votes.shape[-1])
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
    r"""Return the bound on the fraction of training inputs whose margin over the average rival is at most theta.

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
        Positive weights of the rounds.
    k : int, >= 2
        Number of classes.
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
