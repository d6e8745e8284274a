"""Data: every clause of the definition against loops, exact reconstruction, and statistics of known spread."""

import dataclasses
import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import refused, untouched_global_state, within

from mvtheory import MultiView, Sample
from mvtheory.data import orthonormal_frame

EPS = 2.0**-23  # spacing of float32 near one


def signal(task: MultiView, data: Sample) -> torch.Tensor:
    """Return z_p v of every patch, by loops over inputs and patches."""
    x = torch.zeros_like(data.x)
    for i, views in enumerate(data.patch_view.tolist()):
        for p, view in enumerate(views):
            if view >= 0:
                j, v = divmod(view, task.M)
                x[i, p] = data.strength[i, j, v] / patches(task, j == int(data.y[i])) * task.views[j, v]
    return x


def patches(task: MultiView, own: bool) -> int:
    """Return how many patches a present view fills."""
    return task.C_p if own or task.C_weak is None else task.C_weak


def same(a: Sample, b: Sample) -> bool:
    return all(torch.equal(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(Sample))


# Frames


@pytest.mark.parametrize(
    "task",
    [
        MultiView(k=3, M=2, P=6, d=6, s=1),
        MultiView(k=4, M=3, P=12, d=30, frame_seed=7),
        MultiView(k=3, M=3, P=9, d=20, s=1, frame="axes"),
    ],
)
def test_views_are_orthonormal(task):
    views = task.views.flatten(0, 1).double()
    assert task.views.shape == (task.k, task.M, task.d)
    # Rounding an entry to float32 changes an inner product by at most EPS / 2 from each side.
    assert (views @ views.T - torch.eye(task.k * task.M)).abs().max() <= 2 * EPS


def test_axes_frame_is_the_coordinate_axes():
    views = MultiView(k=2, M=3, P=6, d=9, s=1, frame="axes").views
    for j in range(2):
        for v in range(3):
            assert views[j, v].tolist() == [float(c == 3 * j + v) for c in range(9)]


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: MultiView(k=2, M=2, P=4, d=6, s=1, frame_seed=seed).views,
        lambda seed: orthonormal_frame(4, 6, seed=seed),
    ],
)
def test_random_frames_are_uniform(make):
    """Haar: E v = 0, E v_a v_b = 1/d for the same entry and 0 for two, E v^4 = 3 / (d (d + 2))."""
    n, d = 600, 6
    entries = torch.stack([make(seed).flatten() for seed in range(n)]).double()
    fourth = 3 / (d * (d + 2))
    assert entries.mean(0).abs().max() <= 5 * math.sqrt(1 / d / n)
    # E (v_a v_b)^2 <= E v^4 by Cauchy-Schwarz bounds the spread of every product.
    products = entries.T @ entries / n
    assert (products - torch.eye(4 * d) / d).abs().max() <= 5 * math.sqrt(fourth / n)
    eighth = 105 / (d * (d + 2) * (d + 4) * (d + 6))
    assert ((entries**4).mean(0) - fourth).abs().max() <= 5 * math.sqrt(eighth / n)


def test_frame_follows_its_seed_alone():
    task = MultiView(k=3, P=6, d=12, s=1, frame_seed=3)
    assert torch.equal(task.views, MultiView(k=3, P=8, d=12, s=0.5, frame_seed=3).views)
    assert not torch.equal(task.views, MultiView(k=3, P=6, d=12, s=1, frame_seed=4).views)


# Ground truth: presence, strengths, kept views

N = 3000


@pytest.fixture(scope="module", params=[2, 3], ids=["M=2", "M=3"])
def drawn(request) -> tuple[MultiView, Sample]:
    """Return a task, and N inputs of each kind; multi-view inputs come first."""
    M = request.param
    task = MultiView(k=5, M=M, P=40, d=16, C_p=2, s=2.0, main=(1.0, 1.4), weak=(0.1, 0.4), rho=0.02, Gamma=0.25)
    return task, task.sample(N, N, seed=M)


def test_labels_and_kept_views_are_uniform(drawn):
    task, data = drawn
    assert len(data) == 2 * N
    for j in range(task.k):
        assert within((data.y == j).float().mean(), 1 / 5, math.sqrt(0.16), 2 * N)
    assert (data.kept[:N] == -1).all()
    for v in range(task.M):
        p = 1 / task.M
        assert within((data.kept[N:] == v).float().mean(), p, math.sqrt(p * (1 - p)), N)
    assert torch.equal(data.single_view, torch.arange(2 * N) >= N)


