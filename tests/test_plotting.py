"""The house style: what is drawn where, the same file every time, sliders that hang together without a kernel."""

import math
import re
from collections import Counter
from itertools import combinations
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pytest
from ipywidgets.embed import dependency_state
from matplotlib.colors import to_rgb

from mvtheory import Estimate, plotting
from mvtheory.plotting import COLOURS, INK, estimate_points, figure, result, slider, style

ALTS = ["a line that rises", 'a line that "falls" < 1 & more']


@pytest.fixture(autouse=True)
def house():
    with plt.rc_context():
        plt.switch_backend("agg")
        style()
        yield
    plt.close("all")


def drawing(values=(0, 1)):
    fig, ax = figure(4, 2)
    ax.plot(values)
    ax.set_title("a – b")
    return fig


def pictures(box):
    return [pane.value for pane in box.children[1].children]


# What readers without one kind of cone see of linear red, green and blue (Machado et al. 2009, severity 1).
VISION = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(colour):
    c = np.array(to_rgb(colour))
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def contrast(colour, page):
    a, b = sorted(linear(name) @ XYZ[1] for name in (colour, page))
    return (b + 0.05) / (a + 0.05)


def on_dark(colour):
    """A colour as the dark page shows it: brighter, by the book's own style."""
    css = (Path(__file__).parents[1] / "book/_static/book.css").read_text(encoding="utf-8")
    (factor,) = re.findall(r"filter: brightness\((.*)\)", css)
    return tuple(min(1, float(factor) * c) for c in to_rgb(colour))


def difference(a, b, vision):
    """The distance of two colours in CIELAB, as seen by a kind of vision."""

    def lab(colour):
        t = XYZ @ np.clip(VISION[vision] @ linear(colour), 0, 1) / XYZ.sum(1)
        x, y, z = np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116)
        return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])

    return np.linalg.norm(lab(a) - lab(b))


def test_letters_read_on_white_and_on_dark():
    assert contrast(INK, "#ffffff") >= 4.5
    assert contrast(on_dark(INK), "#121212") >= 4.5
    assert plt.rcParams["text.color"] == plt.rcParams["axes.labelcolor"] == plt.rcParams["xtick.color"] == INK


@pytest.mark.parametrize("name", COLOURS)
def test_colours_read_on_white_and_on_dark(name):
    assert contrast(COLOURS[name], "#ffffff") >= 3
    assert contrast(on_dark(COLOURS[name]), "#121212") >= 3


@pytest.mark.parametrize("vision", VISION)
def test_colours_differ_for_all_eyes(vision):
    assert min(difference(a, b, vision) for a, b in combinations(COLOURS.values(), 2)) >= 10


def test_figures_are_transparent():
    fig, ax = figure()
    assert fig.get_facecolor()[3] == ax.get_facecolor()[3] == 0


def test_figure_has_the_size_and_the_grid_asked_for():
    fig, axes = figure(4, 2.5, nrows=1, ncols=2)
    assert tuple(fig.get_size_inches()) == (4, 2.5)
    assert len(axes) == 2


@pytest.mark.parametrize(("name", "size"), [("width", (0, 2)), ("height", (2, math.nan))])
def test_figure_refuses_other_sizes(name, size):
    with pytest.raises(ValueError, match=name):
        figure(*size)


def test_points_lie_where_they_were_measured():
    _, ax = figure()
    ax.set_xlim(-0.1, 0.6)
    rows = [Estimate(0.49, 0.47, 0.5, 50, 5), Estimate(0.0, 0.0, 0.01, 50, 5), Estimate(0.2, 0.1, 0.3, 5, 5)]
    colours = [COLOURS[name] for name in ("single", "ensemble", "distilled")]
    estimate_points(ax, ["single", "ensemble", "distilled"], rows, colours, [(0.49, 0.51), (-math.inf, 0.01), None])
    intervals, dots = ax.lines[::2], ax.lines[1::2]
    assert [tuple(line.get_xdata()) for line in intervals] == [(r.low, r.high) for r in rows]
    assert [(*dot.get_xdata(), *dot.get_ydata()) for dot in dots] == [(r.value, i) for i, r in enumerate(rows)]
    assert [dot.get_color() for dot in dots] == colours
    assert [label.get_text() for label in ax.get_yticklabels()] == ["single", "ensemble", "distilled"]
    assert ax.yaxis_inverted(), "the first row is at the top"
    bands = [band.get_paths()[0].get_extents() for band in ax.collections]
    assert [(band.x0, band.x1) for band in bands] == [(0.49, 0.51), (-0.1, 0.01)]
    assert [(band.y0 + band.y1) / 2 for band in bands] == pytest.approx([0, 1])
    assert max(band.get_zorder() for band in ax.collections) < min(line.get_zorder() for line in ax.lines)


def test_points_refuse_rows_that_do_not_match():
    _, ax = figure()
    one = Estimate(0.5, 0.4, 0.6, 1, 2)
    with pytest.raises(ValueError, match="estimates must have one item for each of the 2 labels; got 1"):
        estimate_points(ax, ["a", "b"], [one], ["red", "red"])
    with pytest.raises(ValueError, match="labels must not be empty"):
        estimate_points(ax, [], [], [])


def test_the_same_figure_is_the_same_file():
    first, second = (slider([drawing(), drawing()], ["a", "b"], description="x", alts=ALTS) for _ in range(2))
    assert pictures(first) == pictures(second)
    assert len(set(pictures(first))) == 2, "the words for those who cannot see it differ"


