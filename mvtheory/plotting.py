"""Plotting: the style of all figures, with one colour per method, and sliders that work without a kernel.

Call `style` once at the top of a notebook; importing this module has no side effects.
"""

from __future__ import annotations

import io
import math
import re
import sys
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

import ipywidgets as widgets
import matplotlib.pyplot as plt
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mvtheory._check import check_number
from mvtheory.measurement import Estimate

__all__ = ["COLOURS", "INK", "WIDTH", "estimate_points", "figure", "left_of", "result", "slider", "style"]

#: A grey for axes and text. No grey has a contrast of 4.5 on white and on the dark page (#121212) as well; this one has
#: it, since the dark page shows figures a tenth brighter.
INK = "#767676"

#: The colour of each method in every figure: safe for colour-blind readers (after Okabe and Ito), and of a contrast of
#: 3 on white and on the dark page, which their orange and sky blue lack on white.
COLOURS = {
    "single": "#0072B2",
    "ensemble": "#D55E00",
    "distilled": "#009E73",
    "self-distilled": "#CC79A7",
    "trained average": "#CC0033",
    "random features": "#9966FF",
    "theory": "#777777",
}

#: Inches. So wide, letters of 11 points are still 10 pixels high where a phone shows the figure 320 pixels wide.
WIDTH = 5.0

MAX_SLIDER_SIZE = 400_000  # characters of the frames of a slider in the page

_STYLE: Any = {
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "figure.dpi": 144,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "grid.alpha": 0.25,
    "patch.edgecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=list(COLOURS.values())),
    "font.size": 11,
    "axes.titlesize": 11,
    "axes.labelsize": 11,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "lines.linewidth": 2,
    "image.cmap": "viridis",
    "svg.fonttype": "path",  # text looks the same on every machine
    "svg.hashsalt": "mvtheory",  # the same figure gives the same file
}


def style() -> None:
    """Set the style of all subsequent figures; in a notebook, show them as SVG."""
    plt.rcParams.update(_STYLE)
    if "IPython" in sys.modules and sys.modules["IPython"].get_ipython() is not None:
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("svg", metadata={"Date": None})


def figure(width: float | int = WIDTH, height: float | int = 3.0, **grid: Any) -> tuple[Figure, Any]:
    """Make a figure and its axes.

    Parameters
    ----------
    width, height : float, > 0
        Size in inches. Prefer the default width: the text of a wider figure is smaller on a phone.
    **grid
        Passed to `matplotlib.pyplot.subplots`: ``nrows``, ``ncols``, ``sharex``, ...

    Returns
    -------
    fig : matplotlib.figure.Figure
    axes : matplotlib.axes.Axes, or array of them
    """
    for name, value in {"width": width, "height": height}.items():
        check_number(name, value, low=0, open_low=True)
    return plt.subplots(figsize=(width, height), layout="constrained", **grid)


def estimate_points(
    ax: Axes,
    labels: Sequence[str],
    estimates: Sequence[Estimate],
    colours: Sequence[str],
    predicted: Sequence[tuple[float | int, float | int] | None] | None = None,
) -> None:
    """Plot measured values with their intervals, one row each, the first at the top.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The axes; their x limits are kept if they were set before.
    labels : sequence of str
        Labels of the rows.
    estimates : sequence of Estimate
        Measured values and intervals.
    colours : sequence of str
        A colour per row, from `COLOURS`.
    predicted : sequence of (float, float) or None, optional
        Predicted ranges, drawn behind the points as a band, or as a line where both ends are equal.
        An infinite end extends to the edge of the axes; None draws nothing in that row.

    Raises
    ------
    ValueError
        If the sequences differ in length or are empty.

    Examples
    --------
    >>> fig, ax = figure()
    >>> estimate_points(ax, ["single"], [Estimate(0.49, 0.47, 0.51, 50, 5)], [COLOURS["single"]], [(0.49, 0.51)])
    >>> ax.get_yticklabels()[0].get_text()
    'single'
    >>> plt.close(fig)
    """
    predicted = [None] * len(labels) if predicted is None else predicted
    _check_rows(labels, estimates=estimates, colours=colours, predicted=predicted)
    for row, (estimate, colour) in enumerate(zip(estimates, colours, strict=True)):
        ax.plot([estimate.low, estimate.high], [row, row], "|-", color=colour, ms=14, mew=2, zorder=3)
        ax.plot(estimate.value, row, "o", ms=7, color=colour, zorder=4)
    edges = ax.get_xlim()
    for row, allowed in enumerate(predicted):
        if allowed is not None:
            low, high = (end if math.isfinite(end) else edges[end > 0] for end in allowed)
            ax.fill_between([low, high], row - 0.36, row + 0.36, color=COLOURS["theory"], alpha=0.4, lw=2, zorder=1)
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.45, -0.55)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x")
    ax.set_axisbelow(True)


