"""A printed page is light, whole and unfolded."""

import pytest
from playwright.sync_api import Page

from .conftest import Visit, seen

SHEET = 718  # pixels between the margins of A4, 10 mm each

# What the browser is about to print, as it stands then: asked after the page's own listeners.
WATCH = """() => addEventListener("beforeprint", () => {
  const texts = [...document.querySelectorAll("article :is(h1, h2, p, pre, td)")];
  const lightness = e => Math.min(...getComputedStyle(e).color.match(/\\d+/g).map(Number));
  window.printed = {
    theme: document.documentElement.dataset.theme,
    lightest: Math.max(...texts.map(lightness)),
    folded: document.querySelectorAll("details:not([open]), .toggle-hidden").length,
  };
})"""

# Texts and pictures that end beyond the sheet, or beyond a box that cuts them off.
CUT = """() => {
  const cut = [], article = document.querySelector("article") ?? document.querySelector("main");
  const check = (what, box, from) => {
    if (!box.width) return;
    for (let e = from; e.localName !== "body"; e = e.parentElement) {
      const ends = e.localName === "main" || getComputedStyle(e).overflowX !== "visible";
      if (ends && box.right > Math.min(innerWidth, e.getBoundingClientRect().right) + 1) return cut.push(what);
    }
  };
  const texts = document.createTreeWalker(article, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode, e = text.parentElement, range = document.createRange();
    if (!text.data.trim() || !e.checkVisibility() || e.closest("mjx-container, svg, script, style")) continue;
    range.selectNode(text);
    check(text.data.trim().slice(0, 80), range.getBoundingClientRect(), e);
  }
  for (const e of article.querySelectorAll("img, svg, mjx-math")) {
    check(e.outerHTML.slice(0, 80), e.getBoundingClientRect(), e.parentElement);
  }
  return cut;
}"""


@pytest.fixture
def page(phone: Visit) -> Page:
    """A dark page."""
    return phone.page


def folds(page: Page) -> list[bool]:
    """Tell which parts are open."""
    return page.locator("details").evaluate_all("all => all.map(part => part.open)")


@seen({"width": SHEET})
def test_a_dark_page_is_printed_light_and_unfolded_and_stays_as_it_was(page: Page) -> None:
    page.evaluate(WATCH)
    before = folds(page)
    page.pdf(format="A4", page_ranges="1")
    printed = page.evaluate("window.printed")
    assert printed["theme"] == "light"
    assert printed["lightest"] < 128, "a text as light as the sheet"
    assert printed["folded"] == 0
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert folds(page) == before


@seen({"width": SHEET, "media": "print"})
def test_nothing_is_cut_off(page: Page) -> None:
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    cut = page.evaluate(CUT)
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert cut == []


@seen({"width": SHEET, "media": "print"})
def test_a_slider_is_printed_as_its_picture_with_a_note(page: Page) -> None:
    for host in page.locator(".widget-host").all():
        assert host.locator("img:visible, svg:visible").count()
        assert not host.locator("button:visible").count()
        assert "slider" in host.evaluate("host => getComputedStyle(host, '::after').content")
