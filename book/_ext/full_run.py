"""Record what claims measure in full mode, and show it: ``book/reference/full.json`` and ``{full-run}``.

``MVTHEORY_FULL=1 python book/_ext/full_run.py single law`` measures these claims, or all of them where none is named,
on five times the data sets, and keeps each with the date, the machine and the setting. ``--first 10`` takes the first
ten of the book's data sets in place of all. Nets that are on disk are not trained anew. The directive shows the record,
and says of each claim whether the setting has changed since; the role ``{full-claim}`single``` quotes one of it.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from docutils import nodes
from reproducibility import processor
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole

from page_tables import table

RECORD = Path(__file__).parents[2] / "book/reference/full.json"


class FullRun(SphinxDirective):
    """The recorded claims, each with its date."""

    def run(self) -> list[nodes.Node]:
        """Return a sentence and a table."""
        from mvtheory.claims import Claim, table_cells  # here, so that a build without news does not wait for torch
        from mvtheory.experiments import settings

        for file in (RECORD, settings.__file__):
            self.env.note_dependency(str(file))
        rows, machines = {}, set()
        for id, entry in _read().items():
            claim = Claim.from_dict(entry["claim"])
            numbers = table_cells(claim)[:-1]
            when = entry["date"] if entry["setting"] == repr(settings.SETTING) else f"{entry['date']}, former setting"
            rows[f"full-{id}"] = [nodes.literal(text=id), claim.verdict, *numbers, when]
            machines.add(entry["processor"])
        if not rows:
            return [nodes.paragraph(text="None is recorded yet.")]
        head = ["claim", "verdict", "predicted", "measured [95% interval]", "nets", "data sets", "recorded"]
        return [nodes.paragraph(text=f"Recorded on: {'; '.join(sorted(machines))}."), table(head, rows)]


class FullClaim(SphinxRole):
    """What one claim of the record measured, and its verdict."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return value, interval, data sets and verdict, or an error where the setting has none."""
        from mvtheory.experiments import settings

        for file in (RECORD, settings.__file__):
            self.env.note_dependency(str(file))
        try:
            said, verdict = quoted(self.text)
        except LookupError as error:
            return [], [self.inliner.reporter.error(str(error), line=self.lineno)]
        return [nodes.inline(text=said), nodes.emphasis(text=verdict)], []


def quoted(id: str) -> tuple[str, str]:
    """Return what the record says of a claim, up to its verdict, and the verdict.

    Raises
    ------
    LookupError
        If it says nothing of the claim in the book's setting.
    """
    from mvtheory.claims import Claim
    from mvtheory.experiments.settings import SETTING

    entry = _read().get(id)
    if entry is None or entry["setting"] != repr(SETTING):
        raise LookupError(f"book/reference/full.json has nothing of {id} in this setting: make full CLAIMS={id}")
    claim = Claim.from_dict(entry["claim"])
    measured = claim.measured
    assert measured is not None  # a record holds measured claims only
    said = f"{measured.value_text} {measured.interval_text} on {measured.draws} data sets, verdict "
    return said, str(claim.verdict)


def record(ids: Sequence[str], first: int | None) -> None:
    """Measure claims on the first data sets, or all; write them into the record one by one, so that none is lost."""
    from mvtheory.experiments import measure
    from mvtheory.experiments.base import DRAWS, FULL
    from mvtheory.experiments.predictions import CLAIMS
    from mvtheory.experiments.settings import SETTING

    if not FULL:
        raise SystemExit("full mode is off: set the environment variable MVTHEORY_FULL to 1")
    if unknown := [id for id in ids if id not in CLAIMS]:
        raise SystemExit(f"no such claim: {', '.join(unknown)}; see python -m mvtheory --list")
    for id in ids or CLAIMS:
        claim = measure(id, **({} if first is None else {"draws": DRAWS[:first]}))
        print(claim, flush=True)
        entry = {
            "date": datetime.date.today().isoformat(),
            "processor": f"{processor()}, {os.cpu_count()} cores",
            "setting": repr(SETTING),
            "claim": claim.as_dict(),
        }
        kept = _read() | {id: entry}
        RECORD.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _read() -> dict[str, Any]:
    """Return the recorded claims by id."""
    return json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_directive("full-run", FullRun)
    app.add_role("full-claim", FullClaim())
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("claims", nargs="*")
    parser.add_argument("--first", type=int, metavar="N", help="number of data sets")
    options = parser.parse_args()
    record(options.claims, options.first)
