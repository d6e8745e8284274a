"""The control variate: what the predicted views say, by loops and by counting, without bias."""

import math
from dataclasses import replace
from math import comb

import numpy as np
import pytest
import torch
from hand_made import small
from scipy.stats import beta

from mvtheory.ensemble import predict_lottery
from mvtheory.experiments import control_variate
from mvtheory.experiments.control_variate import (
    adjusted_for_lottery,
    expected_uncovered,
    lottery_control_variate,
    predicted_views,
)
from mvtheory.experiments.nets import Draw
from mvtheory.experiments.settings import SETTING

SMALL = small(SETTING)
PAIRS = [(0, 1), (2, 3)]


def lacked(draw, groups):
    """Which single-view test inputs show a view that no net of a group is predicted to learn, by loops."""
    views, test = predicted_views(draw)[0], draw.test_single_view
    return np.array(
        [
            [all(int(views[net, y]) != kept for net in group) for y, kept in zip(test.y, test.kept, strict=True)]
            for group in groups
        ]
    )


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
    found = np.array([lottery_control_variate(draw, PAIRS) for draw in draws])
    assert abs(found.mean()) < 4 * found.std(ddof=1) / np.sqrt(len(found))


def test_views_are_predicted_for_members_and_students_and_for_others():
    draw = Draw(1, SMALL)
    views, counts = predicted_views(draw)
    assert views.shape == (7, 3)
    assert counts.sum(1).tolist() == [400] * 3
    assert torch.equal(views, predict_lottery(draw.init(0, 7), draw.task.views, draw.train))
    others = predict_lottery(draw.init(100_000, 400), draw.task.views, draw.train)
    assert counts[:, 1].tolist() == others.sum(0).tolist()


def test_groups_are_of_one_size():
    with pytest.raises(ValueError, match=r"size of a group .* must be one of 2; got 1"):
        lottery_control_variate(Draw(1, SMALL), [(0, 1), (2,)])


def test_groups_that_err_as_predicted_have_the_expected_error_and_no_more_doubt_than_perfect_ones():
    draws = [Draw(number, SMALL) for number in (1, 2, 3)]
    wrong = [lacked(draw, PAIRS) for draw in draws]
    adjusted, raw = adjusted_for_lottery(draws, wrong, [PAIRS] * 3, nets=12)
    expected = np.mean([expected_uncovered(draw, 2) for draw in draws])
    units = 3 * 6  # data sets, views
    clear = 1 - 0.025 ** (1 / units)  # none fails
    assert adjusted.value == pytest.approx(expected)
    assert (adjusted.low, adjusted.high) == pytest.approx((expected - clear, expected + clear))
    assert raw.value == pytest.approx(np.mean(wrong)) != pytest.approx(expected)
    assert raw.high - raw.low > 2 * clear
    for estimate in (adjusted, raw):
        assert (estimate.nets, estimate.draws) == (12, 3)

    exchanged = adjusted_for_lottery(draws, [errs[::-1] for errs in wrong], [PAIRS] * 3, nets=12)[0]
    assert exchanged.value == pytest.approx(expected)  # the sum is the same
    assert exchanged.high - exchanged.low > adjusted.high - adjusted.low  # but each group answers for its own nets


def test_perfect_groups_have_the_expected_error_minus_what_they_were_to_lack():
    draws = [Draw(number, SMALL) for number in (1, 2)]
    right = np.zeros((2, SMALL.test_single_view), dtype=bool)
    adjusted, raw = adjusted_for_lottery(draws, [right] * 2, [PAIRS] * 2, nets=8)
    variate = np.mean([lottery_control_variate(draw, PAIRS) for draw in draws])
    assert adjusted.value == pytest.approx(-variate)
    assert raw.value == 0


def test_where_nothing_is_predicted_to_lack_the_adjusted_error_is_the_raw_one_and_the_expected_lack():
    alone = [[[0, 1, 2, 3, 4], [0, 1, 2, 3, 5]]]
    draw = next(d for d in (Draw(number, SMALL) for number in range(1, 99)) if not lacked(d, alone[0]).any())
    rng = np.random.default_rng(0)
    wrong = rng.random((2, SMALL.test_single_view)) < 0.2
    adjusted, raw = adjusted_for_lottery([draw], [wrong], alone, nets=2)
    assert raw.value == pytest.approx(wrong.mean())
    assert adjusted.value == pytest.approx(raw.value + expected_uncovered(draw, 5))


