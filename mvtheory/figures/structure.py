"""Data with views and without: what ensembles and students gain, and a dial between two views and one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from mvtheory.controls.overlap import predicted_gain, resting_ratio
from mvtheory.measurement import Estimate
from mvtheory.plotting import COLOURS, figure

__all__ = ["dial_frame", "falls", "gain_points", "ratios_and_gains"]

_MARKS = "o^svD"

Gains = Mapping[float, Sequence[Estimate]]  # by strength of other classes' views, along the dial


def gain_points(gains: Mapping[str, Mapping[str, Estimate]], nothing: tuple[float, float]) -> Figure:
    """Draw gains by case and method, with a band for the range that counts as no gain.

    Inside the band the axis is linear, outside logarithmic.
    """
    fig, ax = figure(height=3.9)
    ax.axvspan(*nothing, color=COLOURS["theory"], alpha=0.3, lw=0, label="no gain")
    for row, by_method in enumerate(gains.values()):
        for shift, (method, gain) in zip((-0.22, 0, 0.22), by_method.items(), strict=True):
            ax.plot([gain.low, gain.high], [row + shift] * 2, color=COLOURS[method])
            label = method if row == 0 else None
            ax.plot(gain.value, row + shift, "o", ms=5, color=COLOURS[method], label=label)
    ax.set_xscale("symlog", linthresh=nothing[1], linscale=0.6)
    ticks = [nothing[0], 0, nothing[1], 0.1, 0.5]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    ax.set(xlabel="gain in error (logarithmic outside the band)", ylim=(len(gains) - 0.5, -0.5))
    ax.set_yticks(range(len(gains)), list(gains))
    fig.legend(loc="outside upper center", ncols=4, columnspacing=1.0, handletextpad=0.2, handlelength=1.0)
    return fig


def falls(errors: Mapping[str, Sequence[Estimate]]) -> Figure:
    """Draw relative errors of averages of 1, 2, ... nets, before the law of two views; the first stands out."""
    fig, ax = figure(height=3.2)
    sizes = np.arange(1, 1 + len(next(iter(errors.values()))))
    ax.plot(sizes, 0.5 ** (sizes - 1), color=COLOURS["theory"], lw=6, alpha=0.3, label="law of coverage")
    for place, ((name, fall), mark) in enumerate(zip(errors.items(), _MARKS[: len(errors)], strict=True)):
        colour = COLOURS["single" if place else "ensemble"]
        values = [e.value for e in fall]
        ax.plot(sizes, values, f"{mark}-", ms=4, lw=1, color=colour, label=name)
        ax.vlines(sizes, [e.low for e in fall], [e.high for e in fall], color=colour, lw=1)
    ax.set(xlabel="nets in the average, $L$", ylabel="error, relative to one net", xticks=sizes)
    ax.set_ylim(bottom=-0.03)
    ax.legend(loc="center right", bbox_to_anchor=(1.0, 0.4))
    return fig


def ratios_and_gains(
    overlaps: Sequence[float],
    ratios: Sequence[Estimate],
    gains: Gains,
    q: int,
    main: tuple[float, float],
) -> Figure:
    """Draw ratios of winners and gains of ensembles along the dial, before the formulas and a simple guess (dotted)."""
    fig, axes = figure(height=3.3, ncols=2)
    grid, blue = np.linspace(0, 1, 401), COLOURS["single"]
    axes[0].plot(grid, [resting_ratio(c, q) for c in grid], color=COLOURS["theory"], label="formula")
    axes[0].plot(grid, grid, ":", color=COLOURS["theory"], lw=1, label="guess")
    axes[0].vlines(overlaps, [e.low for e in ratios], [e.high for e in ratios], color=blue, lw=1)
    axes[0].plot(overlaps, [e.value for e in ratios], "o", ms=5, color=blue, label="measured")
    axes[0].set(xlabel=r"overlap of the views, $\omega$", ylabel=r"ratio of a winner, $\beta$")
    axes[0].legend(loc="lower right")
    colour = COLOURS["ensemble"]
    for (Gamma, along), mark in zip(gains.items(), _MARKS[: len(gains)], strict=True):
        axes[1].plot(grid, [predicted_gain(c, Gamma, q, main) for c in grid], color=COLOURS["theory"], lw=1.5)
        axes[1].vlines(overlaps, [e.low for e in along], [e.high for e in along], color=colour, lw=1)
        values = [e.value for e in along]
        axes[1].plot(overlaps, values, mark, ms=5, color=colour, label=rf"$\Gamma$ = {Gamma}")
    axes[1].set(xlabel=r"overlap of the views, $\omega$", ylabel="gain of the ensemble")
    axes[1].set_ylim(bottom=-0.02)
    axes[1].legend(handletextpad=0.2)
    return fig


def dial_frame(
    place: int,
    overlaps: Sequence[float],
    winners: Float[np.ndarray, "overlaps winners 2"],
    ratios: Float[np.ndarray, " overlaps"],
    gains: Mapping[float, Float[np.ndarray, " overlaps"]],
) -> Figure:
    """Draw winners in the plane of their two views at one position of the dial, and the gains along it."""
    c = overlaps[place]
    fig, axes = figure(height=2.9, ncols=2)
    # Coordinates in which the two views lie symmetrically about the diagonal.
    half = math.acos(c) / 2
    up = winners[place].sum(-1) / (2 * math.cos(half))
    across = (winners[place, :, 0] - winners[place, :, 1]) / max(2 * math.sin(half), 1e-3)
    for sign in (-1, 1):
        x, y = sign * math.sin(half), math.cos(half)
        arrow = {"arrowstyle": "->", "color": COLOURS["theory"], "lw": 2}
        axes[0].annotate("", (20 * x, 20 * y), (0, 0), arrowprops=arrow)
    across = across if c < 1 else 0 * across
    axes[0].plot(across, up, "o", ms=4, alpha=0.6, mew=0, color=COLOURS["single"], rasterized=True)
    title = rf"$\omega$ = {c:g}, $\beta$ = {max(float(ratios[place]), 0):.2f}"
    axes[0].set(xlim=(-17, 17), ylim=(0, 22), title=title)
    axes[0].set_axis_off()
    for (Gamma, along), mark in zip(gains.items(), _MARKS[: len(gains)], strict=True):
        axes[1].plot(overlaps, along, lw=1, color=COLOURS["ensemble"])
        axes[1].plot(c, along[place], mark, color=COLOURS["ensemble"], label=rf"$\Gamma$ = {Gamma}")
    axes[1].set(xlabel=r"overlap, $\omega$", title="gain of the ensemble", ylim=(-0.02, 0.56), xticks=[0, 0.5, 1])
    axes[1].legend(handletextpad=0.2)
    return fig
