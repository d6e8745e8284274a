"""One quantity has one value on all pages: what the built pages quote is what the claims' file says, to the digit."""

import posixpath
import re
from collections import defaultdict
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from mvtheory.claims import Claim

from .conftest import CONTENTS, ROOT

QUOTING = [*CONTENTS, "handout", "slides"]
ROLE = re.compile(r"\{glue:text\}`(?:([^`]+?)\.md::)?([^`:]+)(?::s)?`")
INCLUDED = re.compile(r"^```\{include\} (\S+)\n```$", re.MULTILINE)
# Quantities that pages quote by other names than their claim's: page and name, and what it is of the claim.
OTHER_NAMES = {
    ("chapters/02-single-model", "on-single"): ("single", "estimate"),
    ("chapters/03-ensembling", "one"): ("single", "estimate"),
    ("chapters/04-distillation", "alone"): ("single", "estimate"),
    ("chapters/06-random-features", "views-single-nets"): ("single", "estimate"),
    ("chapters/03-ensembling", "all"): ("ensemble", "raw"),
    ("chapters/04-distillation", "ensemble-error"): ("ensemble", "raw"),
    ("chapters/06-random-features", "views-ensemble-nets"): ("ensemble", "raw"),
    ("chapters/04-distillation", "student-error"): ("distill", "raw"),
    ("chapters/06-random-features", "views-distilled-nets"): ("distill", "raw"),
    ("chapters/05-self-distillation", "after"): ("self-distill", "raw"),
    ("chapters/06-random-features", "views-self-distilled-nets"): ("self-distill", "raw"),
}
# Quantities, no claims, that several pages measure or quote by one name.
ONE_NAME = [
    "exposed",
    "lost-held",
    "near-one",
    "on-0",
    "on-1",
    "others",
    "way-labels only from random",
    "way-on/off from random",
]


def quotes(book: Path, name: str) -> list[tuple[str, str, str]]:
    """Give the page and the name of every number that a page quotes, and the text that stands there."""
    file = ROOT / "book" / f"{name}.md"
    source = INCLUDED.sub(lambda part: (file.parent / part[1]).read_text(encoding="utf-8"), file.read_text("utf-8"))
    page = BeautifulSoup((book / f"{name}.html").read_text(encoding="utf-8"), "html.parser")
    homes = [(posixpath.normpath(f"{name}/../{home}") if home else name, key) for home, key in ROLE.findall(source)]
    texts = [text.get_text() for text in page.select("span.pasted-text")]
    return [(*home, text) for home, text in zip(homes, texts, strict=True)]


@pytest.fixture(scope="module")
def quoted(book: Path) -> dict[tuple[str, str], dict[str, set[str]]]:
    """The texts of every quoted number, by where it is measured and then by the page that quotes it."""
    found: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for name in QUOTING:
        for home, key, text in quotes(book, name):
            found[home, key][name].add(text)
    return found


@pytest.fixture(scope="module")
def texts(claims: list[dict]) -> dict[str, dict[str, str]]:
    """What a page may say of each claim."""
    told = {}
    for fields in claims:
        claim = Claim.from_dict(fields)
        told[claim.id] = {
            "home": f"chapters/{claim.chapter}",
            "measured": claim.measured.value_text,
            "interval": claim.measured.interval_text,
            "estimate": str(claim.measured),
            "predicted": claim.predicted_text,
            "verdict": claim.verdict,
            "raw": str(claim.raw),
        }
    return told


def test_a_claim_is_quoted_with_the_digits_of_the_file(quoted: dict, texts: dict) -> None:
    checked, wrong = defaultdict(set), []
    for (home, key), pages in quoted.items():
        id, _, what = key.rpartition("-")
        for page, values in pages.items():
            if what in texts.get(id, {}) and home == texts[id]["home"]:
                checked[id].add(page)
                wrong += [(page, home, key, value) for value in values if value != texts[id][what]]
    assert wrong == []
    assert sum(len(pages) > 1 for pages in checked.values()) >= 12  # those of the index, at least


def test_a_number_of_another_page_is_the_one_that_stands_there(quoted: dict) -> None:
    several = {key: set.union(*pages.values()) for key, pages in quoted.items()}
    assert {key: values for key, values in several.items() if len(values) > 1} == {}


@pytest.mark.parametrize(("place", "of"), OTHER_NAMES.items(), ids=lambda pair: "-".join(pair).replace("/", "-"))
def test_a_claim_by_another_name_is_the_claim(
    quoted: dict, texts: dict, place: tuple[str, str], of: tuple[str, str]
) -> None:
    id, what = of
    assert quoted[place] == {place[0]: {texts[id][what]}}


@pytest.mark.parametrize("key", ONE_NAME)
def test_a_quantity_that_is_no_claim_has_one_value(quoted: dict, key: str) -> None:
    values = [pages for (_, name), pages in quoted.items() if name == key]
    assert sum(map(len, values)) > 1, "on one page alone"
    assert len({text for pages in values for some in pages.values() for text in some}) == 1


def test_the_ledger_has_the_same_digits(book: Path, texts: dict) -> None:
    page = BeautifulSoup((book / "reference/ledger.html").read_text(encoding="utf-8"), "html.parser")
    for id, told in texts.items():
        (row,) = page.select(f"#claim-{id}")
        cells = [cell.get_text(" ", strip=True) for cell in row.select("td")]
        assert told["verdict"] in cells, id
        assert told["predicted"] in cells, id
        assert any(told["estimate"] in cell for cell in cells), id


def test_the_tables_of_index_and_handout_have_the_same_rows(book: Path) -> None:
    rows = {}
    for name in ("index", "handout"):
        page = BeautifulSoup((book / f"{name}.html").read_text(encoding="utf-8"), "html.parser")
        rows[name] = [[cell.get_text().strip() for cell in row.select("td")] for row in page.select("table tr")]
    assert len(rows["index"]) > 12
    assert rows["index"] == rows["handout"]
