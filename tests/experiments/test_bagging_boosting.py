"""The study of bagging and boosting, small."""

from dataclasses import replace

import numpy as np
import pytest
from reference import refused

from mvtheory import MultiView
from mvtheory.experiments.bagging_boosting import METHODS, PLACES, ClassicalStudy
from mvtheory.experiments.settings import NET_SETTING

TASK = MultiView(k=5, P=14, d=30, C_p=2, C_weak=1, s=2.0, weak=(0.2, 0.2), Gamma=0.3, noise_background=0.6)
SMALL = replace(NET_SETTING, task=TASK, multi=150, single=2, test_single=200, test_multi=200)
STUDY = ClassicalStudy(setting=SMALL, test=200, bags=8, sets=2, rounds=20, depth=2, fixed=3, draws=(301, 302, 303))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MVTHEORY_CACHE", str(tmp_path_factory.mktemp("cache")))
        first = STUDY.run()
        again = STUDY.run()
    assert again.seconds == first.seconds
    assert all(np.array_equal(first.tensors[name], again.tensors[name]) for name in first.tensors)
    return first


def test_every_method_has_its_errors(results):
    names = [name for names in METHODS.values() for name in names]
    assert results.tensors["errors"].shape == (3, len(names), len(PLACES))
    for name in names:
        for where in PLACES:
            errors = results.errors(name, where)
            assert ((errors >= 0) & (errors <= 1)).all()
            assert results.error(name, where).draws == 3
    assert (results.errors("tree", "train") == 0).all()


def test_what_is_kept_of_bags_and_boosting(results):
    T = results.tensors
    for name in ("bagged trees", "bagged linear", "bagged fixed", "bagged seeing trees"):
        assert T[f"{name} single split"].shape == (3, 2)
    kept, lost = T["bagged trees multi split"].T
    assert T["bagged trees multi loss"].shape == (3, 8)
    assert T["bagged trees multi loss"][:, -1].numpy() == pytest.approx((kept + lost / 8).numpy())
    last = T["bagged trees multi error"][:, -1]
    assert last.numpy() == pytest.approx(results.errors("bagged trees", "multi").numpy())
    assert T["sets"].shape == (3, 3)
    assert T["boost errors"].shape == (3, 20, 3)
    assert T["boost margins"].shape == (3, 20, 41)
    assert (T["boost below"] <= T["boost bound"] + 1e-12).all()
    assert T["boost errors"][:, -1, 1].numpy() == pytest.approx(results.errors("boosted small trees", "multi").numpy())


def test_each_mechanism_works_in_its_own_world(results):
    pairs = {"tree": "bagged trees", "stump": "boosted stumps", "small tree": "boosted small trees"}
    assert min(results.gain(one, many, "multi").value for one, many in pairs.items()) > 0.02
    assert abs(results.gain("linear", "bagged linear", "multi").value) < 0.02
    kept, lost = results.tensors["bagged trees multi split"].mean(0)
    stable = results.tensors["bagged linear multi split"].mean(0)
    assert lost / (kept + lost) > 3 * stable[1] / stable.sum()


def test_a_seeing_tree_keeps_a_view_of_each_class_but_one(results):
    assert results.errors("seeing tree", "single").mean() == pytest.approx((1 - 1 / 5) / 2, abs=0.05)
    assert results.errors("seeing tree", "multi").mean() < 0.02


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"test": 201}, "test must be an integer >= 1 and <= 200; got 201"),
        ({"bags": 5}, "bags % 2"),
        ({"sets": 1}, "sets must be an integer >= 2; got 1"),
        ({"rounds": 0}, "rounds must be an integer >= 1; got 0"),
        ({"ridge": 0.0}, "ridge must be a finite number"),
        ({"draws": (1,)}, "number of draws must be an integer >= 2; got 1"),
        ({"draws": (0, 1)}, "draws must be an integer >= 1; got 0"),
    ],
)
def test_bad_settings_are_refused(change, match):
    with refused(ValueError, match):
        replace(STUDY, **change)


def test_unknown_rows_are_refused(results):
    with refused(ValueError, "method must be one of 'tree'"):
        results.errors("forest", "multi")
    with refused(ValueError, "where must be one of 'train', 'multi', 'single'"):
        results.errors("tree", "test")
