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


def test_each_pair_has_a_hollow_dot_for_one_member_and_a_filled_one_for_all():
    names = [*(name for names in METHODS.values() for name in names), "net", "average of nets"]
    table = {
        name: {"single-view": Estimate(x, x, x + 0.1, 1, 2), "multi-view": Estimate(x / 2, 0, 1, 1, 2)}
        for name, x in zip(names, np.linspace(0, 0.8, len(names)), strict=True)
    }
    multi, single = members.error_points(table).axes
    labels = [label.get_text() for label in multi.get_yticklabels()]
    assert labels[-1] == "nets, averaged"
    for ax, where in ((multi, "multi-view"), (single, "single-view")):
        hollow, filled = ax.lines[-2:]
        assert hollow.get_markerfacecolor() == "none"
        assert hollow.get_xdata()[0] == table["net"][where].value
        assert filled.get_xdata()[0] == table["average of nets"][where].value
        assert ax.get_title() == f"{where} inputs"
        assert ax.get_xlim()[1] > max(row[where].high for row in table.values())


def test_the_curve_of_the_loss_is_the_sum_of_its_terms():
    bias, shared, lost = np.array([0.1, 0.3]), np.array([0.0, 0.1]), np.array([0.4, 0.2])
    (ax,) = members.squared_loss(np.full((2, 20), 0.3), bias, shared, lost).axes
    curve, measured = ax.lines
    assert curve.get_ydata() == pytest.approx(0.25 + 0.3 / np.arange(1, 21))
    assert measured.get_ydata() == pytest.approx(0.3)


def test_margins_are_drawn_after_the_rounds_that_are_asked_for():
    training = np.where(np.arange(1, 101) < 12, ROUNDS, 0.0)  # no error from round 12 on
    left, right = members.margins_and_errors(MARGINS, training, ROUNDS / 2, (5, 20, 100)).axes
    assert [line.get_label() for line in left.lines[:3]] == ["5", "20", "100"]
    assert left.lines[0].get_xdata() == pytest.approx(MARGINS[4])
    assert list(left.lines[3].get_xdata()) == [1, 1], "a net"
    fitting, test = right.lines
    assert list(fitting.get_xdata()) == list(range(1, 12))
    assert test.get_ydata()[-1] == pytest.approx(0.05)
    (band,) = right.patches
    assert band.get_x() == 12


def test_accounts_stand_behind_what_is_measured():
    account = np.linspace(0.5, 0.1, 10)
    measured = [Estimate(e, e / 2, e * 2, 10, 2) for e in CURVE[0]]
    trees, nets = members.account_by_variance(measured, account, measured, account / 2).axes
    assert (trees.get_title(), nets.get_title()) == ("bagged trees", "nets")
    assert nets.lines[0].get_ydata() == pytest.approx(account / 2)
    assert nets.lines[1].get_ydata() == pytest.approx(nets.lines[2].get_ydata())  # the law
    assert [tuple(end) for end in nets.collections[0].get_segments()[0]] == [(1, 0.25), (1, 1.0)]


def test_a_frame_marks_its_number_or_the_end_of_a_curve():
    _, low = members.frame(50, MARGINS, ROUNDS[:, :20], ROUNDS, CURVE).axes
    dots = {line.get_label(): line.get_xdata() for line in low.lines if line.get_marker() == "o"}
    assert dots == {"bagged trees": [20], "boosted trees": [50], "nets": [10]}
