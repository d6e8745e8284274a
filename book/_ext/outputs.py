"""What the chapters left behind when they ran: their notebooks, and checks that a page without its figures fails.

A figure is named by its cell: ``mystnb: {image: {alt: ...}}`` says that the cell draws one, and what it shows. Such a
cell without an image fails the build, and so does an image whose cell does not say what it shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from myst_nb.sphinx_ import NbMetadataCollector
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError

from execution import execution_cache, is_cached, read_notebook


def executed_notebooks(app: Sphinx) -> Iterator[tuple[str, NotebookNode]]:
    """Give the name and the executed notebook of every chapter, in the order of the table of contents.

    Yields
    ------
    tuple of str and NotebookNode
        The page's name, and the notebook with its outputs.
    """
    for docname in reading_order(app.env):
        if notebook := executed(app.env, docname):
            yield docname, notebook


@cache  # several extensions ask, after the execution
def executed(env: BuildEnvironment, docname: str) -> NotebookNode | None:
    """Read a notebook with its outputs; None for a page without code."""
    kept, notebook = execution_cache(env), read_notebook(env, docname)
    return kept.merge_match_into_notebook(notebook)[1] if notebook and is_cached(kept, notebook) else None


def reading_order(env: BuildEnvironment) -> list[str]:
    """Give the pages in the order of the table of contents."""
    order, left = [], [env.config.root_doc]
    while left:
        docname = left.pop(0)
        order.append(docname)
        left = env.toctree_includes.get(docname, []) + left
    return order


def images(cell: NotebookNode) -> int:
    """Count the images that a cell shows (a glued one is shown elsewhere and does not count)."""
    bundles = (output.get("data", {}) for output in cell.get("outputs", []))
    return sum(any(mime.startswith("image/") for mime in bundle) for bundle in bundles)


def describes_figure(cell: NotebookNode) -> bool:
    """Tell whether a cell says in words what its image shows."""
    return bool(cell.metadata.get("mystnb", {}).get("image", {}).get("alt"))


def check_figures(app: Sphinx, env: BuildEnvironment) -> None:
    """Stop the build where a figure is missing, or has no words for those who cannot see it."""
    faults = []
    for docname, notebook in executed_notebooks(app):
        for cell in notebook.cells:
            if describes_figure(cell) and not images(cell):
                faults.append(f"{docname}: a cell that describes a figure draws none:\n{cell.source}")
            if images(cell) and not describes_figure(cell):
                faults.append(f"{docname}: a cell draws a figure and has no mystnb: image: alt:\n{cell.source}")
    if faults:
        raise ExtensionError("\n\n".join(faults))


def write_first_figure(app: Sphinx, exception: Exception | None) -> None:
    """Write the first page's figure beside the pages, for the README (see `make figure`)."""
    notebook = executed(app.env, app.config.root_doc) if exception is None else None
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])] if notebook else []
    for figure in [output.data["image/svg+xml"] for output in outputs if "image/svg+xml" in output.get("data", {})][:1]:
        (Path(app.outdir).parent / "result.svg").write_text(figure.rstrip() + "\n", encoding="utf-8")


def rewrite_all(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Write every page again after an execution: any of them may quote its numbers."""
    return sorted(env.found_docs) if NbMetadataCollector.new_exec_data(env) else []


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("env-updated", check_figures)
    app.connect("env-updated", rewrite_all)
    app.connect("build-finished", write_first_figure)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
