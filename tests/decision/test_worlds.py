"""Sampled worlds have the errors that are said to be true of them."""

import math

import numpy as np
import pytest

from mvtheory.decision.worlds import WORLDS, removed_by, removed_in, sample
from mvtheory.measurement import error_rate

Z = 4


def removed(world):
    return 1 - error_rate(world.F.mean(0), world.y) / error_rate(world.F, world.y).mean()


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("L", [2, 5])
def test_the_nets_at_hand(name, L):
    """The errors of the average are counted on 40,000 inputs, two fifths of them hard."""
    world = sample(name, L=L, n=40_000, seed=L)
    missed = error_rate(world.F, world.y).mean() * 40_000
    assert removed(world) == pytest.approx(removed_by(world), abs=2 * Z / math.sqrt(missed))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", WORLDS)
def test_over_nets(name):
    """Errors are averaged over data sets, since the truth is a ratio of expectations."""
    errors = []
    for seed in range(150):
        world = sample(name, L=4, n=400, seed=seed)
        errors.append([error_rate(world.F, world.y).mean(), error_rate(world.F.mean(0), world.y)])
    one, whole = np.array(errors).T
    share = 1 - whole.mean() / one.mean()
    spread = (whole - (1 - share) * one).std() / one.mean() / math.sqrt(150)
    assert share == pytest.approx(removed_in(name, 4), abs=Z * spread + 1e-9)


def test_one_optimum_is_one_function():
    world = sample("one optimum", L=3, n=50, seed=0)
    assert np.array_equal(world.F[0], world.F[2])
    assert removed_in("one optimum", 3) == 0
