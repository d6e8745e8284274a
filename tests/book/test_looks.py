"""Looks that can be measured: a phone's width, contrast in light and dark, the place of the keyboard."""

from playwright.sync_api import Browser, Page

from .conftest import HTML, PAGES, Visit, seen, tab

# What has the keyboard, and how that is shown.
FOCUS = """() => {
  const e = document.activeElement, s = getComputedStyle(e);
  return [e.outerHTML.slice(0, 200), s.outlineStyle, parseFloat(s.outlineWidth)];
}"""

# Contrast of every text that is seen, after WCAG 2.1: 4.5, or 3 for large letters. Gives what falls short.
CONTRAST = """() => {
  const parse = text => { const c = text.match(/[\\d.]+/g).map(Number); return c.length < 4 ? [...c, 1] : c };
  const over = (top, under) => [0, 1, 2].map(i => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const behind = e => {
    const own = parse(getComputedStyle(e).backgroundColor);
    if (own[3] === 1) return own;
    return over(own, e.parentElement ? behind(e.parentElement) : [255, 255, 255, 1]);
  };
  const light = c => {
    const [r, g, b] = c.map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const short = [];
  const texts = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement, style = getComputedStyle(e);
    if (!texts.currentNode.data.trim() || e.closest("svg, script, style, mjx-assistive-mml")) continue;
    if (!e.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    const back = behind(e), [a, b] = [light(over(parse(style.color), back)), light(back)].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < (large ? 3 : 4.5)) short.push(`${ratio.toFixed(2)} ${e.className}: ${texts.currentNode.data.trim()}`);
  }
  return short;
}"""


def test_the_keyboard_sees_where_it_is(desk: Visit) -> None:
    page = desk.page
    page.locator("#pst-skip-link a").focus()  # the first
    assert_focus_is_seen(page)
    for _ in range(14):
        page.keyboard.press("Tab")
        assert_focus_is_seen(page)
    for control in page.locator(".widget-host :is([role=slider], button)").all():
        control.focus()
        assert_focus_is_seen(page)


def assert_focus_is_seen(page: Page) -> None:
    """Check the outline of the element that has the keyboard."""
    element, style, width = page.evaluate(FOCUS)
    assert style != "none", element
    assert width >= 2, element


def test_every_control_has_a_name(desk: Visit) -> None:
    nameless = desk.page.locator(".widget-host button:not([aria-label]), .widget-host [role=slider]:not([aria-label])")
    assert not nameless.count()


@seen({}, {"scheme": "dark"})
def test_text_stands_out(desk: Visit) -> None:
    assert not desk.page.evaluate(CONTRAST)


@seen({"width": 1366, "height": 768})
def test_code_needs_no_sideways_scrolling_on_a_laptop(desk: Visit) -> None:
    wide = desk.page.locator("div.cell_input pre").evaluate_all(
        "all => all.filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.innerText.slice(0, 200))"
    )
    assert not wide


def test_the_first_key_leads_past_the_navigation(browser: Browser) -> None:
    with tab(browser, HTML.as_uri(), PAGES[0]) as visit:
        visit.page.keyboard.press("Tab")
        visit.page.wait_for_function("document.activeElement.getBoundingClientRect().top >= 0")
        visit.page.keyboard.press("Enter")
        visit.page.wait_for_url("**#main-content")
