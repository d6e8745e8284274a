"""Model: the smoothed ReLU and the stacked nets against Python loops and autograd in float64."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import refused, small_problem, srelu, srelu_torch, untouched_global_state, within

from mvtheory import MultiView, PatchNets, SReLU
from mvtheory.engine import backend
from mvtheory.model import pooled

# SReLU


@pytest.mark.parametrize("q", range(1, 7))
@pytest.mark.parametrize("varrho", [0.5, 1.0, 4.0])
def test_srelu_value_and_slope(q, varrho):
    z = torch.cat([torch.linspace(-2, 3, 101) * varrho, torch.tensor([0.0, varrho])]).double()
    value, slope = SReLU(q, varrho).value_and_slope(z)
    expected = torch.tensor([srelu(t, q, varrho) for t in z.tolist()], dtype=torch.float64)
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(SReLU(q, varrho)(z), value, rtol=0, atol=0)
    kinks = (z == 0) | (z == varrho) if q == 1 else torch.zeros(len(z), dtype=torch.bool)
    z = z[~kinks].requires_grad_()
    by_autograd = torch.autograd.grad(srelu_torch(z, q, varrho).sum(), z)[0]
    torch.testing.assert_close(slope[~kinks], by_autograd, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["auto", "torch", "compiled"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("q", range(1, 7))
def test_pooled_is_the_sum_over_patches_and_neurons(q, dtype, name):
    z = 3 * torch.randn(4, 5, 6, 3, generator=torch.Generator().manual_seed(q), dtype=dtype)
    z[0, 0, 0, 0] = 0
    value, slope = SReLU(q, 1.5).value_and_slope(z)
    with backend(name):
        outputs, slopes = pooled(SReLU(q, 1.5), z.clone())
    torch.testing.assert_close(outputs, value.sum((1, 3)))
    torch.testing.assert_close(slopes, slope)


@pytest.mark.parametrize("name", ["torch", "compiled"])
@pytest.mark.parametrize("q", [1, 3, 5])
def test_pooled_hides_no_nan(q, name):
    z = torch.zeros(1, 2, 2, 2)
    z[0, 1, 1, 0] = math.nan
    expected = SReLU(q, 1.0).value_and_slope(z)[1]
    with backend(name):
        outputs, slopes = pooled(SReLU(q, 1.0), z)
    assert outputs.isnan().tolist() == [[False, True]]
    torch.testing.assert_close(slopes, expected, equal_nan=True)


def test_srelu_with_power_one_is_the_relu():
    z = torch.linspace(-2, 2, 41)
    value, slope = SReLU(1, 0.7).value_and_slope(z)
    assert torch.equal(value, z.relu())
    assert torch.equal(slope, (z > 0).float())


@pytest.mark.parametrize("q", [1, 2, 3, 4])
def test_srelu_does_not_change_its_argument(q):
    z = torch.linspace(-2, 6, 9)
    before = z.clone()
    SReLU(q).value_and_slope(z)
    assert torch.equal(z, before)


@settings(deadline=None)
@given(q=st.integers(2, 6), varrho=st.floats(0.1, 10), z=st.floats(-20, 20), dz=st.floats(0, 5))
def test_srelu_is_convex_increasing_and_below_the_relu(q, varrho, z, dz):
    value, slope = SReLU(q, varrho).value_and_slope(torch.tensor([z, z + dz], dtype=torch.float64))
    assert 0 <= slope[0] <= slope[1] <= 1
    assert slope[0] * dz - 1e-9 <= value[1] - value[0] <= slope[1] * dz + 1e-9
    assert 0 <= value[0] <= max(z, 0)


# Nets


def outputs_by_loops(nets: PatchNets, x: torch.Tensor) -> torch.Tensor:
    W, a = nets.W.tolist(), nets.activation
    return torch.tensor(
        [[[sum(srelu(sum(w * t for w, t in zip(neuron, patch, strict=True)), a.q, a.varrho)
               for neuron in neurons for patch in patches) for neurons in net] for patches in x.tolist()] for net in W],
        dtype=torch.float64,
    )  # fmt: skip


def test_outputs_agree_with_loops():
    nets, data = small_problem(n=11)
    before = data.x.clone()
    F = nets(data.x)
    assert F.shape == (3, 11, 3)
    torch.testing.assert_close(F, outputs_by_loops(nets, data.x), rtol=1e-12, atol=1e-14)
    assert torch.equal(data.x, before)


@pytest.mark.parametrize("name", ["auto", "torch"])
@pytest.mark.parametrize(("m", "blocks"), [(4, 1), (20_000, 6), (60_000, 11)], ids=["one", "of rows", "of a row"])
def test_blocks_hold_the_outputs_and_slopes_of_their_rows(m, blocks, name):
    """A million pre-activations a block, or those of an input if these are more."""
    _, data = small_problem(n=11)
    nets = PatchNets.init(1, k=3, m=m, d=8, sigma_0=0.5, seed=0, activation=SReLU(3, 0.5)).to(torch.float64)
    seen = []
    with backend(name):
        whole, parts = nets(data.x), list(nets.forward_blocks(data.x[:1]))
        for rows, F, slope in nets.forward_blocks(data.x):
            seen.append(rows)
            z = torch.einsum("lird,npd->nplir", nets.W, data.x[rows]).requires_grad_()
            expected = torch.autograd.grad(srelu_torch(z, 3, 0.5).sum(), z)[0]
            torch.testing.assert_close(slope.view(z.shape), expected, rtol=1e-10, atol=1e-12)
            torch.testing.assert_close(F, whole[:, rows].transpose(0, 1), rtol=1e-10, atol=1e-12)
    assert [row for rows in seen for row in range(rows.start, rows.stop)] == list(range(11))
    assert len(seen) == blocks
    torch.testing.assert_close(parts[0][1][0], whole[:, 0], rtol=1e-10, atol=1e-12)


def test_a_stack_is_its_nets():
    nets, data = small_problem(L=4)
    F = nets(data.x)
    for pick in ([2], [3, 1], slice(1, 3), torch.tensor([0, 3]), torch.tensor([True, False, False, True])):
        part = nets[pick]
        assert torch.equal(part.W, nets.W[pick])
        assert part.activation is nets.activation
        assert len(part) == len(nets.W[pick])
        torch.testing.assert_close(part(data.x), F[pick], rtol=1e-12, atol=1e-14)


def test_init_of_a_net_depends_on_its_seed_alone():
    args = {"k": 3, "m": 4, "d": 5, "sigma_0": 0.2}
    with untouched_global_state():
        stack = PatchNets.init(4, seed=10, **args)
    for net in range(4):
        assert torch.equal(stack.W[net], PatchNets.init(1, seed=10 + net, **args).W[0])
    assert torch.equal(stack.W[1:], PatchNets.init(3, seed=11, **args).W)
    assert len({tuple(net.flatten().tolist()) for net in stack.W}) == 4
    torch.testing.assert_close(PatchNets.init(4, seed=10, **args | {"sigma_0": 0.6}).W, 3 * stack.W)


def test_init_is_gaussian():
    sigma = 0.3
    w = PatchNets.init(3, k=10, m=20, d=50, sigma_0=sigma, seed=0).W.double().flatten()
    assert within(w.mean(), 0, sigma, len(w))
    assert within((w**2).mean(), sigma**2, math.sqrt(2) * sigma**2, len(w))
    assert within((w**4).mean(), 3 * sigma**4, math.sqrt(96) * sigma**4, len(w))


def test_products_and_overlaps_agree_with_loops():
    nets, _ = small_problem(L=2)
    views = MultiView(k=3, M=2, P=6, d=8, s=1, frame_seed=3).views.double()
    products, overlap = nets.products(views), nets.own_view_overlap(views)
    assert products.shape == (2, 3, 4, 3, 2)
    for net in range(2):
        for i in range(3):
            for v in range(2):
                own = [float(nets.W[net, i, r] @ views[i, v]) for r in range(4)]
                assert float(overlap[net, i, v]) == pytest.approx(max(0, *own), abs=1e-14)
                for j in range(3):
                    for r in range(4):
                        expected = sum(a * b for a, b in zip(nets.W[net, i, r].tolist(), views[j, v].tolist()))  # noqa: B905
                        assert float(products[net, i, r, j, v]) == pytest.approx(expected, abs=1e-14)


def test_overlap_is_never_negative():
    views = torch.eye(4).view(2, 2, 4)
    W = -torch.ones(1, 2, 3, 4)
    W[0, 1, 2, 3] = 0.5
    assert PatchNets(W).own_view_overlap(views).tolist() == [[[0, 0], [0, 0.5]]]


def test_to_converts_the_weights_alone():
    nets, _ = small_problem()
    single = nets.to(torch.float32)
    assert single.W.dtype == torch.float32
    assert nets.W.dtype == torch.float64
    assert single.activation == nets.activation


# Bad input


@pytest.mark.parametrize(
    ("args", "error", "match"),
    [
        ((0,), ValueError, "q must be an integer >= 1; got 0"),
        ((2.5,), TypeError, "q must be an integer >= 1; got 2.5"),
        ((3, 0.0), ValueError, r"varrho must be a finite number in \(0, inf\); got 0.0"),
        ((3, math.nan), ValueError, "varrho must be .* got nan"),
    ],
)
def test_srelu_refuses(args, error, match):
    with refused(error, match):
        SReLU(*args)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"L": 0}, ValueError, "L must be an integer >= 1; got 0"),
        ({"k": -1}, ValueError, "k must be an integer >= 1; got -1"),
        ({"m": 1.5}, TypeError, "m must be an integer >= 1; got 1.5"),
        ({"d": 0}, ValueError, "d must be an integer >= 1; got 0"),
        ({"sigma_0": 0}, ValueError, r"sigma_0 must be a finite number in \(0, inf\); got 0"),
        ({"sigma_0": math.inf}, ValueError, "sigma_0 must be .* got inf"),
        ({"seed": -1}, ValueError, "seed must be an integer >= 0; got -1"),
        ({"seed": "a"}, TypeError, "seed must be an integer >= 0; got 'a'"),
    ],
)
def test_init_refuses(change, error, match):
    with refused(error, match):
        PatchNets.init(**{"L": 2, "k": 3, "m": 4, "d": 5, "sigma_0": 0.1, "seed": 0} | change)


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 3, 4, 5, 6), (0, 3, 4, 5), (2, 3, 4, 0)])
def test_weights_of_a_wrong_shape_are_refused(shape):
    with refused(ValueError, rf"W must have shape \[L, k, m, d\] .*; got \({shape[0]}, "):
        PatchNets(torch.zeros(shape))


@pytest.mark.parametrize(
    ("x", "match"),
    [
        (torch.zeros(4, 6, 7), r"x must have shape \[n, P, 8\] with no empty axis; got \(4, 6, 7\)"),
        (torch.zeros(6, 8), r"x must have shape \[n, P, 8\] .*; got \(6, 8\)"),
        (torch.zeros(0, 6, 8), r"x must have shape \[n, P, 8\] .*; got \(0, 6, 8\)"),
        (torch.full((4, 6, 8), math.nan), "x must be finite; got 192 non-finite values"),
        (torch.zeros(4, 6, 8).double(), r"x.dtype .* must be one of torch.float32; got torch.float64"),
    ],
)
def test_inputs_are_checked(x, match):
    nets = PatchNets.init(2, k=3, m=4, d=8, sigma_0=0.1, seed=0)
    with refused(ValueError, match):
        nets(x)


def test_views_are_checked():
    nets = PatchNets.init(2, k=3, m=4, d=8, sigma_0=0.1, seed=0)
    with refused(ValueError, r"views must have shape \[j, M, 8\] .*; got \(3, 2, 9\)"):
        nets.products(torch.zeros(3, 2, 9))
    with refused(ValueError, r"views must have shape \[3, M, 8\] .*; got \(2, 2, 8\)"):
        nets.own_view_overlap(torch.zeros(2, 2, 8))
