"""What is said to explain ensembles: variance and margins."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import refused, within
from sklearn.ensemble import AdaBoostClassifier
from sklearn.tree import DecisionTreeClassifier

from mvtheory.classical.decomposition import (
    brier_score,
    cantelli_bound,
    decompose_brier,
    decompose_over_training_sets,
    error_with_shared_ties,
    margin_bound,
    margins,
    score_by_size,
    staged_votes,
    variance_curve,
)


def members(*shape: int, seed: int = 0) -> np.ndarray:
    """Random probabilities."""
    return np.random.default_rng(seed).dirichlet(np.ones(shape[-1]), shape[:-1])


def labels(n: int, k: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(k, size=n)


def test_ties_are_shared():
    G = np.array([[1.0, 0, 0], [1, 1, 0], [0, 1, 1], [1, 1, 1]])
    assert error_with_shared_ties(G, np.array([0, 0, 0, 2])) == pytest.approx((0 + 1 / 2 + 1 + 2 / 3) / 4)


def test_squared_loss_is_the_score_of_brier():
    assert brier_score(np.array([[0.7, 0.2, 0.1]]), np.array([1])) == pytest.approx(0.49 + 0.64 + 0.01)


def test_averages_by_size_are_means_over_all_choices():
    p, y = members(5, 30, 3), labels(30, 3)
    for score in (error_with_shared_ties, brier_score):
        slow = [np.mean([score(p[list(c)].mean(0), y) for c in combinations(range(5), size)]) for size in (1, 2, 5)]
        assert score_by_size(p, y, (1, 2, 5), score) == pytest.approx(slow)


def test_few_choices_are_drawn_by_seed():
    p, y = members(12, 200, 3), labels(200, 3)
    every, few = (
        score_by_size(p, y, (4,), brier_score, choices=495),
        score_by_size(p, y, (4,), brier_score, choices=40),
    )
    spread = np.std([brier_score(p[list(c)].mean(0), y) for c in combinations(range(12), 4)])
    assert within(few[0], every[0], spread, 40)
    assert few[0] == score_by_size(p, y, (4,), brier_score, choices=40)[0] != every[0]
    assert few[0] != score_by_size(p, y, (4,), brier_score, choices=40, seed=1)[0]


@settings(deadline=None)
@given(st.integers(2, 6), st.integers(0, 5))
def test_the_loss_of_an_average_is_what_is_kept_and_a_share_of_what_is_lost(B, seed):
    p, y = members(B, 20, 4, seed=seed), labels(20, 4)
    kept, lost = decompose_brier(p, y)
    sizes = np.arange(1, B + 1)
    assert score_by_size(p, y, sizes, brier_score) == pytest.approx(kept + lost / sizes)


def test_a_coin_keeps_half_of_its_loss():
    B, n, k = 40, 500, 5
    y, rng = labels(n, k), np.random.default_rng(2)
    wrong = rng.dirichlet(np.ones(k), n)
    p = np.where(rng.random((B, n, 1)) < 0.5, np.eye(k)[y], wrong)
    kept, lost = decompose_brier(p, y)
    # Of each input the share that knows is binomial: its variance is estimated to within sqrt(2/B) at most.
    assert within(kept / (kept + lost), 0.5, 0.5, B * n)


def test_three_parts_are_found_again():
    T, B, n = 30, 8, 400
    rng = np.random.default_rng(3)
    bias, shared, lost = 0.3, 0.2, 0.4  # standard deviations of each of two coordinates
    truth = np.zeros((n, 2))
    truth[:, 0] = 1
    sets = shared * rng.standard_normal((T, 1, n, 2))
    p = truth + bias + sets + lost * rng.standard_normal((T, B, n, 2))
    found = decompose_over_training_sets(p, np.zeros(n, int))
    for value, expected in zip(found, 2 * np.square([bias, shared, lost]), strict=True):
        assert value == pytest.approx(expected, abs=0.02)
    assert sum(found) == pytest.approx(np.mean([brier_score(q, np.zeros(n, int)) for q in p.reshape(-1, n, 2)]))


def test_the_account_by_variance_meets_both_ends():
    e = np.array([0.5, 0.4, 0.3, 0.2])
    account = variance_curve(e)
    assert account[[0, -1]] == pytest.approx(e[[0, -1]])
    floor = (4 * 0.2 - 0.5) / 3
    assert (account - floor) * np.arange(1, 5) == pytest.approx(0.5 - floor)
    assert variance_curve(np.array([0.5, 0.1, 0.0])) == pytest.approx(0.5 / np.arange(1, 4))  # no floor below 0


def coins(knows: int) -> np.ndarray:
    """Ten members on one input: so many know, with an output of 2; the others say nothing."""
    return np.array([[[2.0, 0, 0]]] * knows + [[[0.0, 0, 0]]] * (10 - knows))


def test_promises_of_coins():
    y = np.array([0])
    assert cantelli_bound(coins(5), y, (1, 4)) == pytest.approx([1 / (1 + 0.9), 1 / (1 + 4 * 0.9)])
    assert cantelli_bound(coins(10), y, (1,)) == pytest.approx([0.0])
    assert cantelli_bound(coins(0), y, (1,)) == pytest.approx([1.0])
    assert cantelli_bound(coins(5), np.array([1]), (1, 9)) == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize("L", [2, 5, 10])
def test_members_that_make_full_use_of_two_numbers(L):
    """The second half of the proposition on what mean and variance promise."""
    eps, n = 1 / (4 * L**2), 20_000
    bad = np.random.default_rng(4).random((n, L)) < eps
    margin = np.where(bad, 1 - np.sqrt((1 - eps) / eps), 1 + np.sqrt(eps / (1 - eps)))
    assert within(margin.mean(), 1, 1, n * L)
    errs = (margin.mean(1) <= 0).mean()
    assert np.array_equal(margin.mean(1) <= 0, bad.any(1))
    assert 1 / (5 * L) - 5 * np.sqrt(errs / n) <= errs <= 1 / (1 + L) + 5 * np.sqrt(errs / n)


def boosted(k: int = 4, rounds: int = 12) -> tuple[AdaBoostClassifier, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    y = rng.integers(k, size=200)
    X = np.eye(k)[y] + 0.6 * rng.standard_normal((200, k))
    model = AdaBoostClassifier(DecisionTreeClassifier(max_depth=2, random_state=0), n_estimators=rounds)
    return model.fit(X, y), X, y


def test_votes_after_the_last_round_are_the_answers_of_scikit_learn():
    model, X, y = boosted()
    votes = staged_votes(model, X)
    assert votes.shape == (12, 200, 4)
    assert votes.sum(-1) == pytest.approx(1)
    staged = list(model.staged_predict(X))
    for shares, answers in zip(votes, staged, strict=True):
        top = shares.max(-1)
        clear = (shares > top[:, None] - 1e-9).sum(-1) == 1
        assert np.array_equal(shares.argmax(-1)[clear], answers[clear])
    assert (margins(votes, y)[-1] > 0).mean() == pytest.approx(model.score(X, y), abs=0.01)


def test_margins_by_hand():
    votes = np.array([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]])
    y = np.array([0, 2])
    assert margins(votes, y) == pytest.approx([0.2, -0.3])
    assert margins(votes, y, "average") == pytest.approx([0.25, -0.05])
    assert margins(votes[None].repeat(3, 0), y).shape == (3, 2)


def test_the_bound_on_margins_holds_and_its_reason():
    model, X, y = boosted()
    eps, weights, k = model.estimator_errors_, model.estimator_weights_, 4
    wrong = np.stack([tree.predict(X) != y for tree in model.estimators_])
    sums = np.exp((weights[:, None] * wrong).sum(0)).mean()
    assert sums == pytest.approx(np.prod(k * (1 - eps)))  # the weights of AdaBoost sum to one
    over_average = margins(staged_votes(model, X), y, "average")
    for theta in (-0.2, 0.0, 0.1, 0.3):
        assert ((over_average <= theta).mean(-1) <= margin_bound(eps, weights, k, theta) + 1e-12).all()
    assert (np.diff(margin_bound(eps, weights, k, 0)) < 0).all()


def test_for_two_classes_the_bound_is_the_known_one():
    eps, theta = np.array([0.3, 0.2]), 0.1
    known = np.cumprod(2 * np.sqrt(eps ** (1 - theta) * (1 - eps) ** (1 + theta)))
    assert margin_bound(eps, np.log((1 - eps) / eps), 2, theta) == pytest.approx(known)


def test_for_more_classes_the_bound_is_that_of_the_proposition():
    eps, k, theta = np.array([0.6, 0.3]), 5, 0.2
    known = np.cumprod(k * (1 - eps) * (eps / ((k - 1) * (1 - eps))) ** ((1 - theta) * (1 - 1 / k)))
    weights = np.log((1 - eps) / eps) + np.log(k - 1)
    assert margin_bound(eps, weights, k, theta) == pytest.approx(known)
    guess = np.array([0.75])
    assert margin_bound(guess, np.log((1 - guess) / guess) + np.log(3), 4, 0) == pytest.approx([1.0])


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: decompose_brier(members(1, 5, 3), labels(5, 3)), "B .* must be an integer >= 2; got 1"),
        (
            lambda: decompose_over_training_sets(members(1, 2, 5, 3), labels(5, 3)),
            "T .* must be an integer >= 2; got 1",
        ),
        (
            lambda: score_by_size(members(3, 5, 3), labels(5, 3), (4,)),
            "sizes must be an integer >= 1 and <= 3; got 4",
        ),
        (lambda: score_by_size(members(3, 5, 3), labels(4, 3), (1,)), r"y must have shape \[5\]"),
        (lambda: cantelli_bound(members(1, 5, 3), labels(5, 3), (1,)), "B .* must be an integer >= 2; got 1"),
        (lambda: variance_curve(np.array([0.5])), "L .* must be an integer >= 2; got 1"),
        (lambda: margins(members(5, 3), labels(5, 3), "worst"), "rival must be one of 'strongest', 'average'"),
        (lambda: margins(members(6, 3), labels(5, 3)), "votes must have shape"),
        (lambda: margin_bound(np.ones(2), np.ones(3), 3, 0), r"weights must have shape \[2\]"),
        (lambda: margin_bound(np.array([0.5]), np.array([1.0]), 3, 1.5), "theta must be a finite number"),
    ],
)
def test_bad_arguments_are_refused(call, match):
    with refused(ValueError, match):
        call()
