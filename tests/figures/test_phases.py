"""The figures of the regime: what stands where."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from mvtheory.experiments.base import labelled
from mvtheory.figures import phases


@pytest.fixture(autouse=True)
def own_figures():
    plt.switch_backend("agg")
    yield
    plt.close("all")


def texts(ax):
    return {text.get_text(): text.get_position() for text in ax.texts}


def test_the_map_names_errors_untrained_points_and_the_full_model():
    error, untrained = [[0.25, 0.5], [0.125, 0.0]], [[0, 0], [0, 0.5]]
    axes = "varrho scale"
    points = labelled(
        {"error": (axes, error), "untrained": (axes, untrained)}, varrho=[1.5, 12.0], scale=[0.01, 1.0]
    ).assign_coords(q=3)
    fig = phases.phase_map(points, [(0.1, 12.0)], {(1.0, 1.5): 0.375})
    (ax,) = fig.axes
    assert texts(ax) == {"0.25": (0, 0), "0.50": (1, 0), "0.12": (0, 1), "slow": (1, 1), "full 0.38": (1, 0.32)}
    (star,) = ax.lines
    assert star.get_xdata()[0] == pytest.approx(0.5)  # half way on a logarithmic axis
    assert star.get_ydata()[0] == 1
    assert ax.get_title() == "power q = 3"
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0.01", "1.0"]


def test_each_change_has_a_panel_with_errors_and_shares():
    changes = {f"name {i}": {0.5: (0.1, 0.4), 2.0: (0.2 + i / 100, 0.3)} for i in range(6)}
    fig = phases.error_and_share(changes)
    for i, ax in enumerate(fig.axes):
        _, errors, shares = ax.lines
        assert list(errors.get_ydata()) == [0.4, 0.3]
        assert list(shares.get_ydata()) == [0.1, 0.2 + i / 100]
        assert [label.get_text() for label in ax.get_xticklabels()] == ["0.5", "2"]
        assert ax.get_xlabel() == f"name {i}"


def test_more_views_have_a_higher_curve():
    measured = {3: np.array([0.6, 0.4]), 4: np.array([0.7, 0.5])}
    (ax,) = phases.error_by_views(measured).axes
    law3, points3, law4, points4 = ax.lines
    assert list(law3.get_ydata()) == pytest.approx([2 / 3, 4 / 9])
    assert list(law4.get_ydata()) == pytest.approx([3 / 4, 9 / 16])
    assert [list(points.get_ydata()) for points in (points3, points4)] == [[0.6, 0.4], [0.7, 0.5]]


def test_each_recipe_has_a_row_from_the_top():
    errors = {"first": np.array([0.5, 0.4]), "second": np.array([0.1])}
    left, right = phases.views_and_errors({"first": 0.0, "second": 0.9}, errors, {"first": 0.2, "second": 0.1}).axes
    (shares,) = left.lines
    _, first, second, averages = right.lines
    assert (list(shares.get_xdata()), list(shares.get_ydata())) == ([0.0, 0.9], [0, 1])
    assert (list(first.get_xdata()), list(first.get_ydata())) == ([0.5, 0.4], [0, 0])
    assert list(second.get_ydata()) == [1]
    assert (list(averages.get_xdata()), list(averages.get_ydata())) == ([0.2, 0.1], [0, 1])
    assert right.yaxis_inverted()
    assert [label.get_text() for label in left.get_yticklabels()] == ["first", "second"]


def test_each_noise_has_its_curve_its_data_sets_and_its_threshold():
    error = np.linspace(0.5, 0.1, 12).reshape(2, 3, 2)
    data = labelled({"error": ("draw noise inputs", error)}, noise=[0.4, 0.6, 0.8], inputs=[2, 8])
    (ax,) = phases.error_by_inputs(data, [1.0, 4.0, 16.0]).axes
    curves, dots, ticks = ax.lines[1::4], ax.lines[2::4], ax.lines[4::4]
    assert [line.get_label() for line in curves] == ["noise 0.40", "noise 0.60", "noise 0.80"]
    assert np.allclose([line.get_ydata() for line in curves], error.mean(0))
    assert [line.get_xdata()[0] for line in ticks] == [1, 4, 16]
    assert np.allclose(dots[0].get_ydata(), error[0, 0])
