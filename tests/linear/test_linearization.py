"""The lazy family: gradients against autograd, its tangent limit, and the end at which features are learned."""

import math
from dataclasses import replace

import pytest
import torch

from mvtheory import (
    AverageCrossEntropy,
    CrossEntropy,
    Distillation,
    MultiView,
    PatchNets,
    Schedule,
    SReLU,
    train,
)
from mvtheory.linear.feature_maps import tangent_features
from mvtheory.linear.linearization import Lazy, crossover, scaled_outputs, sharpness, train_linearized

TASK = MultiView(k=3, P=8, d=12, s=1.0)
SAMPLE = TASK.sample(28, 2, seed=0)
X = SAMPLE.x.double()
DATA = replace(SAMPLE, x=X)


@pytest.fixture(scope="module")
def start() -> PatchNets:
    return PatchNets.init(2, k=3, m=4, d=12, sigma_0=0.5, seed=0, activation=SReLU(q=3, varrho=1.0)).to(torch.float64)


@pytest.mark.parametrize("alpha", [0.1, 1.0, 30.0])
@pytest.mark.parametrize("joint", [False, True])
def test_the_gradient_is_that_of_the_scaled_loss(start: PatchNets, alpha: float, joint: bool) -> None:
    base = AverageCrossEntropy(DATA.y) if joint else CrossEntropy(DATA.y)
    F_0, moved = start(X), replace(start, W=start.W + 0.1)
    F = moved(X).transpose(0, 1).requires_grad_()  # [n, L, k]
    rows, nets = torch.arange(len(X)), torch.arange(2)
    loss, slope = Lazy(base, F_0, alpha)(F, rows, nets)
    scaled = alpha * (F - F_0.transpose(0, 1))
    if joint:
        expected = torch.nn.functional.cross_entropy(scaled.mean(1), DATA.y, reduction="sum")
        torch.testing.assert_close(loss[:, 0].sum(), expected / alpha**2)
    else:
        expected = torch.nn.functional.cross_entropy(scaled.flatten(0, 1), DATA.y.repeat_interleave(2), reduction="sum")
        torch.testing.assert_close(loss.sum(), expected / alpha**2)
    (gradient,) = torch.autograd.grad(expected / alpha**2, F)
    torch.testing.assert_close(slope, gradient)


def test_it_knows_which_nets_and_rows_it_is_given(start: PatchNets) -> None:
    whole = Lazy(CrossEntropy(DATA.y), start(X), 5.0)
    F = start(X).transpose(0, 1) + 0.2
    rows = torch.tensor([3, 17])
    loss, slope = whole(F[rows][:, 1:], rows, torch.tensor([1]))
    every, slopes = whole(F, torch.arange(len(X)), torch.arange(2))
    torch.testing.assert_close(loss[:, 0], every[rows, 1])
    torch.testing.assert_close(slope[:, 0], slopes[rows, 1])


def test_scaled_outputs_start_at_zero(start: PatchNets) -> None:
    assert not scaled_outputs(start, start, 1e6, X).any()
    moved = replace(start, W=1.1 * start.W)
    torch.testing.assert_close(scaled_outputs(moved, start, 7.0, X), 7 * (moved(X) - start(X)))


def test_the_tangent_model_takes_the_steps_of_gradient_descent(start: PatchNets) -> None:
    """Against autograd through the linear model."""
    features = tangent_features(start, X)
    delta = torch.zeros(2, 3, features.shape[-1], dtype=torch.float64)
    for _ in range(3):
        delta.requires_grad_()
        F = torch.einsum("lknf,lkf->lnk", features, delta)
        loss = torch.nn.functional.cross_entropy(F.flatten(0, 1), DATA.y.repeat(2), reduction="sum") / len(X)
        (gradient,) = torch.autograd.grad(loss, delta)
        delta = (delta - 0.3 * gradient).detach()
    found = train_linearized(start, X, CrossEntropy(DATA.y), 0.3, 3).delta
    torch.testing.assert_close(found.flatten(2), delta)


def distance(start: PatchNets, alpha: float, base: object, eta: float, steps: int = 40) -> float:
    """Of nets trained at a scale to the tangent model after the same steps, relative."""
    schedule = Schedule(steps=steps, stop_loss=0, eta=eta, max_change=1.0)
    nets = train(start, DATA, Lazy(base, start(X), alpha), schedule).nets
    limit = train_linearized(start, X, base, eta, steps)(X)
    return float((scaled_outputs(nets, start, alpha, X) - limit).norm() / limit.norm())


