"""Members of ensembles, classical ones and nets: their errors, squared losses and margins by number."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mvtheory.measurement import Estimate
from mvtheory.plotting import COLOURS, INK, estimate_points, figure

__all__ = ["account_by_variance", "error_points", "frame", "margins_and_errors", "squared_loss"]

TREES, BOOSTED = "#A6761D", "#8E6BBE"  # besides the colours of the book

# By method, its name in the figure and its colour.
_ROWS = {
    "tree": ("tree", TREES),
    "bagged trees": ("bagged trees", TREES),
    "small tree": ("small tree", BOOSTED),
    "boosted small trees": ("boosted trees", BOOSTED),
    "linear": ("linear model", INK),
    "bagged linear": ("bagged linear m.", INK),
    "fixed": ("fixed features", COLOURS["random features"]),
    "bagged fixed": ("bagged fixed f.", COLOURS["random features"]),
    "net": ("net", COLOURS["single"]),
    "average of nets": ("average of nets", COLOURS["ensemble"]),
}

Curves = Float[np.ndarray, "draws _"]  # errors by number of members or rounds


def error_points(table: Mapping[str, Mapping[str, Estimate]]) -> Figure:
    """Draw errors by method, on single-view inputs as dots with intervals, on multi-view inputs as squares."""
    fig, ax = figure(height=3.9)
    ax.set_xlim(-0.03, 0.9)
    names, colours = zip(*_ROWS.values(), strict=True)
    estimate_points(ax, names, [table[method]["single-view"] for method in _ROWS], colours)
    multi = [table[method]["multi-view"].value for method in _ROWS]
    ax.plot(multi, range(len(_ROWS)), "s", ms=7, mfc="none", color=INK, zorder=5)
    ax.set_xlabel("test error: □ multi-view, ● single-view inputs")
    return fig


def squared_loss(
    loss: Curves,
    bias: Float[np.ndarray, " draws"],
    shared: Float[np.ndarray, " draws"],
    lost: Float[np.ndarray, " draws"],
) -> Figure:
    """Draw the squared loss of bagged trees by their number on the curve and the floor of the three terms."""
    fig, ax = figure(height=2.9)
    B = loss.shape[1]
    sizes = np.arange(1, B + 1)
    curve = np.mean(bias + shared + lost / sizes[:, None], -1)
    ax.fill_between(sizes, 0, bias.mean(), color=TREES, alpha=0.35, lw=0)
    ax.fill_between(sizes, bias.mean(), (bias + shared).mean(), color=TREES, alpha=0.7, lw=0)
    ax.plot(sizes, curve, color=COLOURS["theory"], label="from other training sets")
    ax.plot(sizes, loss.mean(0), "o", color=TREES, ms=5, label="measured")
    ax.text(B, bias.mean() / 2, "squared bias", ha="right", va="center")
    target, text = (B * 0.72, (bias + shared / 2).mean()), (B * 0.8, curve[0] * 0.55)
    ax.annotate("shared", target, text, ha="center", arrowprops={"arrowstyle": "-", "color": INK})
    ax.set(xlabel="bagged trees, $B$", ylabel="squared loss", ylim=(0, None), xticks=[1, 5, 10, 15, 20])
    ax.legend()
    return fig


def margins_and_errors(
    margins: Float[np.ndarray, "rounds levels"], training: Curves, multi: Curves, shown: tuple[int, ...]
) -> Figure:
    """Draw quantiles of the margins in training after some rounds of boosting, and both errors by round."""
    fig, (left, right) = figure(height=3.0, ncols=2)
    levels = np.linspace(0, 1, margins.shape[1])
    for rounds, alpha in zip(shown, (0.4, 0.7, 1.0), strict=True):
        left.plot(margins[rounds - 1], levels, color=BOOSTED, alpha=alpha, label=f"{rounds}")
    left.axvline(0, color=INK, lw=1, ls="--")
    left.set(xlabel="margin in training", ylabel="share below", xlim=(-0.5, 0.6))
    left.legend(title="rounds", loc="upper left")
    when = np.arange(1, len(margins) + 1)
    right.plot(when, training.mean(0), color=INK, ls="--", label="training")
    right.plot(when, multi.mean(0), color=BOOSTED, label="test")
    right.set(xscale="log", xlabel="rounds", ylabel="error, multi-view")
    right.set_xticks([1, 10, 100], ["1", "10", "100"])
    right.legend()
    return fig


def account_by_variance(
    trees: Curves, trees_account: Float[np.ndarray, " L"], nets: Curves, nets_account: Float[np.ndarray, " L"]
) -> Figure:
    """Draw errors by the number of members before what variance says of them: bagged trees, and nets with the law."""
    fig, axes = figure(height=3.0, ncols=2)
    L = len(nets_account)
    up_to = np.arange(1, L + 1)
    panels = (
        ("bagged trees", trees, trees_account, TREES),
        ("nets", nets, nets_account, COLOURS["ensemble"]),
    )
    for ax, (title, errors, account, colour) in zip(axes, panels, strict=True):
        ax.plot(up_to, account, color=COLOURS["theory"], label="by variance")
        ax.plot(up_to, errors.mean(0)[:L], "o", ms=5, color=colour, label="measured")
        ax.set(title=title, xlabel="members", ylim=(-0.02, None), xticks=[1, 4, 7, 10])
    axes[1].plot(up_to, 0.5**up_to, "--", color=COLOURS["theory"], lw=1.5, label=r"$2^{-L}$")
    axes[0].set_ylabel("error")
    for ax in axes:
        ax.legend()
    return fig


def frame(
    count: int, margins: Float[np.ndarray, "rounds levels"], bagged: Curves, boosted: Curves, nets: Curves
) -> Figure:
    """Draw margins in training, and test errors by number, after `count` members or rounds."""
    fig, (top, low) = figure(height=4.8, nrows=2)
    levels = np.linspace(0, 1, margins.shape[1])
    top.step(margins[count - 1], levels, where="post", color=BOOSTED, label="boosted trees")
    top.plot([-1, 1, 1], [0, 0, 1], color=COLOURS["ensemble"], label="nets")
    top.axvline(0, color=INK, lw=1, ls="--")
    top.set(xlim=(-1.03, 1.06), ylim=(-0.03, 1.03), xlabel="margin in training", ylabel="share below")
    top.set_xticks([-1, -0.5, 0, 0.5, 1])
    top.legend(loc="upper left")
    _curve(low, count, "bagged trees", bagged.mean(0), TREES)
    _curve(low, count, "boosted trees", boosted.mean(0), BOOSTED)
    _curve(low, count, "nets", nets.mean(0), COLOURS["ensemble"])
    low.set(xscale="log", xlabel="members or rounds", ylabel="test error", ylim=(-0.03, 0.75))
    low.set_xticks([1, 10, 100], ["1", "10", "100"])
    low.legend()
    return fig


def _curve(ax: Axes, count: int, name: str, errors: Float[np.ndarray, " n"], colour: str) -> None:
    """Draw a few points of a curve, so that the page stays light, and a dot at `count` or at its end."""
    some = np.unique(np.geomspace(1, len(errors), 25).round().astype(int))
    ax.plot(some, errors[some - 1], color=colour, alpha=0.5)
    here = min(count, len(errors))
    ax.plot(here, errors[here - 1], "o", color=colour, label=name)
