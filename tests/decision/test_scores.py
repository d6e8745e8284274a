"""Scores against scikit-learn, torch and loops; the bias of the calibration error against a simulation."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import brier_score_loss, log_loss

from mvtheory.decision.scores import BINS, ScoreCounter, expected_ece, fit_temperature, log_softmax
from mvtheory.measurement import error_rate

RNG = np.random.default_rng(3)
Y = RNG.integers(0, 4, 200)
F = RNG.normal(size=(5, 200, 4)) + 1.5 * np.eye(4)[Y] + RNG.normal(size=(200, 4))
P = torch.tensor(F).softmax(-1).numpy()


def counted(F, y, scale, parts=1):
    counter = ScoreCounter(*F.shape, scale)
    for inputs in np.array_split(np.arange(len(y)), parts):
        rows = slice(inputs[0], inputs[-1] + 1)
        counter.add(rows, F[:, rows], y[rows])
    return counter.result()


def averages(way, size):
    """Return the averages of neighbours around the circle."""
    for start in range(5 if size < 5 else 1):
        members = [(start + step) % 5 for step in range(size)]
        mean = F[members].mean(0) if way == "logits" else P[members].mean(0)
        yield torch.tensor(mean).softmax(-1).numpy() if way == "logits" else mean


@pytest.mark.parametrize("scale", ["logits", "probabilities"])
@pytest.mark.parametrize("way", ["logits", "probabilities"])
def test_scores_are_those_of_scikit_learn(way, scale):
    scores = counted(F if scale == "logits" else P, Y, scale, parts=3)[way]
    for size in (1, 2, 4, 5):
        q = list(averages(way, size))
        assert scores.nll[size - 1].mean() == pytest.approx(np.mean([log_loss(Y, part) for part in q]))
        assert scores.brier[size - 1].mean() == pytest.approx(np.mean([brier_score_loss(Y, part) for part in q]))
        assert scores.error[size - 1].mean() == pytest.approx(np.mean([error_rate(part, Y) for part in q]))
        assert scores.ece[size - 1] == pytest.approx(np.mean([ece(part) for part in q]))
    for net in range(5):
        others = np.delete(F, net, 0) if way == "logits" else np.delete(P, net, 0)
        mean = torch.tensor(others.mean(0)).softmax(-1).numpy() if way == "logits" else others.mean(0)
        assert scores.nll_without[1, net] == pytest.approx(log_loss(Y, mean))
        expected = np.mean([log_loss(Y, part) for part in np.delete(P, net, 0)])
        assert scores.nll_without[0, net] == pytest.approx(expected)


def ece(q):
    confidence, right = q.max(-1), q.argmax(-1) == Y
    total = 0.0
    for place in range(BINS):
        inside = (confidence >= place / BINS) & ((confidence < (place + 1) / BINS) | (place == BINS - 1))
        if inside.any():
            total += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    return total


def test_the_reliability_diagram_has_all_inputs():
    scores = counted(F, Y, "logits")["logits"]
    count, confidence, accuracy = scores.reliability[1]
    assert count.sum() == 200
    whole = torch.tensor(F.mean(0)).softmax(-1).numpy()
    assert (count * confidence).sum() / 200 == pytest.approx(whole.max(-1).mean())
    assert (count * accuracy).sum() / 200 == pytest.approx((whole.argmax(-1) == Y).mean())


def test_calibrated_nets_have_the_expected_calibration_error():
    """The normal approximation of each bin; the sum over bins of a simulation has a standard error of its own."""
    rng = np.random.default_rng(1)
    confidence = rng.uniform(0.5, 1, 600)
    which = np.minimum((confidence * BINS).astype(int), BINS - 1)
    variances = np.bincount(which, confidence * (1 - confidence), BINS)
    found = []
    for _ in range(400):
        right = rng.random(600) < confidence
        found.append(np.abs(np.bincount(which, confidence - right, BINS)).sum() / 600)
    error = np.std(found) / math.sqrt(400)
    assert expected_ece(variances) / 600 == pytest.approx(np.mean(found), abs=4 * error)


def test_a_zero_probability_counts_as_the_smallest():
    votes = np.stack([np.eye(2)[[0, 1]], np.eye(2)[[0, 0]]])
    scores = counted(votes, np.array([0, 1]), "probabilities")["probabilities"]
    assert scores.clipped == 1
    assert scores.nll[0, 1] == pytest.approx(52 * math.log(2) / 2)
    assert scores.nll[1, 1] == pytest.approx(math.log(2))
    assert scores.error[1].tolist() == [0, 1]  # a tie is an error


def test_single_precision_changes_little(monkeypatch):
    exact = counted(F, Y, "logits")["logits"]
    monkeypatch.setattr("mvtheory.decision.scores._LARGE", 0)
    single = counted(F, Y, "logits")["logits"]
    np.testing.assert_allclose(single.nll, exact.nll, rtol=1e-4, atol=1e-5)


def test_the_temperature_is_that_of_least_nll():
    y = torch.tensor(Y)
    T = fit_temperature(F[0], Y)
    nll = [float(torch.nn.functional.cross_entropy(torch.tensor(F[0]) / t, y)) for t in (T - 0.01, T, T + 0.01)]
    assert nll[1] == min(nll)
    assert fit_temperature(3 * F[0], Y) == pytest.approx(3 * T, rel=1e-3)
    assert fit_temperature(P[0], Y, "probabilities") == pytest.approx(T, rel=1e-3)


def test_log_softmax():
    np.testing.assert_allclose(log_softmax(F, "logits", 2.0), torch.tensor(F / 2).log_softmax(-1).numpy())
    np.testing.assert_allclose(log_softmax(P, "probabilities"), np.log(P))
