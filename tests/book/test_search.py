"""Searching the book, from the disk and over http: the right section first, quoted, and marked on its page."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Locator, Page

from .conftest import HTML, Visit, tab

# What is asked, and where the first answer must lead.
QUERIES = {
    "NTK": "chapters/06-random-features.html#how-do-you-stop-a-net-from-learning-features",
    "neural tangent kernel": "reference/glossary.html",
    "sigma_0": "reference/notation.html#nets",
    "σ_0": "reference/notation.html#nets",
    "σ₀": "reference/notation.html#nets",
    "how many nets do I need": "chapters/03-ensembling.html#how-much-does-an-average-gain",
    "What is dark knowledge?": "reference/glossary.html",
    "Temperature": "reference/api.html#mvtheory.distillation.Temperature",
}
BUTTONS = ["Binder", "Colab", ".ipynb", "Repository", "Suggest edit", "Open issue"]


@pytest.fixture(scope="module", params=["file", "http"])
def visit(request: pytest.FixtureRequest, browser: Browser, http_host: str) -> Iterator[Visit]:
    """The page of results in a tab, without a query."""
    with tab(browser, HTML.as_uri() if request.param == "file" else http_host, "search") as opened:
        yield opened


def results(visit: Visit, query: str) -> Locator:
    """Search, and wait for the end."""
    visit.page.goto(f"{visit.host}/search.html?q={quote(query)}")
    visit.page.wait_for_function("document.querySelector('.search-summary')?.innerText")
    visit.page.wait_for_timeout(200)
    return visit.page.locator("#search-results li")


def place(link: str) -> str:
    """The page and the section that a result leads to."""
    page, _, fragment = link.partition("#")
    return "#".join(filter(None, [page.partition("?")[0], fragment]))


@pytest.mark.parametrize("query", QUERIES)
def test_the_right_section_comes_first(visit: Visit, query: str) -> None:
    first = results(visit, query).locator("a").first
    assert place(first.get_attribute("href") or "") == QUERIES[query]


def test_every_result_leads_to_a_place(visit: Visit) -> None:
    found = [place(link.get_attribute("href") or "") for link in results(visit, "teacher").locator("a").all()]
    assert len(found) > 5
    assert len(set(found)) == len(found), "the same place twice"
    for page, fragment in (link.partition("#")[::2] for link in found):
        assert not fragment or f'id="{fragment}"' in (HTML / page).read_text(encoding="utf-8"), (page, fragment)


def test_excerpts_quote_the_text_around_the_words(visit: Visit) -> None:
    excerpts = results(visit, "temperature").locator(".context").all_inner_texts()
    assert sum("temperature" in excerpt.lower() for excerpt in excerpts) > 2
    assert not [excerpt for excerpt in excerpts if any(button in excerpt for button in BUTTONS)]


def test_words_without_an_answer_are_said_to_have_none(visit: Visit) -> None:
    assert not results(visit, "xylophone").count()
    assert "did not match" in visit.page.locator(".search-summary").inner_text()


def test_the_words_are_marked_and_scrolled_to(visit: Visit) -> None:
    link = results(visit, "sampling variation").locator("a[href*='chapters/']").first
    link.click()
    mark = visit.page.locator("article .highlighted").first
    mark.wait_for(state="attached")
    visit.page.wait_for_timeout(500)
    assert {"sampling", "variation"} == {text.lower() for text in marks(visit.page)}
    assert marks_in_view(visit.page)
    assert not visit.page.locator("mjx-merror").count(), "a mark broke a formula"


def test_a_symbol_is_marked_in_formulas(visit: Visit) -> None:
    results(visit, "sigma_0").locator("a").first.click()
    visit.page.locator("mjx-container.highlighted").first.wait_for(state="attached")
    visit.page.wait_for_timeout(500)
    assert "sigma_0" in marks(visit.page)
    assert marks_in_view(visit.page)


def marks(page: Page) -> list[str]:
    """The texts that are marked on a page, outside formulas, and those in folded parts too."""
    return page.locator("article span.highlighted").all_text_contents()


def marks_in_view(page: Page) -> bool:
    """Tell whether the window shows a marked text."""
    return page.locator("article .highlighted").evaluate_all(
        "all => all.some(e => { const box = e.getBoundingClientRect();"
        " return e.checkVisibility() && box.top >= 0 && box.bottom <= innerHeight })"
    )


# After all of the above.
def test_no_error_is_reported(visit: Visit) -> None:
    assert not visit.errors
    assert not visit.left