def test_views_of_the_label_are_present_and_others_with_probability_s_over_k(drawn):
    task, data = drawn
    own = torch.arange(task.k) == data.y[:, None]
    assert torch.equal(data.present, data.strength > 0)
    assert data.present[own].all()
    p = task.s / task.k
    for kind in (slice(0, N), slice(N, None)):
        for j in range(task.k):
            for v in range(task.M):
                others = data.present[kind, j, v][data.y[kind] != j].float()
                assert within(others.mean(), p, math.sqrt(p * (1 - p)), len(others))
    # Two other views come and go independently.
    rows = data.y > 1
    both = data.present[rows, 0, 0] & data.present[rows, 1, 1]
    assert within(both.float().mean(), p**2, math.sqrt(p**2 * (1 - p**2)), int(rows.sum()))
    both = data.present[rows, 0, 0] & data.present[rows, 0, 1]
    assert within(both.float().mean(), p**2, math.sqrt(p**2 * (1 - p**2)), int(rows.sum()))


def test_multi_view_strengths_fill_their_ranges(drawn):
    task, data = drawn
    strength, own = data.strength[:N], torch.arange(task.k) == data.y[:N, None]
    for z, (low, high) in ((strength[own], task.main), (strength[~own][data.present[:N][~own]], task.weak)):
        z, width = z.flatten(), high - low
        assert z.min() >= low - EPS
        assert z.max() <= high + EPS
        assert within(z.mean(), (low + high) / 2, width / math.sqrt(12), len(z))
        # Uniform: E (z - mean)^2 = w^2 / 12 with variance w^4 / 180.
        assert within(((z - (low + high) / 2) ** 2).mean(), width**2 / 12, width**2 / math.sqrt(180), len(z))
    main = strength[own].reshape(N, task.M) - sum(task.main) / 2
    assert within((main[:, 0] * main[:, 1]).mean(), 0, 0.4**2 / 12, N)  # the label's views: independent strengths


def test_single_view_inputs_keep_one_view_and_lose_the_others(drawn):
    task, data = drawn
    for i in range(N, 2 * N):
        y, kept = int(data.y[i]), int(data.kept[i])
        for j, row in enumerate(data.strength[i].tolist()):
            for v, z in enumerate(row):
                if j != y:
                    assert z == 0 or abs(z - task.Gamma) <= EPS
                elif v == kept:
                    assert task.main[0] - EPS <= z <= task.main[1] + EPS
                else:
                    assert abs(z - task.rho) <= EPS


# Patches


def test_each_present_view_fills_its_own_patches_anywhere(drawn):
    task, data = drawn
    assert data.patch_view.shape == (2 * N, task.P)
    for present, views in zip(data.present.flatten(1).tolist(), data.patch_view.tolist(), strict=True):
        counts = [views.count(view) for view in range(task.k * task.M)]
        assert counts == [task.C_p * here for here in present]
    # No place is special: the share of inputs with a view at patch p is the same for every p.
    carries = (data.patch_view >= 0).float()
    share = carries.mean()
    for p in range(task.P):
        assert within(carries[:, p].mean(), share, math.sqrt(share * (1 - share)), 2 * N)
    first = (data.patch_view[:, 0] >= 0) & (data.patch_view[:, 1] >= 0)  # neighbours: no long runs of one view
    shared = (data.patch_view[:, 0] == data.patch_view[:, 1])[first].float().mean()
    assert shared <= task.C_p / (task.M * task.C_p) / 2


def test_patches_are_signal_plus_noise_of_the_right_norms():
    task = MultiView(k=3, P=10, d=12, C_p=1, s=1.0, noise_signal=0.2, noise_background=1.5)
    data = task.sample(400, 400, seed=0)
    noise = (data.x - signal(task, data)).double()
    for carries, norm in ((data.patch_view >= 0, 0.2), (data.patch_view < 0, 1.5)):
        xi, sigma = noise[carries].flatten(), norm / math.sqrt(task.d)
        assert within(xi.mean(), 0, sigma, len(xi))
        assert within((xi**2).mean(), sigma**2, math.sqrt(2) * sigma**2, len(xi))  # E xi^2, its spread sqrt(2)
        assert within((xi**4).mean(), 3 * sigma**4, math.sqrt(96) * sigma**4, len(xi))  # Gaussian, not uniform
        along = noise[carries] @ task.views[0, 0].double()  # isotropic: a view is a direction like any other
        assert within((along**2).mean(), sigma**2, math.sqrt(2) * sigma**2, len(along))


