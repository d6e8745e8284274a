"""Pairs of images: what an input shows, which half a net relies on, and what each method errs on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from mvtheory.measurement import Estimate
from mvtheory.plotting import COLOURS, estimate_points, figure

__all__ = ["by_method", "by_number_of_nets", "excess_by_nets", "gaps", "input_and_errors", "pairs"]


def by_method(estimates: Mapping[str, Estimate], limit: float, xlabel: str, height: float) -> Figure:
    """Draw a measured value of each method, from 0 to a limit; methods without a colour of their own are grey."""
    fig, ax = figure(height=height)
    ax.set_xlim(0, limit)
    colours = [COLOURS.get(name, COLOURS["theory"]) for name in estimates]
    estimate_points(ax, list(estimates), list(estimates.values()), colours)
    ax.set_xlabel(xlabel)
    return fig


def pairs(titled: Mapping[str, Float[Tensor, "2 side side"]]) -> Figure:
    """Draw pairs of images side by side, a panel for each title."""
    fig, axes = figure(height=1.3, ncols=len(titled))
    for ax, (title, images) in zip(axes, titled.items(), strict=True):
        ax.imshow(np.concatenate(images.numpy(), 1), vmin=0, vmax=1)
        ax.axvline(images.shape[-1] - 0.5, color="white", lw=1)
        ax.set(title=title, xticks=[], yticks=[])
    return fig


def gaps(titled: Mapping[str, Float[Tensor, "nets k"]], xlabel: str = "digit") -> Figure:
    """Draw the gap of every net and class as a shade, a panel for each kind of net."""
    fig, axes = figure(height=2.7, ncols=len(titled), sharey=True)
    for ax, (title, gap) in zip(axes, titled.items(), strict=True):
        image = ax.imshow(gap.numpy(), vmin=-1, vmax=1, cmap="PuOr", aspect="auto")
        ax.set(title=title, xlabel=xlabel, xticks=range(0, gap.shape[1], 3), yticks=[])
    axes[0].set_ylabel("net (one row, one seed)")
    bar = fig.colorbar(image, ax=axes, ticks=[-1, 0, 1])
    bar.ax.set_yticklabels(["right\nonly", "either", "left\nonly"])
    return fig


def input_and_errors(images: Float[Tensor, "2 8 8"], errors: Mapping[str, Estimate]) -> Figure:
    """Draw an input, and below it the error of each method on such inputs."""
    fig, (top, ax) = figure(height=3.6, nrows=2, height_ratios=[1, 2.2])
    top.imshow(np.concatenate(images.numpy(), 1), vmin=0, vmax=1)
    top.set(xticks=[], yticks=[])
    ax.set_xlim(0, 0.75)
    estimate_points(ax, list(errors), list(errors.values()), [COLOURS[name] for name in errors])
    ax.set_xlabel("error where one image is replaced")
    return fig


def by_number_of_nets(errors: Sequence[Estimate], law: Sequence[float]) -> Figure:
    """Draw the error of averages of 1, 2, ... nets beside the law."""
    fig, ax = figure(height=2.5)
    sizes, red = range(1, len(errors) + 1), COLOURS["ensemble"]
    ax.plot(sizes, law, color=COLOURS["theory"], label="halved by each net")
    ax.plot(sizes, [e.value for e in errors], "o", color=red, label="measured")
    ax.vlines(sizes, [e.low for e in errors], [e.high for e in errors], color=red)
    ax.set(xlabel="nets in the average, L", ylabel="error", ylim=(0, None))
    ax.legend()
    return fig


def excess_by_nets(curves: Mapping[str, Sequence[float]]) -> Figure:
    """Draw what averages of 1, 2, ... nets of three kinds leave of one net's excess error, beside the law."""
    fig, ax = figure(height=2.8)
    most = max(len(curve) for curve in curves.values())
    sizes = range(1, most + 1)
    ax.plot(sizes, [2.0 ** (1 - L) for L in sizes], color=COLOURS["theory"], label="halved by each net")
    looks = [("ensemble", "o"), ("single", "s"), ("distilled", "D")]
    for (name, curve), (colour, mark) in zip(curves.items(), looks, strict=True):
        ax.plot(range(1, len(curve) + 1), curve, mark, color=COLOURS[colour], label=name)
    ax.axhline(0, color=COLOURS["theory"], lw=0.8)
    ax.set(xlabel="nets in the average, L", ylabel="share of the excess error")
    ax.legend()
    return fig
