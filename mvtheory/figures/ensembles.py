"""Averages of nets: their error by size, and which views their nets hold together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxtyping import Bool
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from mvtheory.measurement import Estimate
from mvtheory.plotting import COLOURS, figure

__all__ = ["coverage_and_error", "error_by_size"]


def error_by_size(by_size: Sequence[Estimate], joint: Estimate, joint_size: int) -> Figure:
    """Draw the error of averages of 1, 2, ... nets with the law, and that of an average that was trained jointly."""
    fig, ax = figure(height=3.1)
    sizes = range(1, len(by_size) + 1)
    ax.plot(sizes, [0.5**L for L in sizes], color=COLOURS["theory"], label=r"$2^{-L}$")
    for L, e in zip(sizes, by_size, strict=True):
        colour = COLOURS["single" if L == 1 else "ensemble"]
        ax.plot([L, L], [e.low, e.high], color=colour)
        ax.plot(L, e.value, "o", color=colour, label={1: "single net", 2: "ensemble"}.get(L))
    colour = COLOURS["trained average"]
    ax.plot([joint_size, joint_size], [joint.low, joint.high], color=colour)
    ax.plot(joint_size, joint.value, "D", color=colour, label="trained average")
    ax.set(xlabel="nets in the average, $L$", ylabel="error on single-view inputs", ylim=(-0.02, 0.6))
    ax.legend()
    return fig


def coverage_and_error(views: Bool[Tensor, "L k 2"], errors: Sequence[float]) -> Figure:
    """Draw what nets hold, and the errors of averages of the first 1, ..., L of them, in a chart for all errors."""
    fig, (top, low) = figure(height=4.2, nrows=2, height_ratios=[1, 1])
    _matrix(top, views)
    sizes, L = range(1, len(errors) + 1), len(views)
    low.plot(sizes, [0.5**size for size in sizes], color=COLOURS["theory"], label=r"$2^{-L}$")
    low.plot(range(1, L + 1), errors[:L], "o-", color=COLOURS["ensemble"], label="these nets")
    low.set(xlabel="nets in the average, $L$", ylabel="error", ylim=(-0.03, 0.63), xlim=(0.5, len(sizes) + 0.5))
    low.legend()
    return fig


def _matrix(ax: Axes, views: Bool[Tensor, "L k 2"]) -> None:
    """Draw a row of squares for each net: filled for the first view, hollow for the second, or both."""
    square: Any = {"color": COLOURS["single"], "mew": 1.5, "ms": 11}
    for net, held in enumerate(views.tolist()):
        for i, (one, two) in enumerate(held):
            ax.plot(i, net, "s", mfc=COLOURS["single"] if one else "none", **square)
            if one and two:
                ax.plot(i, net, "s", ms=5, mew=0, color="white")
    bottom = len(views) + 0.3
    for i, complete in enumerate(views.any(0).all(-1).tolist()):
        ax.plot(i, bottom, "o" if complete else "x", ms=9, mew=2, color=COLOURS["ensemble"])
    ax.set_yticks([*range(len(views)), bottom], [f"net {net + 1}" for net in range(len(views))] + ["together"])
    ax.set(ylim=(len(views) + 0.9, -0.6), xlim=(-0.6, views.shape[1] - 0.4))
    ax.set(xticks=range(views.shape[1]), xlabel="class")
    ax.tick_params(length=0)
