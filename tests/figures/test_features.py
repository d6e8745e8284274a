"""Figures of fixed features: what is drawn where."""

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt

from mvtheory.figures import features
from mvtheory.measurement import Estimate

R = (20, 40, 80)


def estimates(*values: float) -> list[Estimate]:
    return [Estimate(value, value - 0.01, value + 0.02, nets=20, draws=5) for value in values]


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def line(ax, label: str) -> tuple[list[float], list[float]]:
    (found,) = (line for line in ax.lines if line.get_label() == label)
    return list(found.get_xdata()), list(found.get_ydata())


def test_bias_variance_and_span_have_their_own_panels():
    rows = [estimates(*(start + step for step in (0.0, 0.1, 0.2))) for start in (0.1, 0.2, 0.3, 0.4)]
    left, right = features.bias_variance_span(R, *rows).axes
    assert line(left, "squared bias") == (list(R), [row.value for row in rows[0]])
    assert line(left, "variance") == (list(R), [row.value for row in rows[1]])
    assert line(right, "multi-view") == (list(R), [row.value for row in rows[2]])
    assert line(right, "digits") == (list(R), [row.value for row in rows[3]])
    low, high = left.collections[0].get_segments()[1]
    assert (tuple(low), tuple(high)) == ((40, 0.2 - 0.01), (40, pytest.approx(0.2 + 0.02)))
    assert [label.get_text() for label in right.get_xticklabels()] == ["20", "80"]


def test_errors_have_a_panel_for_each_data_set_and_a_limit_in_the_last():
    methods = ("single", "distilled", "ensemble", "wide student")
    one = {method: estimates(0.1 * n, 0.2, 0.3) for n, method in enumerate(methods, start=1)}
    two = {method: estimates(0.05, 0.04, 0.03) for method in methods}
    left, right = features.errors_by_features(R, {"multi-view": one, "digits": two}, limit=0.02).axes
    assert (left.get_title(), right.get_title()) == ("multi-view", "digits")
    for method in methods:
        assert line(left, method) == (list(R), [row.value for row in one[method]])
        assert line(right, method) == (list(R), [row.value for row in two[method]])
    assert len(left.lines) == len(methods)
    assert list(right.lines[-1].get_ydata()) == [0.02, 0.02]
    high = [row.high for rows in one.values() for row in rows]
    low, top = left.get_ylim()
    assert low == -0.02
    assert top > max(high), "nothing is cut off"


def test_views_that_no_model_sees_are_crossed():
    shade = torch.tensor([[[0.0, 0.5], [0.0, 0.2]], [[0.3, 0.0], [0.0, 0.1]]])  # two models, two classes
    top, low = features.seen_views(shade, [0.5, 0.4], [0.5, 0.2], 2).axes
    assert top.get_title() == "model 2: error 0.40"
    assert low.get_title() == "average of models 1 to 2: error 0.20"
    assert top.lines[0].get_xydata().tolist() == [[0, 1], [1, 0]], "class and view"
    assert low.lines[0].get_xydata().tolist() == [[1, 0]]
    np.testing.assert_allclose(low.images[0].get_array(), [[0.3, 0.0], [0.5, 0.2]])
