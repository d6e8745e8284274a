"""Estimates and claims from results whose numbers are known."""

import numpy as np
import pytest
import xarray as xr

from mvtheory.experiments import measure
from mvtheory.experiments.base import labelled
from mvtheory.experiments.fixed_features import STRATA
from mvtheory.experiments.lazy_scales import LazyStudy
from mvtheory.experiments.lazy_training import (
    ESTIMATORS,
    difference,
    error,
    fall,
    gain_from_other_end,
    half_gain,
    mean,
    predicted_scale,
    tangent_error,
)
from mvtheory.experiments.predictions import CLAIMS

OFFSET = np.array([0.0, 0.02])  # between two data sets


def errors(by_alpha: list[float], nets: int = 0) -> np.ndarray:
    """Single-view errors by scale, that vary over data sets and nets; none on multi-view inputs."""
    values = np.array(by_alpha)[None] + OFFSET[:, None]  # [draws, alphas]
    if nets:
        values = values[..., None] + np.linspace(-0.01, 0.01, nets)
    return np.stack([0 * values, values], 2)


def without_scale(value: float, nets: int) -> np.ndarray:
    return errors([value], nets)[:, 0]


@pytest.fixture
def data() -> xr.Dataset:
    net = np.ones(5)
    far, near = np.array([0.3, 0.2]), np.array([0.03, 0.02])
    distance = np.stack([np.ones(2), far, near], 1)[..., None] * net
    variables = {
        "single": ("draw alpha stratum member", errors([0.5, 0.5, 0.4], 3)),
        "ensemble": ("draw alpha stratum", errors([0.1, 0.2, 0.2])),
        "trained average": ("draw alpha stratum", errors([0.4, 0.3, 0.21])),
        "students": ("draw alpha stratum student", errors([0.5, 0.52, 0.54], 2)),
        "distilled": ("draw alpha stratum student", errors([0.1, 0.22, 0.49], 2)),
        "lazy distilled from learned": ("draw stratum student", without_scale(0.6, 2)),
        "learned distilled from lazy": ("draw stratum student", without_scale(0.3, 2)),
        "tangent": ("draw stratum member", without_scale(0.41, 3)),
        "distance": ("draw alpha net", distance),
        "crossover": ("draw", np.array([10.0, 1000.0], dtype=np.float32)),
        "points": ("draw stratum", [[100, 200]] * 2),
    }
    labels = {"draw": [7, 8], "alpha": [1.0, 100.0, 10000.0], "stratum": STRATA}
    return labelled(variables, **labels).assign_attrs(seconds=3.0)


def test_an_error_is_that_of_the_scale(data: xr.Dataset) -> None:
    single, ensemble = (error(data, method, 1e4) for method in ("single", "ensemble"))
    assert (single.value, ensemble.value) == pytest.approx((0.41, 0.21))
    assert single.nets == ensemble.nets == 6, "three members on each of two data sets"
    assert error(data, "students", 1.0).nets == 4
    multi = error(data, "single", 1.0, "multi-view")
    assert (multi.value, multi.high) == pytest.approx((0, 1 - 0.025 ** (1 / 200))), "no error on 2 * 100 inputs"
    assert tangent_error(data).value == pytest.approx(0.42)


def test_differences_are_paired_by_data_set(data: xr.Dataset) -> None:
    gain = difference(data, "students", "distilled", 100.0)
    assert gain.value == pytest.approx(0.3)
    # Data sets shift both errors alike, so that only the resolution of 2 * 200 test inputs is left.
    assert gain.high - gain.value == pytest.approx(1 - 0.025 ** (1 / 400))
    assert (gain.nets, difference(data, "single", "ensemble", 1.0).nets) == (4, 6)


