"""Show what `benchmarks/gpu.py` recorded on a GPU in ``book/reference/gpu.json``, or say that there is no record."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from page_tables import table

RECORD = Path(__file__).parents[2] / "book/reference/gpu.json"


class GpuRun(SphinxDirective):
    """The recorded errors and times, with machine and date."""

    def run(self) -> list[nodes.Node]:
        """Return a sentence and two tables, or a sentence alone."""
        from mvtheory.experiments import settings  # here, so that a build without news does not wait for torch

        for file in (RECORD, settings.__file__):
            self.env.note_dependency(str(file))
        if not RECORD.exists():
            return [nodes.paragraph(text="No run on a GPU is recorded yet.")]
        record = json.loads(RECORD.read_text(encoding="utf-8"))
        return [nodes.paragraph(text=source(record, repr(settings.SETTING))), *errors(record), *speeds(record)]


def source(record: Mapping[str, Any], setting: str) -> str:
    """Say when and where the record was made, and whether the book had another setting then."""
    said = f"Recorded on {record['date']}: {record['machine']}, PyTorch {record['torch']}."
    return said if record["book's setting"] == setting else f"{said} The book's setting was another one then."


def errors(record: Mapping[str, Any]) -> list[nodes.Node]:
    """Return the table of errors: a method in each row, mean over its nets."""
    columns = {"book's setting": record.get("setting", {}), "plain": record.get("plain", {}).get("test", {})}
    columns |= {f"stacked, {name}": part for name, part in record.get("stacked", {}).items()}
    methods = dict.fromkeys(method for column in columns.values() for method in column)
    rows = {
        f"gpu-{method.replace(' ', '-')}": [method, *(_mean(column.get(method, [])) for column in columns.values())]
        for method in methods
    }
    return [table(["error (nets or data sets)", *columns], rows)] if rows else []


def _mean(values: Sequence[float]) -> str:
    return f"{sum(values) / len(values):.4f} ({len(values)})" if values else "–"


def speeds(record: Mapping[str, Any]) -> list[nodes.Node]:
    """Return the table of training steps."""
    rows = {}
    for number, entry in enumerate(record.get("speed", [])):
        times = entry["seconds"]
        share = times["matrix products"] / times["mvtheory"]
        sizes = ", ".join(f"{name} = {entry[name]}" for name in ("k", "m", "d", "P", "N", "L"))
        rows[f"gpu-speed-{number}"] = [sizes, *(f"{1e3 * s:.2f}" for s in times.values()), f"{share:.0%}"]
    head = ["size of a step", "mvtheory (ms)", "torch.func.vmap (ms)", "products alone (ms)", "share of the products"]
    return [table(head, rows)] if rows else []


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_directive("gpu-run", GpuRun)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
