"""The control variate: what the predicted views say, by loops and by counting, without bias."""

from dataclasses import replace
from math import comb

import numpy as np
import pytest
import torch
from hand_made import small

from mvtheory.ensemble import predict_lottery
from mvtheory.experiments.control_variate import expected_uncovered, lottery_control_variate, predicted_views
from mvtheory.experiments.nets import Draw
from mvtheory.experiments.settings import STUDENT_SETTING

SMALL = small(STUDENT_SETTING)


def test_the_variate_is_what_the_learned_views_say_beyond_their_expectation():
    draw = Draw(3, SMALL)
    views, test = draw.task.views, draw.test_single_view
    predicted = predict_lottery(draw.init(0, 5), views, draw.train)
    many = predict_lottery(draw.init(7000, 4000), views, draw.train)
    lacking = [
        [int(predicted[net, y]) != int(kept) for y, kept in zip(test.y, test.kept, strict=True)] for net in range(5)
    ]
    assert np.mean(lacking, 1).tolist() == [0.5] * 5  # balanced inputs: whatever a net learned, it lacks a half
    assert lottery_control_variate(draw, [[0], [3]]) == pytest.approx(0)

    three = Draw(3, replace(SMALL, task=replace(SMALL.task, M=3, P=9), test_single_view=90))
    assert lottery_control_variate(three, [[0], [3]]) == pytest.approx(
        0
    )  # of three views it lacks two, in theory and here

    pairs = [(0, 1), (2, 4)]
    uncovered = np.mean([np.logical_and(lacking[a], lacking[b]) for a, b in pairs])
    pi = many.double().mean(0)  # of the second view
    expected = float((pi**2 + (1 - pi) ** 2).mean() / 2)
    # 400 initialisations: the standard deviation of pi is at most 0.5 / 20, and so is that of (pi^2 + (1 - pi)^2) / 2
    assert lottery_control_variate(draw, pairs) == pytest.approx(uncovered - expected, abs=0.05)


@pytest.mark.parametrize("L", [1, 2, 7])
def test_nets_that_all_lack_a_view_are_counted_without_bias(L):
    draw = Draw(3, SMALL)
    predicted = predict_lottery(draw.init(100_000, 400), draw.task.views, draw.train)
    wins = torch.nn.functional.one_hot(predicted, 2).sum(0).flatten().tolist()
    expected = np.mean([comb(400 - won, L) / comb(400, L) for won in wins])  # L of 400, without replacement
    assert expected_uncovered(draw, L) == pytest.approx(expected, rel=1e-9)
    assert expected_uncovered(draw, 1) == pytest.approx(0.5)
    with pytest.raises(ValueError, match=r"L must be an integer >= 1 and <= 400; got 401"):
        expected_uncovered(draw, 401)


def test_the_variate_vanishes_on_average():
    draws = [Draw(number, SMALL) for number in range(1, 25)]
    found = np.array([lottery_control_variate(draw, [(0, 1), (2, 3)]) for draw in draws])
    assert abs(found.mean()) < 4 * found.std(ddof=1) / np.sqrt(len(found))


def test_views_are_predicted_for_all_nets_and_for_others():
    draw = Draw(1, SMALL)
    views, counts = predicted_views(draw)
    assert views.shape == (SMALL.nets, 3)
    assert counts.sum(1).tolist() == [400] * 3
    assert torch.equal(views, predict_lottery(draw.init(0, SMALL.nets), draw.task.views, draw.train))


def test_groups_are_of_one_size():
    with pytest.raises(ValueError, match=r"size of a group .* must be one of 2; got 1"):
        lottery_control_variate(Draw(1, SMALL), [(0, 1), (2,)])
