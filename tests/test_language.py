"""The words of the book: the field's terms, one name a quantity, in prose, captions, text alternatives and figures."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import jupytext
import pytest

from mvtheory.experiments.predictions import CLAIMS

ROOT = Path(__file__).parents[1]
PAGES = sorted(path for path in (ROOT / "book").rglob("*.md") if "templates" not in path.parts)
DRAWN = [*sorted((ROOT / "mvtheory/figures").glob("*.py")), *sorted((ROOT / "mvtheory").glob("decision/words.py"))]

# Words of a dialect that the book once had. Parts of identifiers, such as `dial-half-faint`, do not count.
PRIVATE = """
    murmur murmurs listen listens lesson lessons pupil pupils loud loudly louder shout shouts faint faintly fainter
    mumble mumbles lots luck lucky evened told foretold taught ticket tickets voice voices dispute disputes settled
    by-heart rescued
"""
# What is called otherwise in the book, and how.
NAMES = {
    "jointly trained average": "trained average",
    "joint average": "trained average",
    "average trained jointly": "trained average",
    "teacher network": "teacher",
    "student network": "student",
    "temperature distillation": "Hinton's temperature",
}
WORDS = re.compile(rf"(?<![\w-])(?:{'|'.join(PRIVATE.split())})(?![\w-])", re.IGNORECASE)
OTHERS = re.compile(rf"\b(?:{'|'.join(NAMES)})s?\b", re.IGNORECASE)
NO_PROSE = re.compile(r"```\{include\}.*?```|\{[a-z:]+\}`[^`]*`|`[^`]*`|\$\$?[^$]*\$\$?|\]\([^)]*\)", re.DOTALL)


def texts(path: Path) -> Iterator[str]:
    """Give the prose of a page, its captions and its text alternatives."""
    for cell in jupytext.read(path).cells:
        shown = cell.metadata.get("mystnb", {})
        yield from (shown.get("figure", {}).get("caption", ""), shown.get("image", {}).get("alt", ""))
        if cell.cell_type == "markdown":
            yield cell.source


def found(text: str) -> list[str]:
    """List what the book does not say."""
    prose = " ".join(NO_PROSE.sub(" ", text).split())
    return WORDS.findall(prose) + OTHERS.findall(prose)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT / "book").as_posix())
def test_a_page_uses_no_private_words_and_no_second_names(path: Path) -> None:
    assert [word for text in texts(path) for word in found(text)] == []


@pytest.mark.parametrize("path", DRAWN, ids=lambda path: path.stem)
def test_a_figure_uses_none(path: Path) -> None:
    tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    strings = [node.value for node in tree if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    assert [word for text in strings for word in found(text)] == []


def test_no_statement_of_a_claim_uses_any_and_no_two_are_the_same() -> None:
    statements = [claim.statement for claim in CLAIMS.values()]
    assert [word for text in statements for word in found(text)] == []
    assert len({text.casefold() for text in statements}) == len(statements), "two quantities have one name"


def test_the_words_are_found() -> None:
    assert found("The lesson, a `lot` of $luck$, lots of it: {term}`pupil`, half-faint.") == ["lesson", "lots"]
    assert found("A jointly  trained average") == ["jointly trained average"]


QUOTING = ["index", "slides", "handout", "_parts/results", "_parts/what-it-takes", "../README"]
# Code, what glue quotes, and versions of Python are no results.
NOT_TYPED = re.compile(rf"```.*?```|^---$.*?^---$|Python \d[\d.]*|{NO_PROSE.pattern}", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("name", QUOTING)
def test_no_result_is_typed_into_a_page_that_quotes_others(name: str) -> None:
    text = NOT_TYPED.sub(" ", (ROOT / f"book/{name}.md").read_text(encoding="utf-8"))
    assert re.findall(r"\d+\.\d+|\b(?!95%)\d+ ?%", text) == []
