"""Errors of averages against loops over all subsets, and samples of subsets against all."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvtheory.decision import subsets
from mvtheory.decision.subsets import average_errors
from mvtheory.measurement import wrong


def nets(L, n, k, seed, digits=8):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, k, n)
    return np.round(rng.normal(size=(L, n, k)) + 1.2 * np.eye(k)[y], digits), y


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 5), st.integers(1, 30), st.integers(2, 12), st.integers(0, 99), st.integers(0, 2))
def test_all_subsets_by_loops(L, n, k, seed, digits):
    """With few digits there are ties, which are errors."""
    F, y = nets(L, n, k, seed, digits)
    F *= 4  # sums of what is left are exact
    found = average_errors(F, y)

    def mean_error(members, size):
        return np.mean([wrong(F[list(c)].sum(0), y) for c in combinations(members, size)], 0)

    assert np.array_equal(found.errs, wrong(F, y))
    assert np.array_equal(found.average_errs, wrong(F.sum(0), y))
    np.testing.assert_allclose(found.by_size, [mean_error(range(L), size) for size in range(1, L + 1)], atol=1e-12)
    for net in range(L):
        others = [i for i in range(L) if i != net]
        assert np.array_equal(found.others_err[net], wrong(F[others].sum(0), y))
        expected = [mean_error(others, size).mean() for size in range(1, L)]
        np.testing.assert_allclose(found.without[net], expected, atol=1e-12)
    for a, b in combinations(range(L), 2):
        disagree = found.errs[a] ^ found.errs[b]
        assert found.disagree[a, b] == disagree.sum()
        assert found.resolved[a, b] == (disagree & ~wrong(F[a] + F[b], y)).sum()
    assert not found.sampling.any()


def test_many_classes_are_left_out_without_effect():
    F, y = nets(6, 60, 150, seed=4)
    found = average_errors(F, y)
    expected = [np.mean([wrong(F[list(c)].mean(0), y) for c in combinations(range(6), s)], 0) for s in range(1, 7)]
    np.testing.assert_allclose(found.by_size, expected, atol=1e-12)


def test_a_sample_of_subsets_has_its_own_error(monkeypatch):
    F, y = nets(9, 300, 5, seed=1)
    exact = average_errors(F, y)
    monkeypatch.setattr(subsets, "EXACT", 1)
    monkeypatch.setattr(subsets, "ORDERS", 8)
    sampled = average_errors(F, y)
    for size in (0, 7, 8):  # one net, all but one, all
        np.testing.assert_allclose(sampled.by_size[size].mean(), exact.by_size[size].mean(), atol=1e-12)
    np.testing.assert_allclose(sampled.without[:, [0, 7]], exact.without[:, [0, 7]])
    assert np.array_equal(sampled.others_err, exact.others_err)
    z = (sampled.by_size.mean(1) - exact.by_size.mean(1))[1:7] / sampled.sampling[1:7]
    assert np.abs(z).max() < 5.4  # Student's, 7 degrees, one in a thousand
    assert (sampled.sampling[1:7] > 0).all()
    assert sampled.disagree.sum() < exact.disagree.sum()  # neighbours alone
    assert sampled.resolved_share == pytest.approx(exact.resolved_share, abs=0.05)


def test_more_nets_than_are_exact():
    F, y = nets(40, 50, 4, seed=2)
    found = average_errors(F, y)
    assert found.by_size.shape == (40, 50)
    assert found.by_size[-1].mean() == wrong(F.mean(0), y).mean()
    assert np.diff(found.by_size.mean(1)).max() < 0.05


def test_numbers_without_a_net_are_those_of_the_others():
    F, y = nets(5, 200, 3, seed=3)
    lacking = average_errors(F, y).lacking()
    for net in range(5):
        others = average_errors(np.delete(F, net, 0), y)
        e = others.by_size.mean(1)
        expected = {
            "one": e[0], "all": e[-1], "gain": e[0] - e[-1], "removed": 1 - e[-1] / e[0], "corrected": others.corrected,
            "resolved": others.resolved_share, "factor": e[1:].sum() / e[:-1].sum(), "floor": others.errs.all(0).mean(),
        }  # fmt: skip
        assert {name: values[net] for name, values in lacking.items()} == pytest.approx(expected)


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_noise_is_what_the_jackknife_sees_of_a_small_sample():
    """Copies of one function with independent noise on each input: other nets differ by the sample of inputs alone."""
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(400):
        y = np.zeros(150, int)
        F = np.stack([np.zeros((6, 150)), rng.normal(size=(6, 150)) - 0.3], -1)
        found = average_errors(F, y)
        one = found.lacking()["one"]
        ratios.append([5 / 6 * ((one - one.mean()) ** 2).sum(), found.noise()["one"]])
    seen, predicted = np.mean(ratios, 0)
    assert seen == pytest.approx(predicted, rel=4 * math.sqrt(2 / (5 * 400)))
