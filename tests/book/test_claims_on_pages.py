"""The claims that the build measured, and the pages that quote them."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from bs4 import BeautifulSoup

import mvtheory
from mvtheory.claims import KINDS, SOURCES, Claim
from mvtheory.experiments.predictions import CLAIMS
from mvtheory.experiments.settings import SETTING

from .conftest import EXECUTED, ROOT, Visit, at

# What pages quote of the full mode's record.
QUOTED = {
    "index": ["single", "distill"],
    "chapters/02-single-model": ["single"],
    "chapters/03-ensembling": ["train-average"],
    "chapters/04-distillation": ["distill"],
    "chapters/05-self-distillation": ["self-distill"],
}
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
        "setting": {"type": "string", "minLength": 3},
        "source": {"enum": list(SOURCES)},
        "kind": {"enum": list(KINDS)},
        "unit": {"type": "string", "minLength": 3},
        "raw": {
            "anyOf": [{"type": "null"}, {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3}]
        },
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


def bounds(interval: list[float | None]) -> tuple[float, float]:
    """Read an interval; an open end is null."""
    low, high = interval
    return -math.inf if low is None else low, math.inf if high is None else high


def test_the_file_is_as_promised(book: Path) -> None:
    jsonschema.validate(json.loads((book.parent / "claims.json").read_text(encoding="utf-8")), SCHEMA)


def test_identifiers_are_unique(claims: list[dict]) -> None:
    names = [claim["id"] for claim in claims]
    assert len(set(names)) == len(names)


def test_the_build_measures_every_claim_of_the_table_and_no_other(claims: list[dict]) -> None:
    assert sorted(claim["id"] for claim in claims) == sorted(CLAIMS)
    for claim in claims:
        row = CLAIMS[claim["id"]]
        assert bounds(claim["predicted"]) == row.predicted
        told = {name: getattr(row, name) for name in ("statement", "chapter", "source", "setting", "kind", "unit")}
        assert {name: claim[name] for name in told} == told


def test_the_verdict_follows_from_the_numbers(claims: list[dict]) -> None:
    for claim in claims:
        (low, high), (first, last) = bounds(claim["predicted"]), bounds(claim["interval"])
        assert first <= claim["measured"] <= last, claim["id"]
        inside, outside = low <= first and last <= high, last < low or high < first
        assert claim["verdict"] == ("holds" if inside else "fails" if outside else "inconclusive"), claim["id"]


def test_a_range_of_our_own_that_can_hardly_be_missed_is_a_check(claims: list[dict]) -> None:
    """Of the other machines' intervals none is much narrower: twice the ten of the ledger's page."""
    for claim in claims:
        (low, high), (first, last) = bounds(claim["predicted"]), bounds(claim["interval"])
        if claim["kind"] == "claim" and claim["source"] == "our tolerance" and math.isfinite(high - low):
            assert high - low < 20 * (last - first), claim["id"]


@at("desk", "reference/ledger")
def test_every_claim_has_its_row_in_the_ledger(claims: list[dict], desk: Visit) -> None:
    rows = [" ".join(row.split()) for row in desk.page.locator("article tbody tr").all_inner_texts()]
    for claim in claims:
        mine = [row for row in rows if row.split()[0] == claim["id"]]
        assert len(mine) == 1, claim["id"]
        assert claim["verdict"] in mine[0]


def test_every_executed_page_has_its_seconds(book: Path) -> None:
    told = json.loads((book.parent / "execution.json").read_text(encoding="utf-8"))
    assert list(told["seconds"]) == EXECUTED
    assert all(seconds > 0 for seconds in told["seconds"].values())


def test_the_reference_names_the_whole_facade(book: Path) -> None:
    pages = [
        BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser") for page in book.glob("reference/api*.html")
    ]
    described = {term["id"].split(".")[-1] for page in pages for term in page.select("dt[id]")}
    assert set(mvtheory.__all__) <= described


@at("desk", "reference/reproducibility")
def test_the_record_of_the_full_mode_says_of_each_claim_whether_the_setting_has_changed_since(desk: Visit) -> None:
    file = ROOT / "book/reference/full.json"
    record = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    assert desk.page.get_by_text("None is recorded yet.").count() == (not record)
    for id, entry in record.items():
        claim = Claim.from_dict(entry["claim"])
        row = desk.page.locator(f"#full-{id}").inner_text()
        assert all(text in row for text in (claim.verdict, entry["date"], claim.measured.value_text))
        assert ("former setting" in row) == (entry["setting"] != repr(SETTING))


@pytest.mark.parametrize(("name", "ids"), list(QUOTED.items()))
def test_what_a_page_quotes_of_the_full_mode_is_the_record(book: Path, name: str, ids: list[str]) -> None:
    record = json.loads((ROOT / "book/reference/full.json").read_text(encoding="utf-8"))
    page = BeautifulSoup((book / f"{name}.html").read_text(encoding="utf-8"), "html.parser")
    quoted = re.findall(r"{full-claim}`(.+?)`", (ROOT / f"book/{name}.md").read_text(encoding="utf-8"))
    assert quoted == ids
    for id in ids:
        claim = Claim.from_dict(record[id]["claim"])
        numbers = f"{claim.measured.value_text} {claim.measured.interval_text} on {claim.measured.draws} data sets"
        assert f"{numbers}, verdict {claim.verdict}" in " ".join(page.get_text().split())


@at("desk", "reference/reproducibility")
def test_the_page_says_whether_a_gpu_has_recorded_anything(desk: Visit) -> None:
    none = not (ROOT / "book/reference/gpu.json").exists()
    assert desk.page.get_by_text("No run on a GPU is recorded yet.").count() == none
    assert desk.page.locator("#gpu-single, #gpu-speed-0").count() == 2 * (not none)


@pytest.mark.parametrize(
    ("mode", "id", "reason"), [("0", "single", "full mode is off"), ("1", "sngle", "no such claim: sngle")]
)
def test_what_cannot_be_recorded_is_refused_before_any_work(mode: str, id: str, reason: str) -> None:
    run = subprocess.run(
        [sys.executable, ROOT / "book/_ext/full_run.py", id],
        env={**os.environ, "MVTHEORY_FULL": mode},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert reason in run.stderr


@at("phone", "index")
def test_the_table_of_the_index_is_seen_whole_on_a_phone(phone: Visit) -> None:
    table = phone.page.locator("article table").first
    assert table.evaluate("table => table.scrollWidth <= table.parentElement.clientWidth")


@at("desk", "index")
def test_the_index_counts_the_verdicts_and_links_to_what_does_not_hold(desk: Visit, claims: list[dict]) -> None:
    counted = [claim for claim in claims if claim["kind"] == "claim"]
    lines = desk.page.locator("article li:has(strong)").all()
    for verdict, word in {"holds": " hold: ", "fails": " fail: ", "inconclusive": " cannot be told: "}.items():
        ids = [claim["id"] for claim in counted if claim["verdict"] == verdict]
        (line,) = [line for line in lines if f"{len(ids)} of {len(counted)}{word}" in line.inner_text()]
        assert line.locator("a").all_inner_texts() == ([] if verdict == "holds" else ids)