def test_every_frame_is_an_image_with_words():
    box = slider([drawing((0, 1)), drawing((1, 0))], ["L = 1", "L < 2"], description="nets", alts=ALTS)
    for picture, alt in zip(pictures(box), ALTS, strict=True):
        image = ElementTree.fromstring(picture.replace(">", "/>"))
        assert image.get("alt") == alt
        assert "max-width: 100%" in image.get("style")
        kind, data = image.get("src").split(",", 1)
        assert kind == "data:image/svg+xml"
        drawn = ElementTree.fromstring(unquote(data))
        assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
        assert drawn.get("width") == "288pt"
    assert [label.value for label in box.children[0].children[2].children] == ["L = 1", "L &lt; 2"]


def test_the_figures_are_closed():
    slider([drawing(), drawing()], ["a", "b"], description="x", alts=ALTS)
    assert not plt.get_fignums()


def test_the_links_need_no_kernel():
    box = slider([drawing(), drawing()], ["a", "b"], description="nets", alts=ALTS)
    player, handle, words = box.children[0].children
    assert (handle.min, handle.max, handle.description) == (0, 1, "nets")
    assert (player.min, player.max) == (0, 1)
    state = dependency_state(box)
    kinds = Counter(model["model_name"] for model in state.values())
    assert kinds["LinkModel"] == 3
    assert kinds["StackModel"] == 2
    links = [model["state"] for model in state.values() if model["model_name"] == "LinkModel"]
    ends = {frozenset((*link["source"], *link["target"])) for link in links}
    name = {widget: f"IPY_MODEL_{widget.model_id}" for widget in (player, handle, words, box.children[1])}
    assert ends == {
        frozenset({name[player], name[handle], "value"}),
        frozenset({name[handle], name[words], "value", "selected_index"}),
        frozenset({name[handle], name[box.children[1]], "value", "selected_index"}),
    }


def test_tabs_stand_in_where_there_is_no_stack(monkeypatch):
    import ipywidgets

    monkeypatch.delattr(ipywidgets, "Stack")
    box = slider([drawing(), drawing()], ["a", "b"], description="nets < 9", alts=ALTS)
    assert isinstance(box.children[1], ipywidgets.Tab)
    assert box.children[0].children[1].description == "nets &lt; 9"  # such versions read it as HTML


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ["a"]}, "frames must have one item for each of the 1 labels; got 2"),
        ({"alts": ALTS[:1]}, "alts must have one item for each of the 2 labels; got 1"),
        ({"alts": ["a line", " "]}, "must not be empty"),
        ({"description": ""}, "must not be empty"),
        ({"labels": ["a"], "frames": [plt.Figure()], "alts": ["x"]}, "labels must be at least 2"),
    ],
)
def test_slider_refuses_what_does_not_match(change, message):
    given = {"frames": [drawing(), drawing()], "labels": ["a", "b"], "description": "x", "alts": ALTS} | change
    with pytest.raises(ValueError, match=message):
        slider(**given)


def test_slider_refuses_frames_that_weigh_too_much():
    many = range(9_000)
    fig, ax = figure()
    ax.plot([i * 7919 % 10_007 for i in many], [i * 104_729 % 10_009 for i in many], "o")
    with pytest.raises(ValueError, match="frames must have at most 400 kB in total; got"):
        slider([fig, drawing()], ["a", "b"], description="x", alts=ALTS)


def test_the_result_shows_each_error_before_its_prediction():
    names = list(COLOURS)[:5]
    measured = {name: (Estimate(0.2, 0.1, 0.3, 4, 2), (0.0, 0.1)) for name in names}
    fig = result(measured)
    (ax,) = fig.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == names
    with pytest.raises(KeyError, match="crowd"):
        result({"crowd": (Estimate(0.2, 0.1, 0.3, 4, 2), (0.0, 0.1))})


def test_equal_predictions_of_errors_look_equal():
    error = Estimate(0.2, 0.1, 0.3, 4, 2)
    ranges = {
        "single": (0.49, 0.51),
        "ensemble": (-math.inf, 0.1),
        "distilled": (0, 0.1),
        "trained average": (0.4, math.inf),
    }
    (ax,) = result({name: (error, allowed) for name, allowed in ranges.items()}).axes
    bands = [band.get_paths()[0].get_extents() for band in ax.collections]
    assert [(band.x0, band.x1) for band in bands] == [(0.49, 0.51), (0, 0.1), (0, 0.1), (0.4, 1)]


def test_the_lab_has_the_colours_of_the_book():
    script = (Path(plotting.__file__).parent / "lab/charts.js").read_text(encoding="utf-8")
    for name in ("single", "ensemble", "distilled", "self-distilled", "trained average"):
        assert re.search(rf'^ +"?{name}"?: "{COLOURS[name].lower()}",$', script, re.MULTILINE), name


def test_no_interval_is_cut_off_by_the_axis():
    below, above = Estimate(0.003, -0.02, 0.03, 20, 5), Estimate(0.5, 0.49, 0.51, 20, 5)
    (ax,) = result({"distilled": (below, (-math.inf, 0.01)), "single": (above, (0.49, 0.51))}).axes
    assert ax.get_xlim()[0] < below.low
    (ax,) = result({"single": (above, (0.49, 0.51))}).axes
    assert ax.get_xlim()[0] == pytest.approx(-0.02)
