"""Many classes: the law of averages at each number of them, and what a training step costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from mvtheory.measurement import Estimate
from mvtheory.plotting import COLOURS, INK, figure

__all__ = ["cost_of_step", "law_at_each_size", "scatter_of_errors"]


def law_at_each_size(errors: Mapping[int, Sequence[Estimate]], bottom: float = 0.015) -> Figure:
    """Draw the errors of averages of 1, 2, ... nets with the law, by the number of classes.

    The axis is logarithmic and begins at `bottom`: intervals that reach below end there.
    """
    fig, ax = figure(height=3.2)
    sizes, colour = range(1, 1 + len(next(iter(errors.values())))), COLOURS["ensemble"]
    ax.plot(sizes, [0.5**L for L in sizes], color=COLOURS["theory"], label=r"$2^{-L}$")
    for place, ((k, found), mark) in enumerate(zip(errors.items(), "osv^D"[: len(errors)], strict=True)):
        x = np.array(sizes) + 0.12 * (place - (len(errors) - 1) / 2)
        ax.vlines(x, [max(e.low, bottom) for e in found], [e.high for e in found], color=colour, lw=1.5)
        ax.plot(x, [e.value for e in found], mark, ms=5, color=colour, label=f"k = {k}")
    ax.set(yscale="log", xlabel="nets in the average, $L$", ylabel="error", xticks=sizes)
    ax.set_ylim(bottom=bottom)
    ax.set_yticks([0.03, 0.06, 0.125, 0.25, 0.5], ["0.03", "0.06", "0.125", "0.25", "0.5"])
    ax.minorticks_off()
    ax.legend(ncols=2)
    return fig


def cost_of_step(full: Mapping[int, float], reduced: Mapping[int, float]) -> Figure:
    """Draw the seconds of a step of one net against the number of classes, with fitted powers up to a thousand.

    Parameters
    ----------
    full, reduced : dict of int to float
        Seconds by the number of classes, of the full model and of the reduction.

    Returns
    -------
    matplotlib.figure.Figure
    """
    fig, ax = figure(height=3.2)
    reach = np.array([12, 1000])
    for name, seconds, colour in [
        ("full model", full, COLOURS["single"]),
        ("reduction", reduced, COLOURS["ensemble"]),
    ]:
        k, y = np.array(list(seconds)), np.array(list(seconds.values()))
        slope, start = np.polyfit(np.log(k), np.log(y), 1)
        ax.plot(reach, np.exp(start + slope * np.log(reach)), "--", lw=1, color=colour)
        ax.plot(k, y, "o", color=colour, label=name)
    ax.axhline(3600, color=COLOURS["theory"], lw=1)
    ax.text(12, 4500, "an hour", color=INK, fontsize=10)
    ax.set(xscale="log", yscale="log", xlabel="classes, $k$", ylabel="seconds per step, one net", ylim=(1e-5, 1e6))
    ax.legend(loc="center right")
    return fig


def scatter_of_errors(errors: Float[np.ndarray, "draws L"], k: int) -> Figure:
    """Draw the errors of averages by size, a line for each data set, before the law and twice its scatter."""
    fig, ax = figure(height=3.2)
    L = np.arange(1, 1 + errors.shape[1])
    sd = np.sqrt(0.5 ** (L - 1) * (1 - 0.5 ** (L - 1)) / k) / 2
    ax.fill_between(L, np.maximum(0.5**L - 2 * sd, 0), 0.5**L + 2 * sd, color=COLOURS["theory"], alpha=0.3, lw=0)
    ax.plot(L, 0.5**L, color=COLOURS["theory"], label=r"$2^{-L}$")
    for row in errors:
        ax.plot(L, row, "o-", ms=4, lw=1, color=COLOURS["ensemble"])
    ax.set(xlabel="nets in the average, $L$", ylabel="error on single-view inputs", xticks=L, ylim=(-0.02, 0.62))
    ax.legend()
    return fig