def by_loops(draws, wrong, groups):
    """Return shares beyond the predicted lack, and missing from it, means over groups for each data set and view."""
    more, less = [], []
    for draw, errs in zip(draws, wrong, strict=True):
        test, lacks = draw.test_single_view, lacked(draw, groups)
        for j in range(3):
            for v in range(2):
                here = ((test.y == j) & (test.kept == v)).numpy()
                shares = [(row[here].mean(), lack[here].any()) for row, lack in zip(errs, lacks, strict=True)]
                more.append(np.mean([0.0 if lack else share for share, lack in shares]))
                less.append(np.mean([1 - share if lack else 0.0 for share, lack in shares]))
    return more, less


def test_groups_that_fail_together_are_no_more_evidence_than_one():
    draws, rng = [Draw(number, SMALL) for number in (1, 2)], np.random.default_rng(2)
    one = [rng.random((1, SMALL.test_single_view)) < 0.2 for _ in draws]
    alone = adjusted_for_lottery(draws, one, [PAIRS[:1]] * 2, nets=2)
    twice = adjusted_for_lottery(draws, [np.repeat(errs, 2, 0) for errs in one], [[PAIRS[0], PAIRS[0]]] * 2, nets=2)
    for a, b in zip(alone, twice, strict=True):
        assert (a.value, a.low, a.high) == pytest.approx((b.value, b.low, b.high))


def test_the_unit_is_a_view_of_a_class_and_failures_in_part_count_in_part():
    draws, rng = [Draw(number, SMALL) for number in (1, 2)], np.random.default_rng(1)
    wrong = [lacked(draw, PAIRS) ^ (rng.random((2, SMALL.test_single_view)) < 0.1) for draw in draws]
    adjusted, raw = adjusted_for_lottery(draws, wrong, [PAIRS] * 2, nets=8)
    more, less = by_loops(draws, wrong, PAIRS)
    assert min(sum(more), sum(less)) > 0
    expected = np.mean([expected_uncovered(draw, 2) for draw in draws])
    assert adjusted.value == pytest.approx(expected + np.mean(more) - np.mean(less))
    ends = {}
    for name, shares in {"more": more, "less": less}.items():
        n, count, value = len(shares), sum(shares), np.mean(shares)
        low, high = beta.ppf(0.025, count, n - count + 1), beta.ppf(0.975, count + 1, n - count)
        ends[name] = value - low, high - value
    down, up = math.hypot(ends["more"][0], ends["less"][1]), math.hypot(ends["more"][1], ends["less"][0])
    assert (adjusted.value - adjusted.low, adjusted.high - adjusted.value) == pytest.approx((down, up))
    assert raw.value == pytest.approx(np.mean(wrong))


@pytest.mark.parametrize(("found", "lost"), [(0.02, 0.02), (0.0, 0.2), (0.15, 0.0), (0.15, 0.2)])
def test_adjusted_errors_are_without_bias_and_their_intervals_cover(found, lost, monkeypatch):
    """Single nets on 16 classes whose views are a coin's: they err on a predicted view at times, and find one at times.

    The error is (1 - found) / 2 + lost / 2. Of the views of a class one is predicted, so the interval may be too wide.
    """
    task = replace(SMALL.task, k=16, P=32, d=32)
    draws = [Draw(number, replace(SMALL, task=task, test_single_view=32)) for number in (1, 2)]
    table, rng, runs = {}, np.random.default_rng(0), 300
    monkeypatch.setattr(control_variate, "predicted_views", lambda draw: (table[draw.number], torch.full((16, 2), 200)))
    truth, groups, values, raws, covered = (1 - found + lost) / 2, [[[0], [1], [2], [3]]] * 2, [], [], 0
    for _ in range(runs):
        wrong = []
        for draw in draws:
            table[draw.number] = torch.from_numpy(rng.integers(0, 2, (4, 16)))
            lack = lacked_in(table[draw.number], draw)
            wrong.append(np.where(lack, rng.random(lack.shape) >= found, rng.random(lack.shape) < lost))
        adjusted, raw = adjusted_for_lottery(draws, wrong, groups, nets=8)
        values.append(adjusted.value)
        raws.append(raw.value)
        covered += adjusted.low <= truth <= adjusted.high
    assert abs(np.mean(values) - truth) < 4 * np.std(values) / math.sqrt(runs)
    assert covered / runs > 0.95 - 4 * math.sqrt(0.95 * 0.05 / runs)


def lacked_in(views, draw):
    return (views[:, draw.test_single_view.y] != draw.test_single_view.kept).numpy()


def test_an_adjusted_error_varies_less_than_a_raw_one():
    draws = [Draw(number, SMALL) for number in range(1, 25)]
    found = [adjusted_for_lottery([draw], [lacked(draw, PAIRS)], [PAIRS], nets=4) for draw in draws]
    adjusted, raw = np.array([[estimate.value for estimate in both] for both in found]).T
    assert adjusted.std() < raw.std() / 2
    assert abs(adjusted.mean() - raw.mean()) < 4 * np.std(adjusted - raw, ddof=1) / math.sqrt(len(draws))
