"""Figures of averages: they show the numbers that they are given."""

import matplotlib.pyplot as plt
import pytest
import torch

from mvtheory.figures import ensembles
from mvtheory.measurement import Estimate

VIEWS = torch.tensor([[[True, False], [False, True]], [[True, False], [True, True]]])  # class 1 alone is complete


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_errors_by_size_stand_beside_the_law():
    by_size = [Estimate(v, v - 0.01, v + 0.01, 10, 5) for v in (0.49, 0.26, 0.12)]
    (ax,) = ensembles.error_by_size(by_size, Estimate(0.47, 0.4, 0.5, 10, 5), 2).axes
    assert list(ax.lines[0].get_ydata()) == [0.5, 0.25, 0.125]
    points = {line.get_marker(): line.get_xydata().tolist() for line in ax.lines if line.get_marker() == "D"}
    assert points == {"D": [[2.0, 0.47]]}
    circles = [line.get_xydata()[0].tolist() for line in ax.lines if line.get_marker() == "o"]
    assert circles == [[1, 0.49], [2, 0.26], [3, 0.12]]
    assert [text.get_text() for text in ax.get_legend().get_texts()][1:] == [
        "single net",
        "ensemble",
        "trained average",
    ]


def test_a_class_of_which_all_views_are_held_has_a_circle_and_any_other_a_cross():
    ax, _ = ensembles.coverage_and_error(VIEWS, [0.5, 0.2]).axes
    last = [line.get_marker() for line in ax.lines if line.get_marker() in "ox"]
    assert last == ["x", "o"]
    squares = [line for line in ax.lines if line.get_marker() == "s" and line.get_markersize() == 11]
    assert [line.get_markerfacecolor() == "none" for line in squares] == [False, True, False, False]
    both = [line for line in ax.lines if line.get_marker() == "s" and line.get_markersize() == 5]
    assert [line.get_xydata()[0].tolist() for line in both] == [[1, 1]]


def test_the_errors_go_as_far_as_the_nets():
    top, low = ensembles.coverage_and_error(VIEWS[:1], [0.5, 0.2]).axes
    assert [line.get_marker() for line in top.lines if line.get_marker() in "ox"] == ["x", "x"]
    assert low.lines[1].get_ydata().tolist() == [0.5]
    assert low.lines[0].get_ydata().tolist() == [0.5, 0.25]
