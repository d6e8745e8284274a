"""Students: their errors before and after distillation, what their teachers output, and which views they learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from mvtheory.measurement import Estimate
from mvtheory.plotting import COLOURS, INK, estimate_points, figure, left_of

__all__ = [
    "error_rows",
    "errors_and_shared_errors",
    "excess_by_classes",
    "held_views",
    "outputs_against_prediction",
    "outputs_and_views",
    "targets_and_views",
    "view_outputs_by_stage",
]


def error_rows(
    estimates: Mapping[str, Estimate],
    methods: Sequence[str],
    predicted: Sequence[tuple[float, float]] | None = None,
) -> Figure:
    """Draw errors on single-view inputs with their intervals, a row each, in the colours of the methods."""
    fig, ax = figure(height=1.1 + 0.3 * len(estimates))
    colours = [COLOURS[method] for method in methods]
    estimate_points(ax, list(estimates), list(estimates.values()), colours, predicted)
    ax.set(xlabel="error on single-view inputs", xlim=(left_of(list(estimates.values())), 0.6))
    return fig


def outputs_and_views(
    strength: Float[Tensor, "k 2"], outputs: Mapping[str, Float[Tensor, " k"]], top: float | int
) -> Figure:
    """Draw outputs for one input, up to `top`, a bar for each class and method, above the views that it holds.

    The axis of the outputs is stretched near zero, as the square root does.
    """
    fig, (bars, dots) = figure(height=3.5, nrows=2, sharex=True, gridspec_kw={"height_ratios": [3, 1]})
    classes, width = range(len(strength)), 0.84 / len(outputs)
    for i, (method, F) in enumerate(outputs.items()):
        left = [j - 0.42 + (i + 0.5) * width for j in classes]
        bars.bar(left, F.sqrt().tolist(), width, color=COLOURS[method], label=method)
    ticks = [t for t in (0, 0.25, 1, 4, 9, 16, 25, 36) if t <= top]
    bars.set(ylabel="output", ylim=(0, top**0.5), yticks=[t**0.5 for t in ticks], yticklabels=ticks)
    bars.legend(ncols=3, loc="lower right", bbox_to_anchor=(1, 0.98), borderaxespad=0)
    _dots(dots, strength)
    return fig


def targets_and_views(strength: Float[Tensor, "k 2"], p: Float[Tensor, " k"]) -> Figure:
    """Draw the probabilities that a teacher asks for on one input, above the views that it holds."""
    fig, (bars, dots) = figure(height=3.5, nrows=2, sharex=True, gridspec_kw={"height_ratios": [3, 1]})
    bars.bar(range(len(p)), p.tolist(), color=COLOURS["ensemble"])
    bars.set(ylabel="asked for", ylim=(0, 1))
    _dots(dots, strength)
    return fig


def _dots(ax: Axes, strength: Float[Tensor, "k 2"]) -> None:
    """Draw a dot for each view of an input, as large as it is strong."""
    j, view = strength.nonzero().T
    ax.scatter(j, view, s=90 * strength[j, view], color=INK)
    ax.set(xlabel="class", xticks=range(len(strength)))
    ax.set(ylim=(1.6, -0.6), yticks=[0, 1], yticklabels=["view 1", "view 2"])


def outputs_against_prediction(predicted: Float[Tensor, " n"], G: Float[Tensor, " n"]) -> Figure:
    """Draw an ensemble's outputs for wrong classes against what the views predict, a point for each input and class."""
    fig, ax = figure(height=3.0)
    limit = 1.08 * max(float(predicted.max()), float(G.max()))
    ax.plot([0, limit], [0, limit], color=COLOURS["theory"], lw=1, label="theory")
    points: Any = {"ms": 3, "mew": 0, "alpha": 0.5, "rasterized": True}
    ax.plot(predicted, G, "o", color=COLOURS["ensemble"], label="ensemble", **points)
    ax.set(xlabel=r"what the views predict, $\widehat G_j$", ylabel="output for a wrong class, $G_j$")
    ax.legend(loc="upper left")
    return fig


def view_outputs_by_stage(stages: Mapping[str, Float[Tensor, "n 2"]], methods: Sequence[str]) -> Figure:
    """Draw each class's output on its second view against that on its first, a panel for each stage."""
    fig, axes = figure(height=2.9, ncols=len(stages), sharex=True, sharey=True)
    for ax, (title, outputs), method in zip(axes, stages.items(), methods, strict=True):
        ax.plot(*outputs.T, "o", ms=4, mew=0, alpha=0.6, color=COLOURS[method])
        ax.set(title=title, xlabel="output on view 1", box_aspect=1)
    axes[0].set(ylabel="output on view 2")
    return fig


def excess_by_classes(
    predicted: Mapping[int, float], paper: Mapping[int, Estimate], two_sided: Mapping[int, Estimate]
) -> Figure:
    """Draw the error of students beyond what their nets lack against the number of classes, by two rules."""
    fig, ax = figure(height=3.0)
    ax.plot(list(predicted), list(predicted.values()), color=COLOURS["theory"], label="predicted")
    drawn: Any = [("the paper's rule", paper, "o", None, 1), ("two-sided rule", two_sided, "s", "none", 1.03)]
    for name, estimates, sign, fill, shift in drawn:
        for place, (k, e) in enumerate(estimates.items()):
            ax.plot([shift * k, shift * k], [e.low, e.high], color=COLOURS["distilled"], lw=1.5)
            label = None if place else name
            ax.plot(shift * k, e.value, sign, color=COLOURS["distilled"], mfc=fill, label=label)
    ax.set(xscale="log", xlabel="classes, $k$", ylabel="error beyond what\nthe nets lack")
    ax.set_xticks(list(predicted), list(predicted))
    ax.minorticks_off()
    ax.legend()
    return fig


def held_views(views: Mapping[str, Bool[Tensor, "k 2"]], methods: Sequence[str]) -> Figure:
    """Draw a row of squares for each net, two for each class: filled where the net has learned the view."""
    fig, ax = figure(height=1.6)
    for row, (held, method) in enumerate(zip(views.values(), methods, strict=True)):
        classes, size = range(len(held)), min(8, 88 / len(held))
        for j, view in held.nonzero().tolist():
            ax.plot(j + 0.36 * view - 0.18, row, "s", ms=size, color=COLOURS[method])
        for view in (0, 1):
            hollow: Any = {"ms": size, "mfc": "none", "mec": INK, "mew": 0.6}
            ax.plot([j + 0.36 * view - 0.18 for j in classes], [row] * len(held), "s", **hollow)
    ax.set(xlabel="class (view 1, view 2)", xticks=classes, yticks=range(len(views)), ylim=(len(views) - 0.5, -0.5))
    ax.set_yticklabels(views)
    ax.tick_params(length=0)
    return fig


def errors_and_shared_errors(
    shared: Float[Tensor, " n"], before: Float[np.ndarray, " n"], after: Float[np.ndarray, " n"]
) -> Figure:
    """Draw each student's error against the share of inputs that it and its teacher both got wrong before."""
    fig, ax = figure(height=3.0)
    ax.plot([0, 0.55], [0, 0.55], color=COLOURS["theory"], lw=1)
    ax.plot(shared, before, "o", color=COLOURS["single"], label="before distillation")
    ax.plot(shared, after, "o", color=COLOURS["self-distilled"], label="after distillation")
    ax.set(xlabel="share that teacher and student both get wrong", ylabel="error of the student")
    ax.set(xlim=(0, 0.55), ylim=(0, 0.7))
    ax.legend(ncols=2, loc="upper left")
    return fig
