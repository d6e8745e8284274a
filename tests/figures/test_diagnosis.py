"""Figures of a diagnosis: points, curves and verdicts are those that it found."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.text import Annotation

from mvtheory.diagnose import diagnose
from mvtheory.figures import diagnosis


def found(seed, scale):
    """Diagnose three noisy nets."""
    y = np.arange(300) % 3
    F = np.eye(3)[y] + scale * np.random.default_rng(seed).normal(size=(3, 300, 3))
    return diagnose(F, y)


CASES = {"clear": found(1, 0.5), "noisy": found(2, 1.0)}
WITHOUT_ERROR = {"perfect": found(3, 0.0)}


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def test_points_of_the_plane():
    (ax,) = diagnosis.correction_plane(CASES, {"noisy": (1, -2)}).axes
    points = [line for line in ax.lines if line.get_marker() == "o"]
    expected = [(d.corrected.value, d.removed.value) for d in CASES.values()]
    assert [(p.get_xdata().item(), p.get_ydata().item()) for p in points] == expected
    names = {text.get_text(): text for text in ax.texts}
    assert names["clear"].xyann == (7, 6)
    assert names["noisy"].xyann == (1, -2)
    assert any(line.get_linestyle() == ":" and line.get_ydata()[0] == CASES["clear"].worth for line in ax.lines)


def test_curves_are_relative_to_one_net_and_end_in_their_interval():
    (ax,) = diagnosis.relative_errors(CASES).axes
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(CASES)
    for d, curve, interval in zip(CASES.values(), ax.lines[1::2], ax.lines[2::2], strict=True):
        assert list(curve.get_ydata()) == [e.value / d.errors[0].value for e in d.errors]
        assert list(interval.get_ydata()) == [1 - d.removed.low, 1 - d.removed.high]


@pytest.mark.parametrize("draw", [lambda cases: diagnosis.correction_plane(cases, {}), diagnosis.relative_errors])
def test_nets_without_errors_are_refused(draw):
    with pytest.raises(ValueError, match="'perfect' without an error"):
        draw(WITHOUT_ERROR)


def test_verdicts_stand_beside_their_rows():
    (ax,) = diagnosis.verdicts(CASES | WITHOUT_ERROR).axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["clear", "noisy", "perfect"]
    assert [text.get_text() for text in ax.texts] == [d.verdict for d in (CASES | WITHOUT_ERROR).values()]
    points = [line for line in ax.lines if line.get_marker() == "o"]
    assert [p.get_xdata().item() for p in points] == [d.removed.value for d in CASES.values()]


def test_each_box_of_the_flow_chart_but_the_first_is_reached_by_one_arrow():
    (ax,) = diagnosis.flowchart().axes
    first, *others = [patch.get_bbox() for patch in ax.patches]
    ends = [text.xy for text in ax.texts if isinstance(text, Annotation)]
    assert len(ends) == len(others) == 11

    def reached(box, x, y):
        """An arrow ends at the left edge, or at the upper one."""
        side = np.isclose(x, box.x0) and box.y0 < y < box.y1
        return bool(side or (np.isclose(y, box.y1) and box.x0 < x < box.x1))

    assert [sum(reached(box, *end) for end in ends) for box in (first, *others)] == [0] + [1] * 11


def test_words_of_the_flow_chart_fit_into_their_boxes_and_can_be_read_on_a_phone():
    fig = diagnosis.flowchart()
    fig.canvas.draw()
    (ax,) = fig.axes
    words = {text: text.get_window_extent() for text in ax.texts if text.get_text()}
    assert all(text.get_fontsize() >= 11 for text in words)  # see `mvtheory.plotting.WIDTH`
    for patch in ax.patches:
        box = patch.get_window_extent()
        inside = [extent for extent in words.values() if box.contains((extent.x0 + extent.x1) / 2, extent.y0)]
        assert len(inside) == 1
        assert box.x0 < inside[0].x0 < inside[0].x1 < box.x1
        assert box.y0 < inside[0].y0 < inside[0].y1 < box.y1


def test_questions_of_the_flow_chart_are_lines_of_the_report():
    y = np.arange(300) % 3
    F = np.eye(3)[y] + np.random.default_rng(1).normal(size=(6, 300, 3))
    said = diagnose(F[:4], y, F[4:5], larger=F[5:], held_out=0.3).words
    heads = {line.partition(":")[0] for line in said.splitlines()}
    assert {text.partition(":")[0] for *_, text in diagnosis._QUESTIONS.values()} <= heads
    assert "temperature" in said
