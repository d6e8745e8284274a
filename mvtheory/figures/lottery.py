"""Single nets: where they err, and how one view of each class wins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib.figure import Figure
from torch import Tensor

from mvtheory.plotting import COLOURS, figure

__all__ = ["error_columns", "error_table", "loser_growth", "overlap_curves", "overlap_plane"]


def overlap_curves(step: Int[Tensor, " T"], overlap: Float[Tensor, "T nets M"]) -> Figure:
    """Draw the overlaps of one class with its views over training, a panel for each net; each curve has its name."""
    fig, axes = figure(height=2.9, ncols=overlap.shape[1], sharey=True, sharex=True)
    for net, ax in enumerate(axes):
        kept = int(overlap[-1, net].argmax())
        for view, dash in zip(range(overlap.shape[2]), ("-", "--", ":", "-."), strict=False):
            ax.plot(step, overlap[:, net, view], dash, color=COLOURS["single"])
            words = f"view {view + 1} {'kept' if view == kept else 'left behind'}"
            where = (float(step[-1]), float(overlap[-1, net, view]))
            ax.annotate(words, where, (0, -9), textcoords="offset points", ha="right", va="top")
        ax.set(title=f"net {net + 1}", xlabel="training step", yscale="log")
    axes[0].set_ylabel(r"overlap $\Lambda_{i,\ell}$")
    axes[0].set_ylim(bottom=0.6 * float(overlap.min()))
    return fig


def error_columns(errors: Mapping[str, Sequence[Float[np.ndarray, " _"]]]) -> Figure:
    """Draw the error of every net, a column for each kind of input; nets of one data set stand together."""
    fig, ax = figure(height=2.8)
    ax.axhline(0.5, color=COLOURS["theory"], ls="--", lw=1)
    for column, by_data_set in enumerate(errors.values()):
        for centre, nets in zip(np.linspace(-0.3, 0.3, len(by_data_set)), by_data_set, strict=True):
            x = column + centre + np.linspace(-0.04, 0.04, len(nets))
            ax.plot(x, nets, "o", ms=4, color=COLOURS["single"])
    ax.set(xticks=range(len(errors)), ylabel="error", ylim=(-0.03, 0.63))
    ax.set_xticklabels(errors)
    ax.grid(axis="y")
    return fig


def error_table(errors: Float[Tensor, "M k"]) -> Figure:
    """Draw the errors of one net by the view that an input kept and by its class, as a table of shades."""
    fig, ax = figure(height=1.9)
    ax.imshow(errors.numpy(), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (view, i), value in np.ndenumerate(errors.numpy()):
        colour = "white" if value > 0.5 else "black"
        text = f"{value:.1f}"
        short = text[0] if text.endswith(".0") else text[1:]  # as many classes stand side by side
        ax.text(i, view, short, ha="center", va="center", color=colour)
    ax.set(xlabel="class", ylabel="view kept", xticks=range(errors.shape[1]))
    ax.set_yticks(range(len(errors)), ["first", "second", "third", "fourth"][: len(errors)])
    ax.tick_params(length=0)
    return fig


def loser_growth(closeness: Float[Tensor, " n"], growth: Float[Tensor, " n"], q: int) -> Figure:
    """Draw by how much the losing view grew against how close the two views were, with the formula's curve."""
    fig, ax = figure(height=3.0)
    line = np.linspace(0, 0.998, 400)
    ax.plot(closeness, growth, "o", ms=3, alpha=0.6, mew=0, color=COLOURS["single"], label="class of a net")
    ax.plot(line, (1 - line) ** (-1 / (q - 2)), color=COLOURS["theory"], label="formula")
    ax.set(xlabel="closeness of the race, $r$", ylabel="growth of the loser", yscale="log")
    ax.legend()
    return fig


def overlap_plane(history: Float[Tensor, "T k 2"], second: Bool[Tensor, " k"]) -> Figure:
    """Draw the path of all classes of a net in the plane of their two overlaps.

    Points are hollow where the second view was predicted.
    """
    fig, ax = figure(width=4.4, height=4.0)
    ends = 0.7 * float(history.min()), 1.5 * float(history.max())
    ax.plot(ends, ends, color=COLOURS["theory"], lw=1, ls="--")
    for i, hollow in enumerate(second.tolist()):
        ax.plot(*history[::3, i].T, lw=0.8, color=COLOURS["single"], alpha=0.6)
        fill = "none" if hollow else COLOURS["single"]
        ax.plot(*history[-1, i], "o", ms=7, color=COLOURS["single"], mfc=fill)
    ax.set(xlabel="overlap with the first view", ylabel="overlap with the second view")
    ax.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
    return fig
