"""A training step by compiled code, by torch and by autograd; threads, memory and devices."""

import dataclasses
import os
import subprocess
import sys
import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import cross_entropy, double, gradient, outputs, small_problem

from mvtheory import (
    AverageCrossEntropy,
    CrossEntropy,
    Distillation,
    MultiView,
    OnOff,
    PatchNets,
    Sample,
    Schedule,
    SReLU,
    train,
)
from mvtheory.engine import backend
from mvtheory.engine.compiled import CompiledStep
from mvtheory.engine.tiles import VECTOR_BYTES, WIDE
from mvtheory.reduced.reduction import reduce_to_all_views, reduce_to_own_views
from mvtheory.training import loss_and_gradient

wide = pytest.mark.skipif(not WIDE, reason="needs vectors of 256 bits")
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture(params=["auto", "torch"])
def path(request):
    """Run a test once for each way of doing a step; the last is that of a GPU."""
    with backend(request.param):
        yield


@pytest.fixture
def threads():
    """Give torch back its number of threads."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def plain_training(nets: PatchNets, data: Sample, steps: int, eta: float) -> PatchNets:
    """Gradient descent at a constant rate by autograd."""
    for _ in range(steps):
        step = gradient(nets, data.x, lambda F: cross_entropy(F, data.y))
        nets = dataclasses.replace(nets, W=nets.W - eta * step)
    return nets


def test_a_trajectory_is_that_of_plain_gradient_descent(path):
    nets, data = small_problem(n=40)
    run = train(nets, data, schedule=Schedule(steps=60, stop_loss=0, eta=0.3, max_change=1.0))
    plain = plain_training(nets, data, 60, 0.3)
    assert (plain.W - nets.W).abs().max() > 0.2
    torch.testing.assert_close(run.nets.W, plain.W, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(run.history.loss[-1], cross_entropy(outputs(plain.W, data.x, nets.activation), data.y))


def test_a_trajectory_in_single_precision_stays_beside_that_in_double(path):
    nets, data = small_problem(n=40)
    single = Sample(data.x.float(), data.y, data.strength.float(), data.kept, data.patch_view)
    schedule = Schedule(steps=60, stop_loss=0, eta=0.3, max_change=1.0)
    run = train(nets.to(torch.float32), single, schedule=schedule)
    expected = train(nets, data, schedule=schedule)
    torch.testing.assert_close(run.nets.W.double(), expected.nets.W, rtol=1e-3, atol=1e-4)


def objectives(data: Sample, L: int, k: int) -> list:
    G = 0.4 * torch.rand(L, len(data), k, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    return [CrossEntropy(data.y), AverageCrossEntropy(data.y), Distillation(data.y, G, OnOff(), 2.0)]


@wide
@settings(deadline=None, max_examples=40)
@given(
    L=st.integers(1, 4), k=st.integers(2, 5), m=st.integers(1, 9), d=st.integers(10, 70), more=st.integers(0, 20),
    n=st.integers(1, 30), q=st.integers(1, 5), block=st.sampled_from([1, 300, 2000, 2**20]),
    threads=st.integers(1, 3), noise=st.sampled_from([0.0, 0.5]),
)  # fmt: skip
def test_compiled_steps_agree_with_torch_on_any_size(L, k, m, d, more, n, q, block, threads, noise):
    """Noise or not: without it some patches hold zeros only, and are left out."""
    task = MultiView(k=k, P=2 * k + more, d=d, s=1.0, noise_signal=noise, noise_background=noise)
    nets = PatchNets.init(L, k=k, m=m, d=d, sigma_0=0.5, seed=1, activation=SReLU(q, 0.5)).to(torch.float64)
    data, before, close = double(task.sample(n, seed=n)), torch.get_num_threads(), {"rtol": 1e-10, "atol": 1e-12}
    x, rows, stack = data.x, torch.arange(n), torch.arange(L)
    torch.set_num_threads(threads)
    try:
        for objective in objectives(data, L, k):
            with backend("compiled"):
                stats, got = loss_and_gradient(nets, x, objective, rows, stack)
            with backend("torch"):
                expected_stats, expected = loss_and_gradient(nets, x, objective, rows, stack)
            torch.testing.assert_close(got, expected, **close)
            torch.testing.assert_close(stats, expected_stats, **close)
            step = CompiledStep(nets.W, x, q, 0.5, block)
            got = step.gradient(lambda some, F: objective(F, rows[some], stack)[1] / n)  # noqa: B023
            torch.testing.assert_close(got, expected, **close)
        F, got = CompiledStep(nets.W, x, q, 0.5, block).label_gradient(data.y)
        with backend("torch"):
            torch.testing.assert_close(F.transpose(0, 1), nets(x), **close)
            expected = loss_and_gradient(nets, x, CrossEntropy(data.y), rows, stack)[1]
        torch.testing.assert_close(got, expected, **close)
        torch.testing.assert_close(CompiledStep(nets.W, x, q, 0.5, block).outputs(), F, **close)
    finally:
        torch.set_num_threads(before)


PROCESSORS = [
    pytest.param("32", "haswell", "+avx2,+fma", id="vectors of 256 bits", marks=pytest.mark.skipif(
        VECTOR_BYTES < 64, reason="this processor's vectors have 256 bits: the other tests are about them"
    )),
    pytest.param("0", "x86-64", "+sse2", id="narrower vectors, so that torch multiplies"),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("width", "name", "features"), PROCESSORS)
def test_other_processors_get_steps_of_their_own(width, name, features):
    """The same tests in a process that may use nothing wider."""
    env = os.environ | {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features}
    chosen = "zeros or not_finite or no_number or trajectory" + " or any_size or same_bits" * (width != "0")
    code = (
        f"import sys, pytest; failed = pytest.main(['-q', {__file__!r}, '-k', {chosen!r}])\n"
        "from mvtheory.engine.tiles import VECTOR_BYTES, WIDE\n"
        "print('bytes:', VECTOR_BYTES if WIDE else 0)\n"
        "sys.exit(failed)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"bytes: {width}\n" in done.stdout
    assert " passed" in done.stdout
    assert " skipped" not in done.stdout


def test_inputs_of_nothing_but_zeros_have_no_gradient(path):
    nets, data = small_problem()
    x = torch.zeros_like(data.x)
    x[3, 2] = data.x[3, 2]
    F = nets(x)
    assert (F[:, [0, 1, 2, *range(4, 24)]] == 0).all()
    torch.testing.assert_close(F, outputs(nets.W, x, nets.activation), rtol=1e-10, atol=1e-12)
    _, got = loss_and_gradient(nets, x, CrossEntropy(data.y), torch.arange(24), torch.arange(3))
    expected = gradient(nets, x, lambda F: cross_entropy(F, data.y))
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)
    _, got = loss_and_gradient(nets, 0 * x, CrossEntropy(data.y), torch.arange(24), torch.arange(3))
    assert (got == 0).all()


def test_the_path_of_the_reduced_nets_is_the_same(path):
    nets, data = small_problem(noise_signal=0.0, noise_background=0.0)
    views = MultiView(k=3, P=6, d=8, s=1).views.double()
    for reduce in (reduce_to_all_views, reduce_to_own_views):
        small, reduced, _ = reduce(nets, data, views)
        run = train(small, reduced, schedule=Schedule(steps=20, stop_loss=0))
        assert run.history.loss[-1].max() < run.history.loss[0].min()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_nothing_hides_a_number_that_is_not_finite(bad, path):
    nets, data = small_problem()
    W = nets.W.clone()
    W[1, 2, 3, 4] = bad
    data.x[:3] = 0  # NaN and infinity times zero are NaN
    F = dataclasses.replace(nets, W=W)(data.x)
    assert not F[1, :, 2].isfinite().any()
    assert F[[0, 2]].isfinite().all()
    assert F[1, :, :2].isfinite().all()


def test_large_outputs_do_not_overflow(path):
    """The exponential of more than 710 is infinite in double precision."""
    nets, data = small_problem()
    nets = dataclasses.replace(nets, W=1000 * nets.W)
    stats, got = loss_and_gradient(nets, data.x, CrossEntropy(data.y), torch.arange(24), torch.arange(3))
    expected = gradient(nets, data.x, lambda F: cross_entropy(F, data.y))
    assert nets(data.x).max() > 1000
    assert stats["loss"].max() > 10
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("q", [2, 3, 5])
def test_the_slope_of_a_weight_that_is_no_number_is_none(q, path):
    nets, data = small_problem()
    W = nets.W.clone()
    W[1, 2, 3, 4] = float("nan")
    got = PatchNets(W, SReLU(q, 0.5)).gradient(data.x, lambda rows, F: torch.ones_like(F))
    assert got[1, 2, 3].isnan().all()
    got[1, 2, 3] = 0
    assert got.isfinite().all()


@wide
@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_same_number_of_threads_gives_the_same_bits(count, threads):
    nets, data = small_problem(n=12_000)  # several blocks
    threads(count)
    first, again = (train(nets, data, schedule=Schedule(steps=9, stop_loss=0)) for _ in range(2))
    assert torch.equal(first.nets.W, again.nets.W)
    assert torch.get_num_threads() == count


@wide
def test_torch_keeps_to_one_thread_while_compiled_code_trains_and_not_after_an_error(threads):
    nets, data = small_problem()
    threads(2)
    seen = []

    @dataclasses.dataclass(frozen=True)
    class Spy:
        y: torch.Tensor
        joint: bool = False

        def __call__(self, F, rows, nets):
            seen.append(torch.get_num_threads())
            if len(seen) >= 3:
                raise KeyError("enough")
            return CrossEntropy(self.y)(F, rows, nets)

    with pytest.raises(KeyError):
        train(nets, data, Spy(data.y), Schedule(steps=9))
    assert seen in ([1] * 3, [1] * 4)  # the other thread may be in the middle of a call
    assert torch.get_num_threads() == 2


@wide
def test_trainings_in_threads_of_python_keep_their_number_of_threads(threads):
    """What starts while a training runs finds the number that was set, and so the same bits."""
    nets, data = small_problem(n=3000)
    threads(2)
    schedule = Schedule(steps=5, stop_loss=0)
    expected, found = train(nets, data, schedule=schedule).nets.W, []

    def another():
        found.append((torch.get_num_threads(), train(nets, data, schedule=schedule).nets.W, torch.get_num_threads()))

    @dataclasses.dataclass(frozen=True)
    class Overlapped:
        y: torch.Tensor
        joint: bool = False

        def __call__(self, F, rows, nets):
            if not found:
                thread = threading.Thread(target=another)
                thread.start()
                thread.join()
            return CrossEntropy(self.y)(F, rows, nets)

    train(nets, data, Overlapped(data.y), Schedule(steps=1, stop_loss=0))
    assert [number for before, _, after in found for number in (before, after)] == [2] * 2 * len(found)
    assert all(torch.equal(W, expected) for _, W, _ in found)
    assert torch.get_num_threads() == 2


@wide
@pytest.mark.parametrize("failing", [(0,), (12,), (0, 12)])
def test_no_error_of_any_thread_is_lost(failing, threads):
    threads(2)
    nets, data = small_problem()

    def output_grad(rows, F):
        if rows.start in failing:
            raise ValueError(f"rows from {rows.start} on")
        return torch.zeros_like(F)

    with pytest.raises(ValueError, match=f"rows from {failing[0]} on") as raised:
        nets.gradient(data.x, output_grad)
    notes = getattr(raised.value, "__notes__", [])
    assert [f"rows from {row} on" in note for note, row in zip(notes, failing[1:], strict=True)] == [True] * len(notes)


@wide
def test_every_thread_trains_in_the_mode_of_the_caller(threads):
    threads(2)
    nets, data = small_problem()
    expected = train(nets, data, schedule=Schedule(steps=3, stop_loss=0)).nets.W
    with torch.inference_mode():
        nets, data = small_problem()
        assert torch.equal(train(nets, data, schedule=Schedule(steps=3, stop_loss=0)).nets.W, expected)


@wide
@pytest.mark.parametrize("n", [50, 500, 5000])
def test_memory_for_pre_activations_is_bounded_by_the_block(n, threads):
    threads(2)
    W, x = torch.randn(4, 5, 10, 6), torch.randn(n, 20, 6)
    step = CompiledStep(W, x, 3, 1.0, block=2**15)
    whole = n * 20 * 4 * 5 * 10
    assert step.slopes.size < 2 * 1.5 * 2**15  # two threads; panels are wider than what they hold
    assert step.slopes.size < 4 * whole


@pytest.mark.parametrize("objective", [CrossEntropy, AverageCrossEntropy])
@pytest.mark.parametrize("some", [False, True])
def test_a_step_stays_on_its_device(objective, some, monkeypatch):
    """On the device without memory any meeting with a tensor from elsewhere is an error."""
    monkeypatch.setattr(torch, "equal", lambda a, b: not some)
    nets, data = (thing.to("meta") for thing in small_problem())
    rows = torch.tensor([3, 1, 2]) if some else torch.arange(24)
    stats, got = loss_and_gradient(nets, data.x, objective(data.y), rows, torch.arange(3))
    assert got.device.type == "meta"
    assert {value.device.type for value in stats.values()} == {"meta"}


@gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_gpu_gives_the_same_numbers(dtype):
    """In double precision up to rounding, in single to three digits after sixty steps: there is no TF32."""
    assert not torch.backends.cuda.matmul.allow_tf32
    nets, data = small_problem(n=40)
    nets, data = nets.to(dtype), dataclasses.replace(data, x=data.x.to(dtype), strength=data.strength.to(dtype))
    views = MultiView(k=3, P=6, d=8, s=1).views.to(dtype)
    schedule = Schedule(steps=60, stop_loss=0.1, eta=0.3)
    here = train(nets, data, schedule=schedule, views=views)
    there = train(nets.to("cuda"), data.to("cuda"), schedule=schedule, views=views.to("cuda"))
    assert there.nets.W.device.type == "cuda"
    tolerance = {"rtol": 1e-3, "atol": 1e-4} if dtype == torch.float32 else {"rtol": 1e-9, "atol": 1e-11}
    torch.testing.assert_close(there.nets.W.cpu(), here.nets.W, **tolerance)
    torch.testing.assert_close(there.history.overlap.cpu(), here.history.overlap, **tolerance)


@gpu
def test_a_gpu_trains_students_averages_and_reduced_nets():
    nets, data = small_problem()
    views = MultiView(k=3, P=6, d=8, s=1).views.double()
    for objective in objectives(data, 3, 3):
        there = type(objective)(**{
            name: value.to("cuda") if isinstance(value, torch.Tensor) else value
            for name, value in vars(objective).items() if name != "joint"
        })  # fmt: skip
        schedule = Schedule(steps=9, stop_loss=0)
        expected = train(nets, data, objective, schedule).nets.W
        got = train(nets.to("cuda"), data.to("cuda"), there, schedule).nets.W
        torch.testing.assert_close(got.cpu(), expected, rtol=1e-9, atol=1e-11)
    for reduce in (reduce_to_all_views, reduce_to_own_views):
        small, reduced, _ = reduce(nets, data, views)
        expected = train(small, reduced, schedule=schedule).nets.W
        got = train(small.to("cuda"), reduced.to("cuda"), schedule=schedule).nets.W
        torch.testing.assert_close(got.cpu(), expected, rtol=1e-9, atol=1e-11)
