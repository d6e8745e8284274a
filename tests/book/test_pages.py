"""Every page, read from the disk and over http: complete, alive, and asking nothing of any other host."""

import json
import re

import jupytext
import pytest
from playwright.sync_api import Browser, Locator

from .conftest import CHAPTERS, HTML, ROOT, SETTLED, Visit

# What a reader must never see: a directive or role that was not understood, a raw number, a failed cell.
RAW = re.compile(r"\{glue|:::|```|\{[a-z]+(?::[a-z]+)?\}`|np\.float64\(|Traceback \(most recent call last\)")
HASH = re.compile(r"[0-9a-f]{20,}|\.(png|svg)$")
VIEW = '<script type="application/vnd.jupyter.widget-view+json">'
# The pictures beside a slider, as something that can be compared.
PICTURES = """host => [...host.querySelectorAll('img, svg, canvas')]
  .filter(picture => !picture.closest('button'))
  .map(picture => picture.src ?? picture.outerHTML).join()"""


def test_nothing_raw_is_shown(visit: Visit) -> None:
    text = visit.page.locator("main").evaluate(
        "page => { page = page.cloneNode(true); page.querySelectorAll('script, style').forEach(e => e.remove());"
        " return page.textContent }"
    )
    assert len(text) > 20
    assert not RAW.findall(text)


def test_every_image_loads_and_has_words(visit: Visit) -> None:
    images = visit.page.locator("img:not(.toggler)").evaluate_all(
        "images => images.map(i => [i.alt, i.src, i.naturalWidth])"
    )
    assert not [source[:200] for alt, source, width in images if not width], "not loaded"
    assert not [source[:200] for alt, source, width in images if len(alt) < 10 or HASH.search(alt)], "no words"


def test_every_figure_of_the_notebook_is_on_the_page(visit: Visit) -> None:
    path = ROOT / "book" / f"{visit.name}.md"
    cells = jupytext.read(path).cells if path.is_file() else []
    told = [alt for cell in cells if (alt := cell.metadata.get("mystnb", {}).get("image", {}).get("alt"))]
    shown = visit.page.locator(".cell_output img:not(.widget-host img)").evaluate_all("all => all.map(i => i.alt)")
    assert told or visit.name not in CHAPTERS, "a chapter shows a figure"
    assert [" ".join(alt.split()) for alt in shown] == [" ".join(alt.split()) for alt in told]


def test_mathematics_is_set(visit: Visit) -> None:
    formulas = visit.page.locator(".math")
    assert formulas.count() == visit.page.locator(".math:has(mjx-container)").count()
    assert not visit.page.locator("mjx-merror, [data-mjx-error], mjx-mtext[style*=red]").all_inner_texts()


def test_every_slider_changes_its_picture(visit: Visit) -> None:
    hosts = visit.page.locator(".widget-host")
    if visit.name in CHAPTERS:
        labs = visit.page.locator("[data-lab]")
        assert hosts.get_by_role("slider").count() + labs.count(), "a chapter has a figure to play with"
    for host in hosts.all():
        for handle in host.get_by_role("slider").all():
            assert handle.get_attribute("aria-label")
            assert press(handle, host, "Home") != press(handle, host, "End"), "the picture stands still"
            press(handle, host, "Home")


def press(handle: Locator, host: Locator, key: str) -> str:
    """Press a key on a slider's handle, and tell what the figure shows then."""
    handle.press(key)
    host.page.evaluate(SETTLED)
    return host.evaluate(PICTURES)


def test_a_widget_that_cannot_live_leaves_the_others_alive(browser: Browser) -> None:
    context = browser.new_context(reduced_motion="reduce")
    page, told = context.new_page(), []
    page.on("console", lambda message: message.type == "error" and told.append(message.text))
    text = (HTML / f"{CHAPTERS[0]}.html").read_text(encoding="utf-8")
    assert text.count(VIEW) == 1
    dead = {"model_name": "FigureModel", "model_module": "elsewhere", "state": {}}
    text = text.replace(VIEW, f'{VIEW}{{"model_id": "dead"}}</script>{VIEW}')
    text = text.replace('"state": {', f'"state": {{"dead": {json.dumps(dead)}, ', 1)
    file = HTML / CHAPTERS[0]  # beside the page, for its links
    context.route(f"{file.as_uri()}.html", lambda route: route.fulfill(body=text, content_type="text/html"))
    page.goto(f"{file.as_uri()}.html")
    page.wait_for_selector("html[data-widgets=alive]")
    assert page.locator(".widget-host [role=slider]").count()
    assert "the widget FigureModel of elsewhere cannot live without a kernel" in "".join(told)
    context.close()


def test_every_player_plays(visit: Visit) -> None:
    for host in visit.page.locator(".widget-host:has(.widget-play)").all():
        before, button = host.evaluate(PICTURES), host.locator(".widget-play button").first
        assert button.get_attribute("aria-label") == "Play"
        button.press("Enter")
        visit.page.wait_for_function(f"([host, old]) => ({PICTURES})(host) != old", arg=[host.element_handle(), before])
        assert button.get_attribute("aria-label") == "Pause"
        button.press("Enter")


@pytest.mark.last
def test_no_error_is_reported(visit: Visit) -> None:
    assert not visit.errors


@pytest.mark.last
def test_no_request_leaves(visit: Visit) -> None:
    assert not visit.left
