"""Laws are found again in curves that follow them; the number of members by a plain search."""

import numpy as np
import pytest

from mvtheory.decision.laws import Laws, fit_laws, law_errors
from mvtheory.decision.subsets import average_errors
from mvtheory.decision.worlds import sample
from mvtheory.measurement import Estimate

SIZES = np.arange(1, 9.0)


def curve_of(values, n=400):
    """Return errors by input of which each size has exactly the mean that is asked for, and nets that are all alike."""
    by_size = np.tile(np.asarray(values)[:, None], (1, n))
    return by_size, np.tile(np.asarray(values)[None, :-1], (len(values), 1))


def test_coverage_is_found_again():
    found = fit_laws(*curve_of(0.05 + 0.3 * 0.5 ** (SIZES - 1)))
    assert found.coverage == pytest.approx((0.05, 0.3, 0.5), rel=1e-6)
    assert found.misfit["coverage"] == pytest.approx(0, abs=1e-6)
    assert found.better == "coverage"
    assert found.coverage_share.value == pytest.approx(1, abs=1e-6)


def test_variance_is_found_again():
    found = fit_laws(*curve_of(0.1 + 0.2 / SIZES))
    assert found.variance == pytest.approx((0.1, 0.2), rel=1e-6)
    assert found.better == "variance"
    assert found.coverage_share.value == pytest.approx(0, abs=1e-6)


def test_a_mixture_has_its_share():
    e = 0.1 + 0.2 * 0.5 ** (SIZES - 1) + 0.1 / SIZES
    fallen = 0.2 * (1 - 0.5**7), 0.1 * (1 - 1 / 8)
    assert fit_laws(*curve_of(e)).coverage_share.value == pytest.approx(fallen[0] / sum(fallen), rel=1e-6)


def test_no_gain_is_no_law():
    found = fit_laws(*curve_of(np.full(8, 0.2)))
    assert found.better == "neither"
    assert found.coverage_share is None
    assert found.members(0.02, "coverage") == found.members(0.02, "variance") == 1


def test_a_gain_that_is_small_but_the_same_on_all_inputs_is_a_gain():
    """Averages err on 5 in 100 fewer errors of one net, whichever inputs are drawn."""
    by_size = np.tile(np.array([1, 0.97, 0.96, 0.95])[:, None], (1, 400)) * (np.arange(400) % 5 == 0)
    assert fit_laws(by_size, np.tile(by_size.mean(1)[None, :-1], (4, 1))).better != "neither"


@pytest.mark.parametrize("name", ["views", "variance"])
def test_worlds_never_have_the_other_law(name):
    for seed in range(6):
        world = sample(name, L=8, n=1500, seed=seed)
        found = average_errors(world.F, world.y)
        other = {"views": "variance", "variance": "coverage"}[name]
        assert fit_laws(found.by_size, found.without).better != other


@pytest.mark.parametrize("least", [0.3, 0.1, 0.02, 0.003])
def test_members_by_search(least):
    laws = Laws((0.4, 0.25), (0.0, 0.4, 0.6), (0.05, 0.35), {}, "cannot tell", None)
    for law, parameters in (("coverage", laws.coverage), ("variance", laws.variance)):
        e = [0.4, 0.25, *law_errors(law, parameters, np.arange(3, 500.0))]
        expected = next(size for size in range(1, 499) if e[size - 1] - e[size] < least * 0.4)
        assert laws.members(least, law) == expected


def test_too_few_nets_have_no_law():
    assert fit_laws(*curve_of([0.3, 0.2, 0.1])) is None
    assert fit_laws(*curve_of(np.zeros(5))) is None


def test_a_vote_is_not_coverage():
    """The same curve, with disagreements that are resolved by little more than chance."""
    curves = curve_of(0.05 + 0.3 * 0.5 ** (SIZES - 1))
    for value, better in ((0.6, "vote"), (0.95, "coverage")):
        found = fit_laws(*curves, Estimate(value, value - 0.02, value + 0.02, 8, 1))
        assert found.better == better
        assert (found.coverage_share is None) == (better == "vote")