def test_the_fall_is_between_the_ends(data: xr.Dataset) -> None:
    data["distilled"][1] -= 0.02  # without variation there would be no interval
    data["distilled"][1, 0] += 0.01
    gains = [difference(data, "students", "distilled", alpha).value for alpha in (1.0, 1e4)]
    assert fall(data, "students", "distilled").value == pytest.approx(gains[0] - gains[1])
    assert fall(data, "students", "distilled").nets == 4


def test_gains_from_the_other_end(data: xr.Dataset) -> None:
    assert gain_from_other_end(data, "lazy").value == pytest.approx(-0.06)
    assert gain_from_other_end(data, "learned").value == pytest.approx(0.2)
    assert gain_from_other_end(data, "lazy").nets == 4


@pytest.mark.parametrize(
    ("gains", "place"),
    [
        ([0.4, 0.3, 0.1], 3.0),
        ([0.4, 0.22, 0.1], 2 + 2 * 0.05 / 0.3),
        ([0.4, 0.36, 0.32], 4.0),
        ([0.4, 0.0, 0.32], 1.0),
    ],
)
def test_where_half_of_the_gain_is_lost(data: xr.Dataset, gains: list[float], place: float) -> None:
    data["distilled"][:] = data["students"] - np.array(gains)[:, None, None]
    assert half_gain(data).tolist() == pytest.approx([place] * 2)


def test_the_predicted_scale_is_a_geometric_mean(data: xr.Dataset) -> None:
    assert predicted_scale(data) == pytest.approx(100)


def test_claims_are_read_from_the_results(data: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    data["distance"][1, 1] *= 10**0.1
    data["trained average"][1, 0] += 0.01
    data["distilled"][1, 0] -= 0.01
    monkeypatch.setattr(LazyStudy, "run", lambda study: data)
    claims = {id: measure(id) for id in ESTIMATORS}
    values = {id: claim.measured.value for id, claim in claims.items()}
    # Gains of students are 0.4 and 0.41 at the start, 0.3 in the middle, 0.05 in the end.
    half = np.mean([2 + 2 * (0.3 - gain / 2) / 0.25 for gain in (0.4, 0.41)])
    expected = {
        "lazy-limit": 0.025,
        "lazy-rate": (1 + 1.1) / 2 / 2,
        "lazy-dial": 0.405 - 0.05,
        "lazy-average": 0.305 - 0.01,
        "lazy-teacher": -0.06,
        "lazy-crossing": half - 2,
    }
    assert values == pytest.approx(expected)
    nets = {"lazy-limit": 10, "lazy-rate": 10, "lazy-dial": 4, "lazy-average": 6, "lazy-teacher": 4}
    assert {id: claim.measured.nets for id, claim in claims.items()} == nets | {"lazy-crossing": 10}
    assert {claim.seconds for claim in claims.values()} == {3.0}
    assert set(ESTIMATORS) == {id for id, claim in CLAIMS.items() if claim.chapter == "07-lazy"}


def test_claims_take_data_sets_and_a_setting(monkeypatch: pytest.MonkeyPatch, data: xr.Dataset) -> None:
    studies = []
    monkeypatch.setattr(LazyStudy, "run", lambda study: studies.append(study) or data)
    setting = LazyStudy().setting
    claim = measure("lazy-limit", draws=range(11, 14), setting=setting)
    assert studies == [LazyStudy(draws=(11, 12, 13), setting=setting)]
    assert claim.setting.endswith("changed")


def test_unknown_names_are_refused(data: xr.Dataset) -> None:
    with pytest.raises(ValueError, match=r"alpha must be one of 1.0, 100.0, 10000.0; got 2.0"):
        error(data, "single", 2.0)
    with pytest.raises(ValueError, match=r"name must be one of .*; got 'pupils'"):
        error(data, "pupils", 1.0)
    with pytest.raises(ValueError, match="students must be one of 'learned', 'lazy'; got 'both'"):
        gain_from_other_end(data, "both")
    with pytest.raises(ValueError, match="name must be one of 'loss', 'movement', 'distance'; got 'single'"):
        mean(data, "single", 1.0)
