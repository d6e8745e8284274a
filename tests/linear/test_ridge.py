"""Ridge regression against the normal equations; the choice of the ridge; gradient descent; shares."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from mvtheory.linear.ridge import (
    RIDGES,
    Ridge,
    choose_ridge,
    every_fifth,
    gradient_descent,
    share_in_span,
    side_by_side,
)

L, B, N, C = 3, 2, 20, 4


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def solve(phi: Tensor, targets: Tensor, ridge: float) -> np.ndarray:
    """Ridge regression by least squares on the rows of the ridge, [f, c]."""
    a, f = phi.numpy(), phi.shape[1]
    root = math.sqrt(ridge * (a**2).sum(1).mean())
    right = np.vstack([targets.numpy(), np.zeros((f, targets.shape[1]))])
    return np.linalg.lstsq(np.vstack([a, root * np.eye(f)]), right, rcond=None)[0]


@pytest.mark.parametrize("f", [7, 20, 31])  # by the weights' equations, and by the kernel's
@pytest.mark.parametrize("ridge", [1e-3, 1.0])
def test_ridge_solves_the_normal_equations(f: int, ridge: float) -> None:
    features, targets = numbers(L, B, N, f), numbers(L, B, N, C, seed=1)
    weights = Ridge(features).solve(targets, ridge)
    for net in range(L):
        for block in range(B):
            expected = solve(features[net, block], targets[net, block], ridge)
            np.testing.assert_allclose(weights[net, block], expected, atol=1e-9)


def test_models_may_share_targets() -> None:
    features, targets = numbers(L, B, N, 5), numbers(1, B, N, C, seed=1)
    own = Ridge(features).solve(targets.expand(L, -1, -1, -1).contiguous(), 0.1)
    assert torch.equal(Ridge(features).solve(targets, 0.1), own)


def test_the_ridge_is_in_units_of_the_features() -> None:
    features, targets = numbers(L, B, N, 5), numbers(1, B, N, C, seed=1)
    small = 1e-3 * features
    outputs = [phi @ Ridge(phi).solve(targets, 0.3) for phi in (features, small)]
    torch.testing.assert_close(*outputs)


@pytest.mark.parametrize("f", [5, 40])
def test_no_features_no_weights(f: int) -> None:
    weights = Ridge(torch.zeros(1, 1, N, f)).solve(torch.ones(1, 1, N, 1), 1.0)
    assert torch.equal(weights, torch.zeros(1, 1, f, 1))


def test_features_side_by_side_are_those_of_the_average() -> None:
    features, weights = numbers(L, B, N, 5), numbers(L, B, 5, C, seed=1)
    joint = side_by_side(features)
    assert joint.shape == (1, B, N, L * 5)
    stacked = weights.transpose(0, 1).reshape(1, B, L * 5, C) / L**0.5
    torch.testing.assert_close((joint @ stacked)[0], (features @ weights).mean(0))
    # The penalty is the mean of the models' penalties.
    torch.testing.assert_close(stacked.square().sum(), weights.square().sum() / L)


def test_every_fifth() -> None:
    assert every_fifth(11).nonzero()[:, 0].tolist() == [0, 5, 10]


def test_the_chosen_ridge_is_the_one_that_is_best_on_the_held_out_inputs() -> None:
    """By brute force, with another solver, for two sets of targets at once."""
    features, truth = numbers(2, 1, 40, 12), numbers(1, 1, 40, 1, seed=1)
    noisy = truth + numbers(2, 1, 40, 1, seed=2)
    held = every_fifth(40)
    chosen = choose_ridge(features, [truth, noisy], truth, held, ridges=RIDGES)
    for ridge, targets in zip(chosen, (truth.expand(2, -1, -1, -1), noisy), strict=True):
        misfits = []
        for value in RIDGES:
            fits = [solve(features[net, 0, ~held], targets[net, 0, ~held], value) for net in range(2)]
            wrong = [features[net, 0, held].numpy() @ fits[net] - truth[0, 0, held].numpy() for net in range(2)]
            misfits.append(np.mean(np.square(wrong)))
        assert ridge == RIDGES[int(np.argmin(misfits))]


def test_noise_asks_for_more_ridge() -> None:
    features = numbers(1, 1, 200, 20)
    clean = features @ numbers(1, 1, 20, 1, seed=1)
    noisy = clean + 10 * clean.std() * numbers(1, 1, 200, 1, seed=2)
    held = every_fifth(200)
    assert choose_ridge(features, [clean], clean, held)[0] == min(RIDGES)
    assert choose_ridge(features, [noisy], clean, held)[0] > 10 * min(RIDGES)


def test_held_out_inputs_are_not_fitted() -> None:
    """Whatever the targets say there: the choice is the same."""
    features, truth = numbers(2, 1, 40, 12), numbers(1, 1, 40, 1, seed=1)
    held, spoilt = every_fifth(40), truth.clone()
    spoilt[:, :, held] = 1e6
    assert choose_ridge(features, [spoilt], truth, held) == choose_ridge(features, [truth], truth, held)


@pytest.mark.parametrize("f", [6, 30])
def test_gradient_descent_ends_at_the_solution(f: int) -> None:
    features, targets, ridge = numbers(L, B, N, f), numbers(L, B, N, C, seed=1), 0.1
    solution = Ridge(features).solve(targets, ridge)
    for steps in (10, 100, 1000):
        weights, bound = gradient_descent(features, targets, ridge, steps)
        gap = (weights - solution).norm(dim=2) / solution.norm(dim=2)
        assert gap.max() <= bound + 1e-12
    assert bound < 1e-4, "or the last test was empty"


def test_the_share_of_a_target_in_the_span() -> None:
    features = numbers(2, 1, 50, 5)
    inside = features[:1] @ numbers(1, 1, 5, 1, seed=1)
    torch.testing.assert_close(share_in_span(features[:1], inside), torch.ones(1, dtype=torch.float64))
    outside = inside - inside + numbers(1, 1, 50, 1, seed=2)
    basis = np.linalg.qr(features[0, 0].numpy())[0]
    outside[0, 0] -= torch.tensor(basis @ (basis.T @ outside[0, 0].numpy()))
    half = inside / inside.norm() + outside / outside.norm()
    expected = 1 - 0.5 * 50 / 45
    assert float(share_in_span(features[:1], half)) == pytest.approx(expected)


def test_chance_has_no_share() -> None:
    n, f, repetitions = 100, 40, 200
    features, targets = numbers(1, 1, n, f), numbers(1, repetitions, n, 1, seed=1)
    shares = share_in_span(features.expand(repetitions, -1, -1, -1), targets.transpose(0, 1))
    # The raw share is Beta(f/2, (n-f)/2) with variance 2 f (n-f) / (n^2 (n+2)), times (n / (n-f))^2.
    sigma = math.sqrt(2 * f / ((n - f) * (n + 2)) / repetitions)
    assert abs(float(shares.mean())) < 4 * sigma


def test_dead_features_take_no_share() -> None:
    features, targets = numbers(1, 1, 50, 5), numbers(1, 1, 50, 1, seed=1)
    padded = torch.cat([features, torch.zeros(1, 1, 50, 10, dtype=torch.float64)], -1)
    torch.testing.assert_close(share_in_span(padded, targets), share_in_span(features, targets))


def test_faulty_inputs_are_refused() -> None:
    features, targets = numbers(L, B, N, 5), numbers(1, B, N, C)
    with pytest.raises(ValueError, match=r"ridge must be a finite number in \(0, inf\); got 0"):
        Ridge(features).solve(targets, 0.0)
    with pytest.raises(ValueError, match=r"targets must have shape \[3, 2, 20, c\]"):
        Ridge(features).solve(targets.expand(2, -1, -1, -1), 1.0)
    with pytest.raises(ValueError, match="features must be finite"):
        Ridge(features / 0)
    with pytest.raises(ValueError, match="number of held-out inputs must be an integer >= 1 and <= 19; got 20"):
        choose_ridge(features, [targets], targets, torch.ones(N, dtype=torch.bool))
    with pytest.raises(ValueError, match="targets and ridges must not be empty; got 0 and 8"):
        choose_ridge(features, [], targets, every_fifth(N))
    with pytest.raises(ValueError, match=r"f .* must be an integer >= 1 and <= 19; got 20"):
        share_in_span(numbers(1, 1, N, N), numbers(1, 1, N, 1))
    with pytest.raises(ValueError, match="steps must be an integer >= 1; got 0"):
        gradient_descent(features, targets, 1.0, 0)
