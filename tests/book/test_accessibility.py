"""The pages for readers who use a keyboard, a screen reader, a magnifier or a phone."""

import pytest
from playwright.sync_api import Browser, Locator, Page

from .conftest import HTML, SETTLED, Visit, at, seen, tab

OVERLAP = """host => {
  const a = host.querySelector('.noUi-handle').getBoundingClientRect();
  const labels = [...host.querySelectorAll('.widget-label, .widget-html-content')];
  return labels.filter(e => e.innerText.trim()).filter(e => {
    const b = e.getBoundingClientRect();
    return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  }).map(e => e.innerText);
}"""
LIGHT = "reference/notation"  # a page with all buttons, and little else
# What the window cuts off at its right: not what scrolls in a box of its own.
CUT = """() => [...document.querySelectorAll('article *')].filter(e => {
  if (e.getBoundingClientRect().right <= innerWidth + 1 || !e.checkVisibility()) return false;
  for (let box = e.parentElement; box.tagName !== 'ARTICLE'; box = box.parentElement)
    if (getComputedStyle(box).overflowX !== 'visible') return false;
  return !e.closest('mjx-assistive-mml');
}).map(e => e.outerHTML.slice(0, 150))"""


def test_identifiers_are_unique(desk: Visit) -> None:
    names = desk.page.locator("[id]").evaluate_all("all => all.map(e => e.id)")
    assert sorted(set(names)) == sorted(names)


def test_no_name_hides_the_text_of_a_summary(desk: Visit) -> None:
    assert not desk.page.locator("summary[aria-label]").count()


@seen({}, {"width": 320})
def test_the_tab_key_stops_at_formulas_that_scroll_alone(desk: Visit) -> None:
    wide = "e => e.scrollWidth > e.clientWidth && getComputedStyle(e).overflowX === 'auto'"
    stops = desk.page.locator("mjx-container, div.math, p, li").evaluate_all(
        f"all => all.map(e => [e.tabIndex === 0, ({wide})(e), e.outerHTML.slice(0, 150)])"
    )
    assert not [html for stop, scrolls, html in stops if stop != scrolls]


def test_boxes_that_may_scroll_have_a_name(desk: Visit) -> None:
    assert not desk.page.locator(".pst-scrollable-table-container:not([role][aria-label])").count()


@seen({"width": 320})
def test_a_narrow_phone_needs_no_sideways_scrolling(desk: Visit) -> None:
    assert desk.page.evaluate("document.documentElement.scrollWidth") <= 320
    assert not desk.page.evaluate(CUT)
    wide = desk.page.locator("article img, article svg, .widget-host > *").evaluate_all(
        "all => all.filter(e => e.getBoundingClientRect().right > 320).map(e => e.outerHTML.slice(0, 200))"
    )
    assert not wide


@at("desk", "reference/ledger")
@seen({"width": 320})
def test_the_ledger_shows_a_claim_beside_its_name(desk: Visit) -> None:
    row = desk.page.locator("table.claims-ledger tbody tr").first
    name, statement = (row.locator("td").nth(column).bounding_box() for column in (0, 1))
    assert name
    assert statement
    assert statement["width"] >= 160
    assert statement["x"] + 160 <= 320, "hardly a word of the statement is seen"


@seen({}, {"width": 320})
def test_sliders_say_what_they_show(desk: Visit) -> None:
    for host in desk.page.locator(".widget-host:has([role=slider])").all():
        check_slider(host)


def check_slider(host: Locator) -> None:
    """Move a slider by its keys: its value is the label that is shown, its handle large enough, and covers no label."""
    handle, label = host.get_by_role("slider"), host.get_by_role("status")
    values = []
    for key in ("Home", "ArrowRight", "End"):
        handle.press(key)
        host.page.evaluate(SETTLED)
        values.append(handle.get_attribute("aria-valuetext"))
        assert values[-1] == label.inner_text().strip()
        assert not host.evaluate(OVERLAP), key
    assert len(set(values)) > 1
    assert handle.get_attribute("aria-label") == host.locator(".widget-label").first.inner_text().strip()
    box = handle.bounding_box()
    assert box
    assert min(box["width"], box["height"]) >= 24
    assert label.get_attribute("aria-live") == "off", "the value is said twice"
    host.get_by_role("button", name="Play").focus()
    assert label.get_attribute("aria-live") == "polite"


@pytest.mark.parametrize(
    ("width", "buttons"), [(1280, [".theme-switch-button", ".primary-toggle"]), (390, [".theme-switch-button"])]
)
def test_a_button_keeps_the_keyboard(browser: Browser, width: int, buttons: list[str]) -> None:
    with tab(browser, HTML.as_uri(), LIGHT, width) as visit:
        for button in buttons:
            visit.page.locator(button).press("Enter")
            visit.page.wait_for_timeout(300)
            assert has_focus(visit.page, button)


def test_what_a_button_opens_gives_the_keyboard_back(browser: Browser) -> None:
    with tab(browser, HTML.as_uri(), LIGHT, width=390) as visit:
        for button in (".primary-toggle", ".secondary-toggle", ".search-button"):
            visit.page.locator(f"main {button}").press("Enter")
            visit.page.wait_for_selector("dialog[open]")
            visit.page.keyboard.press("Escape")
            visit.page.wait_for_selector("dialog[open]", state="detached")
            assert has_focus(visit.page, button)


def has_focus(page: Page, selector: str) -> bool:
    """Tell whether an element that matches has the keyboard."""
    return page.evaluate("selector => document.activeElement.matches(selector)", selector)
