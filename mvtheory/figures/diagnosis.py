"""What a diagnosis says of kinds of nets: how much averaging removes, and how the error falls with their number."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
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
    for (name, d), mark in zip(found.items(), "os^v<D", strict=False):
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


# Boxes of the flow chart: centre, width, text, whether it is an answer. Arrows: from, to, the word beside them.
_BOXES = {
    "test": (0.30, 0.93, 0.50, "Does averaging remove enough\nerrors of 2 to 5 nets?", False),
    "more": (0.86, 0.93, 0.25, "more inputs,\nmore seeds", True),
    "nll": (0.84, 0.66, 0.28, "Does the\nNLL fall?", False),
    "scale": (0.84, 0.42, 0.28, "fit temperatures:\nis a gain left?", False),
    "one": (0.84, 0.10, 0.28, "one net; if yes,\nan ensemble", True),
    "cost": (0.30, 0.70, 0.50, "Can you pay L times the cost\nof each prediction?", False),
    "larger": (0.155, 0.44, 0.27, "Is one larger net\nas good?", False),
    "ensemble": (0.155, 0.10, 0.27, "ensemble; if yes,\nthe larger net", True),
    "student": (0.49, 0.44, 0.29, "Does a student\nkeep the gain?", False),
    "distil": (0.49, 0.10, 0.29, "student; if not,\nsee the table", True),
}
_ARROWS = [
    ("test", "more", "unsure"), ("test", "cost", "yes"), ("test", "nll", "no"),
    ("nll", "scale", "yes"), ("scale", "one", "no"),
    ("cost", "larger", "yes"), ("cost", "student", "no"), ("larger", "ensemble", "no"), ("student", "distil", "yes"),
]  # fmt: skip


def flowchart() -> Figure:
    """Draw the way from a few nets to a decision; blue boxes are questions, red ones answers."""
    fig, ax = figure(height=4.2)
    for x, y, width, text, answer in _BOXES.values():
        colour = COLOURS["ensemble" if answer else "single"]
        box = FancyBboxPatch(
            (x - width / 2, y - 0.055), width, 0.11, boxstyle="round,pad=0.012", fc="none", ec=colour, lw=1.5
        )
        ax.add_patch(box)
        ax.text(x, y, text, ha="center", va="center", fontsize=8.5)
    for start, end, word in _ARROWS:
        (x0, y0, w0, *_), (x1, y1, w1, *_) = _BOXES[start], _BOXES[end]
        beside = abs(y0 - y1) < 0.1 or (start == "test" and end == "nll")
        tail = (x0 + w0 / 2 + 0.012, y0 - (0.03 if end == "nll" else 0)) if beside else (x1, y0 - 0.067)
        head = (x1 - w1 / 2 - 0.012, y1) if beside else (x1, y1 + 0.067)
        ax.annotate("", head, tail, arrowprops={"arrowstyle": "->", "color": INK, "lw": 1.2})
        place = (tail[0] + head[0]) / 2, (tail[1] + head[1]) / 2 + 0.012
        ax.annotate(word, place, (0, 3) if end == "more" else (4, 0), textcoords="offset points", fontsize=7.5,
                    ha="center" if end == "more" else "left")  # fmt: skip
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.axis("off")
    return fig