@pytest.mark.parametrize("C_p", [1, 3])
def test_without_noise_the_patches_are_the_signal(C_p):
    task = MultiView(k=3, M=2, P=18, d=8, C_p=C_p, s=1.0, noise_signal=0, noise_background=0)
    data = task.sample(20, 20, seed=0)
    torch.testing.assert_close(data.x, signal(task, data), rtol=0, atol=2 * EPS)
    seen = torch.einsum("npd,kmd->nkm", data.x, task.views)  # summed over patches: the total strength
    torch.testing.assert_close(seen, data.strength, rtol=0, atol=32 * EPS)


def test_feature_noise_is_uniform_along_every_view_of_every_patch():
    gamma = 0.3
    task = MultiView(k=3, P=6, d=10, s=1.0, gamma=gamma, noise_signal=0, noise_background=0)
    data = task.sample(500, 100, seed=0)
    noise = data.x - signal(task, data)
    views = task.views.flatten(0, 1)
    alpha = noise @ views.T
    assert (noise - alpha @ views).abs().max() <= 32 * EPS  # nothing outside the span of the views
    assert alpha.min() >= -16 * EPS
    assert alpha.max() <= gamma + 16 * EPS
    for kind in (data.patch_view >= 0, data.patch_view < 0):
        for view in range(6):
            a = alpha[kind][:, view]
            assert within(a.mean(), gamma / 2, gamma / math.sqrt(12), len(a))
            assert within(((a - gamma / 2) ** 2).mean(), gamma**2 / 12, gamma**2 / math.sqrt(180), len(a))
    first, second = (alpha[:, p] - gamma / 2 for p in (0, 1))  # patches are independent
    assert within((first * second).mean(), 0, gamma**2 / 12, first.numel())


def test_every_view_can_be_present_and_every_patch_taken():
    data = MultiView(k=3, M=2, P=12, d=6, C_p=2, s=3).sample(30, 5, seed=0)
    assert data.present.all()
    assert (data.patch_view >= 0).all()


def test_no_other_view_without_s():
    data = MultiView(k=3, P=6, d=6, s=0).sample(30, 30, seed=0)
    assert (data.present.sum((1, 2)) == 2).all()


def test_a_lost_view_of_no_strength_takes_no_patch():
    data = MultiView(k=3, P=6, d=6, s=0, rho=0).sample(0, 30, seed=0)
    assert ((data.patch_view >= 0).sum(1) == 1).all()


@settings(max_examples=40, deadline=None)
@given(k=st.integers(2, 5), M=st.integers(2, 4), C_p=st.integers(1, 3), weak=st.integers(0, 3),
       spare=st.integers(0, 5), share=st.floats(0, 1), n_multi_view=st.integers(0, 4), n_single_view=st.integers(0, 4),
       frame=st.sampled_from(["random", "axes"]), seed=st.integers(0, 2**31))  # fmt: skip
def test_any_task_draws_what_it_promises(k, M, C_p, weak, spare, share, n_multi_view, n_single_view, frame, seed):
    C_weak = min(weak, C_p) or None
    room = M * (C_p + (k - 1) * (C_weak or C_p))
    task = MultiView(k=k, M=M, P=room + spare, d=k * M + spare, C_p=C_p, C_weak=C_weak, s=share * k, frame=frame,
                     noise_signal=0, noise_background=0)  # fmt: skip
    if n_multi_view + n_single_view == 0:
        return
    data = task.sample(n_multi_view, n_single_view, seed=seed)
    assert data.x.shape == (n_multi_view + n_single_view, task.P, task.d)
    torch.testing.assert_close(data.x, signal(task, data), rtol=0, atol=2 * EPS)
    for here, y, views in zip(data.present.tolist(), data.y.tolist(), data.patch_view.tolist(), strict=True):
        for j, v in itertools.product(range(k), range(M)):
            assert views.count(j * M + v) == (here[j][v] and patches(task, j == y))
    assert int(data.single_view.sum()) == n_single_view


# Seeds


def test_same_seed_same_bits():
    task = MultiView(k=3, P=6, d=8, s=1, gamma=0.1)
    with untouched_global_state():
        first = task.sample(10, seed=5)
        torch.rand(3, generator=torch.Generator().manual_seed(0))
        again = dataclasses.replace(task).sample(10, seed=5)
    assert same(first, again)
    other = task.sample(10, seed=6)
    assert not torch.equal(first.x, other.x)
    assert not torch.equal(first.y, other.y)


