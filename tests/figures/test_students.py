"""Figures of students: what is drawn where."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from mvtheory import Estimate
from mvtheory.figures import students
from mvtheory.plotting import COLOURS

E = Estimate(0.2, 0.1, 0.4, nets=4, draws=2)


@pytest.fixture(autouse=True)
def off_screen():
    plt.switch_backend("agg")
    yield
    plt.close("all")


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_rows_of_errors_have_the_colours_of_their_methods():
    fig = students.error_rows({"before": E, "after": E}, ["single", "distilled"], [(0.4, 0.6), (0, 0.1)])
    (ax,) = fig.axes
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["before", "after"]
    assert [line.get_color() for line in ax.lines[::2]] == [COLOURS["single"], COLOURS["distilled"]]
    assert len(ax.collections) == 2
    assert fig.get_figheight() == pytest.approx(1.7)


def test_outputs_stand_above_the_views_of_the_input():
    strength = torch.tensor([[1.0, 0.0], [0.3, 0.3], [0.0, 0.0]])
    fig = students.outputs_and_views(strength, {"single": torch.tensor([4.0, 1.0, 0.0])}, top=9)
    bars, dots = fig.axes
    assert [patch.get_height() for patch in bars.patches] == [2, 1, 0]  # square roots
    assert [text.get_text() for text in bars.get_yticklabels()] == ["0", "0.25", "1", "4", "9"]
    assert dots.collections[0].get_offsets().tolist() == [[0, 0], [1, 0], [1, 1]]


def test_what_is_asked_for_stands_above_the_views_of_the_input():
    strength = torch.tensor([[0.0, 1.0], [0.3, 0.0], [0.0, 0.0]])
    bars, dots = students.targets_and_views(strength, torch.tensor([0.7, 0.2, 0.1])).axes
    assert [patch.get_height() for patch in bars.patches] == pytest.approx([0.7, 0.2, 0.1])
    assert bars.get_ylim() == (0, 1)
    assert dots.collections[0].get_offsets().tolist() == [[0, 1], [1, 0]]


def test_outputs_are_drawn_against_their_prediction():
    (ax,) = students.outputs_against_prediction(torch.tensor([0.0, 1.0]), torch.tensor([0.5, 2.0])).axes
    assert ax.lines[0].get_xdata().tolist() == pytest.approx([0, 2.16])
    assert ax.lines[1].get_ydata().tolist() == [0.5, 2]


def test_each_stage_has_a_panel():
    stages = {"before": torch.tensor([[1.0, 0.0]]), "after": torch.tensor([[1.0, 2.0]])}
    left, right = students.view_outputs_by_stage(stages, ["single", "distilled"]).axes
    assert (left.get_title(), right.get_title()) == ("before", "after")
    assert right.lines[0].get_xydata().tolist() == [[1, 2]]


def test_rules_stand_side_by_side_at_each_number_of_classes():
    (ax,) = students.excess_by_classes({10: 0.3, 20: 0.1}, {10: E, 20: E}, {10: E, 20: E}).axes
    assert labels(ax) == ["predicted", "the paper's rule", "two-sided rule"]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["10", "20"]
    assert [line.get_xdata().tolist() for line in ax.lines[2::2]] == [[10], [20], [10.3], [20.6]]


def test_views_that_are_held_are_filled():
    rows = {"teacher": torch.tensor([[True, False]]), "after": torch.tensor([[True, True]])}
    (ax,) = students.held_views(rows, ["single", "self-distilled"]).axes
    filled = [line.get_xydata().tolist() for line in ax.lines if line.get_markerfacecolor() != "none"]
    assert filled == [[[-0.18, 0]], [[-0.18, 1]], [[pytest.approx(0.18), 1]]]
    assert len(ax.lines) == 3 + 4


def test_errors_stand_over_the_shared_errors():
    shared, before, after = torch.tensor([0.1, 0.4]), np.array([0.5, 0.6]), np.array([0.1, 0.3])
    (ax,) = students.errors_and_shared_errors(shared, before, after).axes
    assert labels(ax) == ["before distillation", "after distillation"]
    assert ax.lines[2].get_ydata().tolist() == [0.1, 0.3]
