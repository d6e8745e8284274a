"""Estimates from results whose numbers are known."""

import numpy as np
import pytest

from mvtheory.experiments.base import labelled
from mvtheory.experiments.fixed_features import STRATA, by_width, difference, error

# Two data sets, widths 1 and 4, two strata, three models; every error is another number.
SINGLE = 0.3 + np.arange(24.0).reshape(2, 2, 2, 3) / 100
ENSEMBLE = np.arange(8.0).reshape(2, 2, 2) / 100
SHARE = np.array([[0.25, 0.5], [0.75, 1.0]])


@pytest.fixture
def data():
    variables = {
        "single": ("draw width stratum model", SINGLE),
        "ensemble": ("draw width stratum", ENSEMBLE),
        "share": ("draw width", SHARE),
        "points": ("draw", [500, 500]),
    }
    return labelled(variables, draw=[7, 8], width=[1, 4], stratum=STRATA)


@pytest.mark.parametrize(("stratum", "row"), [("multi-view", 0), ("single-view", 1)])
def test_an_error_is_that_of_the_width_and_the_stratum(data, stratum, row):
    single, ensemble = (error(data, method, 4, stratum) for method in ("single", "ensemble"))
    assert single.value == pytest.approx(SINGLE[:, 1, row].mean())
    assert ensemble.value == pytest.approx(ENSEMBLE[:, 1, row].mean())
    assert single.nets == ensemble.nets == 6, "three models on each of two data sets"
    assert single.draws == ensemble.draws == 2


def test_an_error_counts_the_test_inputs(data):
    data["single"][:] = 0.0
    # After no error on n points the upper limit is 1 - 0.025^(1/n); here n = 2 * 500.
    assert error(data, "single", 1).high == pytest.approx(1 - 0.025 ** (1 / 1000))


def test_a_difference_is_paired_by_data_set(data):
    gain = difference(data, "single", "ensemble", 1)
    gaps = SINGLE[:, 0, 1].mean(-1) - ENSEMBLE[:, 0, 1]
    assert gain.value == pytest.approx(gaps.mean())
    assert gain.nets == 6
    data["single"][:] = data["ensemble"] + 0.3
    gain = difference(data, "single", "ensemble", 1)
    assert gain.high - gain.value == pytest.approx(1 - 0.025 ** (1 / 1000)), "no variation but that of the test"


def test_a_quantity_by_width_is_a_mean_over_data_sets(data):
    assert [row.value for row in by_width(data, "share")] == [0.5, 0.75]
    assert by_width(data, "share")[0].draws == 2


def test_unknown_names_are_refused(data):
    with pytest.raises(ValueError, match=r"width must be one of 1, 4; got 5"):
        error(data, "single", 5)
    with pytest.raises(ValueError, match=r"stratum must be one of 'multi-view', 'single-view'; got 'all'"):
        error(data, "single", 1, "all")
    with pytest.raises(ValueError, match=r"name must be one of .*; got 'bagged'"):
        difference(data, "single", "bagged", 1)
    with pytest.raises(ValueError, match=r"name must be one of 'bias', 'variance', 'share'; got 'single'"):
        by_width(data, "single")
