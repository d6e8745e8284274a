"""Tangent features against autograd, ridge regression against the normal equations, and what students cannot do."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from mvtheory import MultiView, PatchNets, SReLU, average
from mvtheory.linear.comparison import METHODS, bias_and_variance, compare, to_outputs, to_targets
from mvtheory.linear.feature_maps import (
    TangentNets,
    TangentRidge,
    gaussian_weights,
    one_hot,
    relu_features,
    tangent_features,
    view_feature_norm,
)
from mvtheory.linear.ridge import RIDGES, Ridge, every_fifth, side_by_side
from mvtheory.measurement import error_rate

TASK = MultiView(k=3, P=8, d=12, s=1.0)
L, K, M, D = 2, 3, 4, 12  # nets, classes, neurons, dimensions
N = 30
ALMOST_NONE = 1e-10  # a ridge


@pytest.fixture
def nets() -> PatchNets:
    """Two nets whose activations reach all three pieces of the smoothed ReLU."""
    return PatchNets.init(L, k=K, m=M, d=D, sigma_0=1.0, seed=0, activation=SReLU(q=3, varrho=0.7)).to(torch.float64)


@pytest.fixture
def data() -> tuple[Tensor, Tensor]:
    sample = TASK.sample(N - 4, 4, seed=0)
    return sample.x.double(), one_hot(sample.y, K, torch.float64)


def output(W: Tensor, x: Tensor, activation: SReLU) -> Tensor:
    """F [k] of one net [k, m, d] on one input [P, d], by the formula."""
    z, q, c = torch.einsum("krd,pd->krp", W, x), activation.q, activation.varrho
    smooth = torch.where(z < c, z.clamp(min=0) ** q / (q * c ** (q - 1)), z - (1 - 1 / q) * c)
    return smooth.sum((1, 2))


def jacobian(W: Tensor, x: Tensor, activation: SReLU) -> Tensor:
    """dF_i / dW, shape [k, k, m, d]."""
    return torch.autograd.functional.jacobian(lambda weights: output(weights, x, activation), W)


def solve(features: Tensor, targets: Tensor, ridge: float) -> np.ndarray:
    """Ridge regression by least squares on the rows of the ridge, [f] from features [n, f] and targets [n]."""
    phi = features.numpy()
    root = math.sqrt(ridge * (phi**2).sum(1).mean())
    rows = np.vstack([phi, root * np.eye(phi.shape[1])])
    return np.linalg.lstsq(rows, np.append(targets.numpy(), np.zeros(phi.shape[1])), rcond=None)[0]


def test_features_are_the_gradient(nets: PatchNets, data: tuple[Tensor, Tensor]) -> None:
    x = data[0][:5]
    features = tangent_features(nets, x).reshape(L, K, 5, M, D)
    for net in range(L):
        for a in range(5):
            full = jacobian(nets.W[net], x[a], nets.activation)
            own = torch.arange(K)
            torch.testing.assert_close(features[net, :, a], full[own, own])
            full[own, own] = 0
            assert not full.any(), "other classes' neurons do not move an output"


def test_a_tangent_net_is_the_directional_derivative(nets: PatchNets, data: tuple[Tensor, Tensor]) -> None:
    x = data[0][:6]
    delta = torch.randn(nets.W.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    tangent = TangentNets(nets, delta)(x)
    for net in range(L):
        slopes = [torch.tensordot(jacobian(nets.W[net], one, nets.activation), delta[net], 3) for one in x]
        torch.testing.assert_close(tangent[net], torch.stack(slopes))


def test_a_net_has_the_same_features_in_any_stack(nets: PatchNets, data: tuple[Tensor, Tensor]) -> None:
    x, labels = data
    torch.testing.assert_close(tangent_features(nets, x)[1:], tangent_features(nets[1:], x), rtol=0, atol=1e-14)
    alone, together = (TangentRidge(stack, x).fit(labels)(x)[-1] for stack in (nets[1:], nets))
    torch.testing.assert_close(alone, together)


@pytest.mark.parametrize("ridge", [0.01, 1.0])
def test_ridge_solves_the_normal_equations(nets: PatchNets, data: tuple[Tensor, Tensor], ridge: float) -> None:
    x, labels = data
    fitted = TangentRidge(nets, x, ridge=ridge).fit(labels)
    features = tangent_features(nets, x)
    for net in range(L):
        for i in range(K):
            expected = solve(features[net, i], labels[0, :, i], ridge)
            np.testing.assert_allclose(fitted.delta[net, i].flatten(), expected, atol=1e-9)


def test_ridge_is_where_gradient_descent_ends(nets: PatchNets, data: tuple[Tensor, Tensor]) -> None:
    x, labels = data
    phi, target, ridge = tangent_features(nets, x)[0, 0], labels[0, :, 0], 0.1
    strength = ridge * (phi**2).sum(1).mean()
    weights = torch.zeros(phi.shape[1], dtype=torch.float64)
    rate = 1 / (torch.linalg.matrix_norm(phi, 2) ** 2 + strength)
    for _ in range(4000):  # the slowest direction shrinks by 1 - rate * strength a step
        weights -= rate * (phi.T @ (phi @ weights - target) + strength * weights)
    assert (1 - rate * strength) ** 4000 < 1e-12
    torch.testing.assert_close(TangentRidge(nets, x, ridge=ridge).fit(labels).delta[0, 0].flatten(), weights)


def test_the_trained_average_is_one_model_with_all_features(nets: PatchNets, data: tuple[Tensor, Tensor]) -> None:
    x, labels = data
    average_output = average(TangentRidge(nets, x, ridge=0.3).fit_average(labels)(x))
    features = torch.cat(list(tangent_features(nets, x)), -1) / math.sqrt(L)  # [k, n, L m d]
    for i in range(K):
        expected = features[i].numpy() @ solve(features[i], labels[0, :, i], 0.3)
        np.testing.assert_allclose(average_output[:, i], expected, atol=1e-9)


def test_neither_the_scale_of_the_start_nor_the_cut_matters_below_it(data: tuple[Tensor, Tensor]) -> None:
    x, labels = data
    outputs = []
    for scale, cut in ((1e-3, 4.0), (1e-2, 4.0), (1e-3, 1.0)):
        small = PatchNets.init(L, k=K, m=M, d=D, sigma_0=scale, seed=3, activation=SReLU(3, cut)).to(torch.float64)
        outputs.append(TangentRidge(small, x, ridge=0.5).fit(labels)(x))
    torch.testing.assert_close(outputs[0], outputs[1])
    torch.testing.assert_close(outputs[0], outputs[2])


def test_a_student_hears_only_where_its_teacher_errs_on_the_training_set(
    nets: PatchNets, data: tuple[Tensor, Tensor]
) -> None:
    x, labels = data
    ridge = TangentRidge(nets, x, ridge=0.2)
    teacher = average(ridge.fit_average(labels)(x))[None]
    distilled, own, residual = (ridge.fit(target).delta for target in (teacher, labels, teacher - labels))
    torch.testing.assert_close(distilled - own, residual)
    on_train = TangentNets(nets, residual)(x)
    assert (on_train.norm(dim=1) <= (teacher - labels).norm(dim=1)).all()


def test_the_student_of_a_teacher_that_interpolates_is_the_single_model(
    nets: PatchNets, data: tuple[Tensor, Tensor]
) -> None:
    x, labels = data
    assert N < M * D, "as many features as inputs, or more"
    ridge = TangentRidge(nets, x, ridge=ALMOST_NONE)
    own = ridge.fit(labels)
    torch.testing.assert_close(own(x), labels.expand(L, -1, -1), rtol=0, atol=1e-6)
    fresh = TASK.sample(20, 20, seed=5).x.double()
    torch.testing.assert_close(ridge.fit(average(own(x))[None])(fresh), own(fresh), rtol=0, atol=1e-5)


def test_a_projection_of_a_projection_teaches_nothing_new() -> None:
    thin = PatchNets.init(3, k=K, m=1, d=D, sigma_0=0.1, seed=0, activation=SReLU(q=1)).to(torch.float64)
    sample = TASK.sample(180, 20, seed=0)
    x, labels = sample.x.double(), one_hot(sample.y, K, torch.float64)
    assert len(x) > 3 * D, "more inputs than features of all models together"
    # With more inputs than features K has the eigenvalue 0, so a smaller ridge would let rounding errors grow.
    ridge = TangentRidge(thin, x, ridge=1e-8)
    teacher = average(ridge.fit_average(labels)(x))[None]
    own = ridge.fit(labels)(x)
    assert (teacher - own).abs().max() > 0.1, "the teacher is another function"
    torch.testing.assert_close(ridge.fit(teacher)(x), own, rtol=0, atol=1e-5)


def test_the_ensemble_is_no_better_on_the_training_objective_than_the_trained_average(
    nets: PatchNets, data: tuple[Tensor, Tensor]
) -> None:
    x, labels = data
    ridge = TangentRidge(nets, x, ridge=0.5)
    strength = 0.5 * tangent_features(nets, x).pow(2).sum(-1).mean((0, 2))

    def objective(fitted: TangentNets) -> Tensor:
        misfit = (average(fitted(x)) - labels[0]).pow(2).sum(0)
        return misfit + strength * fitted.delta.pow(2).sum((2, 3)).mean(0)

    assert (objective(ridge.fit_average(labels)) < objective(ridge.fit(labels))).all()


def test_visibility_is_the_length_of_the_features_of_a_view() -> None:
    nets = PatchNets.init(50, k=TASK.k, m=2, d=TASK.d, sigma_0=0.1, seed=0)
    seen = view_feature_norm(nets, TASK.views)
    for i in range(TASK.k):
        alone = TASK.views[i][:, None]  # an input of one patch for each view
        torch.testing.assert_close(seen[:, i], tangent_features(nets, alone)[:, i].pow(2).sum(-1))
    blind = (nets.products(TASK.views)[:, torch.arange(TASK.k), :, torch.arange(TASK.k)] <= 0).all(2)
    assert torch.equal(seen.transpose(0, 1) == 0, blind)


def test_a_view_is_not_seen_with_probability_two_to_the_minus_m() -> None:
    task = MultiView(k=20, P=40, d=50)
    for m in (1, 2, 3):
        nets = PatchNets.init(50, k=20, m=m, d=50, sigma_0=0.02, seed=0)
        share, n = float((view_feature_norm(nets, task.views) == 0).float().mean()), 50 * 20 * 2
        # The products of independent neurons with orthonormal views are independent.
        assert abs(share - 2.0**-m) < 4 * math.sqrt(2.0**-m * (1 - 2.0**-m) / n)


def test_a_class_without_features_gets_the_output_zero(data: tuple[Tensor, Tensor]) -> None:
    x, labels = data
    nets = PatchNets(torch.zeros(1, K, M, D, dtype=torch.float64))
    ridge = TangentRidge(nets, x)
    for fitted in (ridge.fit(labels), ridge.fit_average(labels)):
        assert torch.equal(fitted(x), torch.zeros(1, N, K, dtype=torch.float64))


def test_one_hot() -> None:
    assert one_hot(torch.tensor([2, 0]), 3).tolist() == [[[0, 0, 1], [1, 0, 0]]]


def test_relu_features_are_sums_over_patches() -> None:
    w, x = gaussian_weights(2, 5, D, seed=0), TASK.sample(130, seed=0).x
    features = relu_features(w, x)
    assert features.shape == (2, 1, 130, 5)
    for net, a, r in ((0, 0, 0), (1, 129, 4), (1, 60, 2)):
        expected = sum(max(float(w[net, r] @ patch), 0.0) for patch in x[a])
        assert float(features[net, 0, a, r]) == pytest.approx(expected, rel=1e-5)


def test_a_model_has_the_same_weights_in_any_stack() -> None:
    assert torch.equal(gaussian_weights(3, 4, 5, seed=7)[2:], gaussian_weights(1, 4, 5, seed=9))


@pytest.mark.parametrize(("rows", "blocks", "columns"), [(6, 4, 1), (6, 1, 4), (24, 1, 1)])
def test_targets_are_arranged_as_the_features_are(rows: int, blocks: int, columns: int) -> None:
    F = torch.arange(48.0).view(2, 6, 4)
    targets = to_targets(F, rows, blocks)
    assert targets.shape == (2, blocks, rows, columns)
    assert torch.equal(to_outputs(targets, 4), F)
    block, row, column = {(6, 4): (3, 5, 0), (6, 1): (0, 5, 3), (24, 1): (0, 23, 0)}[rows, blocks]
    assert targets[1, block, row, column] == F[1, 5, 3]


def test_features_of_an_unknown_form_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(rows, blocks\) must be one of .*; got \(6, 2\)"):
        to_targets(torch.zeros(1, 6, 4), 6, 2)


def test_bias_and_variance_add_up() -> None:
    F = torch.randn(4, 50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    truth = torch.ones(50, 3, dtype=torch.float64)
    bias, variance = bias_and_variance(F, truth)
    torch.testing.assert_close(bias + variance, (F - truth).square().sum(-1).mean())
    many = torch.randn(4, 20000, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    bias, variance = bias_and_variance(many, 0 * many[0])
    # Standard normal outputs have bias 0 and variance 3; the bias is a mean of 20000 numbers with deviation below 3.
    assert abs(float(bias)) < 4 * 3 / 20000**0.5
    assert abs(float(variance) - 3) < 4 * 3 / 20000**0.5


@pytest.fixture(scope="module")
def compared() -> tuple:
    """All methods on a small problem, with what went into them."""
    x, y = (sample := TASK.sample(60, seed=0)).x.double(), sample.y
    w = gaussian_weights(4, 6, D, seed=0).double()
    test = TASK.sample(40, 40, seed=1)
    tests = [(test.x.double(), test.y)]
    held = every_fifth(60)
    found, outputs = compare(lambda x: relu_features(w, x), x, y, tests, k=K, held=held)
    return relu_features(w, x), one_hot(y, K, torch.float64), relu_features(w, tests[0][0]), test.y, found, outputs


def test_all_methods_are_what_they_say(compared: tuple) -> None:
    """Each method once more, step by step, with the ridges that were chosen."""
    phi, labels, psi, y, found, outputs = compared
    own, by_others, by_next, by_labels, by_whole = found["ridge"].tolist()
    apart, joint, target = Ridge(phi), side_by_side(phi), labels[:, None]
    taught = phi @ (single := apart.solve(target, own))
    others = torch.stack([(taught.sum(0) - one) / 3 for one in taught])
    following = torch.stack([taught[(net + 1) % 4] for net in range(4)])
    expected = {
        "single": psi @ single,
        "distilled": psi @ apart.solve(others, by_others),
        "self-distilled": psi @ apart.solve(following, by_next),
        "trained average": side_by_side(psi) @ Ridge(joint).solve(target, by_labels),
        "wide student": side_by_side(psi) @ Ridge(joint).solve(taught.mean(0, keepdim=True), by_whole),
        "ensemble": (psi @ single).mean(0, keepdim=True),
    }
    for name, values in expected.items():
        torch.testing.assert_close(outputs[name][0], values[:, 0])
        np.testing.assert_allclose(found[name][0], error_rate(values[:, 0], y))
    torch.testing.assert_close(outputs["growing ensemble"][0][2], (psi @ single)[:3, 0].mean(0))
    assert set(expected) | {"growing ensemble"} == set(METHODS)
    assert all(float(ridge) in torch.tensor(RIDGES) for ridge in found["ridge"])


def test_a_student_is_as_good_as_its_features(compared: tuple) -> None:
    """Fitted to the ensemble, in squared distance on the training set, no student beats the fit to the labels."""
    phi, labels, *_ = compared
    target = labels[:, None]
    best = (phi @ Ridge(phi).solve(target, 1e-9) - target).square().sum((1, 2, 3))
    taught = phi @ Ridge(phi).solve((phi @ Ridge(phi).solve(target, 0.1)).mean(0, keepdim=True), 1e-9)
    assert ((taught - target).square().sum((1, 2, 3)) >= best).all()


def test_faulty_inputs_are_refused(nets: PatchNets, data: tuple[Tensor, Tensor]) -> None:
    x, labels = data
    ridge = TangentRidge(nets, x)
    with pytest.raises(ValueError, match=r"ridge must be a finite number in \(0, inf\); got -1"):
        TangentRidge(nets, x, ridge=-1.0)
    with pytest.raises(ValueError, match="x must be finite"):
        tangent_features(nets, x / 0)
    with pytest.raises(ValueError, match=r"x must have shape \[n, P, 12\]"):
        tangent_features(nets, x[..., :5])
    with pytest.raises(ValueError, match=r"targets must have shape \[1, 30, 3\]"):
        ridge.fit(labels[:, 1:])
    with pytest.raises(ValueError, match=r"targets must have shape \[2, 30, 3\]"):
        ridge.fit(labels.expand(3, -1, -1))
    with pytest.raises(ValueError, match="targets must be finite"):
        ridge.fit(labels / 0)
    with pytest.raises(ValueError, match="delta must have shape"):
        TangentNets(nets, nets.W[:, :, :2])
    with pytest.raises(ValueError, match=r"y must hold classes 0 to 1; got 0 to 2"):
        one_hot(torch.tensor([0, 2]), 2)
    with pytest.raises(ValueError, match="views must have shape"):
        view_feature_norm(nets, TASK.views[:2].double())
    with pytest.raises(ValueError, match="x must be finite"):
        relu_features(gaussian_weights(1, 2, D, seed=0).double(), x / 0)
    with pytest.raises(ValueError, match="R must be an integer >= 1; got 0"):
        gaussian_weights(1, 0, 5, seed=0)
