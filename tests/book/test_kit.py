"""What lecturers take from the book: slides, a handout, the book as PDF and as a zip; and texts that show on hover."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, Page
from pypdf import PdfReader

from .conftest import CHAPTERS, CONTENTS, HTML, Visit, at
from .test_axe import AXE

FILES = ["slides.html", "handout.pdf", "book.pdf", "book.zip"]


@pytest.fixture(scope="module", params=["light", "dark"])
def slides(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """The slides in a fresh tab; the addresses that it asks for outside the book are kept in `left`."""
    context = browser.new_context(color_scheme=request.param, viewport={"width": 1280, "height": 720}, has_touch=True)
    page, left = context.new_page(), []
    page.on("request", lambda request: request.url.startswith(HTML.as_uri()) or left.append(request.url))
    page.goto((HTML / "slides.html").as_uri())
    yield page
    assert left == []
    context.close()


def at_slide(page: Page) -> int:
    """Tell which slide is seen."""
    shown = page.locator("main > section").evaluate_all(
        "all => all.map(e => e.checkVisibility({visibilityProperty: 1}))"
    )
    assert sum(shown) == 1
    return shown.index(True)


def test_the_index_leads_to_what_there_is(book: Path) -> None:
    page = BeautifulSoup((book / "index.html").read_text(encoding="utf-8"), "html.parser")
    (line,) = [strong.parent for strong in page.select("strong") if strong.get_text() == "For lecturers:"]
    assert [link["href"] for link in line.select("a")] == FILES
    assert all((book / name).is_file() for name in FILES)


def test_keys_lead_through_the_slides(slides: Page) -> None:
    last = slides.locator("main > section").count() - 1
    assert 10 <= last <= 14
    slides.keyboard.press("Home")
    for key, place in {"ArrowRight": 1, "PageDown": 2, " ": 3, "ArrowLeft": 2, "End": last}.items():
        slides.keyboard.press(key)
        slides.wait_for_function(f"location.hash === '#{place + 1}'")
        assert at_slide(slides) == place
    assert slides.get_by_role("button", name="Next slide").is_disabled()


def test_swiping_turns_a_slide(slides: Page) -> None:
    slides.keyboard.press("Home")
    slides.evaluate("""() => {
      const at = x => new Touch({ identifier: 1, target: document.body, clientX: x, clientY: 300 });
      document.dispatchEvent(new TouchEvent("touchstart", { touches: [at(500)] }));
      document.dispatchEvent(new TouchEvent("touchend", { changedTouches: [at(200)] }));
    }""")
    slides.wait_for_function("location.hash === '#2'")


def test_notes_are_shown_on_request_and_each_slide_has_some(slides: Page) -> None:
    slides.keyboard.press("Home")
    assert slides.locator(".notes").count() == slides.locator("main > section").count()
    assert not slides.locator(".notes:visible").count()
    slides.keyboard.press("n")
    assert slides.locator(".current .notes").is_visible()
    slides.keyboard.press("n")


def test_a_second_window_follows_with_the_notes(slides: Page) -> None:
    slides.keyboard.press("Home")
    with slides.expect_popup() as opened:
        slides.keyboard.press("s")
    speaker = opened.value
    speaker.wait_for_selector(".current .notes")
    slides.keyboard.press("ArrowRight")
    speaker.wait_for_function("location.hash === '#2'")
    speaker.keyboard.press("ArrowRight")
    slides.wait_for_function("location.hash === '#3'")
    speaker.close()


def test_every_slide_fits_its_window_and_axe_finds_nothing(slides: Page) -> None:
    slides.keyboard.press("Home")
    slides.evaluate(Axe().axe_script)
    for _ in range(slides.locator("main > section").count()):
        shown = slides.locator("section.current")
        assert shown.evaluate("e => e.scrollHeight <= e.clientHeight"), shown.inner_text()
        found = slides.evaluate("options => axe.run(options)", AXE)["violations"]
        assert not [(rule["id"], node["html"][:200]) for rule in found for node in rule["nodes"]]
        assert all(len(alt) > 40 for alt in shown.locator("img").evaluate_all("all => all.map(e => e.alt)"))
        slides.keyboard.press("ArrowRight")
    assert not slides.locator("img").evaluate_all("all => all.filter(e => !e.naturalWidth).map(e => e.src)")


def test_slides_print_one_a_sheet(slides: Page, tmp_path: Path) -> None:
    slides.pdf(path=tmp_path / "slides.pdf", prefer_css_page_size=True)
    sheets = len(PdfReader(tmp_path / "slides.pdf").pages)
    assert sheets == slides.locator("main > section").count()


def test_axe_finds_nothing_on_the_handout(browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto((HTML / "handout.html").as_uri())
    assert not [rule["id"] for rule in Axe().run(page, options=AXE).response["violations"]]
    context.close()


def test_the_handout_has_two_sheets_and_the_book_has_bookmarks(book: Path) -> None:
    assert len(PdfReader(book / "handout.pdf").pages) == 2
    reader = PdfReader(book / "book.pdf")
    assert 80 < len(reader.pages) < 250
    pages = [entry for entry in reader.outline if not isinstance(entry, list)]
    assert len(pages) == sum(not name.startswith("reference/api") for name in CONTENTS)
    assert {"The setting", "What removes the lottery?"} < {page.title for page in pages}
    numbers = [reader.get_destination_page_number(page) for page in pages]
    assert numbers == sorted(numbers)
    for page, number in zip(pages, numbers, strict=True):
        assert page.title.split()[-1] in reader.pages[number].extract_text()
    front = "".join(page.extract_text() for page in reader.pages[: numbers[0]])
    assert "reference/api.html" in front, "what is left out is said"


def test_the_zip_reads_from_the_disk(book: Path, tmp_path: Path, browser: Browser) -> None:
    with zipfile.ZipFile(book / "book.zip") as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path)
    page = browser.new_page()
    missing: list[str] = []
    page.on("requestfailed", lambda request: missing.append(request.url))
    page.goto((tmp_path / "book/index.html").as_uri())
    links = {link.partition("#")[0] for link in page.locator("a[href]").evaluate_all("all => all.map(a => a.href)")}
    page.close()
    own = [Path(link.removeprefix("file://")) for link in links if link.startswith("file:")]
    assert len(own) > 20
    assert [path for path in own if not path.is_file()] == []
    assert missing == []


@at("desk", "chapters/04-distillation")
def test_a_term_and_a_citation_show_their_text_by_mouse_and_keyboard(desk: Visit) -> None:
    box = desk.page.locator("#hover-text")
    for link in ("a[href*='glossary.html#term-']", "a[href*='bibliography.html#']"):
        first = desk.page.locator(f"article p {link}").first
        first.hover()
        box.wait_for(state="visible")
        assert len(box.inner_text()) > 20
        assert first.get_attribute("aria-describedby") == "hover-text"
        box.hover()  # it stays while it is read
        desk.page.wait_for_timeout(400)
        assert box.is_visible()
        desk.page.keyboard.press("Escape")
        assert not box.is_visible()
        desk.page.mouse.move(0, 0)
        desk.page.keyboard.press("Tab")  # the keyboard's place is shown from here on
        first.focus()
        assert box.is_visible()
        assert not [rule["id"] for rule in Axe().run(desk.page, "#hover-text", options=AXE).response["violations"]]
        first.blur()
        assert not box.is_visible()


@at("desk", "chapters/02-single-model", "reference/notation")
def test_a_screen_reader_finds_every_formula_as_mathml(desk: Visit) -> None:
    formulas = desk.page.locator("mjx-container")
    assert formulas.count()
    assert formulas.count() == desk.page.locator("mjx-container mjx-assistive-mml math").count()
    assert "math" in desk.page.locator("article p:has(mjx-container)").first.aria_snapshot()


@at("desk", "chapters/04-distillation")
def test_a_slider_is_printed_at_its_last_position_and_then_stands_where_it_was(desk: Visit) -> None:
    handle = desk.page.get_by_role("slider").first
    handle.press("Home")
    handle.press("ArrowRight")
    before = handle.get_attribute("aria-valuetext")
    desk.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    printed = handle.get_attribute("aria-valuetext")
    desk.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert handle.get_attribute("aria-valuetext") == before
    handle.press("End")
    assert handle.get_attribute("aria-valuetext") == printed != before


def test_every_figure_to_move_has_a_number_and_a_message(book: Path) -> None:
    for file in sorted((book / "chapters").glob("*.html")):
        page = BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")
        for view in page.select("script[type*=widget-view]"):
            caption = view.find_parent("figure").figcaption if view.find_parent("figure") else None
            assert caption or file.stem.startswith("10"), file.name
            assert not caption or (caption.select_one(".caption-number") and caption.select_one("strong")), file.name


def test_every_slider_has_five_positions_that_differ(book: Path) -> None:
    for file in sorted((book / "chapters").glob("*.html")):
        page = BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")
        for state in page.select("script[type*=widget-state]"):
            models = json.loads(state.get_text())["state"]
            for stack in (model["state"] for model in models.values() if model["model_name"] == "StackModel"):
                names = [child.removeprefix("IPY_MODEL_") for child in stack["children"]]
                assert len({models[name]["state"]["value"] for name in names}) == len(names) >= 5, file.name


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_has_the_number_of_its_file(book: Path, name: str) -> None:
    page = BeautifulSoup((book / f"{name}.html").read_text(encoding="utf-8"), "html.parser")
    assert page.select_one("article h1").get_text().startswith(f"{int(name.removeprefix('chapters/')[:2])}. ")
