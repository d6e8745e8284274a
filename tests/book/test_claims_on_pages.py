"""The claims that the build measured, and the pages that quote them."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
from playwright.sync_api import Browser, Page

import mvtheory
from mvtheory.experiments import nets

from .conftest import CHAPTERS, HTML, ROOT, tab

INTERVAL = {"type": "array", "items": {"type": ["number", "null"]}, "minItems": 2, "maxItems": 2}
CLAIM = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "pattern": "^[a-z][a-z0-9-]*$"},
        "chapter": {"type": "string", "minLength": 1},
        "statement": {"type": "string", "minLength": 10},
        "predicted": INTERVAL,
        "measured": {"type": "number"},
        "interval": INTERVAL,
        "nets": {"type": "integer", "minimum": 1},
        "draws": {"type": "integer", "minimum": 1},
        "verdict": {"enum": ["holds", "fails", "inconclusive"]},
        "seconds": {"type": "number", "minimum": 0},
    },
    "additionalProperties": False,
}
CLAIM["required"] = list(CLAIM["properties"])
SCHEMA = {
    "type": "object",
    "properties": {"claims": {"type": "array", "items": CLAIM, "minItems": 1}},
    "required": ["claims"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def ledger(browser: Browser) -> Iterator[Page]:
    """The ledger's page."""
    with tab(browser, HTML.as_uri(), "reference/ledger") as visit:
        yield visit.page


def bounds(interval: list[float | None]) -> tuple[float, float]:
    """Read an interval; an open end is null."""
    low, high = interval
    return -math.inf if low is None else low, math.inf if high is None else high


def test_the_file_is_as_promised(book: Path) -> None:
    jsonschema.validate(json.loads((book.parent / "claims.json").read_text(encoding="utf-8")), SCHEMA)


def test_identifiers_are_unique(claims: list[dict]) -> None:
    names = [claim["id"] for claim in claims]
    assert len(set(names)) == len(names)


def test_the_verdict_follows_from_the_numbers(claims: list[dict]) -> None:
    for claim in claims:
        (low, high), (first, last) = bounds(claim["predicted"]), bounds(claim["interval"])
        assert first <= claim["measured"] <= last, claim["id"]
        inside, outside = low <= first and last <= high, last < low or high < first
        assert claim["verdict"] == ("holds" if inside else "fails" if outside else "inconclusive"), claim["id"]


def test_every_claim_has_its_row_in_the_ledger(claims: list[dict], ledger: Page) -> None:
    rows = [" ".join(row.split()) for row in ledger.locator("article tbody tr").all_inner_texts()]
    for claim in claims:
        mine = [row for row in rows if row.split()[0] == claim["id"]]
        assert len(mine) == 1, claim["id"]
        assert claim["verdict"] in mine[0]


def test_every_executed_page_has_its_seconds(book: Path) -> None:
    told = json.loads((book.parent / "execution.json").read_text(encoding="utf-8"))
    assert list(told["seconds"]) == ["index", *CHAPTERS]
    assert all(seconds > 0 for seconds in told["seconds"].values())


def test_the_reference_names_everything_public(browser: Browser) -> None:
    with tab(browser, HTML.as_uri(), "reference/api") as visit:
        described = visit.page.locator("dt[id]").evaluate_all("all => all.map(e => e.id.split('.').at(-1))")
    assert not set(mvtheory.__all__) - set(described)


def test_the_record_of_the_full_mode_says_which_settings_have_changed_since(browser: Browser) -> None:
    record = json.loads((ROOT / "book/reference/full.json").read_text(encoding="utf-8"))
    now = {"SETTING": repr(nets.STUDENT_SETTING), "SHARP": repr(nets.NET_SETTING)}
    assert record["settings"].keys() == now.keys()
    with tab(browser, HTML.as_uri(), "reference/reproducibility") as visit:
        told = visit.page.get_by_text(f"Recorded on {record['date']}").inner_text()
    for name, text in now.items():
        assert (name in told) == (record["settings"][name] != text)
