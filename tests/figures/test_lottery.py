"""Figures of single nets: they show the numbers that they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from mvtheory.figures import lottery


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_overlaps_are_drawn_net_by_net_and_view_by_view():
    step, overlap = torch.tensor([0, 5, 9]), torch.rand(3, 2, 3) + 0.1
    fig = lottery.overlap_curves(step, overlap)
    assert [ax.get_title() for ax in fig.axes] == ["net 1", "net 2"]
    for net, ax in enumerate(fig.axes):
        drawn = np.stack([line.get_ydata() for line in ax.lines], 1)
        np.testing.assert_allclose(drawn, overlap[:, net])
        kept = int(overlap[-1, net].argmax())
        words = [f"view {view + 1} {'kept' if view == kept else 'left behind'}" for view in range(3)]
        assert [text.get_text() for text in ax.texts] == words


def test_every_net_is_a_point_in_the_column_of_its_inputs():
    errors = {"seen": [np.array([0.0, 0.1]), np.array([0.2])], "new": [np.array([0.5, 0.6]), np.array([0.4])]}
    (ax,) = lottery.error_columns(errors).axes
    points = [(float(x), float(y)) for line in ax.lines[1:] for x, y in zip(*line.get_data(), strict=True)]
    assert sorted((round(x), y) for x, y in points) == [(0, 0.0), (0, 0.1), (0, 0.2), (1, 0.4), (1, 0.5), (1, 0.6)]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["seen", "new"]


def test_a_table_says_its_errors():
    (ax,) = lottery.error_table(torch.tensor([[0.0, 1.0], [0.52, 0.25]])).axes
    assert [text.get_text() for text in ax.texts] == ["0", "1", ".5", ".2"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["first", "second"]


def test_the_formula_of_the_loser_diverges_at_a_tie():
    (ax,) = lottery.loser_growth(torch.tensor([0.5]), torch.tensor([1.4]), q=4).axes
    r, growth = ax.lines[1].get_data()
    np.testing.assert_allclose(growth, (1 - r) ** -0.5)


def test_points_of_the_plane_are_hollow_where_the_second_view_was_predicted():
    history = torch.rand(7, 2, 2) + 0.1
    (ax,) = lottery.overlap_plane(history, torch.tensor([True, False])).axes
    points = [line for line in ax.lines if line.get_marker() == "o"]
    assert [line.get_markerfacecolor() == "none" for line in points] == [True, False]
    np.testing.assert_allclose([line.get_xydata()[0] for line in points], history[6])
