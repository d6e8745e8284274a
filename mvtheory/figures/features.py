"""Models with fixed features: what they see, and what more features change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from mvtheory.measurement import Estimate
from mvtheory.plotting import COLOURS, figure

__all__ = ["bias_variance_span", "errors_by_features", "seen_views"]

_LINES = {"single": "o-", "distilled": "s--", "ensemble": "o-", "wide student": "^--"}


def bias_variance_span(
    R: Sequence[int],
    bias: Sequence[Estimate],
    variance: Sequence[Estimate],
    multi_view: Sequence[Estimate],
    digits: Sequence[Estimate],
) -> Figure:
    """Draw squared bias and variance, and the labels' share in the span on two data sets, by the number of features."""
    fig, (left, right) = figure(height=2.9, ncols=2, sharey=True)
    _intervals(left, R, bias, "o-", color=COLOURS["theory"], label="squared bias")
    _intervals(left, R, variance, "s-", color=COLOURS["single"], label="variance")
    _intervals(right, R, multi_view, "o-", color=COLOURS["random features"], label="multi-view")
    _intervals(right, R, digits, "^--", color=COLOURS["distilled"], label="digits")
    left.set(title="distance to the label", ylim=(0, 1))
    right.set(title="labels in the span")
    for ax in (left, right):
        _number_of_features(ax, R)
        ax.legend()
    return fig


def errors_by_features(
    R: Sequence[int], errors: Mapping[str, Mapping[str, Sequence[Estimate]]], limit: float
) -> Figure:
    """Draw errors by method against the number of features, a panel for each data set; `limit` is that of the last."""
    fig, axes = figure(height=3.0, ncols=len(errors), sharey=True)
    for ax, (title, methods) in zip(axes, errors.items(), strict=True):
        for method, line in _LINES.items():
            colour = COLOURS.get(method, COLOURS["random features"])
            _intervals(ax, R, methods[method], line, color=colour, label=method, ms=5)
        ax.set_title(title)
        _number_of_features(ax, R)
    axes[0].set_ylim(bottom=-0.02)  # shared; no end above, so that nothing is cut off
    axes[-1].axhline(limit, color=COLOURS["theory"], ls="--", lw=1)
    axes[0].set_ylabel("error on single-view inputs")
    axes[-1].legend()
    return fig


def seen_views(shade: Float[Tensor, "L k 2"], alone: Sequence[float], together: Sequence[float], L: int) -> Figure:
    """Draw how well model `L` sees each view, and how well the best of models 1 to `L` does; 0 is marked by a cross.

    The titles give the errors of the models alone, and of averages of the first 1, 2, ...
    """
    fig, axes = figure(height=2.9, nrows=2)
    axes[0].set_title(f"model {L}: error {alone[L - 1]:.2f}")
    axes[1].set_title(f"average of models 1 to {L}: error {together[L - 1]:.2f}")
    for ax, tensor in zip(axes, (shade[L - 1], shade[:L].amax(0)), strict=True):
        picture = tensor.numpy()
        ax.imshow(picture.T, vmin=0, vmax=1)
        ax.plot(*np.argwhere(picture == 0).T, "x", color="white")
        ax.set(xticks=range(0, len(picture), 3))
        ax.set_yticks([0, 1], ["view 1", "view 2"])
    axes[1].set_xlabel("class")
    return fig


def _intervals(ax: Axes, x: Sequence[int], rows: Sequence[Estimate], line: str, **look: Any) -> None:
    """Draw measured values, joined by lines, with their intervals."""
    ax.plot(x, [row.value for row in rows], line, **look)
    ax.vlines(x, [row.low for row in rows], [row.high for row in rows], color=look["color"])


def _number_of_features(ax: Axes, R: Sequence[int]) -> None:
    ax.set(xscale="log", xlabel="features, $R$", xticks=R[::2])
    ax.set_xticklabels(map(str, R[::2]))
    ax.minorticks_off()
