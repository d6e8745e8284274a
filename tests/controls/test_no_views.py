"""Data without multi-view structure: each distribution against its definition."""

import dataclasses
import math

import pytest
import torch
from reference import refused, untouched_global_state, within

from mvtheory.controls.no_views import GaussianMixture

EPS = 2.0**-23  # spacing of float32 near one


def test_a_gaussian_mixture_is_mean_plus_noise():
    task = GaussianMixture(k=4, P=3, d=10, separation=0.7, noise=0.5)
    means = task.views[:, 0].double()
    assert (means @ means.T - torch.eye(4)).abs().max() <= 2 * EPS
    data = task.sample(1000, seed=0)
    noise = data.x.double()
    for i, label in enumerate(data.y.tolist()):
        noise[i] -= 0.7 * means[label]
        assert data.patch_view[i].tolist() == [label] * 3
        assert data.strength[i, :, 0].tolist() == pytest.approx([0.7 * 3 * (j == label) for j in range(4)], rel=EPS)
    xi, sigma = noise.flatten(), 0.5 / math.sqrt(10)
    assert within(xi.mean(), 0, sigma, len(xi))
    assert within((xi**2).mean(), sigma**2, math.sqrt(2) * sigma**2, len(xi))
    assert within((xi**4).mean(), 3 * sigma**4, math.sqrt(96) * sigma**4, len(xi))
    assert not data.single_view.any()
    for j in range(4):
        assert within((data.y == j).float().mean(), 1 / 4, math.sqrt(3 / 16), 1000)


def test_a_gaussian_mixture_depends_on_its_seeds_alone():
    task = GaussianMixture(k=3, P=2, d=8)
    with untouched_global_state():
        first, again = task.sample(10, seed=5), dataclasses.replace(task).sample(10, seed=5)
    for field in dataclasses.fields(first):
        assert torch.equal(getattr(first, field.name), getattr(again, field.name))
    other = task.sample(10, seed=6)
    assert not torch.equal(first.x, other.x)
    assert not torch.equal(first.y, other.y)
    assert not torch.equal(task.views, dataclasses.replace(task, frame_seed=1).views)


@pytest.mark.parametrize(
    ("kwargs", "error", "match"),
    [
        ({"k": 1}, ValueError, "k must be an integer >= 2; got 1"),
        ({"P": 0}, ValueError, "P must be an integer >= 1; got 0"),
        ({"d": 9}, ValueError, r"d \(.*\) must be an integer >= 10; got 9"),
        ({"separation": -1.0}, ValueError, "separation must be .* got -1.0"),
        ({"noise": math.nan}, ValueError, "noise must be .* got nan"),
        ({"frame_seed": 0.5}, TypeError, "frame_seed must be an integer >= 0; got 0.5"),
    ],
)
def test_parameters_are_checked(kwargs, error, match):
    with refused(error, match):
        GaussianMixture(**kwargs)


@pytest.mark.parametrize(
    ("args", "seed", "error", "match"),
    [
        ((0,), 0, ValueError, "n_multi_view must be an integer >= 1; got 0"),
        ((2.5,), 0, TypeError, "n_multi_view must be an integer >= 1; got 2.5"),
        (
            (2, 1),
            0,
            ValueError,
            r"n_single_view \(a Gaussian mixture has no single-view inputs\) must be .* <= 0; got 1",
        ),
        ((2,), -1, ValueError, "seed must be an integer >= 0; got -1"),
        ((2,), None, TypeError, "seed must be an integer >= 0; got None"),
    ],
)
def test_sample_refuses(args, seed, error, match):
    with refused(error, match):
        GaussianMixture(k=3, P=2, d=8).sample(*args, seed=seed)
