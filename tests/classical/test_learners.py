"""Members for scikit-learn's ensembles: rows for trees, and nets with fixed features."""

from dataclasses import replace

import jaxtyping
import numpy as np
import pytest
import torch
from reference import refused
from sklearn.base import clone
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from mvtheory import MultiView, PatchNets, SReLU
from mvtheory.classical.learners import TangentClassifier, tree_features
from mvtheory.linear.feature_maps import TangentRidge, one_hot

TASK = MultiView(k=4, P=8, d=12, s=2.0)
DATA = TASK.sample(60, 4, seed=0)
X, Y = DATA.x.flatten(1).numpy(), DATA.y.numpy()
NET = TangentClassifier(patches=8, m=3, seed=7)


def test_rows_for_trees_are_largest_and_total_coordinates():
    rows = tree_features(DATA, TASK.views.flatten(0, 1))
    for n in (0, 13):
        products = [[float(v @ x) for x in DATA.x[n]] for v in TASK.views.flatten(0, 1)]
        slow = [max(line) for line in products] + [sum(line) for line in products]
        assert rows[n] == pytest.approx(slow, abs=1e-5)
    assert np.array_equal(tree_features(DATA), tree_features(DATA, torch.eye(12)))


def test_rows_for_trees_do_not_know_the_order_of_the_patches():
    turned = replace(DATA, x=DATA.x.flip(1))
    assert tree_features(turned) == pytest.approx(tree_features(DATA), abs=1e-5)


@parametrize_with_checks([TangentClassifier(m=20)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learn_accepts_the_classifier(estimator, check):
    # An estimator must take any argument and refuse it only when it is fitted; shape checks refuse it at once.
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        check(estimator)
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


def test_with_equal_weights_it_is_the_ridge_of_the_package():
    start = PatchNets.init(1, k=4, m=3, d=12, sigma_0=0.3, seed=7, activation=SReLU(3, 12.0)).to(torch.float64)
    x = DATA.x.double()
    F = TangentRidge(start, x, ridge=0.002 * len(x)).fit(one_hot(DATA.y, 4, torch.float64))(x)[0].numpy()
    assert clone(NET).fit(X, Y).outputs(X) == pytest.approx(F, abs=1e-8)
    assert clone(NET).fit(X, Y, np.full(len(Y), 3.0)).outputs(X) == pytest.approx(F, abs=1e-8)


def test_a_weight_counts_an_input_so_many_times():
    times = np.arange(len(Y)) % 3
    weighted = clone(NET).fit(X, Y, times).outputs(X)
    assert weighted == pytest.approx(clone(NET).fit(X.repeat(times, 0), Y.repeat(times)).outputs(X), abs=1e-8)
    assert np.abs(weighted - clone(NET).fit(X, Y).outputs(X)).max() > 1e-3


def test_probabilities_are_the_nearest_ones():
    model = clone(NET).fit(X, Y)
    F, p = model.outputs(X), model.predict_proba(X)
    assert p.sum(-1) == pytest.approx(1)
    assert p.min() >= 0
    others = np.random.default_rng(0).dirichlet(np.ones(4), 500)
    # The nearest point of a convex set: no other lies in the direction of what it missed.
    assert (((F - p)[:, None] * (others[None] - p[:, None])).sum(-1) <= 1e-9).all()
    assert np.array_equal(model.classes_[p.argmax(-1)], model.predict(X))
    assert clone(NET).fit(X, Y + 10).predict(X).min() >= 10


def test_a_seed_fixes_the_features_of_all_members():
    def weights(model):
        return [member.nets_.W for member in BaggingClassifier(model, 3, random_state=0).fit(X, Y).estimators_]

    first, second, _ = weights(NET)
    assert torch.equal(first, second)
    first, second, _ = weights(clone(NET).set_params(seed=None))
    assert not torch.equal(first, second)


def test_boosting_takes_it():
    model = AdaBoostClassifier(clone(NET).set_params(seed=None, m=1), n_estimators=5, random_state=0).fit(X, Y)
    alone = clone(NET).set_params(m=1).fit(X, Y)
    assert len(model.estimators_) >= 2
    assert model.score(X, Y) > alone.score(X, Y)


@pytest.mark.parametrize(
    ("model", "y", "weights", "match"),
    [
        (TangentClassifier(patches=7), Y, None, "patches must divide the 96 numbers of a row; got 7"),
        (TangentClassifier(ridge=0.0), Y, None, "ridge must be a finite number"),
        (TangentClassifier(m=0), Y, None, "m must be an integer >= 1; got 0"),
        (TangentClassifier(), 0 * Y, None, "y must hold at least 2 classes; got one class"),
        (TangentClassifier(), Y, 0.0 * Y, "at least one non-zero"),
        (TangentClassifier(), Y, -1.0 + 0 * Y, "sample_weight must have a positive sum; got -64"),
    ],
)
def test_bad_fits_are_refused(model, y, weights, match):
    with refused(ValueError, match):
        model.fit(X, y, weights)


def test_bad_axes_are_refused():
    with refused(ValueError, "axes must have shape"):
        tree_features(DATA, torch.eye(5))
