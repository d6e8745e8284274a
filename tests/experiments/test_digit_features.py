"""Tangent features of the digit nets against autograd, halves, held-out pairs, and the study."""

from dataclasses import replace

import pytest
import torch

from mvtheory.experiments.digit_features import DigitFeatureStudy, digit_tangent_features, halves, hold_out_pairs
from mvtheory.images.digits import DigitNets, split_pairs
from mvtheory.linear.feature_maps import gaussian_weights, relu_features

SMALL = DigitFeatureStudy(splits=(1, 2), nets=2, relu_widths=(5, 9), per_class=10)


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


def test_the_study_is_the_same_each_time(tmp_path, monkeypatch):
    monkeypatch.setenv("MVTHEORY_CACHE", str(tmp_path))
    results, limit = SMALL.run()
    again = SMALL._compute()
    assert torch.equal(limit, again.pop("limit"))
    assert limit.shape == (2, 2)
    assert all(torch.equal(results.tensors[name], again[name]) for name in again)
    assert results.errors("single", 9, kind="ReLU").shape == (2, 2)
    assert results.error("ensemble", 1).nets == 4
    assert results.test == 820, "the test pairs of a split"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"splits": (1, 1)}, "splits must be at least 2 different seeds"),
        ({"nets": 1}, "nets must be an integer >= 2; got 1"),
        ({"channels": (0, 1)}, "channels and relu_widths must be an integer >= 1; got 0"),
        ({"contrast": 2.0}, r"contrast must be a finite number in \[0, 1\]; got 2"),
    ],
)
def test_a_faulty_study_is_refused(change, match):
    with pytest.raises(ValueError, match=match):
        replace(SMALL, **change)
