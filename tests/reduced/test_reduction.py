"""The noise-free reduction against the full model, Python loops and autograd."""

from dataclasses import replace

import pytest
import reference
import torch
from reference import double, refused, srelu

from mvtheory import (
    CrossEntropy,
    MultiView,
    PatchNets,
    Schedule,
    SReLU,
    error_rate,
    train,
)
from mvtheory.engine import backend
from mvtheory.reduced.reduction import reduce_to_all_views, reduce_to_own_views
from mvtheory.training import loss_and_gradient

TASK = MultiView(
    k=4, P=18, d=30, C_p=3, C_weak=2, s=2.0, weak=(0.2, 0.4), noise_signal=0.0, noise_background=0.0, frame_seed=3
)
ACTIVATION = SReLU(q=3, varrho=0.5)
PATH = Schedule(steps=40, stop_loss=0.0, eta=20.0, record_every=1)


def problem(sigma_0=0.4, L=3, task=TASK):
    nets = PatchNets.init(L, k=task.k, m=5, d=task.d, sigma_0=sigma_0, seed=1, activation=ACTIVATION)
    return nets.to(torch.float64), double(task.sample(40, 8, seed=2)), task.views.double()


def orthonormal(views):
    """Views in double precision are orthonormal to single precision only; mend that."""
    k, M, d = views.shape
    return torch.linalg.qr(views.flatten(0, 1).T)[0].T.reshape(k, M, d)


def on_views(data, views):
    """The sample with its patches exactly on `views`."""
    x = torch.zeros(*data.patch_view.shape, views.shape[-1], dtype=torch.float64)
    flat = views.flatten(0, 1)
    for n in range(len(data)):
        for p, view in enumerate(data.patch_view[n].tolist()):
            if view >= 0:
                count = int((data.patch_view[n] == view).sum())
                x[n, p] = data.strength[n].flatten()[view] / count * flat[view]
    return replace(data, x=x)


def test_all_products_take_the_path_of_the_full_model():
    nets, data, views = problem()
    views = orthonormal(views)
    data = on_views(data, views)
    full = train(nets, data, schedule=PATH, views=views)
    small, reduced, own = reduce_to_all_views(nets, data, views)
    assert small.W.shape == (3, 4, 5, 9)
    run = train(small, reduced, schedule=PATH, views=own)
    torch.testing.assert_close(small(reduced.x), nets(data.x), rtol=1e-10, atol=1e-12)
    for field in ("overlap", "loss", "error", "time"):
        torch.testing.assert_close(getattr(run.history, field), getattr(full.history, field), rtol=1e-8, atol=1e-10)


def test_all_products_leave_noise_out():
    nets, _, views = problem()
    noisy = replace(TASK, noise_signal=0.3, noise_background=1.0)
    clean, noised = (reduce_to_all_views(nets, double(task.sample(20, 4, seed=5)), views)[1] for task in (TASK, noisy))
    assert torch.equal(clean.x, noised.x)


def test_the_gradient_of_all_products_is_that_of_autograd():
    """Inputs share views and strengths: several patches, ranges of strengths, views that are absent."""
    nets, data, views = problem()
    small, strengths, _ = reduce_to_all_views(nets, data, views)
    stack, rows = torch.arange(3), torch.tensor([3, 47, 20, 3, 11])
    _, gradient = loss_and_gradient(small, strengths.x, CrossEntropy(data.y), rows, stack)
    W = small.W.clone().requires_grad_()
    z, count = strengths.x[rows].flatten(1, 2).unbind(-1)
    act = reference.srelu_torch(torch.einsum("lirv,nv->lnirv", W[..., :-1], z), 3, 0.5)
    F = (act * count[None, :, None, None]).sum((-1, -2))
    expected = torch.autograd.grad(reference.cross_entropy(F, data.y[rows]).sum(), W)[0]
    torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-13)
    assert (gradient[..., -1] == 0).all()


