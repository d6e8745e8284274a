"""Figures along the scale of the outputs: what is drawn where."""

import pytest
from matplotlib import pyplot as plt

from mvtheory.figures import laziness
from mvtheory.measurement import Estimate

ALPHAS = (1.0, 100.0, 1e4, 1e6)
NAMES = ("ensemble", "distilled", "trained average")


def estimates(*values: float) -> list[Estimate]:
    return [Estimate(value, value / 2, value * 2, nets=20, draws=5) for value in values]


GAINS = {name: estimates(0.1 * n, 0.2, 0.3, 0.35) for n, name in enumerate(NAMES, start=1)}


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def values(rows: list[Estimate]) -> list[float]:
    return [row.value for row in rows]


def test_gains_are_drawn_with_the_predicted_scale():
    (ax,) = laziness.gains_by_scale(ALPHAS, GAINS, 3e3).axes
    for name, line in zip(NAMES, ax.lines, strict=False):
        assert (list(line.get_xdata()), list(line.get_ydata())) == (list(ALPHAS), values(GAINS[name]))
    labels = [text.get_text() for text in ax.figure.legends[0].get_texts()]
    assert labels == ["ensemble gains", "student gains", "training the average costs", "predicted scale"]
    assert list(ax.lines[3].get_xdata()) == [3e3, 3e3]
    assert [tuple(end) for end in ax.collections[0].get_segments()[0]] == [(1.0, 0.05), (1.0, 0.2)]


def test_no_gain_is_cut_off():
    harm = GAINS | {"distilled": [Estimate(-0.2, -0.9, 0.9, 20, 5)] * 4}
    (ax,) = laziness.gains_by_scale(ALPHAS, harm, 3e3).axes
    low, high = ax.get_ylim()
    assert low < -0.9
    assert high > 0.9


def test_the_line_of_the_approach_falls_like_one_over_the_scale():
    movement, distance = estimates(10, 3, 1, 0.1), estimates(2, 1, 0.5, 0.004)
    (ax,) = laziness.approach(ALPHAS, movement, distance, 3e3).axes
    moved, away, theory, predicted = ax.lines
    assert list(moved.get_ydata()) == values(movement)
    assert list(away.get_ydata()) == values(distance)
    assert list(theory.get_ydata()) == pytest.approx([0.004 * 1e4, 0.4, 0.004])
    assert list(predicted.get_xdata()) == [3e3, 3e3]


def test_a_frame_shows_its_scale_and_its_errors():
    errors = dict(zip(("single", "ensemble"), estimates(0.3, 0.1), strict=True))
    top, low = laziness.at_scale(100.0, ALPHAS, GAINS, errors, 0.5).axes
    assert top.get_title() == "weights move by 0.5 times their length"
    assert list(top.lines[-1].get_xdata()) == [100.0, 100.0]
    assert [label.get_text() for label in low.get_yticklabels()] == ["single", "ensemble"]
    assert [float(line.get_xdata()[0]) for line in low.lines[1::2]] == [0.3, 0.1]
