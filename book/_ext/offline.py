"""Serve mathematics and widgets from the book itself, so that a page needs no other host and no server.

MathJax comes from the package ``sphinx-mathjax-offline`` (its useful tenth: one output format, its fonts, the TeX
extensions), the Jupyter widgets from ``widgetsnbextension``, driven by ``_offline/widgets.js``. MyST-NB puts the latter
only on pages that have widgets.
"""

from __future__ import annotations

import importlib.metadata
import shutil
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

MATHJAX = ("tex-chtml.js", "output/chtml/fonts/woff-v2", "input/tex/extensions")


def installed(distribution: str, path: str) -> Path:
    """Find a file or folder of an installed distribution."""
    return Path(str(importlib.metadata.distribution(distribution).locate_file(path)))


def configure(app: Sphinx, config: Config) -> None:
    """Point Sphinx and MyST-NB to the book's own copies (paths are relative to ``_static``)."""
    config.mathjax_path = "mathjax/tex-chtml.js"
    config.nb_ipywidgets_js = {"offline/widgets.js": {"defer": "defer"}}


def copy(app: Sphinx) -> None:
    """Copy the scripts and fonts into the built book."""
    if app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    for part in MATHJAX:
        place(
            installed("sphinx-mathjax-offline", f"sphinx-mathjax-offline/static/mathjax/{part}"),
            static / "mathjax" / part,
        )
    place(installed("widgetsnbextension", "widgetsnbextension/static/extension.js"), static / "offline/bundle.js")
    place(Path(app.srcdir) / "_offline/widgets.js", static / "offline/widgets.js")


def place(source: Path, target: Path) -> None:
    """Copy a file or a folder over whatever was there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, target)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("config-inited", configure)
    app.connect("builder-inited", copy)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
