"""Inputs of the multi-view distribution: their patches, and what the views are in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from mvtheory.measurement import Estimate
from mvtheory.plotting import INK, figure

__all__ = ["error_by_lost_strength", "mean_products", "patches", "strengths", "two_inputs"]


def two_inputs(titled: Mapping[str, tuple[int, Float[Tensor, "k 2"]]]) -> Figure:
    """Draw what inputs show of each view, a panel for each title: filled bars for first views, hollow ones for second.

    The given class stands out, and its view that is hardly shown is marked as lost.
    """
    fig, axes = figure(height=4.2, nrows=len(titled), sharex=True, sharey=True)
    for ax, (title, (y, seen)) in zip(axes, titled.items(), strict=True):
        for j, pair in enumerate(seen.tolist()):
            for view, height in enumerate(pair):
                place, fill = j + 0.4 * view - 0.2, "none" if view else INK
                ax.bar(place, height, 0.36, fc=fill, ec=INK, lw=1.2, alpha=1 if j == y else 0.6)
                if j == y and height < 0.5 * max(pair):
                    ax.annotate(
                        "lost",
                        (place, height),
                        (place, 0.6),
                        ha="center",
                        arrowprops={"arrowstyle": "->", "color": INK},
                    )
        ax.annotate("the class", (y, max(seen[y].tolist())), (0, 4), textcoords="offset points", ha="center")
        ax.set(title=title, ylabel="largest product\nof a patch", ylim=(0, 1.45), xticks=range(len(seen)))
    axes[-1].set_xlabel("class (two views each)")
    return fig


def patches(x: Float[Tensor, "P d"]) -> Figure:
    """Draw an input as it is, a row for each patch."""
    fig, ax = figure(height=2.6)
    image = ax.imshow(x.numpy(), aspect="auto", vmin=-0.25, vmax=0.25)
    ax.set(xlabel="coordinate", ylabel="patch", yticks=[])
    fig.colorbar(image, ax=ax, label="value")
    return fig


def strengths(strength: Float[Tensor, "k 2"]) -> Figure:
    """Draw the strength of each view in an input: a filled bar for the first of a class, then a hollow one."""
    fig, ax = figure(height=2.5)
    classes = range(len(strength))
    for view, fill in enumerate((INK, "none")):
        ax.bar([j + 0.4 * view - 0.2 for j in classes], strength[:, view].numpy(), 0.36, fc=fill, ec=INK, lw=1.2)
    ax.set(xlabel="class", ylabel="strength", ylim=(0, 1.25), xticks=classes)
    return fig


def mean_products(products: Float[Tensor, "k P"]) -> Figure:
    """Draw the products of all patches of an input with the mean of each class."""
    fig, ax = figure(height=2.4)
    image = ax.imshow(products.numpy(), aspect="auto", vmin=-0.2, vmax=0.5)
    ax.set(xlabel="patch", ylabel="class", xticks=[], yticks=range(0, len(products), 2))
    fig.colorbar(image, ax=ax, label="product with the mean")
    return fig


def error_by_lost_strength(ratios: Sequence[float], errors: Sequence[Estimate]) -> Figure:
    """Draw the error against the strength of the lost view, relative to that of the views of other classes."""
    fig, ax = figure(height=2.4)
    ax.axvline(1, color=INK, lw=1, ls="--")
    ax.plot(ratios, [e.value for e in errors], "o-", color=INK)
    ax.vlines(ratios, [e.low for e in errors], [e.high for e in errors], color=INK)
    ax.set(xlabel=r"strength of the lost view, $\rho\,/\,\Gamma$", ylabel="error")
    return fig
