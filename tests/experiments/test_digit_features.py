"""Tangent features of the digit nets against autograd, halves, held-out pairs, and the experiments."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr

from mvtheory.experiments.base import one_thread
from mvtheory.experiments.digit_features import (
    DigitFeatures,
    DigitKernelLimit,
    digit_tangent_features,
    equivalent_ridge,
    halves,
    hold_out_pairs,
)
from mvtheory.images.digits import DigitNets, single_view, split_pairs
from mvtheory.linear.feature_maps import gaussian_weights, one_hot, relu_features
from mvtheory.linear.ridge import Ridge, choose_ridge
from mvtheory.measurement import error_rate

SMALL = DigitFeatures(draws=(1, 2), kind="ReLU", widths=(5, 9), nets=2, per_class=10)


@pytest.fixture(scope="module")
def train():
    return split_pairs(3, per_class=10)[0]


@pytest.mark.parametrize("shared", [False, True])
def test_tangent_features_are_the_gradient(train, shared):
    nets = DigitNets([5, 6], channels=(2, 3), scale=1.0, shared=shared)
    images = train.images[::20]
    features = digit_tangent_features(nets, images)
    assert features.shape == (2, 1, 10 * len(images), sum(weight[0].numel() for weight in nets.weights))
    F = nets(images)
    for net, image, label in ((0, 0, 0), (1, 2, 7), (1, 4, 3)):
        gradients = torch.autograd.grad(F[net, image, label], list(nets.weights), retain_graph=True)
        expected = torch.cat([gradient[net].flatten() for gradient in gradients])
        torch.testing.assert_close(features[net, 0, 10 * image + label], expected)


def test_without_biases_the_features_give_back_three_times_the_outputs(train):
    """The nets have three layers of weights and no bias yet, so F(c w) = c^3 F(w): Euler's identity."""
    nets = DigitNets([5], channels=(2, 3), scale=1.0)
    weights = torch.cat([weight.detach().flatten() for weight in nets.weights])
    outputs = digit_tangent_features(nets, train.images)[0, 0] @ weights
    torch.testing.assert_close(outputs.view(-1, 10), 3 * nets(train.images)[0].detach(), rtol=1e-4, atol=1e-5)


def test_halves_do_not_share_a_coordinate(train):
    x = halves(train.images)
    assert x.shape == (len(train), 2, 128)
    assert not x[:, 0, 64:].any()
    assert not x[:, 1, :64].any()
    w = gaussian_weights(1, 3, 128, seed=0)
    left, right = (train.images[:, side].flatten(1) for side in (0, 1))
    expected = (left @ w[0, :, :64].T).relu() + (right @ w[0, :, 64:].T).relu()
    torch.testing.assert_close(relu_features(w, x)[0, 0], expected)


@pytest.mark.parametrize("per_class", [12, 50])
def test_twins_are_held_out_together(per_class):
    train = split_pairs(3, per_class=per_class)[0]
    held = hold_out_pairs(train)
    images = {tuple(sorted(pair)) for pair in train.index[held].tolist()}
    assert images.isdisjoint(tuple(sorted(pair)) for pair in train.index[~held].tolist())
    assert int(held.sum()) == len(train) // 5
    assert train.y[held].bincount(minlength=10).min() >= 2, "pairs of every class"


def test_splits_do_not_depend_on_each_other():
    data = SMALL.run()
    with one_thread():
        alone = SMALL.on(2).expand_dims(draw=[2])
    xr.testing.assert_equal(alone, data.sel(draw=[2]))
    assert data["points"].values.tolist() == [820, 820], "the test pairs of a split"


def inputs_of(split):
    """Inputs and labels by stratum."""
    _, two = split_pairs(split, per_class=10)
    left, right = single_view(two, SMALL.contrast, seed=split)
    single = torch.cat([left.images, right.images]), torch.cat([left.y, right.y])
    return {"multi-view": (two.images, two.y), "single-view": single}


@pytest.mark.parametrize("kind", ["tangent", "ReLU"])
def test_models_are_fitted_with_the_chosen_ridge(kind):
    """Single models of the second split once more, with what the labels say of its axes."""
    width = {"tangent": 1, "ReLU": 9}[kind]
    data, (train, _) = replace(SMALL, kind=kind, widths=(width,)).on(2).sel(width=width), split_pairs(2, per_class=10)
    target, ridge = one_hot(train.y, 10), float(data["ridge"].sel(fit="single"))
    if kind == "tangent":
        start = DigitNets([2000, 2001], channels=(1, 2), scale=1.0)
        features, rows = (lambda images: digit_tangent_features(start, images)), target.reshape(1, 1, -1, 1)
    else:
        w = gaussian_weights(2, 9, 128, seed=2500)
        features, rows = (lambda images: relu_features(w, halves(images))), target[:, None]
    weights = Ridge(features(train.images)).solve(rows, ridge)
    for stratum, (images, y) in inputs_of(2).items():
        F = (features(images) @ weights).reshape(2, len(y), 10)
        np.testing.assert_allclose(data["single"].sel(stratum=stratum), error_rate(F, y), atol=1e-9)


def test_the_limit_is_what_many_features_come_to():
    limit = DigitKernelLimit(draws=(1, 2), per_class=10).on(1)["error"]
    train, _ = split_pairs(1, per_class=10)
    w, target = gaussian_weights(1, 5000, 128, seed=0), one_hot(train.y, 10)[:, None]
    phi = relu_features(w, halves(train.images))
    (ridge,) = choose_ridge(phi, [target], target, hold_out_pairs(train))
    weights = Ridge(phi).solve(target, ridge)
    for stratum, (images, y) in inputs_of(1).items():
        F = (relu_features(w, halves(images)) @ weights)[0, 0]
        assert float(limit.sel(stratum=stratum)) == pytest.approx(float(error_rate(F, y)), abs=0.02)


def test_a_single_model_is_its_own_wide_model():
    ridges, errors, gap = equivalent_ridge(split=3, nets=1)
    assert len(set(ridges.values())) == len(set(errors.values())) == 1
    assert gap == 0


def test_an_ensemble_has_a_larger_ridge_than_its_models():
    """Narrow models are regularised by their number of features (Jacot and others, 2020)."""
    ridges, errors, gap = equivalent_ridge(split=3, nets=5)
    assert ridges["closest"] > ridges["ensemble"]
    assert errors["wide model"] < errors["ensemble"]
    assert 0 < gap < 1


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"draws": (1, 1)}, "draws must be at least 2 different numbers"),
        ({"nets": 1}, "nets must be an integer >= 2; got 1"),
        ({"widths": (0, 1)}, "widths must be an integer >= 1; got 0"),
        ({"contrast": 2.0}, r"contrast must be a finite number in \[0, 1\]; got 2"),
    ],
)
def test_a_faulty_study_is_refused(change, match):
    with pytest.raises(ValueError, match=match):
        replace(SMALL, **change)
