"""What a diagnosis says of kinds of nets: how much averaging removes, and how the error falls with their number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from mvtheory.diagnose import Diagnosis
from mvtheory.plotting import COLOURS, INK, figure

__all__ = ["correction_plane", "flowchart", "relative_errors", "verdicts"]


def correction_plane(found: Mapping[str, Diagnosis], offsets: Mapping[str, tuple[int, int]]) -> Figure:
    """Draw the share of the errors that an average removes against the share on which another net is right.

    A name stands to the upper right of its point, or at the given offset in points. Where an average of ten is right
    wherever one of its nets is, the point lies in the grey region.
    """
    fig, ax = figure(height=4.0)
    grid, red = np.linspace(0, 1, 101), COLOURS["ensemble"]
    worth = next(iter(found.values())).worth
    ax.fill_between(grid, grid, 1 - (1 - grid) ** 9, color=COLOURS["theory"], alpha=0.2, lw=0)
    ax.plot(grid, grid, color=COLOURS["theory"], lw=1)
    ax.axhline(worth, color=INK, ls=":", lw=1)
    ax.text(0.95, worth + 0.015, "worth it from here", fontsize=9, ha="right")
    ax.text(0.24, 0.73, "right wherever\none net is", fontsize=9)
    for name, d in found.items():
        if d.corrected is None or d.removed is None:
            raise ValueError(f"found must hold diagnoses of nets that err; got {name!r} without an error")
        place = d.corrected.value, d.removed.value
        ax.plot([d.corrected.low, d.corrected.high], [place[1]] * 2, color=red, lw=1.5)
        ax.plot([place[0]] * 2, [d.removed.low, d.removed.high], color=red, lw=1.5)
        ax.plot(*place, "o", color=red, ms=6)
        ax.annotate(name, place, offsets.get(name, (7, 6)), textcoords="offset points", fontsize=9)
    ax.set(xlim=(-0.02, 0.95), ylim=(-0.12, 1.05))
    ax.set(
        xlabel="share of a net's errors on which another is right",
        ylabel="share of the errors that\nthe average removes",
    )
    return fig


def relative_errors(found: Mapping[str, Diagnosis]) -> Figure:
    """Draw the error of averages of 1, 2, ... nets relative to that of one net, with an interval at the last."""
    fig, ax = figure(height=3.7)
    sizes, red = np.arange(1, 11), COLOURS["ensemble"]
    ax.plot(sizes, 0.5 ** (sizes - 1), color=COLOURS["theory"], lw=5, alpha=0.3)
    for (name, d), mark in zip(found.items(), cycle("os^v<DP"), strict=False):
        if d.removed is None:
            raise ValueError(f"found must hold diagnoses of nets that err; got {name!r} without an error")
        e = [error.value / d.errors[0].value for error in d.errors]
        ax.plot(range(1, len(e) + 1), e, f"{mark}-", color=red, ms=4, lw=1, label=name)
        ax.plot([len(e)] * 2, [1 - d.removed.low, 1 - d.removed.high], color=red, lw=1)
    ax.set(ylim=(-0.02, 1.08), xlabel="nets in the average, $L$", ylabel="error, relative to one net")
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 0.12), ncols=2, fontsize=8)
    return fig


def verdicts(found: Mapping[str, Diagnosis]) -> Figure:
    """Draw the share of the errors that an average removes beside the share that is asked for, and the verdict."""
    fig, ax = figure(height=2.9)
    for row, d in enumerate(found.values()):
        ax.text(1.08, row, d.verdict, va="center", fontsize=9)
        if d.removed is not None:
            ends = np.clip([d.removed.low, d.removed.high], -0.6, 1)
            ax.plot(ends, [row, row], "|-", color=COLOURS["ensemble"], ms=9)
            ax.plot(d.removed.value, row, "o", color=COLOURS["ensemble"], ms=5)
    ax.axvline(next(iter(found.values())).worth, color=INK, ls=":", lw=1)
    ax.set_yticks(range(len(found)), list(found))
    ax.set(xlim=(-0.6, 1.03), ylim=(len(found) - 0.5, -0.5), xlabel="share of the errors that the average removes")
    return fig


# The flow chart. A question begins with the line of the report that answers it; boxes are centre, width, height, text.
_QUESTIONS = {
    "ensemble": (0.33, 0.94, 0.66, 0.11, "Ensemble: do averages of 2 to 5\nnets remove enough errors?"),
    "cost": (0.33, 0.74, 0.66, 0.11, "Cost: can you pay for all nets\nat each prediction?"),
    "nll": (0.84, 0.52, 0.31, 0.17, "NLL: is a gain\nleft after\ntemperatures?"),
    "larger": (0.155, 0.52, 0.31, 0.17, "Larger net:\nis it as good?"),
    "student": (0.4975, 0.52, 0.31, 0.17, "Student given:\ndoes it retain\nmost?"),
}
_ANSWERS = {  # below a question: its left edge, then what follows from each answer
    "larger": (0.0, "no:\nensemble", "yes:\nlarger net"),
    "student": (0.3425, "yes:\nstudent", "no:\nthe table"),
    "nll": (0.685, "yes:\nensemble", "no:\none net"),
}
_ARROWS = [  # points along the way, the word and where it stands
    ([(0.66, 0.94), (0.72, 0.94)], "", (0, 0)),
    ([(0.155, 0.885), (0.155, 0.795)], "yes", (0.205, 0.84)),
    ([(0.6, 0.885), (0.6, 0.84), (0.84, 0.84), (0.84, 0.605)], "no", (0.72, 0.863)),
    ([(0.155, 0.685), (0.155, 0.605)], "yes", (0.205, 0.645)),
    ([(0.4975, 0.685), (0.4975, 0.605)], "no", (0.54, 0.645)),
]


def flowchart() -> Figure:
    """Draw the way from a few nets to a decision; blue boxes are questions, red ones answers."""
    fig, ax = figure(height=5.2)
    ax.set(xlim=(-0.005, 1.005), ylim=(0.07, 1))
    ax.axis("off")
    for box in _QUESTIONS.values():
        _box(ax, *box, COLOURS["single"])
    _box(ax, 0.86, 0.94, 0.28, 0.11, "unsure: more\ninputs or nets", COLOURS["ensemble"])
    for left, first, second in _ANSWERS.values():
        for y, text in ((0.31, first), (0.14, second)):
            _box(ax, left + 0.19, y, 0.24, 0.12, text, COLOURS["ensemble"])
            _arrow(ax, [(left + 0.03, 0.435), (left + 0.03, y), (left + 0.07, y)])
    for points, word, place in _ARROWS:
        _arrow(ax, points)
        ax.text(*place, word, ha="center", va="center", fontsize=11)
    return fig


def _box(ax: Axes, x: float, y: float, width: float, height: float, text: str, colour: str) -> None:
    corner = x - width / 2, y - height / 2
    ax.add_patch(FancyBboxPatch(corner, width, height, "round,pad=0,rounding_size=0.02", fc="none", ec=colour, lw=1.5))
    ax.text(x, y, text, ha="center", va="center", fontsize=11)


def _arrow(ax: Axes, points: Sequence[tuple[float, float]]) -> None:
    *_, before, end = points
    ax.plot(*zip(*points[:-1], strict=True), color=INK, lw=1.2)
    ax.annotate("", end, before, arrowprops={"arrowstyle": "->", "color": INK, "lw": 1.2, "shrinkA": 0, "shrinkB": 0})
