"""The figures of scale: points, the law, and fitted powers."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from mvtheory import Estimate
from mvtheory.figures import many_classes


@pytest.fixture(autouse=True)
def own_figures():
    plt.switch_backend("agg")
    yield
    plt.close("all")


def test_each_number_of_classes_has_its_points_beside_the_law():
    errors = {
        k: [Estimate(0.5**L + i / 100, 0.001, 0.9, nets=8, draws=2) for L in (1, 2, 3)]
        for i, k in enumerate((10, 30, 100, 300, 1000))
    }
    (ax,) = many_classes.law_at_each_size(errors).axes
    law, *points = ax.lines
    assert list(law.get_ydata()) == [0.5, 0.25, 0.125]
    assert [line.get_label() for line in points] == [f"k = {k}" for k in errors]
    for i, line in enumerate(points):
        assert list(line.get_ydata()) == [e.value for e in list(errors.values())[i]]
        assert list(line.get_xdata()) == pytest.approx([L + 0.12 * (i - 2) for L in (1, 2, 3)])
    assert ax.get_yscale() == "log"
    segments = ax.collections[0].get_segments()
    assert segments[0][0][1] == 0.015 == ax.get_ylim()[0]  # an interval that reaches lower is cut at the axis
    assert segments[0][1][1] == 0.9


def test_powers_are_carried_on_to_a_thousand_classes():
    full, reduced = {k: 2.0 * k**3 for k in (12, 16, 32)}, {k: 0.5 * k for k in (30, 1000)}
    (ax,) = many_classes.cost_of_step(full, reduced).axes
    on, points, below, *_ = ax.lines
    assert list(on.get_ydata()) == pytest.approx([2.0 * 12**3, 2.0 * 1000**3])
    assert list(points.get_xdata()) == [12, 16, 32]
    assert list(below.get_ydata()) == pytest.approx([6, 500])
    assert [line.get_label() for line in ax.lines if not line.get_label().startswith("_")] == [
        "full model",
        "reduction",
    ]


def test_the_band_is_twice_the_scatter_of_independent_classes():
    errors = np.array([[0.5, 0.2, 0.1], [0.48, 0.3, 0.15]])
    (ax,) = many_classes.scatter_of_errors(errors, k=25).axes
    law, *lines = ax.lines
    assert list(law.get_ydata()) == [0.5, 0.25, 0.125]
    assert [list(line.get_ydata()) for line in lines] == errors.tolist()
    edges = ax.collections[0].get_paths()[0].vertices
    at_two = edges[edges[:, 0] == 2][:, 1]
    assert (at_two.min(), at_two.max()) == pytest.approx((0.25 - 0.1, 0.25 + 0.1))  # sqrt(1/2 * 1/2 / 25) / 2, twice
