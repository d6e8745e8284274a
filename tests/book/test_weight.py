"""A page loads what it uses: no script of all icons, no whole icon fonts, of MathJax only what its formulas need."""

import pytest

from .conftest import HTML, Visit

# Bytes of what a page loads besides itself and its pictures: what all pages share, mathematics, widgets, and the text
# of all sections, for the search.
SHARED, MATHEMATICS, WIDGETS, SECTIONS = 1_000_000, 900_000, 1_000_000, 600_000

# Icons without a letter, and those in sight that take no place.
DEAD = """() => [...document.querySelectorAll("[class*='fa-'], .fa")].filter(icon => {
  const letter = getComputedStyle(icon, "::before").content.match(/^"(.)"/u);
  return !letter || (icon.checkVisibility() && !icon.getBoundingClientRect().width);
}).map(icon => icon.outerHTML)"""


@pytest.fixture
def loaded(phone: Visit) -> tuple[Visit, dict[str, int]]:
    """A page, and the bytes of each file that it loaded over http."""
    return phone, {file: (HTML / file.lstrip("/")).stat().st_size for file in phone.loaded}


def test_a_page_is_light(loaded: tuple[Visit, dict[str, int]]) -> None:
    _, sizes = loaded
    machinery = sum(size for file, size in sizes.items() if file.startswith("/_static/"))
    more = {"mathjax": MATHEMATICS, "bundle.js": WIDGETS, "sections.js": SECTIONS}
    assert machinery < SHARED + sum(any(name in file for file in sizes) * more[name] for name in more)


def test_mathematics_and_widgets_are_on_pages_that_have_them(loaded: tuple[Visit, dict[str, int]]) -> None:
    visit, sizes = loaded
    assert any("mathjax" in file for file in sizes) <= visit.page.locator("mjx-container").count()
    assert any("bundle.js" in file for file in sizes) <= visit.page.locator(".widget-host").count()


def test_every_icon_is_in_the_fonts_of_the_book(loaded: tuple[Visit, dict[str, int]]) -> None:
    visit, sizes = loaded
    assert visit.page.locator("[class*='fa-']").count()
    assert visit.page.evaluate(DEAD) == []
    # The theme's own fonts are asked for what the book's lack.
    assert [file for file in sizes if "fontawesome" in file] == [], "an icon that offline.ICONS does not name"


def test_a_screen_reader_reads_no_icon(loaded: tuple[Visit, dict[str, int]]) -> None:
    visit, _ = loaded
    letters = "icons => icons.map(icon => getComputedStyle(icon, '::before').content)"
    assert all(content.endswith(' / ""') for content in visit.page.locator("[class*='fa-']").evaluate_all(letters))
