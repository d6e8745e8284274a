"""Figures of members of ensembles."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from mvtheory.experiments.classical_study import METHODS
from mvtheory.figures import members
from mvtheory.measurement import Estimate

ROUNDS = np.linspace(0.5, 0.1, 100)[None].repeat(2, 0)  # [draws, rounds]
MARGINS = np.linspace(0, 1, 41)[None] * np.linspace(0, 1, 100)[:, None]  # [rounds, levels]
CURVE = np.stack([0.5 ** np.arange(1, 11)] * 2)  # [draws, L]


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_each_method_has_its_dot_and_its_square():
    names = [*(name for names in METHODS.values() for name in names), "net", "average of nets"]
    table = {
        name: {"single-view": Estimate(x, x, x + 0.1, 1, 2), "multi-view": Estimate(x / 2, 0, 1, 1, 2)}
        for name, x in zip(names, np.linspace(0, 0.8, len(names)), strict=True)
    }
    (ax,) = members.error_points(table).axes
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels[-2:] == ["net", "average of nets"]
    squares = ax.lines[-1]
    assert squares.get_xdata()[-1] == table["average of nets"]["multi-view"].value
    assert len(squares.get_xdata()) == len(labels) == 10


def test_the_curve_of_the_loss_is_the_sum_of_its_terms():
    bias, shared, lost = np.array([0.1, 0.3]), np.array([0.0, 0.1]), np.array([0.4, 0.2])
    (ax,) = members.squared_loss(np.full((2, 20), 0.3), bias, shared, lost).axes
    curve, measured = ax.lines
    assert curve.get_ydata() == pytest.approx(0.25 + 0.3 / np.arange(1, 21))
    assert measured.get_ydata() == pytest.approx(0.3)


def test_margins_are_drawn_after_the_rounds_that_are_asked_for():
    left, right = members.margins_and_errors(MARGINS, ROUNDS, ROUNDS / 2, (5, 20, 100)).axes
    assert [line.get_label() for line in left.lines[:3]] == ["5", "20", "100"]
    assert left.lines[0].get_xdata() == pytest.approx(MARGINS[4])
    assert [line.get_ydata()[-1] for line in right.lines] == pytest.approx([0.1, 0.05])


def test_accounts_stand_behind_what_is_measured():
    account = np.linspace(0.5, 0.1, 10)
    trees, nets = members.account_by_variance(ROUNDS[:, :20], account, CURVE, account / 2).axes
    assert (trees.get_title(), nets.get_title()) == ("bagged trees", "nets")
    assert nets.lines[0].get_ydata() == pytest.approx(account / 2)
    assert nets.lines[1].get_ydata() == pytest.approx(nets.lines[2].get_ydata())  # the law


def test_a_frame_marks_its_number_or_the_end_of_a_curve():
    _, low = members.frame(50, MARGINS, ROUNDS[:, :20], ROUNDS, CURVE).axes
    dots = {line.get_label(): line.get_xdata() for line in low.lines if line.get_marker() == "o"}
    assert dots == {"bagged trees": [20], "boosted trees": [50], "nets": [10]}
