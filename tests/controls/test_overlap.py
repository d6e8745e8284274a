"""Views that overlap: the data, and the formulas of the winner's ratio and of the gain."""

import math

import numpy as np
import pytest
import torch
from reference import refused, within

from mvtheory import MultiView
from mvtheory.controls.overlap import Overlapping, overlap_at, predicted_gain, resting_ratio


@pytest.mark.parametrize("c", [0.0, 0.3, 1.0])
def test_views_overlap_as_asked_and_classes_stay_orthogonal(c):
    task = Overlapping(k=4, P=8, d=12, s=1.0, overlap=c, frame_seed=3)
    gram = torch.einsum("ild,jmd->iljm", task.views, task.views)
    expected = torch.zeros(4, 2, 4, 2)
    for i in range(4):
        expected[i, :, i, :] = torch.tensor([[1.0, c], [c, 1.0]])
    assert torch.allclose(gram, expected, atol=1e-6)
    assert torch.equal(task.views[:, 0], MultiView(k=4, P=8, d=12, s=1.0, frame_seed=3).views[:, 0])


def test_inputs_carry_the_overlapping_views():
    task = Overlapping(k=3, P=6, d=12, s=1.0, overlap=0.6, noise_signal=0.0, noise_background=0.0)
    sample, plain = (
        data.sample(20, 20, seed=1)
        for data in (task, MultiView(k=3, P=6, d=12, s=1.0, noise_signal=0.0, noise_background=0.0))
    )
    assert torch.equal(sample.strength, plain.strength)
    expected = torch.einsum("njl,jld->nd", sample.strength, task.views)
    assert torch.allclose(sample.x.sum(1), expected, atol=1e-6)


@pytest.mark.parametrize("q", [3, 4, 5, 7])
def test_a_neuron_comes_to_rest_at_the_ratio_of_the_formula(q):
    """Integrate the two growth laws, in steps of the larger overlap's logarithm."""
    for c in (0.0, 0.1, 0.25, 0.9 * (q - 2) / q, (q - 2) / q + 0.1):
        for r in (0.01, 0.9):
            for _ in range(60_000):
                r += 1e-3 * ((c + r ** (q - 1)) - r * (1 + c * r ** (q - 1))) / (1 + c * r ** (q - 1))
            assert r == pytest.approx(resting_ratio(c, q), abs=2e-3)


@pytest.mark.parametrize("q", [3, 4, 6])
def test_the_formula_is_a_ratio_of_hyperbolic_sines(q):
    for r in (0.05, 0.4, 0.9, 0.999):
        u = -math.log(r)
        assert overlap_at(r, q) == pytest.approx(math.sinh((q - 2) * u / 2) / math.sinh(q * u / 2), rel=1e-9)
    assert overlap_at(1, q) == pytest.approx((q - 2) / q)
    assert overlap_at(0, q) == resting_ratio(0, q) == 0
    assert resting_ratio(1, q) == resting_ratio((q - 2) / q, q) == 1
    for c in (0.01, 0.2, 0.3):
        assert overlap_at(resting_ratio(c, q), q) == pytest.approx(c)


def test_the_predicted_gain_is_the_probability_of_being_drowned_out():
    z = np.random.default_rng(0).uniform(1.0, 1.1, 20_000)
    for c in (0.0, 0.1, 0.32, 0.33, 0.34, 0.6):
        share = np.mean(resting_ratio(c, 4) * z < 0.4)
        assert within(2 * predicted_gain(c, 0.4, 4, (1.0, 1.1)), share, 0.5, len(z))
    assert predicted_gain(0.2, 0.1, 4, (1.0, 1.0)) == 0
    assert predicted_gain(0.05, 0.1, 4, (1.0, 1.0)) == 0.5
    assert predicted_gain(0.0, 0.0, 4, (1.0, 1.0)) == 0


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: Overlapping(k=3, P=6, d=12, s=1.0, overlap=1.5), r"overlap must be a finite number in \[0, 1\]"),
        (lambda: Overlapping(k=3, P=9, d=12, s=1.0, M=3), "M must be an integer >= 2 and <= 2; got 3"),
        (lambda: overlap_at(0.5, 2), "q must be an integer >= 3; got 2"),
        (lambda: overlap_at(1.5, 4), "ratio must be"),
        (lambda: resting_ratio(-0.1, 4), "overlap must be"),
        (lambda: predicted_gain(0.1, -1.0, 4, (1.0, 1.1)), "Gamma must be"),
        (lambda: predicted_gain(0.1, 0.1, 4, (0.0, 1.1)), r"main\[0\] must be"),
        (lambda: predicted_gain(0.1, 0.1, 4, (1.0, 0.9)), r"main\[1\] must be"),
    ],
)
def test_faulty_overlaps_are_refused(call, match):
    with refused(ValueError, match):
        call()
