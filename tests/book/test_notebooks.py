"""The notebooks that the pages offer: readable without MyST, with the numbers of the build, and still the chapters."""

import re

import jupytext
import nbformat
import pytest
from nbformat import NotebookNode

from mvtheory.measurement import Estimate

from .conftest import EXECUTED, HTML, ROOT, Visit

# Roles, directives and their options, targets, comments, links to files or labels of the source.
MYST = re.compile(r"\{[\w:-]+\}`|^[`:]{3,}\{|^:[\w-]+:|^\([\w-]+\)=$|^% |\]\((?!https?://)[\w./#-]+\)", re.MULTILINE)


@pytest.fixture(scope="module", params=EXECUTED)
def name(request: pytest.FixtureRequest) -> str:
    """A page with code."""
    return request.param


@pytest.fixture(scope="module")
def notebook(name: str) -> NotebookNode:
    """What its download button gives."""
    return nbformat.read(HTML / "_sources" / f"{name}.ipynb", as_version=4)


def test_it_is_what_the_download_button_gives(desk: Visit) -> None:
    links = desk.page.locator("a.btn-download-notebook-button").evaluate_all("all => all.map(link => link.href)")
    has_code = desk.name in EXECUTED
    assert links == [(HTML / "_sources" / f"{desk.name}.ipynb").as_uri()] * has_code


def test_it_is_a_notebook_with_the_code_of_the_page(name: str, notebook: NotebookNode) -> None:
    nbformat.validate(notebook)
    source = jupytext.read(ROOT / "book" / f"{name}.md")
    code = [cell.source for cell in source.cells if cell.cell_type == "code"]
    assert [cell.source for cell in notebook.cells if cell.cell_type == "code"] == code


def test_its_text_needs_no_myst(notebook: NotebookNode) -> None:
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    assert [found for text in texts for found in MYST.findall(text)] == []


def test_its_figures_are_there(name: str, notebook: NotebookNode) -> None:
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    described = [cell for cell in notebook.cells if cell.metadata.get("mystnb", {}).get("image")]
    shown = [output for output in outputs if any(mime.startswith("image/") for mime in output.get("data", {}))]
    assert len(shown) == len(described)
    assert shown or name in {"setting", "proof"}
    assert not [mime for output in outputs for mime in output.get("data", {}) if mime.startswith("application/")]


def test_the_index_quotes_the_numbers_of_the_claims(claims: list[dict]) -> None:
    notebook = nbformat.read(HTML / "_sources/index.ipynb", as_version=4)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    rows = [
        claim
        for claim in claims
        if claim["id"] in {"single", "ensemble", "law", "distill", "self-distill", "lazy-dial"}
    ]
    assert len(rows) == 6
    for claim in rows:
        estimate = Estimate(claim["measured"], *claim["interval"], claim["nets"], claim["draws"])
        assert f"| {estimate.value_text} | {estimate.interval_text}" in text


def test_a_chapter_says_where_it_is_from_and_cites_by_name() -> None:
    notebook = nbformat.read(HTML / "_sources/chapters/06-random-features.ipynb", as_version=4)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert "/chapters/06-random-features.html" in notebook.cells[1].source
    assert "Allen-Zhu and Li (2023)" in text
    assert "(Jacot et al., 2018; Chizat et al., 2019)" in text
    assert "> **Proposition (With unlimited data, the student ends where the labels would have led it).**" in text
    assert "\nProposition (With unlimited data, the student ends where the labels would have led it) says" in text
    assert text.count("**Solution.**") == 3
