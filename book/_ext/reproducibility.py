"""Say on what the book was computed, and how long it took: ``_build/execution.json`` and ``{reproducibility}``.

The directive ``{reproducibility}`` stands for two tables: the seconds of each chapter, and the machine with the
versions of what the package depends on.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import tomllib
from pathlib import Path
from typing import Any

from docutils import nodes
from myst_nb.sphinx_ import NbMetadataCollector
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

from outputs import executed_notebooks
from page_tables import page_link, table


class ReproducibilityNode(nodes.General, nodes.Element):
    """Stands where the tables go until every chapter has been read."""


class Reproducibility(SphinxDirective):
    """Seconds of each chapter, machine and versions."""

    def run(self) -> list[nodes.Node]:
        """Leave a place for the tables."""
        return [ReproducibilityNode()]


class FillReproducibility(SphinxPostTransform):
    """Put the tables in their place."""

    default_priority = 8  # before references are resolved, which starts at 9

    def run(self, **kwargs: Any) -> None:
        """Replace each placeholder by the two tables."""
        for place in list(self.document.findall(ReproducibilityNode)):
            seconds = {
                f"seconds-{nodes.make_id(docname)}": [page_link(self.env, self.env.docname, docname), f"{value:.1f}"]
                for docname, value in chapter_seconds(self.app).items()
            }
            surroundings = {f"on-{nodes.make_id(name)}": [name, value] for name, value in machine().items()}
            place.replace_self([table(["chapter", "seconds"], seconds), table(["what", "value"], surroundings)])


def chapter_seconds(app: Sphinx) -> dict[str, float]:
    """Give the seconds that each chapter's execution took, by its page."""
    return {
        docname: NbMetadataCollector.get_exec_data(app.env, docname)["runtime"]
        for docname, _ in executed_notebooks(app)
    }


def machine() -> dict[str, str]:
    """Describe the machine of this build and the versions of what the package depends on."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = [re.split(r"[^\w.-]", line)[0] for line in project["dependencies"]]
    return {
        "processor": f"{processor()}, {os.cpu_count()} cores",
        "threads a chapter": os.environ["OMP_NUM_THREADS"],
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        project["name"]: project["version"],
    } | {name: importlib.metadata.version(name) for name in names}


def processor() -> str:
    """Name the processor, as Linux tells it, or the architecture elsewhere."""
    info = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else None
    return named[1] if named else platform.processor() or platform.machine()


def write_execution(app: Sphinx, exception: Exception | None) -> None:
    """Write ``execution.json`` beside the pages."""
    if exception is None:
        told = {"machine": machine(), "seconds": chapter_seconds(app)}
        (Path(app.outdir).parent / "execution.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_node(ReproducibilityNode)
    app.add_directive("reproducibility", Reproducibility)
    app.add_post_transform(FillReproducibility)
    app.connect("build-finished", write_execution)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
