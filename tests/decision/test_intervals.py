"""Intervals over inputs and seeds: closed forms, and coverage on worlds in which the truth is known."""

import math

import numpy as np
import pytest
import scipy

from mvtheory.decision.intervals import jackknife, mean_of, more_inputs, ratio_of, side, widened
from mvtheory.decision.trials import trials
from mvtheory.decision.worlds import WORLDS
from mvtheory.measurement import Estimate

Z = 4  # sigmas of simulation noise


def test_the_jackknife_of_a_mean_is_its_standard_error():
    values = np.array([1.0, 4.0, 2.0, 7.0])
    without = (values.sum() - values) / 3
    assert jackknife(without) == pytest.approx(values.std(ddof=1) / 2)
    assert math.isnan(jackknife(without[:2]))
    assert math.isnan(jackknife(np.array([1.0, math.nan, 2.0])))


def test_both_parts_add_in_squares():
    inputs = Estimate(0.5, 0.4, 0.6, 4, 1)
    without = np.array([0.4, 0.5, 0.6, 0.5])
    t, s = scipy.stats.t.ppf(0.975, 3), jackknife(without)
    half = math.hypot(0.1, t * s)
    assert widened(inputs, without) == Estimate(0.5, 0.5 - half, 0.5 + half, 4, 1)
    half = math.hypot(0.1, t * math.sqrt(s**2 - 1e-3))
    assert widened(inputs, without, noise=1e-3).high == pytest.approx(0.5 + half)
    assert widened(inputs, without, noise=1.0) == inputs  # the sample of inputs explains it all
    assert widened(inputs, without, low=0.45).low == 0.45
    assert widened(inputs, without[:2]) is widened(None, without) is None


def test_a_sampled_number_is_less_sure():
    u = np.arange(50) % 2
    half = [mean_of(u, 3, extra=extra).high - 0.5 for extra in (0.0, 0.3)]
    assert half[1] == pytest.approx(math.hypot(half[0], 0.3))
    assert ratio_of(u.astype(float), np.zeros(50), 3) is None


def test_sides():
    e = Estimate(0.5, 0.4, 0.6, 4, 1)
    assert [side(e, bound, "above", "below") for bound in (0.3, 0.4, 0.7)] == ["above", "inconclusive", "below"]
    assert side(None, 0.3, "above", "below") == "inconclusive"


def test_how_many_more_inputs():
    """Four times the inputs halve the interval."""
    e = Estimate(0.3, 0.1, 0.5, 4, 1)
    assert more_inputs(e, 0.2, 100) == pytest.approx(400)
    assert more_inputs(e, 0.4, 100) == pytest.approx(400)
    assert more_inputs(e, 0.3, 100) == math.inf


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("L", "n"), [(3, 400), (5, 500), (8, 300)])
def test_verdicts_and_intervals_on_known_worlds(L, n):
    """Of 200 data sets of each world at most 5% are misjudged; intervals over inputs and seeds cover the truth in 90%.

    With three nets the jackknife has two degrees of freedom, and covers a little less than 95%.
    """
    sets = 200
    table = trials(sets=sets, L=L, n=n, seed=L)
    assert list(table.index) == list(WORLDS)
    assert (table["wrong"] / sets <= 0.05).all(), table
    assert (table["inputs"] >= 0.95 - Z * math.sqrt(0.95 * 0.05 / sets)).all(), table
    assert (table["seeds"] >= 0.93 - Z * math.sqrt(0.93 * 0.07 / sets)).all(), table
    assert table.loc["views", "pays"] > 0.9 * sets
    assert table.loc["one optimum", "pays"] == 0
    assert table.loc["variance", "does not pay"] <= 0.05 * sets


def test_the_table_counts_all_verdicts():
    table = trials(["views", "one optimum"], sets=5, L=4, n=200)
    assert (table[["pays", "does not pay", "inconclusive"]].sum(axis=1) == 5).all()
    assert table.loc["views", "removed"] == 7 / 8
    assert table.loc["one optimum", "wrong"] == 0
