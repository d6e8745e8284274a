"""Figures of inputs: the numbers are those that were given, at their places."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from mvtheory.figures import multi_view_data
from mvtheory.measurement import Estimate


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def test_the_class_of_an_input_stands_out_and_its_lost_view_is_marked():
    seen = torch.tensor([[1.0, 0.9], [0.4, 0.1], [0.1, 0.4]])
    fig = multi_view_data.two_inputs({"both": (0, seen), "one": (2, seen)})
    both, one = fig.axes
    assert [both.get_title(), one.get_title()] == ["both", "one"]
    for ax, y in ((both, 0), (one, 2)):
        heights = [bar.get_height() for bar in ax.patches]
        assert heights == pytest.approx(seen.flatten().tolist())
        assert [bar.get_alpha() == 1 for bar in ax.patches] == [i // 2 == y for i in range(6)]
    assert [text.get_text() for text in both.texts] == ["the class"]
    assert [text.get_text() for text in one.texts] == ["lost", "the class"]
    assert one.texts[0].xy == pytest.approx((1.8, 0.1))


def test_patches_are_rows():
    x = torch.randn(4, 7)
    ax = multi_view_data.patches(x).axes[0]
    assert np.array_equal(ax.images[0].get_array(), x)


def test_strengths_are_filled_and_hollow_bars():
    strength = torch.tensor([[1.0, 0.0], [0.25, 0.5]])
    (ax,) = multi_view_data.strengths(strength).axes
    first, second = ax.containers
    assert [bar.get_height() for bar in first] == [1.0, 0.25]
    assert [bar.get_height() for bar in second] == [0.0, 0.5]
    assert [bars[0].get_facecolor()[3] for bars in (first, second)] == [1, 0]
    assert [bar.get_x() for bar in first] < [bar.get_x() for bar in second]


def test_means_are_rows():
    products = torch.rand(4, 3)
    ax = multi_view_data.mean_products(products).axes[0]
    assert np.array_equal(ax.images[0].get_array(), products)
    assert list(ax.get_yticks()) == [0, 2]


def test_errors_have_their_intervals():
    errors = [Estimate(0.5, 0.4, 0.6, 1, 2), Estimate(0.1, 0.0, 0.2, 1, 2)]
    (ax,) = multi_view_data.error_by_lost_strength([0.5, 2.0], errors).axes
    assert ax.lines[1].get_xydata().tolist() == [[0.5, 0.5], [2.0, 0.1]]
    assert [segment[:, 1].tolist() for segment in ax.collections[0].get_segments()] == [[0.4, 0.6], [0.0, 0.2]]
