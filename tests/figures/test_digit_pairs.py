"""Figures of pairs of digits: what they draw and how it is labelled."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from mvtheory.figures import digit_pairs
from mvtheory.measurement import Estimate
from mvtheory.plotting import COLOURS

ERRORS = {"single": Estimate(0.5, 0.4, 0.6, 10, 5), "ensemble": Estimate(0.2, 0.1, 0.3, 10, 5)}


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def test_methods_have_their_colours_and_others_are_grey():
    fig = digit_pairs.by_method(ERRORS | {"shared filters": Estimate(0.1, 0.0, 0.2, 10, 5)}, 0.7, "error", height=2.0)
    (ax,) = fig.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["single", "ensemble", "shared filters"]
    assert (ax.get_xlim(), ax.get_xlabel()) == ((0, 0.7), "error")
    points = [line for line in ax.lines if line.get_marker() == "o"]
    assert [line.get_xdata().item() for line in points] == [0.5, 0.2, 0.1]
    assert [to_hex(line.get_color()) for line in points] == [
        COLOURS[name].lower() for name in ("single", "ensemble", "theory")
    ]


def test_pairs_stand_side_by_side_under_their_titles():
    images = torch.rand(2, 8, 8)
    fig = digit_pairs.pairs({"two views": images, "left kept": images.flip(0)})
    assert [ax.get_title() for ax in fig.axes] == ["two views", "left kept"]
    for ax, (left, right) in zip(fig.axes, (images, images.flip(0)), strict=True):
        assert np.array_equal(ax.images[0].get_array(), torch.cat([left, right], 1))


def test_gaps_are_shades_between_right_and_left():
    gaps = {"separate filters": torch.full((3, 10), 0.9), "shared filters": torch.zeros(3, 10)}
    fig = digit_pairs.gaps(gaps)
    first, second, bar = fig.axes
    assert [first.get_title(), second.get_title()] == list(gaps)
    for ax, gap in zip((first, second), gaps.values(), strict=True):
        assert np.array_equal(ax.images[0].get_array(), gap)
        assert ax.images[0].get_clim() == (-1, 1)
    assert [label.get_text() for label in bar.get_yticklabels()] == ["right\nonly", "either", "left\nonly"]


def test_an_input_stands_above_the_errors():
    images = torch.rand(2, 8, 8)
    top, low = digit_pairs.input_and_errors(images, ERRORS).axes
    assert np.array_equal(top.images[0].get_array(), torch.cat(list(images), 1))
    assert [label.get_text() for label in low.get_yticklabels()] == list(ERRORS)


def test_measured_points_lie_beside_the_law():
    (ax,) = digit_pairs.by_number_of_nets(list(ERRORS.values()), law=[0.5, 0.35]).axes
    law, measured = ax.lines
    assert law.get_ydata().tolist() == [0.5, 0.35]
    assert measured.get_ydata().tolist() == [0.5, 0.2]
    assert measured.get_xdata().tolist() == law.get_xdata().tolist() == [1, 2]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["halved by each net", "measured"]


def test_curves_of_excess_stand_beside_the_law():
    curves = {"first": [1.0, 0.5, 0.2], "second": [1.0, 0.7], "third": [1.0, 0.9, 0.8]}
    (ax,) = digit_pairs.excess_by_nets(curves).axes
    law, *drawn, zero = ax.lines
    assert (list(law.get_xdata()), list(law.get_ydata())) == ([1, 2, 3], [1, 0.5, 0.25])
    for line, (name, curve) in zip(drawn, curves.items(), strict=True):
        assert (line.get_label(), list(line.get_xdata())) == (name, list(range(1, len(curve) + 1)))
        assert list(line.get_ydata()) == curve
    assert len({line.get_marker() for line in drawn}) == len({line.get_color() for line in drawn}) == 3
    assert set(zero.get_ydata()) == {0}
