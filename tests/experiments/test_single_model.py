"""Single nets: why their error is not exactly one half, on nets whose views are known."""

import math

import numpy as np
import pytest
import torch
from hand_made import EXACT, answering, readers

from mvtheory.experiments.nets import Draw
from mvtheory.experiments.single_model import account_of_error, both_views_by_exposure, shares_in_range

ONE, TWO, BOTH = ([[a, b]] * 3 for a, b in ((1, 0), (0, 1), (1, 1)))


@pytest.fixture
def base():
    """Three nets of two data sets: the first knows first views, the second second ones, the third both of class 0."""
    mixed = [BOTH[0], ONE[0], TWO[0]]
    return [readers(Draw(number, EXACT), [ONE, TWO, mixed]) for number in (1, 2)]


def test_the_account_adds_up_to_the_error(base):
    known, unexplained, missed = account_of_error(base)
    error = np.mean([nets.errors("single-view").mean() for nets in base])
    assert error == pytest.approx(0.5 - known - unexplained + missed)
    assert known == pytest.approx(1 / 3 * 1 / 6)  # of one net, one view more in one of three classes
    assert unexplained == 0  # where no view is known all outputs are equal, which counts as wrong
    assert missed == 0


@pytest.mark.parametrize("all_wrong", [True, False])
def test_answers_that_the_views_do_not_explain_are_counted(base, all_wrong):
    for nets in base:
        given = answering(nets.draw, torch.full((3, EXACT.test_single_view), all_wrong))
        nets.outputs["single-view"] = given.outputs["single-view"]
    known, unexplained, missed = account_of_error(base)
    assert unexplained == pytest.approx(0 if all_wrong else 0.5 - known)
    assert missed == pytest.approx(0.5 + known if all_wrong else 0)


def test_classes_with_both_views_are_counted_by_what_the_training_set_shows(base):
    exposed, others = both_views_by_exposure(base)
    by_hand = [[], []]
    for nets in base:
        single = {int(y) for y, alone in zip(nets.draw.train.y, nets.draw.train.single_view, strict=True) if alone}
        assert 0 < len(single) < 3
        share = [1 / 3 if i == 0 else 0.0 for i in range(3)]  # class 0 of the third net
        by_hand[0].append(np.mean([share[i] for i in single]))
        by_hand[1].append(np.mean([share[i] for i in range(3) if i not in single]))
    assert (exposed, others) == pytest.approx((np.mean(by_hand[0]), np.mean(by_hand[1])))


def test_nets_in_a_range_are_counted_with_and_without_a_class_with_both_views(base):
    errors = np.concatenate([nets.errors("single-view") for nets in base]).reshape(2, 3)
    low, high = errors[:, :2].min(), errors[:, :2].max()
    assert (errors[:, 2] < low).all()
    assert shares_in_range(base, low, high) == pytest.approx((2 / 3, 1.0, 1 / 3, 0.0))
    one_view = [nets[:2] for nets in base]
    every, without, some, with_both = shares_in_range(one_view, low, high)
    assert (every, without, some) == (1.0, 1.0, 0.0)
    assert math.isnan(with_both)
