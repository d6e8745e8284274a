"""Record what a build in full mode measured, and show it: ``book/reference/full.json`` and ``{full-run}``.

``python book/_ext/full_run.py`` keeps the claims of the last build that rest on more data sets than a usual build has,
with the date, the machine and the settings. The directive shows the record beside what this build measured, and says
which settings have changed since.
"""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from page_tables import table

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "book/reference/full.json"
USUAL = 10  # data sets of a usual build, at most


class FullRun(SphinxDirective):
    """The recorded claims, with date and machine."""

    def run(self) -> list[nodes.Node]:
        """Return a sentence and a table."""
        from mvtheory.claims import Claim, table_cells  # here, so that a build without news does not wait for torch
        from mvtheory.experiments import settings

        for file in (RECORD, settings.__file__):
            self.env.note_dependency(str(file))
        if not RECORD.exists():
            return [nodes.paragraph(text="None is recorded yet.")]
        record = json.loads(RECORD.read_text(encoding="utf-8"))
        rows = {}
        for fields in record["claims"]:
            claim = Claim.from_dict(fields)
            numbers = table_cells(claim)[:-1]
            rows[f"full-{claim.id}"] = [nodes.literal(text=claim.id), claim.verdict, *numbers]
        told = f"Recorded on {record['date']}, {record['processor']}."
        if record["settings"] != _settings():
            told += " Since then the setting of the book changed: what rests on it was measured in the former one."
        when = nodes.paragraph(text=told)
        return [when, table(["claim", "verdict", "predicted", "measured [95% interval]", "nets", "data sets"], rows)]


def _settings() -> dict[str, str]:
    """Return the setting of the book's nets, in words."""
    from mvtheory.experiments.settings import SETTING

    return {"the book": repr(SETTING)}


def record() -> None:
    """Write the record from the last build."""
    claims = json.loads((ROOT / "_build/claims.json").read_text(encoding="utf-8"))["claims"]
    machine = json.loads((ROOT / "_build/execution.json").read_text(encoding="utf-8"))["machine"]
    kept = [fields for fields in claims if fields["draws"] > USUAL]
    if not kept:
        raise SystemExit("the last build was not in full mode: run `make full`")
    told = {
        "date": datetime.date.today().isoformat(),
        "processor": machine["processor"],
        "settings": _settings(),
        "claims": kept,
    }
    RECORD.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_directive("full-run", FullRun)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    record()
