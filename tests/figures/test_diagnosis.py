"""Figures of a diagnosis: points, curves and verdicts are those that it found."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

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


def test_arrows_of_the_flow_chart_join_its_boxes():
    """Each arrow but its word ends at a box; every box but the first is reached, and answers lead nowhere."""
    (ax,) = diagnosis.flowchart().axes
    assert len(ax.patches) == len(diagnosis._BOXES)
    reached = {end for _, end, _ in diagnosis._ARROWS}
    assert reached == set(diagnosis._BOXES) - {"test"}
    answers = {name for name, box in diagnosis._BOXES.items() if box[-1]}
    assert answers == set(diagnosis._BOXES) - {start for start, _, _ in diagnosis._ARROWS}
