"""Pictures of a diagnosis, in the style of the book: the error by number of nets, agreement, reliability."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mvtheory.decision.laws import law_errors
from mvtheory.decision.scores import BINS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mvtheory.diagnose import Diagnosis

__all__ = ["agreement", "curve", "overview", "reliability"]

_SHOWN = 30  # nets of an agreement map


def overview(d: Diagnosis) -> Figure:
    """Draw the error by number of nets, and below the agreement of nets and the reliability diagram."""
    import mvtheory.plotting as plotting  # loads pyplot

    fig, axes = plotting.figure(height=6.2, nrows=3, height_ratios=[1.1, 1.2, 1.1])
    curve(axes[0], d)
    agreement(axes[1], d)
    reliability(axes[2], d)
    return fig


def curve(ax: Axes, d: Diagnosis) -> None:
    """Draw the error by number of nets with its intervals, and the laws that may hold."""
    from mvtheory.plotting import COLOURS

    sizes = np.arange(1, len(d.errors) + 1)
    values, low, high = np.array([(e.value, e.low, e.high) for e in d.errors]).T
    ax.errorbar(sizes, values, [values - low, high - values], fmt="o", ms=4, lw=1, color=COLOURS["ensemble"])
    laws = d.laws
    if laws is not None and laws.better != "neither":
        fine = np.linspace(1, len(d.errors), 101)
        for law, style in (("coverage", "-"), ("variance", "--")):
            if laws.better in (law, "cannot tell"):
                parameters = laws.coverage if law == "coverage" else laws.variance
                drawn = law_errors(law, parameters, fine)
                ax.plot(fine, drawn, style, color=COLOURS["theory"], lw=1.5, label=f"law of {law}")
        ax.legend()
    ax.axhline(d.floor.value, color=COLOURS["theory"], ls=":", lw=1)
    ax.set(ylim=(0, None), xlabel="nets in the average, $L$", ylabel="test error")


def agreement(ax: Axes, d: Diagnosis) -> None:
    """Draw, for each two nets, on which share of the first one's errors the second is right."""
    errs = d.evidence.subsets.errs[:_SHOWN].astype(float)
    total = np.maximum(errs.sum(1), 1)
    shares = errs @ (1 - errs).T / total[:, None]
    ax.set_anchor("W")
    image = ax.imshow(shares, vmin=0, vmax=1, cmap="cividis")
    ax.figure.colorbar(image, ax=ax, label="share corrected")
    ticks = range(0, len(errs), max(1, len(errs) // 8))
    names = [d.evidence.names[net][:12].replace("$", r"\$") for net in ticks]  # no formula
    ax.set_xticks(ticks, names, rotation=0 if max(map(len, names)) < 4 else 60)
    ax.set_yticks(ticks, names)
    ax.set(xlabel="net that is right", ylabel="net that errs")


def reliability(ax: Axes, d: Diagnosis) -> None:
    """Draw accuracy against confidence, of one net and of the average, in the bins of the ECE."""
    from mvtheory.plotting import COLOURS

    ax.plot([0, 1], [0, 1], color=COLOURS["theory"], lw=1)
    for name, (count, confidence, accuracy) in zip(
        ("single", "ensemble"), d.evidence.scores[d.evidence.scale].reliability, strict=True
    ):
        filled = count > 0
        size = 10 + 60 * count[filled] / count.max()
        label = "one net" if name == "single" else "average"
        marker = "o" if name == "single" else "s"
        ax.scatter(confidence[filled], accuracy[filled], size, color=COLOURS[name], marker=marker, label=label)
    ax.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel=f"confidence ({BINS} bins)", ylabel="accuracy")
    ax.legend()
