"""The regime: maps of the error over cut and initial scale, and what moves it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib.figure import Figure

from mvtheory.plotting import COLOURS, INK, figure

__all__ = ["error_and_share", "error_by_inputs", "error_by_views", "phase_map", "views_and_errors"]


def phase_map(
    points: xr.Dataset, marks: Sequence[tuple[float, float]], full: Mapping[tuple[float, float], float]
) -> Figure:
    """Draw the error of single nets over initial scale and cut, at one power.

    Parameters
    ----------
    points : xarray.Dataset
        The variables ``error`` and ``untrained`` over ``varrho`` and ``scale``, at one ``q``. Points where a net was
        still untrained are named "slow".
    marks : sequence of (float, float)
        Scales and cuts that get a star.
    full : dict of (float, float) to float
        By scale and cut, the error of the full model.

    Returns
    -------
    matplotlib.figure.Figure
    """
    scales, cuts = points["scale"].values.tolist(), points["varrho"].values.tolist()
    shown = np.where(points["untrained"] > 0, np.nan, points["error"])
    colours = np.where(shown > 0.35, "white", np.where(np.isnan(shown), INK, "black"))
    fig, ax = figure(height=3.3)
    ax.imshow(shown, cmap="Blues", vmin=0, vmax=0.65, origin="lower", aspect="auto")
    for (row, column), value in np.ndenumerate(shown):
        text = "slow" if np.isnan(value) else f"{value:.2f}"
        ax.text(column, row, text, ha="center", va="center", color=colours[row, column])
    for scale, cut in marks:  # between two columns
        column = np.interp(np.log(scale), np.log(scales), range(len(scales)))
        ax.plot(column, cuts.index(cut), "*", ms=13, color="white", mec="black")
    for (scale, cut), error in full.items():
        row, column = cuts.index(cut), scales.index(scale)
        small = {"fontsize": 7, "color": colours[row, column], "ha": "center", "va": "center"}
        ax.text(column, row + 0.32, f"full {error:.2f}", **small)
    ax.set_xticks(range(len(scales)), scales)
    ax.set_yticks(range(len(cuts)), cuts)
    ax.set(xlabel=r"initial scale, $\sigma_0 / \varrho$", ylabel=r"cut, $\varrho$", title=f"power q = {int(points.q)}")
    ax.tick_params(length=0)
    return fig


def error_and_share(changes: Mapping[str, Mapping[float, tuple[float, float]]]) -> Figure:
    """Draw the share of classes with both views and the error against each of six numbers.

    Parameters
    ----------
    changes : dict of str to dict of float to (float, float)
        By the name of what is changed, and its value: the share and the error.

    Returns
    -------
    matplotlib.figure.Figure
    """
    fig, axes = figure(height=6.6, nrows=3, ncols=2, sharey=True)
    for ax, (name, positions) in zip(axes.flat, changes.items(), strict=True):
        shares, errors = zip(*positions.values(), strict=True)
        ax.axhline(0.5, color=COLOURS["theory"], ls="--", lw=1)
        ax.plot(errors, "o-", color=COLOURS["single"], label="error")
        ax.plot(shares, "s:", color=COLOURS["ensemble"], label="both views")
        ax.set_xticks(range(len(positions)), [f"{value:g}" for value in positions])
        ax.set(xlabel=name)
    axes[0, 0].set_ylim(bottom=-0.03)  # shared; no end above, so that nothing is cut off
    axes[0, 0].legend()
    return fig


def error_by_views(errors: Mapping[int, Float[np.ndarray, " L"]]) -> Figure:
    """Draw the error of averages of 1, 2, ... nets with the law, for each number of views of a class."""
    fig, ax = figure(height=2.8)
    for (M, by_size), sign in zip(errors.items(), "oD", strict=True):
        sizes = np.arange(1, len(by_size) + 1)
        ax.plot(sizes, (1 - 1 / M) ** sizes, color=COLOURS["theory"])
        ax.plot(sizes, by_size, sign, color=COLOURS["ensemble"], label=f"M = {M}")
    ax.set(xlabel="nets in the average, $L$", ylabel="error on single-view inputs", xticks=sizes, ylim=(0, 0.85))
    ax.legend()
    return fig


def error_by_inputs(data: xr.Dataset, thresholds: Sequence[float]) -> Figure:
    """Draw the error against the single-view training inputs of a class, for each length of the noise.

    Parameters
    ----------
    data : xarray.Dataset
        The variable ``error``, with axes ``draw``, ``noise`` and ``inputs``.
    thresholds : sequence of float
        For each noise, the predicted number of inputs from which on they teach: a tick on the axis.

    Returns
    -------
    matplotlib.figure.Figure
    """
    fig, ax = figure(height=3.0)
    ax.axhline(0.5, color=COLOURS["theory"], ls="--", lw=1)
    inputs = data["inputs"].values
    for noise, threshold, sign in zip(data["noise"].values, thresholds, "osD", strict=True):
        rows = data["error"].sel(noise=noise)
        (line,) = ax.plot(inputs, rows.mean("draw"), f"{sign}-", label=rf"noise {noise:.2f}")
        ax.plot(inputs, rows.T, ".", ms=3, color=line.get_color())
        ax.plot([threshold, threshold], [0, 0.04], color=line.get_color(), lw=3)
    ax.set(xscale="log", ylim=(0, 0.6), xlabel="single-view training inputs of a class, $n$")
    ax.set_ylabel("error on single-view inputs")
    ax.set_xticks(inputs, inputs)
    ax.minorticks_off()
    ax.legend()
    return fig


def views_and_errors(
    shares: Mapping[str, float], errors: Mapping[str, Float[np.ndarray, " L"]], averages: Mapping[str, float]
) -> Figure:
    """Draw what nets of each recipe learn and where they err, a row for each recipe.

    Parameters
    ----------
    shares : dict of str to float
        Share of (net, class) with all views, in [0, 1].
    errors : dict of str to array, shape [L]
        Error of each net on single-view inputs.
    averages : dict of str to float
        Error of the average of the L nets on the same inputs.

    Returns
    -------
    matplotlib.figure.Figure
    """
    fig, (left, right) = figure(height=3.4, ncols=2, sharey=True, width_ratios=(2, 3))
    rows = range(len(errors))
    left.plot(list(shares.values()), rows, "s", ms=7, color=COLOURS["theory"])
    left.set(xlim=(-0.1, 1.1), xlabel="share with\nboth views", yticks=rows, yticklabels=errors)
    right.axvline(0.5, color=COLOURS["theory"], ls="--", lw=1)
    for row, nets in enumerate(errors.values()):
        label = "each net" if row == 0 else None
        right.plot(nets, [row] * len(nets), "o", ms=6, color=COLOURS["single"], label=label)
    right.plot(list(averages.values()), rows, "D", ms=7, color=COLOURS["ensemble"], label="average")
    right.set(xlim=(-0.05, 0.7), xlabel="error on\nsingle-view inputs")
    right.invert_yaxis()
    right.legend(ncols=2, loc="lower right", bbox_to_anchor=(1.04, 0.98), columnspacing=1, handletextpad=0.2)
    for ax in (left, right):
        ax.grid(axis="x")
    return fig
