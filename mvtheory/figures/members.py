"""Members of ensembles, classical ones and nets: their errors, squared losses and margins by number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mvtheory.measurement import Estimate
from mvtheory.plotting import COLOURS, INK, figure

__all__ = ["account_by_variance", "error_points", "frame", "margins_and_errors", "squared_loss"]

TREES, BOOSTED = "#A6761D", "#8E6BBE"  # besides the colours of the book

# By what is put together, one member and the ensemble (methods of the table), and the colour.
_PAIRS = {
    "trees, bagged": ("tree", "bagged trees", TREES),
    "trees, boosted": ("small tree", "boosted small trees", BOOSTED),
    "linear, bagged": ("linear", "bagged linear", INK),
    "fixed f., bagged": ("fixed", "bagged fixed", COLOURS["random features"]),
    "nets, averaged": ("net", "average of nets", COLOURS["ensemble"]),
}

Curves = Float[np.ndarray, "draws _"]  # errors by number of members or rounds


def error_points(table: Mapping[str, Mapping[str, Estimate]]) -> Figure:
    """Draw the errors of one member (hollow) and of the ensemble (filled), a panel for each kind of test inputs."""
    fig, axes = figure(height=2.9, ncols=2, sharey=True)
    for ax, where in zip(axes, ("multi-view", "single-view"), strict=True):
        for row, (one, many, colour) in enumerate(_PAIRS.values()):
            start, end = table[one][where], table[many][where]
            ax.plot([start.value, end.value], [row, row], color=colour, lw=1.5, alpha=0.6)
            for e in (start, end):
                ax.plot([e.low, e.high], [row, row], "|-", color=colour, ms=9)
            ax.plot(start.value, row, "o", ms=8, mfc="none", mew=2, color=colour)
            ax.plot(end.value, row, "o", ms=8, color=colour)
        ax.set(title=f"{where} inputs", xlabel="test error", xlim=(-0.05, None))
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="x")
    axes[0].set(yticks=range(len(_PAIRS)), ylim=(len(_PAIRS) - 0.5, -0.5))
    axes[0].set_yticklabels(_PAIRS)
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
    """Draw quantiles of the margins in training after some rounds of boosting and of nets, and both errors by round."""
    fig, (left, right) = figure(height=3.0, ncols=2)
    levels = np.linspace(0, 1, margins.shape[1])
    for rounds, alpha in zip(shown, (0.4, 0.7, 1.0), strict=True):
        left.plot(margins[rounds - 1], levels, color=BOOSTED, alpha=alpha, label=f"{rounds}")
    left.plot([1, 1], [0, 1], color=COLOURS["single"])
    left.text(0.96, 0.05, "a net", ha="right", color=COLOURS["single"])
    left.axvline(0, color=INK, lw=1, ls="--")
    left.set(xlabel="margin in training", ylabel="share below")
    left.legend(title="rounds", loc=(0.5, 0.35))
    when, fitted = np.arange(1, len(margins) + 1), training.mean(0) == 0
    right.plot(when[~fitted], training.mean(0)[~fitted], color=INK, ls="--", label="training")
    right.plot(when, multi.mean(0), color=BOOSTED, label="test")
    for first in when[fitted][:1]:
        right.axvspan(first, when[-1], color=COLOURS["theory"], alpha=0.2, lw=0, label="training: 0")
    right.set(xscale="log", yscale="log", xlabel="rounds", ylabel="error, multi-view")
    right.set_xticks([1, 10, 100], ["1", "10", "100"])
    right.legend(loc="upper right", handlelength=1.0)
    return fig


def account_by_variance(
    trees: Sequence[Estimate],
    trees_account: Float[np.ndarray, " L"],
    nets: Sequence[Estimate],
    nets_account: Float[np.ndarray, " L"],
) -> Figure:
    """Draw errors by the number of members before what variance says of them: bagged trees, and nets with the law."""
    fig, axes = figure(height=3.0, ncols=2)
    up_to = np.arange(1, len(nets_account) + 1)
    panels = (
        ("bagged trees", trees, trees_account, TREES),
        ("nets", nets, nets_account, COLOURS["ensemble"]),
    )
    for ax, (title, errors, account, colour) in zip(axes, panels, strict=True):
        ax.plot(up_to, account, color=COLOURS["theory"], label="by variance")
        ax.plot(up_to, [e.value for e in errors], "o", ms=5, color=colour, label="measured")
        ax.vlines(up_to, [e.low for e in errors], [e.high for e in errors], color=colour)
        ax.set(title=title, xlabel="members", xticks=[1, 4, 7, 10])
        ax.set_ylim(bottom=-0.03 * errors[0].value)
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
