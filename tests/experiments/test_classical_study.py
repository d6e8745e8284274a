"""Bagging and boosting on small data, and the nets beside them."""

from dataclasses import replace

import numpy as np
import pytest
from reference import refused

from mvtheory import MultiView, Schedule
from mvtheory.experiments.base import select
from mvtheory.experiments.classical_study import METHODS, PLACES, ClassicalStudy, NetVotes
from mvtheory.experiments.nets import Draw, singles
from mvtheory.experiments.settings import SETTING

TASK = MultiView(k=5, P=14, d=30, C_p=2, C_weak=1, s=2.0, weak=(0.2, 0.2), Gamma=0.3, noise_background=0.6)
SMALL = replace(SETTING, task=TASK, n_multi_view=150, n_single_view=2, test_single_view=200, test_multi_view=200)
STUDY = ClassicalStudy(setting=SMALL, test=200, bags=8, sets=2, rounds=20, depth=2, fixed=3, draws=(301, 302))
FEW = replace(SMALL, members=4, schedule=Schedule(steps=60, eta=30000.0, warn=False))


@pytest.fixture(scope="module")
def data():
    return STUDY.run()


@pytest.fixture(scope="module")
def nets():
    return NetVotes(setting=FEW, draws=(301, 302)).run()


def test_every_method_has_its_errors(data):
    names = [name for names in METHODS.values() for name in names]
    assert data["method"].values.tolist() == names
    assert data["error"].dims == ("draw", "method", "where")
    assert ((data["error"] >= 0) & (data["error"] <= 1)).all()
    assert (select(data, "error", method="tree", where="train") == 0).all()
    assert select(data, "inputs").tolist() == [[152, 200, 200]] * 2


def test_sizes_and_rounds_end_at_the_whole_ensemble(data):
    tree = {"trees": "bagged trees", "test": "multi-view"}
    kept, lost = select(data, "split", bagged="bagged trees", test="multi-view").T
    assert select(data, "loss by size", size=8, **tree) == pytest.approx(kept + lost / 8)
    assert select(data, "error by size", size=8, **tree) == pytest.approx(
        select(data, "error", method="bagged trees", where="multi-view")
    )
    for where in PLACES:
        last = select(data, "boost error", round=20, where=where)
        assert last == pytest.approx(select(data, "error", method="boosted small trees", where=where))


def test_other_training_sets_predict_the_loss_of_a_tree(data):
    predicted = select(data, "other sets").sum(-1).mean()
    measured = select(data, "loss by size", trees="bagged trees", test="multi-view", size=1).mean()
    assert predicted == pytest.approx(measured, abs=0.15)


def test_margins_stay_above_their_bound(data):
    assert (data["boost below"] <= data["boost bound"] + 1e-12).all()
    assert (data["boost margins"].diff("level") >= 0).all()


def test_each_mechanism_works_where_it_should(data):
    error = lambda name: float(select(data, "error", method=name, where="multi-view").mean())  # noqa: E731
    pairs = {"tree": "bagged trees", "stump": "boosted stumps", "small tree": "boosted small trees"}
    for one, many in pairs.items():
        assert error(one) - error(many) > 0.02
    assert abs(error("linear") - error("bagged linear")) < 0.02
    split = {
        name: select(data, "split", bagged=name, test="multi-view").mean(0)
        for name in ("bagged trees", "bagged linear")
    }
    trees, stable = (lost / (kept + lost) for kept, lost in split.values())
    assert trees > 3 * stable


def test_a_tree_that_sees_the_views_keeps_one_of_each_class_but_one(data):
    assert select(data, "error", method="seeing tree", where="single-view").mean() == pytest.approx(0.4, abs=0.05)
    assert select(data, "error", method="seeing tree", where="multi-view").mean() < 0.02


def test_nets_are_described_by_their_outputs(nets):
    trained = singles(Draw(302, FEW))
    F, y = trained.outputs["single-view"], trained.labels("single-view")
    for where in PLACES:
        assert np.array_equal(nets["error"].sel(draw=302, where=where), trained.errors(where))
        assert float(nets["error of average"].sel(draw=302, where=where)) == trained.average_error(where)
    p, label = F.softmax(-1).double().numpy(), np.eye(5)[y]
    of_one = np.mean([((p[net] - label) ** 2).sum(-1).mean() for net in range(4)])
    assert float(nets["split"].sel(draw=302).sum()) == pytest.approx(of_one)
    of_all = ((p.mean(0) - label) ** 2).sum(-1).mean()
    assert float(nets["loss of average"].sel(draw=302)) == pytest.approx(of_all)
    kept, lost = nets["split"].sel(draw=302)
    assert float(kept + lost / 4) == pytest.approx(of_all)
    assert float(nets["error by size"].sel(draw=302, size=1)) == pytest.approx(trained.errors("single-view").mean())
    assert float(nets["training"].sel(draw=302)) == trained.seconds


def test_votes_of_more_nets_have_margins_closer_to_their_mean(nets):
    """Votes of one net have the margins 1 and -1, so their mean is 1 minus twice the error."""
    alone = nets["margin"].sel(votes=1)
    assert np.allclose(alone, 1 - 2 * nets["error"].sel(where="train").mean("net"))
    assert (nets["margin"].sel(votes=4) >= alone - 1e-12).all()  # the strongest rival of a mixed vote gets less


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"test": 201}, "test must be an integer >= 1 and <= 200; got 201"),
        ({"bags": 5}, "bags % 2"),
        ({"sets": 1}, "sets must be an integer >= 2; got 1"),
        ({"rounds": 0}, "rounds must be an integer >= 1; got 0"),
        ({"ridge": 0.0}, "ridge must be a finite number"),
        ({"draws": (1,)}, "draws must be at least 2 different numbers"),
    ],
)
def test_bad_settings_are_refused(change, match):
    with refused(ValueError, match):
        replace(STUDY, **change)
