"""Collect the claims that the chapters measured: ``_build/claims.json``, and the directive ``claims-ledger``.

A chapter shows a claim, and the claim's output carries it as data (`MIME`). This extension gathers them from the
executed chapters. The directive ``{claims-ledger}`` stands for the table of all of them, a row each, which links to the
chapter and has the anchor ``claim-<id>``. ``{claims-summary}`` counts the verdicts, and links to what does not hold.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

from outputs import executed_notebooks
from page_tables import page_link, table

MIME = "application/vnd.mvtheory.claim+json"
VERDICTS = {
    "holds": "hold: the interval lies inside the predicted range",
    "fails": "fail: it lies outside",
    "inconclusive": "cannot be told: it straddles an end",
}


class LedgerNode(nodes.General, nodes.Element):
    """Stands where the ledger goes until every chapter has been read."""


class ClaimsLedger(SphinxDirective):
    """A table of every claim: predicted, measured, verdict."""

    def run(self) -> list[nodes.Node]:
        """Leave a place for the table."""
        return [LedgerNode()]


class SummaryNode(nodes.General, nodes.Element):
    """Stands where the count of the verdicts goes."""


class ClaimsSummary(SphinxDirective):
    """How many claims hold, fail, or cannot be told; with links to those that do not hold, or if brief, that fail."""

    option_spec: ClassVar = {"brief": directives.flag}

    def run(self) -> list[nodes.Node]:
        """Leave a place for the list."""
        return [SummaryNode(brief="brief" in self.options)]


class FillLedger(SphinxPostTransform):
    """Put the table and the count in their places."""

    default_priority = 8  # before references are resolved, which starts at 9

    def run(self, **kwargs: Any) -> None:
        """Replace each placeholder by the ledger."""
        for place in list(self.document.findall(LedgerNode)):
            place.replace_self(ledger(self.app, self.env.docname))
        for place in list(self.document.findall(SummaryNode)):
            place.replace_self(summary(self.app, self.env.docname, place["brief"]))


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
    """Stop the build where a claim is not whole, or two share an identifier."""
    from mvtheory.claims import Claim  # here, so that a build without news does not wait for torch

    homes: dict[str, str] = {}
    for docname, fields in collect(app):
        try:
            name = Claim.from_dict(fields).id
        except ValueError as error:
            raise ExtensionError(f"{docname}: {error}") from error
        if name in homes:
            raise ExtensionError(f"the claim {name!r} is made twice: in {homes[name]} and in {docname}")
        homes[name] = docname


def ledger(app: Sphinx, here: str) -> nodes.table:
    """Make the table of all claims."""
    from mvtheory.claims import Claim, table_cells

    header = [
        "claim",
        "statement",
        "verdict",
        "predicted",
        "measured [95% interval]",
        "nets",
        "data sets",
        "range from",
        "setting",
        "kind",
    ]
    rows = {}
    for docname, fields in collect(app):
        claim = Claim.from_dict(fields)
        link = page_link(app.env, here, docname, nodes.literal(text=claim.id))
        *numbers, verdict = table_cells(claim)
        rows[f"claim-{claim.id}"] = [link, claim.statement, verdict, *numbers, claim.source, claim.setting, claim.kind]
    return table(header, rows, classes=["claims-ledger"])


def summary(app: Sphinx, here: str, brief: bool) -> nodes.bullet_list:
    """Make a list of the verdicts: how many claims have each, and which do not hold. Checks are no claims.

    A brief one names those that fail alone.
    """
    claims = [(docname, fields) for docname, fields in collect(app) if fields["kind"] == "claim"]
    made = nodes.bullet_list()
    for verdict, words in VERDICTS.items():
        some = [(docname, fields["id"]) for docname, fields in claims if fields["verdict"] == verdict]
        line = nodes.paragraph("", "", nodes.strong(text=f"{len(some)} of {len(claims)}"), nodes.Text(f" {words}"))
        for i, (docname, id) in enumerate(some if verdict == "fails" or (verdict != "holds" and not brief) else []):
            line += nodes.Text(", " if i else ": ")
            line += page_link(app.env, here, docname, nodes.literal(text=id))
        made += nodes.list_item("", line)
    return made


def write_claims(app: Sphinx, exception: Exception | None) -> None:
    """Write ``claims.json`` beside the pages."""
    if exception is None:
        text = json.dumps(
            {"claims": [fields for _, fields in collect(app)]}, indent=2, ensure_ascii=False, allow_nan=False
        )
        (Path(app.outdir).parent / "claims.json").write_text(text + "\n", encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_node(LedgerNode)
    app.add_node(SummaryNode)
    app.add_directive("claims-ledger", ClaimsLedger)
    app.add_directive("claims-summary", ClaimsSummary)
    app.add_post_transform(FillLedger)
    app.connect("env-updated", check_claims)
    app.connect("build-finished", write_claims)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
