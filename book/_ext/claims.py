"""Collect the claims that the chapters measured: ``_build/claims.json``, and the directive ``claims-ledger``.

A chapter shows a claim, and the claim's output carries it as data (`MIME`). This extension gathers them from the
executed chapters. The directive ``{claims-ledger}`` stands for the table of all of them, a row each, which links to the
chapter and has the identifier ``claim-<id>``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

from outputs import executed_notebooks
from page_tables import page_link, table

MIME = "application/vnd.mvtheory.claim+json"
FIELDS = ("id", "chapter", "statement", "predicted", "measured", "interval", "nets", "draws", "verdict", "seconds")


class LedgerNode(nodes.General, nodes.Element):
    """Stands where the ledger goes until every chapter has been read."""


class ClaimsLedger(SphinxDirective):
    """A table of every claim: predicted, measured, verdict."""

    def run(self) -> list[nodes.Node]:
        """Leave a place for the table."""
        return [LedgerNode()]


class FillLedger(SphinxPostTransform):
    """Put the table in its place."""

    default_priority = 8  # before references are resolved, which starts at 9

    def run(self, **kwargs: Any) -> None:
        """Replace each placeholder by the ledger."""
        for place in list(self.document.findall(LedgerNode)):
            place.replace_self(ledger(self.app, self.env.docname))


def collect(app: Sphinx) -> list[tuple[str, dict[str, Any]]]:
    """Gather the page and the data of every claim, in the order of the table of contents."""
    return [
        (docname, output.data[MIME])
        for docname, notebook in executed_notebooks(app)
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if MIME in output.get("data", {})
    ]


def check_claims(app: Sphinx, env: BuildEnvironment) -> None:
    """Stop the build where a claim lacks a field, or two share an identifier."""
    homes: dict[str, str] = {}
    for docname, claim in collect(app):
        if missing := [field for field in FIELDS if field not in claim]:
            raise ExtensionError(f"{docname}: the claim {claim.get('id')!r} lacks {', '.join(missing)}")
        if claim["id"] in homes:
            raise ExtensionError(f"the claim {claim['id']!r} is made twice: in {homes[claim['id']]} and in {docname}")
        homes[claim["id"]] = docname


def ledger(app: Sphinx, here: str) -> nodes.table:
    """Make the table of all claims."""
    header = ["claim", "statement", "predicted", "measured [95 % interval]", "nets", "draws", "verdict", "chapter"]
    rows = {}
    for docname, claim in collect(app):
        rows[f"claim-{claim['id']}"] = [
            nodes.literal(text=claim["id"]),
            claim["statement"],
            interval(claim["predicted"]),
            f"{number(claim['measured'])} {interval(claim['interval'])}",
            str(claim["nets"]),
            str(claim["draws"]),
            claim["verdict"],
            page_link(app.env, here, docname),
        ]
    return table(header, rows, classes=["claims-ledger"])


def number(value: float | None) -> str:
    """Write a number as the ledger shows it, an open end as infinity."""
    return "∞" if value is None else f"{value:.3g}".replace("-", "−").replace("inf", "∞")


def interval(bounds: list[float | None]) -> str:
    """Write an interval; an end that JSON cannot hold is ``null`` there and is open."""
    low, high = bounds
    return f"[{'−∞' if low is None else number(low)}, {number(high)}]"


def write_claims(app: Sphinx, exception: Exception | None) -> None:
    """Write ``claims.json`` beside the pages."""
    if exception is None:
        claims = [{field: claim[field] for field in FIELDS} for _, claim in collect(app)]
        text = json.dumps({"claims": claims}, indent=2, ensure_ascii=False, allow_nan=False)
        (Path(app.outdir).parent / "claims.json").write_text(text + "\n", encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_node(LedgerNode)
    app.add_directive("claims-ledger", ClaimsLedger)
    app.add_post_transform(FillLedger)
    app.connect("env-updated", check_claims)
    app.connect("build-finished", write_claims)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
