"""From lazy to feature learning: what a student gains, and how near a net is to its tangent model, by scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from mvtheory.measurement import Estimate
from mvtheory.plotting import COLOURS, INK, estimate_points, figure

__all__ = ["approach", "at_scale", "gains_by_scale"]

_LABELS = {
    "ensemble": "ensemble gains",
    "distilled": "student gains",
    "trained average": "training the average costs",
}


def gains_by_scale(alphas: Sequence[float], gains: Mapping[str, Sequence[Estimate]], predicted: float) -> Figure:
    """Draw what an ensemble and a student gain, what training the average costs, and the predicted scale."""
    fig, ax = figure(height=3.4)
    for name, label in _LABELS.items():
        rows, colour = gains[name], COLOURS[name]
        ax.plot(alphas, [row.value for row in rows], "o-", color=colour, label=label, ms=5)
        ax.vlines(alphas, [row.low for row in rows], [row.high for row in rows], color=colour, lw=1.5)
    ax.axvline(predicted, color=COLOURS["theory"], ls="--", lw=1.5, label="predicted scale")
    ax.axhline(0, color=INK, lw=1)
    ax.set(xscale="log", ylabel="difference of errors")
    ax.minorticks_off()
    fig.legend(loc="outside upper center", ncols=2)
    ax.set_xlabel(r"scale $\alpha$: features learned (left) or fixed (right)")
    return fig


def approach(
    alphas: Sequence[float], movement: Sequence[Estimate], distance: Sequence[Estimate], predicted: float
) -> Figure:
    r"""Draw the movement of the weights and the distance to the tangent model, with a line :math:`1/\alpha`."""
    fig, ax = figure(height=3.0)
    for rows, label, colour, line in (
        (movement, "weights moved", COLOURS["single"], "s-"),
        (distance, "distance to tangent model", COLOURS["random features"], "o-"),
    ):
        ax.plot(alphas, [row.value for row in rows], line, color=colour, label=label)
        ax.vlines(alphas, [row.low for row in rows], [row.high for row in rows], color=colour)
    ends = [distance[-1].value * alphas[-1] / alpha for alpha in alphas[-3:]]
    ax.plot(alphas[-3:], ends, "--", color=COLOURS["theory"], label=r"$1/\alpha$")
    ax.axvline(predicted, ymin=0.4, color=COLOURS["theory"], ls="--", lw=1.5)
    ax.set(xscale="log", yscale="log", xlabel=r"scale $\alpha$", ylabel="relative size")
    ax.minorticks_off()
    ax.legend(loc="lower left")
    return fig


def at_scale(
    alpha: float,
    alphas: Sequence[float],
    gains: Mapping[str, Sequence[Estimate]],
    errors: Mapping[str, Estimate],
    movement: float,
) -> Figure:
    """Draw the errors of all methods at one scale, and where it is among all scales."""
    fig, (top, ax) = figure(height=4.2, nrows=2, height_ratios=[1, 1.5])
    for name, rows in gains.items():
        top.plot(alphas, [row.value for row in rows], color=COLOURS[name])
    top.axhline(0, color=INK, lw=0.5)
    top.axvline(alpha, color=INK, lw=1)
    top.set(xscale="log", ylabel="gains, cost", xticks=alphas[::2])
    top.minorticks_off()
    top.set_title(f"weights move by {movement:.2g} times their length")
    ax.set_xlim(-0.02, 0.6)
    estimate_points(ax, list(errors), list(errors.values()), [COLOURS[method] for method in errors])
    ax.set_xlabel("error on single-view inputs")
    return fig
