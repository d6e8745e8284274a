"""The numbers of a diagnosis over seeds: against the jackknife by whole diagnoses without a net."""

import math

import numpy as np
import pytest
import scipy

from mvtheory import diagnose
from mvtheory.decision.worlds import sample

WORLD = sample("variance", L=6, n=800, seed=0)
F, Y = WORLD.F, WORLD.y
FOUND = diagnose(F, Y, F[:3] + F[3:])
WITHOUT = [diagnose(np.delete(F, net, 0), Y, F[:3] + F[3:]) for net in range(6)]
T = scipy.stats.t.ppf(0.975, 5)


def squared(values):
    """Return the squared standard error by the jackknife."""
    values = np.array(values)
    return 5 / 6 * ((values - values.mean()) ** 2).sum()


def half(estimate):
    return max(estimate.high - estimate.value, estimate.value - estimate.low)


@pytest.mark.parametrize("name", ["corrected", "resolved", "factor", "floor", "nll_gain"])
def test_intervals_over_seeds(name):
    inputs, both = getattr(FOUND, name), FOUND.over_seeds[name]
    s = squared([getattr(d, name).value for d in WITHOUT])
    assert half(both) == pytest.approx(math.hypot(half(inputs), T * math.sqrt(s)), rel=1e-6)


@pytest.mark.parametrize("name", ["removed", "gain"])
def test_the_noise_of_the_inputs_is_taken_off(name):
    inputs, both = getattr(FOUND, name), FOUND.over_seeds[name]
    s = squared([getattr(d, name).value for d in WITHOUT]) - FOUND.evidence.subsets.noise()[name]
    assert half(both) == pytest.approx(math.hypot(half(inputs), T * math.sqrt(max(s, 0))), rel=1e-6)


def test_what_students_retain_over_nets_and_students():
    e = FOUND.evidence
    one, whole, students = e.subsets.errs.mean(), e.subsets.average_errs.mean(), e.students.errs.mean(1)
    by_student = [(one - np.delete(students, i).mean()) / (one - whole) for i in range(3)]
    s = 2 / 3 * ((np.array(by_student) - np.mean(by_student)) ** 2).sum()
    by_net = [(d.errors[0].value - students.mean()) / d.gain.value for d in WITHOUT]
    expected = math.hypot(half(FOUND.retained), T * math.sqrt(squared(by_net)), 2 * math.sqrt(s))
    assert half(FOUND.over_seeds["retained"]) == pytest.approx(expected, rel=1e-6)
    assert diagnose(F, Y, F[:2]).over_seeds["retained"] is None
