"""The dial between two views and one, small."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from reference import refused

from mvtheory import PatchNets, Schedule
from mvtheory.controls.overlap import Overlapping, overlap_at, resting_ratio
from mvtheory.experiments.base import labelled
from mvtheory.experiments.overlapping_views import (
    DialStudy,
    dial_end,
    dial_gain,
    dial_gains,
    dial_half,
    dial_ratio,
    half_overlaps,
    median_ratios,
    winners,
)

DIAL = DialStudy(
    task=Overlapping(k=3, P=6, d=12, s=1.0),
    overlaps=(0.0, 0.5, 1.0),
    strengths=(0.2, 0.4),
    n=30,
    test=60,
    nets=3,
    m=3,
    schedule=Schedule(steps=60, eta=1e6, warn=False),
    draws=(7, 8),
)


@pytest.fixture(scope="module")
def small():
    return DIAL.run()


def along(single, overlaps=(0.0, 0.5, 1.0), **more):
    """Return results whose ensembles never err, with errors of single nets [draws, overlaps] at one strength."""
    single = np.array(single)[:, :, None]
    variables = {
        "single": ("draw overlap strength net", single[..., None]),
        "ensemble": ("draw overlap strength", 0 * single),
        "inputs": ("draw", [1000] * len(single)),
    }
    data = labelled(variables | more, overlap=overlaps, strength=[0.4])
    data.attrs["seconds"] = 1.0
    return data


def test_winners_are_the_neurons_with_the_largest_overlap():
    task = Overlapping(k=2, P=4, d=6, s=1.0, overlap=0.5)
    W = torch.zeros(1, 2, 3, 6)
    W[0, 0, 1], W[0, 1, 2], W[0, 1, 0] = 3 * task.views[0, 1], 2 * task.views[1, 0], -9 * task.views[1, 0]
    assert torch.allclose(winners(PatchNets(W), task), torch.tensor([[[1.5, 3.0], [2.0, 1.0]]]), atol=1e-6)


def test_two_views_that_are_one_are_seen_alike(small):
    winner = small["winner"].sel(overlap=1.0)
    assert np.allclose(winner[..., 0], winner[..., 1], atol=1e-5)
    assert np.allclose(median_ratios(small)[:, -1], 1, atol=1e-5)


def test_gains_are_paired_by_data_set(small):
    for Gamma in DIAL.strengths:
        single, ensemble = (small[name].sel(strength=Gamma).values for name in ("single", "ensemble"))
        assert dial_gains(small, Gamma) == pytest.approx(single.mean(-1) - ensemble)
        assert dial_gain(small, 0.5, Gamma).value == pytest.approx(float((single.mean(-1) - ensemble)[:, 1].mean()))
        assert dial_gain(small, 0.5, Gamma).nets == 6
    with pytest.raises(ValueError, match=r"strength must be one of 0.2, 0.4; got 0.3"):
        dial_gains(small, 0.3)
    with pytest.raises(ValueError, match=r"overlap must be one of 0.0, 0.5, 1.0; got 0.1"):
        dial_gain(small, 0.1, 0.2)


def test_halves_are_read_off_between_positions():
    # From 0.3 at overlap 0.5 to 0.1 at 1: half of 0.4 is met midway. The second data set never falls.
    assert np.allclose(half_overlaps(along([[0.4, 0.3, 0.1], [0.4, 0.4, 0.4]]), 0.4), [0.75, 1.0])


def test_the_median_ratio_is_one_of_the_ratios():
    winner = np.array([[4.0, 1.0], [1.0, 2.0], [5.0, 5.0], [1.0, 10.0]])  # ratios 0.25, 0.5, 1, 0.1
    variables = {"winner": ("draw overlap net class view", winner.reshape(1, 1, 2, 2, 2))}
    assert median_ratios(labelled(variables)) == pytest.approx(np.array([[0.25]]))


def test_claims_compare_with_the_formulas(monkeypatch):
    """On results that follow the formulas but for a shift, the shift is measured."""
    study = DialStudy()
    half, rest = overlap_at(0.4 / (sum(study.task.main) / 2), 4), resting_ratio(0.4, 4)
    overlaps = study.overlaps
    ramps = 0.4 * (1 - np.array(overlaps) / 2 / (half + np.array([[0.01], [0.03]])))  # half of it is gone there
    ramps[:, -3:] = [[0.1, 0.1, 0.02], [0.1, 0.1, 0.04]]
    winner = np.ones((2, len(overlaps), 1, 1, 2))
    winner[:, overlaps.index(0.4), 0, 0, 1] = rest - np.array([0.01, 0.02])
    data = along(ramps, overlaps, winner=("draw overlap net class view", winner))
    monkeypatch.setattr(DialStudy, "run", lambda self: data)
    assert dial_half(0.4, draws=(1, 2)).estimate.value == pytest.approx(0.02)
    assert dial_ratio(draws=(1, 2)).estimate.value == pytest.approx(-0.015)
    assert dial_ratio(draws=(1, 2)).estimate.nets == 20
    assert dial_end(draws=(1, 2)).estimate.value == pytest.approx(0.03)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"overlaps": (0.5, 0.0)}, "overlaps must be at least 2 numbers, each larger than the last"),
        ({"overlaps": (0.0, 2.0)}, "overlaps must be a finite number"),
        ({"strengths": (-0.1,)}, "strengths must be a finite number"),
        ({"nets": 1}, "nets must be an integer >= 2; got 1"),
        ({"draws": (3, 3)}, "draws must be at least 2 different numbers"),
    ],
)
def test_a_faulty_dial_is_refused(change, match):
    with refused(ValueError, match):
        replace(DIAL, **change)
