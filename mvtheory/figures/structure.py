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
    """Draw gains by case and method in two panels: all of them, and those near zero enlarged.

    The range that counts as no gain is a band.
    """
    fig, axes = figure(height=4.1, ncols=2, sharey=True)
    for ax in axes:
        ax.axvspan(*nothing, color=COLOURS["theory"], alpha=0.3, lw=0)
        for row, by_method in enumerate(gains.values()):
            for shift, (method, gain) in zip((-0.22, 0, 0.22), by_method.items(), strict=True):
                ax.plot([gain.low, gain.high], [row + shift] * 2, color=COLOURS[method])
                label = method if row == 0 else None
                ax.plot(gain.value, row + shift, "o", ms=5, color=COLOURS[method], label=label)
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="x")
    axes[0].set(xlim=(-0.03, 0.52), xlabel="gain in error", ylim=(len(gains) - 0.5, -0.5))
    axes[1].set(xlim=(-0.022, 0.047), xlabel="near zero")
    axes[0].set_yticks(range(len(gains)), [name.replace(": ", ":\n") for name in gains])
    handles = axes[0].get_legend_handles_labels()
    fig.legend(*handles, loc="outside upper center", ncols=3, columnspacing=1.0, handletextpad=0.2)
    return fig


def falls(errors: Mapping[str, Float[np.ndarray, " L"]]) -> Figure:
    """Draw the error of averages of 1, 2, ... nets, divided by that of one net, before the law of two views."""
    fig, ax = figure(height=3.2)
    sizes = np.arange(1, 1 + len(next(iter(errors.values()))))
    ax.plot(sizes, 0.5 ** (sizes - 1), color=COLOURS["theory"], lw=5, alpha=0.3)
    for (name, fall), mark in zip(errors.items(), _MARKS[: len(errors)], strict=True):
        ax.plot(sizes, fall / fall[0], f"{mark}-", ms=4, lw=1, color=COLOURS["ensemble"], label=name)
    ax.set(xlabel="nets in the average, $L$", ylabel="error, relative to one net", ylim=(-0.03, 1.08))
    ax.legend(loc="center right", bbox_to_anchor=(1.0, 0.42))
    return fig


def ratios_and_gains(
    overlaps: Sequence[float],
    ratios: Float[np.ndarray, " overlaps"],
    gains: Gains,
    q: int,
    main: tuple[float, float],
) -> Figure:
    """Draw ratios of winners and gains of ensembles along the dial, before the formulas and a simple guess (dotted)."""
    fig, axes = figure(height=3.3, ncols=2)
    grid = np.linspace(0, 1, 401)
    axes[0].plot(grid, [resting_ratio(c, q) for c in grid], color=COLOURS["theory"])
    axes[0].plot(grid, grid, ":", color=COLOURS["theory"], lw=1)
    axes[0].plot(overlaps, ratios, "o", ms=5, color=COLOURS["single"])
    axes[0].set(xlabel=r"overlap of the views, $\omega$", ylabel=r"ratio of a winner, $\beta$", ylim=(-0.05, 1.05))
    colour = COLOURS["ensemble"]
    for (Gamma, along), mark in zip(gains.items(), _MARKS[: len(gains)], strict=True):
        axes[1].plot(grid, [predicted_gain(c, Gamma, q, main) for c in grid], color=COLOURS["theory"], lw=1.5)
        axes[1].vlines(overlaps, [e.low for e in along], [e.high for e in along], color=colour, lw=1)
        values = [e.value for e in along]
        axes[1].plot(overlaps, values, mark, ms=5, color=colour, label=rf"$\Gamma$ = {Gamma}")
    axes[1].set(xlabel=r"overlap of the views, $\omega$", ylabel="gain of the ensemble")
    axes[1].set(ylim=(-0.02, 0.56), xlim=(-0.03, 1.03))
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