def test_a_sample_can_be_cut():
    data = MultiView(k=3, P=6, d=8, s=1).sample(6, 4, seed=0)
    assert len(data[2:5]) == 3
    for rows in (slice(2, 5), [9, 0, 3], torch.tensor([1, 1]), data.single_view):
        part = data[rows]
        for field in dataclasses.fields(Sample):
            assert torch.equal(getattr(part, field.name), getattr(data, field.name)[rows])


# Bad input


@pytest.mark.parametrize(
    ("kwargs", "error", "match"),
    [
        ({"k": 1}, ValueError, "k must be an integer >= 2; got 1"),
        ({"k": 2.0}, TypeError, "k must be an integer >= 2; got 2.0"),
        ({"M": 1}, ValueError, "M must be an integer >= 2; got 1"),
        ({"C_p": 0}, ValueError, "C_p must be an integer >= 1; got 0"),
        ({"d": 19}, ValueError, r"d \(.*\) must be an integer >= 20; got 19"),
        ({"P": 1}, ValueError, r"P \(the patches of a class's M views need room\) must be an integer >= 2; got 1"),
        ({"P": 5, "C_p": 2, "M": 3}, ValueError, r"P \(.*\) must be an integer >= 6; got 5"),
        ({"P": 3, "C_p": 2, "C_weak": 1}, ValueError, r"P \(.*\) must be an integer >= 4; got 3"),
        ({"C_weak": 2}, ValueError, "C_weak must be an integer"),
        ({"s": -0.1}, ValueError, r"s must be a finite number in \[0, 10\]; got -0.1"),
        ({"s": 10.5}, ValueError, r"s must be .* got 10.5"),
        ({"s": math.nan}, ValueError, "s must be .* got nan"),
        ({"main": (1.1, 1.0)}, ValueError, r"main\[1\] must be a finite number in \[1.1, inf\); got 1.0"),
        ({"main": (-0.1, 1.0)}, ValueError, r"main\[0\] must be .* got -0.1"),
        ({"main": (1.0, math.inf)}, ValueError, r"main\[1\] must be .* got inf"),
        ({"weak": (0.1, math.nan)}, ValueError, r"weak\[1\] must be .* got nan"),
        ({"weak": 0.3}, TypeError, r"weak must be a pair \(low, high\); got 0.3"),
        ({"main": (1.0,)}, TypeError, r"main must be a pair \(low, high\); got \(1.0,\)"),
        ({"rho": -1}, ValueError, "rho must be .* got -1"),
        ({"Gamma": math.inf}, ValueError, "Gamma must be .* got inf"),
        ({"gamma": -0.1}, ValueError, "gamma must be .* got -0.1"),
        ({"noise_signal": math.nan}, ValueError, "noise_signal must be .* got nan"),
        ({"noise_background": "1"}, TypeError, "noise_background must be .* got '1'"),
        ({"frame": "haar"}, ValueError, "frame must be one of 'random', 'axes'; got 'haar'"),
        ({"frame_seed": -1}, ValueError, "frame_seed must be an integer >= 0; got -1"),
    ],
)
def test_multi_view_refuses(kwargs, error, match):
    with refused(error, match):
        MultiView(**kwargs)


@pytest.mark.parametrize(
    ("args", "seed", "error", "match"),
    [
        ((0, 0), 0, ValueError, r"n_multi_view \+ n_single_view must be an integer >= 1; got 0"),
        ((-1,), 0, ValueError, "n_multi_view must be an integer >= 0; got -1"),
        ((2, -1), 0, ValueError, "n_single_view must be an integer >= 0; got -1"),
        ((2.5,), 0, TypeError, "n_multi_view must be an integer >= 0; got 2.5"),
        ((2,), -1, ValueError, "seed must be an integer >= 0; got -1"),
        ((2,), None, TypeError, "seed must be an integer >= 0; got None"),
    ],
)
def test_sample_refuses(args, seed, error, match):
    with refused(error, match):
        MultiView(k=3, P=6, d=8, s=1).sample(*args, seed=seed)


@pytest.mark.parametrize(
    ("count", "d", "seed", "match"),
    [
        (0, 3, 0, "count must be an integer >= 1 and <= 3; got 0"),
        (4, 3, 0, "count must be an integer >= 1 and <= 3; got 4"),
        (1, 0, 0, "d must be an integer >= 1; got 0"),
        (1, 3, -1, "seed must be an integer >= 0; got -1"),
    ],
)
def test_orthonormal_frame_refuses(count, d, seed, match):
    with refused(ValueError, match):
        orthonormal_frame(count, d, seed=seed)


