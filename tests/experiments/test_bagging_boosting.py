"""The claims about bagging, boosting and nets, on results that are made up."""

from dataclasses import replace

import numpy as np
import pytest

from mvtheory.experiments import measure
from mvtheory.experiments.bagging_boosting import (
    error_table,
    excess_factor,
    method_error,
    method_gain,
    rounds_to_fit,
)
from mvtheory.experiments.base import labelled
from mvtheory.experiments.classical_study import PLACES, ClassicalStudy, NetVotes
from mvtheory.experiments.settings import SETTING

L = SETTING.members
SIZES = np.arange(1, 21)


def classical(study=None):
    """Return results of two data sets, whose bagged trees follow the account by variance to the letter."""
    error = np.array([[0.0, 0.3, 0.6], [0.0, 0.1, 0.55], [0.0, 0.0, 0.3], [0.0, 0.0, 0.28], [0.0, 0.0, 0.46]])
    loss = np.array([[0.2 + 0.6 / SIZES], [0.3 + 0.4 / SIZES]])  # [draws, test, B]
    rounds = np.arange(1, 31)
    training = np.maximum(0, np.array([[0.5 - 0.05 * rounds], [0.5 - 0.025 * rounds]]))[:, 0]  # 0 at 10, and at 20
    test = np.stack([0.4 - 0.01 * rounds] * 2)
    lows = np.stack([0.002 * rounds] * 2)
    variables = {
        "error": ("draw method where", [error, error + np.array([0, 0.02, 0.02])]),
        "inputs": ("draw where", [[500, 400, 300]] * 2),
        "other sets": ("draw term", [[0.1, 0.1, 0.5], [0.1, 0.1, 0.5]]),
        "loss by size": ("draw trees test size", loss[:, None]),
        "error by size": ("draw trees test size", np.broadcast_to(0.1 + 0.4 / SIZES, (2, 1, 1, 20))),
        "boost error": ("draw round where", np.stack([training, test, test], -1)),
        "boost margins": ("draw round level", np.stack([0 * lows, lows], -1)),
    }
    data = labelled(
        variables,
        method=["tree", "bagged trees", "linear", "bagged linear", "seeing tree"],
        where=PLACES,
        term=["bias", "shared", "lost"],
        trees=["bagged trees"],
        test=["multi-view"],
        level=[0.0, 0.1],
    )
    data.attrs["seconds"] = 3.0
    return data


def votes(study=None):
    """Return results of two data sets of ten nets that follow the law of coverage."""
    sizes = np.arange(1, L + 1)
    variables = {
        "error": ("draw where net", np.broadcast_to(np.array([0.0, 0.0, 0.5])[:, None], (2, 3, L))),
        "error of average": ("draw where", [[0.0, 0.0, 0.001]] * 2),
        "inputs": ("draw where", [[500, 1000, 2000]] * 2),
        "margin": ("draw votes", [[0.9, 0.96], [0.94, 0.96]]),
        "split": ("draw part", [[0.1, 0.1], [0.12, 0.08]]),
        "error by size": ("draw size", [0.5**sizes, 0.5**sizes * (1 + 1e-9)]),
        "training": ("draw", [2.0, 5.0]),
    }
    return labelled(variables, where=PLACES, votes=(1, L), part=("kept", "lost"), size=sizes.tolist())


@pytest.fixture(autouse=True)
def results(monkeypatch):
    monkeypatch.setattr(ClassicalStudy, "run", classical)
    monkeypatch.setattr(NetVotes, "run", votes)


def measured(id):
    return measure(id).measured


def test_the_fall_of_the_loss_is_compared_with_the_prediction():
    assert measured("classical-bagging").value == pytest.approx((0.6 / 0.5 + 0.4 / 0.5) / 2)
    assert measured("classical-bagging").nets == 40


def test_rises_and_falls_begin_at_the_last_training_error():
    """Fitted in rounds 10 and 20 of 30."""
    assert rounds_to_fit(classical()).tolist() == [10, 20]
    assert measured("classical-margin").value == pytest.approx(0.002 * (20 + 10) / 2)
    assert measured("classical-boosting").value == pytest.approx(0.01 * (20 + 10) / 2)


def test_a_training_set_that_is_never_fitted_is_refused():
    with pytest.raises(ValueError, match="rounds must be enough to fit every training set; got 19"):
        rounds_to_fit(classical().isel(round=slice(19)))


def test_errors_that_follow_the_variance_have_no_excess():
    errors = 0.1 + 0.4 / SIZES
    assert excess_factor(errors, 10) == pytest.approx(0)
    with pytest.raises(ValueError, match="points must be given where all draw means are equal"):
        measured("classical-trees")


def test_coverage_falls_faster_than_variance():
    """Coverage: a factor of one half. Variance matches the first and the last error, here with a floor of zero."""
    inverse = 1 / np.arange(1, L + 1)
    excess = 0.5 - inverse[1:].sum() / inverse[:-1].sum()
    assert excess == pytest.approx(-0.18, abs=0.005)
    assert excess_factor(0.5 ** np.arange(1, L + 1), L) == pytest.approx(excess)
    assert measured("classical").value == pytest.approx(excess)
    assert (measured("classical").nets, measure("classical").seconds) == (2 * L, 7)


def test_what_nets_keep_and_what_votes_add():
    assert measured("classical-bias").value == pytest.approx((0.5 + 0.6) / 2)
    assert measured("classical-votes").value == pytest.approx((0.06 + 0.02) / 2)
    assert measured("classical-votes").nets == 2 * L


def test_errors_and_gains_are_means_over_data_sets():
    data = classical()
    assert method_error(data, "tree", "multi-view").value == pytest.approx(0.31)
    assert method_gain(data, "tree", "bagged trees", "single-view").value == pytest.approx(0.05)
    assert measured("classical-stable").value == pytest.approx(0.02)
    assert measured("classical-lottery").value == pytest.approx(0.47)
    with pytest.raises(ValueError, match="method must be one of 'tree'"):
        method_error(data, "forest", "multi-view")
    with pytest.raises(ValueError, match="where must be one of 'train', 'multi-view', 'single-view'"):
        method_error(data, "tree", "test")


def test_the_table_holds_classical_methods_and_nets():
    table = error_table(classical(), votes())
    assert list(table) == ["tree", "bagged trees", "linear", "bagged linear", "seeing tree", "net", "average of nets"]
    assert table["net"]["single-view"].value == 0.5
    assert table["average of nets"]["single-view"].value == pytest.approx(0.001)
    assert {estimate.nets for name in ("net", "average of nets") for estimate in table[name].values()} == {2 * L}


def test_a_setting_with_fewer_test_inputs_is_measured_on_all_of_them(monkeypatch):
    seen = []
    monkeypatch.setattr(ClassicalStudy, "run", lambda study: seen.append(study) or classical())
    few = replace(SETTING, test_single_view=200, test_multi_view=300)
    assert measure("classical-lottery", setting=few, draws=(3, 4)).setting.endswith("changed")
    assert (seen[0].test, seen[0].draws, seen[0].setting) == (200, (3, 4), few)
