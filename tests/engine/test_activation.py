"""Activations of a reader's own: every path computes them by their own method, or refuses them by name."""

import dataclasses

import pytest
import torch
from reference import clean_task, cross_entropy, refused, small_problem

from mvtheory import (
    MultiView,
    PatchNets,
    Schedule,
    SReLU,
    learned_views,
    predict_lottery,
    train,
    view_outputs,
)
from mvtheory.engine import backend
from mvtheory.linear.feature_maps import tangent_features, view_feature_norm
from mvtheory.linear.linearization import crossover
from mvtheory.model import Activation
from mvtheory.persistence.store import StoreError
from mvtheory.reduced.reduction import reduce_to_all_views, reduce_to_own_views
from mvtheory.reduced.sparse_training import train_reduced
from mvtheory.training import Run

VIEWS = MultiView(k=3, P=6, d=8, s=1).views.double()
SHORT = Schedule(steps=9, stop_loss=0, eta=0.3)


class Derived(SReLU):
    """A subclass that computes something else."""

    def value_and_slope(self, z):
        value, slope = super().value_and_slope(z)
        return 2 * value - 0.1 * z, 2 * slope - 0.1


class Square:
    """No relation of SReLU; its slope has the memory of `z`."""

    def value_and_slope(self, z):
        return z.square() / 2, z


class Linear:
    """Its slope has no memory of its own."""

    def value_and_slope(self, z):
        return z, torch.ones((), dtype=z.dtype).expand_as(z)


KINDS = {"derived": Derived(3, 0.5), "square": Square(), "linear": Linear()}
kinds = pytest.mark.parametrize("activation", KINDS.values(), ids=KINDS.keys())


@pytest.fixture(params=["auto", "torch"], autouse=True)
def path(request):
    with backend(request.param):
        yield


def problem(activation):
    nets, data = small_problem(noise_signal=0.0, noise_background=0.0)
    return dataclasses.replace(nets, activation=activation), data


def value(activation, z):
    """The value by its formula, for autograd."""
    if isinstance(activation, Derived):
        low = z.clamp(min=0)
        t = low.clamp(max=0.5)
        return 2 * (low - t + t**3 / (3 * 0.5**2)) - 0.1 * z
    return z.square() / 2 if isinstance(activation, Square) else z


def outputs(W, inputs, activation):
    """Outputs [L, n, k] of nets that read patches, or strengths of all views, or of their own."""
    if inputs.ndim == 3:
        return value(activation, torch.einsum("lird,npd->lnirp", W, inputs)).sum((-1, -2))
    z, count = inputs.unbind(-1)
    if W.shape[-1] == 2:
        return (value(activation, torch.einsum("lirv,niv->lnirv", W, z)) * count[None, :, :, None]).sum((-1, -2))
    z, count = z.flatten(1), count.flatten(1)
    return (value(activation, torch.einsum("lirv,nv->lnirv", W[..., :-1], z)) * count[None, :, None, None]).sum(
        (-1, -2)
    )


@kinds
@pytest.mark.parametrize("reduce", [lambda *given: given, reduce_to_all_views, reduce_to_own_views])
def test_nets_compute_and_train_with_the_method_of_the_class(activation, reduce):
    nets, data, _ = reduce(*problem(activation), VIEWS)
    torch.testing.assert_close(nets(data.x), outputs(nets.W, data.x, activation), rtol=1e-10, atol=1e-12)
    W = nets.W
    for _ in range(9):
        leaf = W.clone().requires_grad_()
        loss = cross_entropy(outputs(leaf, data.x, activation), data.y).sum()
        gradient = torch.autograd.grad(loss, leaf)[0]
        ratio = (W.norm(dim=-1) / gradient.norm(dim=-1)).nan_to_num(nan=torch.inf)
        eta = (0.2 * ratio.flatten(1).amin(1)).clamp(max=0.3)
        W = W - eta[:, None, None, None] * gradient
    torch.testing.assert_close(train(nets, data, schedule=SHORT).nets.W, W, rtol=1e-9, atol=1e-11)