@pytest.mark.parametrize("C_weak", [1, 2, None])
def test_an_input_whose_views_do_not_fit_is_refused_and_one_that_just_fits_is_not(C_weak):
    task = MultiView(k=5, P=50, d=16, C_p=3, C_weak=C_weak, s=2.0)
    present = task.strengths(20, 20, seed=1)[2] > 0
    views = present.sum((1, 2)) - task.M  # of other classes
    needed = task.M * task.C_p + int(views.max()) * (C_weak or task.C_p)
    assert needed < task.M * (task.C_p + (task.k - 1) * (C_weak or task.C_p))  # fewer than all views need
    few = dataclasses.replace(task, P=needed)
    data = few.sample(20, 20, seed=1)
    assert torch.equal(data.present, present)
    assert (data.patch_view >= 0).sum(1).max() == needed
    match = rf"P \(an input holds views that fill {needed} patches\) must be an integer >= {needed}; got {needed - 1}"
    with refused(ValueError, match):
        dataclasses.replace(task, P=needed - 1).sample(20, 20, seed=1)


@pytest.mark.parametrize("M", [2, 3])
def test_a_balanced_sample_holds_each_stratum_equally(M):
    task = MultiView(k=4, M=M, P=12, d=16, s=2.0)
    data = task.sample(8, 12 * M, seed=3, balanced=True)
    multi, single = data[~data.single_view], data[data.single_view]
    assert multi.y.bincount().tolist() == [2, 2, 2, 2]
    assert (single.y * M + single.kept).bincount().tolist() == [3] * 4 * M
    lost = single.strength[torch.arange(12 * M), single.y].argmax(-1)
    assert torch.equal(lost, single.kept)
    assert not torch.equal(data.x, task.sample(8, 12 * M, seed=4, balanced=True).x)


@pytest.mark.parametrize("M", [2, 3])
def test_what_a_balanced_sample_holds_more_of_is_random(M):
    """Seven multi-view inputs of five classes, and eleven with a single view, whose labels begin where those end."""
    task, seeds = MultiView(k=5, M=M, P=M * 5, d=20, s=1.0), 2000
    drawn = [task.strengths(7, 11, seed=seed, balanced=True)[:2] for seed in range(seeds)]
    counts = torch.stack([y.bincount(minlength=5) for y, _ in drawn])  # 18 labels: four of three classes, three of two
    assert (counts.sort(1).values == torch.tensor([3, 3, 4, 4, 4])).all()
    multi = torch.stack([y[:7].bincount(minlength=5) for y, _ in drawn])
    assert (multi.sort(1).values == torch.tensor([1, 1, 1, 2, 2])).all()
    by_view = torch.stack([(y * M + kept)[7:].bincount(minlength=5 * M).view(5, M) for y, kept in drawn])
    assert (by_view.amax(2) - by_view.amin(2) <= 1).all()
    for j in range(5):
        assert within((multi[:, j] == 2).double().mean(), 2 / 5, math.sqrt(6 / 25), seeds)
        first = torch.stack([kept[7:][y[7:] == j][0] for y, kept in drawn])
        for v in range(M):
            assert within((first == v).double().mean(), 1 / M, math.sqrt((M - 1) / M**2), seeds)
    # Which views two classes show first does not hang together, nor a view and the place of its class.
    y, kept = (torch.stack([part[i][7:] for part in drawn]) for i in (0, 1))
    same = (kept[:, 0] == kept[:, 1]).double()
    assert within(same.mean(), 1 / M, math.sqrt((M - 1) / M**2), seeds)
    chosen = ((kept[:, 0] == 0) & (y[:, 0] == 3)).double()
    assert within(chosen.mean(), 1 / (5 * M), math.sqrt((5 * M - 1) / (5 * M) ** 2), seeds)


def test_one_balanced_single_view_input_is_of_any_class_and_view():
    task, seeds = MultiView(k=3, P=6, d=8, s=1.0), 1500
    stratum = [[int(part[-1]) for part in task.strengths(8, 1, seed=seed, balanced=True)[:2]] for seed in range(seeds)]
    found = torch.tensor([2 * y + kept for y, kept in stratum]).bincount(minlength=6)
    for count in found:
        assert within(count / seeds, 1 / 6, math.sqrt(5 / 36), seeds)