@pytest.mark.parametrize("kind", ["labels", "teacher"])
def test_large_scales_approach_the_tangent_model_like_one_over_alpha(start: PatchNets, kind: str) -> None:
    G = torch.rand(2, len(X), 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    base = CrossEntropy(DATA.y) if kind == "labels" else Distillation(DATA.y, G)
    eta = 1 / float(sharpness(start, X).max())
    near, far = (distance(start, alpha, base, eta) for alpha in (1e3, 1e4))
    assert far < 1e-3
    # What is left of the Taylor expansion is of second order in the weights, which move by 1 / alpha.
    assert near / far == pytest.approx(10, rel=0.1)


def test_small_scales_do_not(start: PatchNets) -> None:
    eta = 1 / float(sharpness(start, X).max())
    assert distance(start, 1.0, CrossEntropy(DATA.y), eta) > 0.3


def test_scale_one_is_ordinary_training_but_for_the_outputs_at_the_start() -> None:
    """With tiny initial weights there is nothing to centre."""
    start = PatchNets.init(1, k=3, m=4, d=12, sigma_0=1e-3, seed=0, activation=SReLU(q=3, varrho=1.0)).to(torch.float64)
    schedule = Schedule(steps=30, stop_loss=0, eta=1e3)
    plain = train(start, DATA, CrossEntropy(DATA.y), schedule).nets
    lazy = train(start, DATA, Lazy(CrossEntropy(DATA.y), start(X), 1.0), schedule).nets
    torch.testing.assert_close(lazy.W, plain.W, rtol=1e-6, atol=1e-9)


def test_below_the_cut_the_scale_is_a_scale_of_the_initial_weights() -> None:
    """alpha F(w) = F(alpha^(1/q) w): both are the same path, in units of their initial weights, and of eta."""
    alpha, q = 64.0, 3
    small = PatchNets.init(1, k=3, m=4, d=12, sigma_0=0.05, seed=0, activation=SReLU(q=q, varrho=50.0)).to(
        torch.float64
    )
    large = replace(small, W=alpha ** (1 / q) * small.W)
    paths = []
    for start, scale, eta in ((small, alpha, 10.0), (large, 1.0, 10.0 * alpha ** (2 / q - 2))):
        schedule = Schedule(steps=20, stop_loss=0, eta=eta, max_change=1.0)
        nets = train(start, DATA, Lazy(CrossEntropy(DATA.y), start(X), scale), schedule).nets
        paths.append(scaled_outputs(nets, start, scale, X))
    torch.testing.assert_close(*paths)


def test_sharpness_bounds_stable_steps(start: PatchNets) -> None:
    features = tangent_features(start, X)
    for net in range(2):
        top = max(float(torch.linalg.eigvalsh(phi.T @ phi / len(X))[-1]) for phi in features[net])
        assert float(sharpness(start, X)[net]) == pytest.approx(top)


def test_the_crossover_is_where_one_neuron_is_as_long_as_the_class(start: PatchNets) -> None:
    alpha = crossover(start, margin=5)
    length = start.W.square().sum((2, 3)).mean().sqrt()
    below_the_cut = SReLU(q=3, varrho=1e9)
    assert float(alpha * below_the_cut(length) * 1e9**2) == pytest.approx(5, rel=1e-6)  # varrho = 1 here


def test_faulty_inputs_are_refused(start: PatchNets) -> None:
    F_0 = start(X)
    with pytest.raises(ValueError, match=r"alpha must be a finite number in \(0, inf\); got -1"):
        Lazy(CrossEntropy(DATA.y), F_0, -1.0)
    with pytest.raises(ValueError, match=r"F_0 must have shape \[L, 30, k\]"):
        Lazy(CrossEntropy(DATA.y), F_0[:, 1:], 1.0)
    with pytest.raises(ValueError, match="F_0 must be finite"):
        Lazy(CrossEntropy(DATA.y), F_0 / 0, 1.0)
    with pytest.raises(ValueError, match="margin must be a finite number"):
        crossover(start, math.nan)