@kinds
def test_training_of_many_classes_takes_the_same_path(activation):
    nets, data, _ = reduce_to_own_views(*problem(activation), VIEWS)
    slow, fast = train(nets, data, schedule=SHORT), train_reduced(nets, data, SHORT)
    torch.testing.assert_close(fast.nets.W, slow.nets.W, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(fast.loss, slow.history.loss[-1], rtol=1e-9, atol=1e-11)
    assert not torch.allclose(
        train_reduced(dataclasses.replace(nets, activation=SReLU(3, 0.5)), data, SHORT).nets.W, slow.nets.W
    )


@kinds
def test_features_and_views_are_those_of_the_class(activation):
    nets, data = problem(activation)
    leaf = nets.W[:, :, 0].clone().requires_grad_()
    W = torch.cat([leaf[:, :, None], nets.W[:, :, 1:]], 2)
    expected = torch.autograd.grad(outputs(W, data.x[:1], activation).sum(), leaf)[0]
    torch.testing.assert_close(tangent_features(nets, data.x)[:, :, 0, :8], expected, rtol=1e-10, atol=1e-12)
    own = torch.einsum("lkrd,kvd->lkrv", nets.W, VIEWS).requires_grad_()
    out = value(activation, own)
    torch.testing.assert_close(view_outputs(nets, VIEWS), out.sum(2).detach(), rtol=1e-10, atol=1e-12)
    slope = torch.autograd.grad(out.sum(), own)[0]
    torch.testing.assert_close(view_feature_norm(nets, VIEWS), slope.square().sum(2), rtol=1e-10, atol=1e-12)
    assert learned_views(nets, VIEWS).shape == (3, 3, 2)


def test_what_needs_the_power_says_so():
    nets, data = problem(Square())
    with refused(TypeError, "nets.activation.q must be an integer >= 3; got None"):
        predict_lottery(nets, VIEWS, data)
    with refused(TypeError, "nets.activation.q must be an integer >= 1; got None"):
        crossover(nets, 1.0)


@pytest.mark.parametrize(
    ("method", "match"),
    [
        (lambda self, z: (z, z[..., :1]), "slope of Faulty must have shape"),
        (lambda self, z: (z.sum(), z), "value of Faulty must have shape"),
        (lambda self, z: (z, z > 0), r"slope.dtype of Faulty must be one of torch.float64; got torch.bool"),
    ],
)
def test_an_activation_that_returns_something_else_is_named(method, match):
    nets, data = problem(type("Faulty", (), {"value_and_slope": method})())
    with refused(ValueError, match):
        nets(data.x)


def test_what_has_no_value_and_slope_is_no_activation():
    assert isinstance(SReLU(), Activation)
    nets, _ = small_problem()
    with refused(TypeError, r"activation must have a method value_and_slope\(z\); got <built-in method relu"):
        PatchNets(nets.W, torch.relu)


@pytest.mark.parametrize("reduce", [reduce_to_all_views, reduce_to_own_views])
def test_a_reduction_refuses_an_activation_that_answers_patches_without_a_view(reduce):
    softplus = type("Softplus", (), {"value_and_slope": lambda self, z: (torch.nn.functional.softplus(z), z.sigmoid())})
    nets, data = problem(softplus())
    assert nets(data.x).isfinite().all()
    with refused(ValueError, "nets.activation must be 0 at 0 .* got 0.693147"):
        reduce(nets, data, VIEWS)


def test_files_hold_the_srelu_alone(tmp_path):
    nets, data = problem(Derived(3, 0.5))
    run = train(nets, data, schedule=SHORT, checkpoint=tmp_path / "checkpoint")
    with refused(TypeError, "nets.activation must be a SReLU to be saved; got Derived"):
        run.save(tmp_path / "run")
    with pytest.raises(StoreError, match="the activation must be a SReLU; got Derived"):
        Run.load(tmp_path / "checkpoint")
    again = train(nets, data, schedule=SHORT, checkpoint=tmp_path / "checkpoint")
    assert type(again.nets.activation) is Derived
    assert torch.equal(again.nets.W, run.nets.W)


def test_single_precision_learns_with_a_class_of_its_own():
    task = clean_task()
    nets = PatchNets.init(2, k=4, m=5, d=task.d, sigma_0=0.1, seed=0, activation=type("Own", (SReLU,), {})(3, 2.0))
    data, twins = task.sample(200, seed=0), PatchNets(nets.W, SReLU(3, 2.0))
    with backend("torch"):
        expected = train(twins, data).nets.W
    assert torch.equal(train(nets, data).nets.W, expected)