def left_of(estimates: Sequence[Estimate]) -> float:
    """Return where an axis of errors begins: a little left of 0, and of all intervals.

    Parameters
    ----------
    estimates : sequence of Estimate
        At least one; the low end of an interval may lie below 0.

    Returns
    -------
    float
    """
    return min(0.0, *(estimate.low for estimate in estimates)) - 0.02


def result(measured: Mapping[str, tuple[Estimate, tuple[float, float]]]) -> Figure:
    """Draw the errors on single-view inputs in front of what the theory predicts for them.

    Parameters
    ----------
    measured : dict of str to (Estimate, (float, float))
        Error and predicted range, of which the part from 0 to 1 is drawn; the names are keys of `COLOURS`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    fig, ax = figure(height=2.8)
    estimates, ranges = zip(*measured.values(), strict=True)
    ax.set(xlim=(left_of(estimates), 0.62), xlabel="error on single-view test inputs")
    predicted = [(max(low, 0), min(high, 1)) for low, high in ranges]  # no error lies beyond
    estimate_points(ax, list(measured), estimates, [COLOURS[name] for name in measured], predicted)
    return fig


def slider(frames: Sequence[Figure], labels: Sequence[str], *, description: str, alts: Sequence[str]) -> widgets.VBox:
    """Make an interactive figure, from one figure per position of a slider.

    It needs no kernel: player, slider and pictures are linked in the page. The figures are closed, so
    that the notebook does not show them a second time.

    Parameters
    ----------
    frames : sequence of matplotlib.figure.Figure
        At least two, of the same size.
    labels : sequence of str
        Plain text shown beside the slider at each position, such as ``"L = 3"``.
    description : str
        What the slider changes, in a few words; also its name for screen readers.
    alts : sequence of str
        A text alternative of each frame.

    Returns
    -------
    ipywidgets.VBox

    Raises
    ------
    ValueError
        If the sequences differ in length or have fewer than two items, a text is empty, or the frames
        have more than 400 kB.
    """
    _check_rows(labels, frames=frames, alts=alts)
    if len(labels) < 2:
        raise ValueError(f"labels must be at least 2; got {len(labels)}")
    if not all(text.strip() for text in (description, *labels, *alts)):
        raise ValueError("description, labels and alts must not be empty")
    pictures = [_picture(frame, alt) for frame, alt in zip(frames, alts, strict=True)]
    if (size := sum(map(len, pictures))) > MAX_SLIDER_SIZE:
        raise ValueError(f"frames must have at most {MAX_SLIDER_SIZE // 1000} kB in total; got {size // 1000} kB")
    # Hosted notebooks with ipywidgets 7 have no Stack; Tab has the same interface.
    Stack = getattr(widgets, "Stack", widgets.Tab)
    stacks = [
        Stack([widgets.HTML(text) for text in texts], selected_index=0, layout={"max_width": "100%"})
        for texts in (map(escape, labels), pictures)
    ]
    last = len(labels) - 1
    shown = description if hasattr(widgets, "Stack") else escape(description)  # ipywidgets 7 reads it as HTML
    handle = widgets.IntSlider(0, 0, last, description=shown, readout=False, style={"description_width": "initial"})
    handle.layout = widgets.Layout(flex="1 1 12rem", width="auto", min_width="11rem")
    player = widgets.Play(value=0, min=0, max=last, interval=900, description=f"play {description}")
    widgets.jslink((player, "value"), (handle, "value"))
    for stack in stacks:
        widgets.jslink((handle, "value"), (stack, "selected_index"))
    stacks[0].layout = widgets.Layout(width="auto", min_width="6rem")
    controls = widgets.HBox([player, handle, stacks[0]], layout={"flex_flow": "row wrap", "align_items": "center"})
    return widgets.VBox([controls, stacks[1]], layout={"max_width": "100%"})


def _picture(frame: Figure, alt: str) -> str:
    """Return the figure as an HTML image with embedded data, and close it."""
    buffer = io.StringIO()
    frame.savefig(buffer, format="svg", metadata={"Date": None})
    plt.close(frame)
    svg = re.sub("^.*?(?=<svg)|<!--.*?-->|<metadata>.*?</metadata>", "", buffer.getvalue(), flags=re.DOTALL)
    # Percent encoding is a third smaller than base64. Text is drawn as paths, so all quotes are delimiters.
    data = quote(" ".join(svg.split()).replace('"', "'"), safe=" /:;=,'()")
    width = round(96 * frame.get_figwidth())  # an inch is 96 pixels in a page
    size = f"width: {width}px; max-width: 100%; height: auto"
    return f'<img alt="{escape(alt)}" style="{size}" src="data:image/svg+xml,{data}">'


def _check_rows(labels: Sequence[Any], **others: Sequence[Any]) -> None:
    """Check that there are labels, and that every sequence has an item for each."""
    if not len(labels):
        raise ValueError("labels must not be empty")
    for name, values in others.items():
        if len(values) != len(labels):
            raise ValueError(f"{name} must have one item for each of the {len(labels)} labels; got {len(values)}")