def test_own_products_by_loops():
    nets, data, views = problem()
    small, strengths, _ = reduce_to_own_views(nets, data, views)
    F = small(strengths.x)
    for net, n, i in ((0, 0, 0), (1, 7, 2), (2, 45, 3), (2, 45, int(data.y[45]))):
        expected = 0.0
        for view in range(2):
            patches = int((data.patch_view[n] == 2 * i + view).sum())
            for r in range(5):
                own = float(nets.W[net, i, r] @ views[i, view])
                z = float(data.strength[n, i, view]) / max(1, patches)
                expected += patches * srelu(own * z, 3, 0.5)
        assert float(F[net, n, i]) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_own_gradient_is_that_of_autograd():
    nets, data, views = problem()
    small, strengths, _ = reduce_to_own_views(nets, data, views)
    stack, rows = torch.arange(3), torch.arange(48)
    _, gradient = loss_and_gradient(small, strengths.x, CrossEntropy(data.y), rows, stack)
    W = small.W.clone().requires_grad_()
    z, count = strengths.x.unbind(-1)
    act = reference.srelu_torch(torch.einsum("lirv,niv->lnirv", W, z), 3, 0.5)
    F = (act * count[None, :, :, None]).sum((-1, -2))
    expected = torch.autograd.grad(reference.cross_entropy(F, data.y).sum(), W)[0]
    torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-13)


def test_own_products_are_exact_where_classes_do_not_meet():
    """With s = 0 an input shows its own class alone; neurons at rest on other views stay out of it."""
    task = replace(TASK, s=0.0)
    nets, data, views = problem(task=task)
    views = orthonormal(views)
    data = on_views(data, views)
    own = torch.einsum("lkrd,kvd->lkrv", nets.W, views)
    nets = PatchNets(torch.einsum("lkrv,kvd->lkrd", own, views), nets.activation)  # no product with other views
    small, strengths, _ = reduce_to_own_views(nets, data, views)
    F, G = nets(data.x), small(strengths.x)
    torch.testing.assert_close(F, G, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["torch", "compiled"])
def test_nets_of_own_products_hide_no_nan(name):
    small, reduced, _ = reduce_to_own_views(*problem())
    W = small.W.clone()
    W[1, 2, 0, 1] = torch.nan  # one product of net 1, with the second view of class 2
    with backend(name):
        F = replace(small, W=W)(reduced.x)
    expected = torch.zeros_like(F, dtype=torch.bool)
    expected[1, :, 2] = reduced.x[:, 2, 1, 1] > 0  # where the view is present
    assert torch.equal(F.isnan(), expected)
    assert expected.any()


def test_own_products_run_the_lottery():
    task = MultiView(k=6, P=24, d=40, C_p=2, s=4.0, noise_signal=0.0, noise_background=0.0)
    nets = PatchNets.init(6, k=6, m=8, d=40, sigma_0=0.02, seed=4, activation=SReLU(3, 6.0))
    small, strengths, own = reduce_to_own_views(nets, task.sample(300, seed=1), task.views)
    run = train(small, strengths, schedule=Schedule(steps=600, stop_loss=0.1, eta=2000.0), views=own)
    test = task.sample(0, 600, seed=2)
    error = error_rate(run.nets(reduce_to_own_views(nets, test, task.views)[1].x), test.y)
    assert 0.35 < error.mean() < 0.55
    assert run.history.overlap.shape[1:] == (6, 6, 2)


@pytest.mark.parametrize("reduce", [reduce_to_all_views, reduce_to_own_views])
def test_what_inputs_show_is_read_again_after_a_change_in_place(reduce):
    small, reduced, _ = reduce(*problem())
    before = small(reduced.x)
    reduced.x[::2] = 0
    after = small(reduced.x)
    assert torch.equal(after, small(reduced.x.clone()))
    assert (after[:, ::2] == 0).all()
    assert torch.equal(after[:, 1::2], before[:, 1::2])


@pytest.mark.parametrize("reduce", [reduce_to_all_views, reduce_to_own_views])
def test_reduced_nets_train_in_inference_mode(reduce):
    """There tensors do not count their changes."""
    runs = []
    for mode in (False, True):
        with torch.inference_mode(mode):
            small, reduced, own = reduce(*problem())
            runs.append(train(small, reduced, schedule=replace(PATH, steps=3), views=own))
    assert torch.equal(runs[0].nets.W, runs[1].nets.W)


def test_reductions_refuse_what_does_not_fit():
    nets, data, views = problem()
    with refused(ValueError, "views must have shape"):
        reduce_to_own_views(nets, data, views[:3])
    with refused(ValueError, "views must have shape"):
        reduce_to_all_views(nets, data, views[..., :7])
    for bad in (2 * views, views + views.flip(1) / 5, views + views.flip(0) / 5):
        for reduce in (reduce_to_own_views, reduce_to_all_views):
            with refused(ValueError, "views must be orthonormal up to 1e-5; got inner products that are off by"):
                reduce(nets, data, bad)
    small, strengths, _ = reduce_to_own_views(nets, data, views)
    with refused(ValueError, "data.x must have shape"):
        train(small, replace(strengths, x=strengths.x[:, :3]))
