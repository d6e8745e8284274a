"""Figures of data with views and without."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from mvtheory.figures import structure
from mvtheory.measurement import Estimate

OVERLAPS = (0.0, 0.5, 1.0)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def estimates(*values: float) -> list[Estimate]:
    return [Estimate(x, x - 0.01, x + 0.01, 50, 5) for x in values]


def test_gains_stand_in_rows_of_their_cases():
    row = dict(zip(("ensemble", "distilled", "self-distilled"), estimates(0.4, 0.2, 0.0), strict=True))
    fig = structure.gain_points({"two views": row, "mixture": row}, (-0.01, 0.01))
    (ax,) = fig.axes
    dots = [(line.get_xdata()[0], line.get_ydata()[0]) for line in ax.lines if line.get_marker() == "o"]
    assert dots[:3] == [(0.4, -0.22), (0.2, 0), (0.0, 0.22)]
    assert dots[3] == (0.4, 0.78)
    low, high = ax.get_xlim()
    assert low < -0.01, "nothing is cut off"
    assert high > 0.41, "nothing is cut off"
    assert [label.get_text() for label in ax.get_yticklabels()] == ["two views", "mixture"]
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["no gain", *row]


def test_relative_errors_are_drawn_before_the_law():
    names = ["two views", "one view shown", "mixture", "wrong labels", "labels of a net"]
    (ax,) = structure.falls({name: estimates(1.0, 0.5, 0.25) for name in names}).axes
    law, *curves = ax.lines
    assert law.get_ydata() == pytest.approx([1, 0.5, 0.25])
    assert [curve.get_label() for curve in curves] == names
    assert curves[-1].get_ydata() == pytest.approx([1, 0.5, 0.25])
    assert curves[0].get_color() not in {curve.get_color() for curve in curves[1:]}


def test_the_dial_shows_formulas_and_measured_points():
    gains = dict.fromkeys((0.2, 0.3, 0.4), estimates(0.5, 0.1, 0.0))
    left, right = structure.ratios_and_gains(OVERLAPS, estimates(0.0, 0.9, 1.0), gains, 4, (1.0, 1.1)).axes
    formula, guess, points = left.lines
    assert formula.get_ydata()[[0, -1]] == pytest.approx([0, 1])
    assert guess.get_ydata()[200] == 0.5
    assert list(points.get_ydata()) == [0.0, 0.9, 1.0]
    assert [text.get_text() for text in right.get_legend().get_texts()] == [rf"$\Gamma$ = {G}" for G in gains]
    assert right.lines[0].get_ydata()[[0, -1]] == pytest.approx([0.5, 0])


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_winner_of_one_view_lies_on_its_arrow(place):
    """A winner of length 10 along the second view of its class has the overlaps 10 times the views' and 10."""
    c = OVERLAPS[place]
    winners = np.array([[[10 * overlap, 10.0]] for overlap in OVERLAPS])
    fall = {0.4: np.array([0.5, 0.2, 0.0])}
    plane, gains = structure.dial_frame(place, OVERLAPS, winners, np.array([0.0, 0.8, 1.0]), fall).axes
    x, y = (float(values[0]) for values in plane.lines[0].get_data())
    assert np.hypot(x, y) == pytest.approx(10)
    assert y / 10 == pytest.approx(np.cos(np.arccos(c) / 2))
    assert gains.lines[1].get_data() == ([c], [fall[0.4][place]])
