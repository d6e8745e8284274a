"""The script of the lab: its three files as one, for pages and notebooks."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["FOLDER", "script"]

#: Where the files are.
FOLDER = Path(__file__).parent

#: A comment that has its lines for itself.
COMMENT = re.compile(r"^ *(/\*.*?\*/|//[^\n]*)\n", re.MULTILINE | re.DOTALL)


def script() -> str:
    """Return one classic script, since a page on a disk can load no modules; without comments, which a third of it are.

    Returns
    -------
    str
        Defines ``multiViewLab``, which puts a lab into an element, and labs where a page has some.
    """
    names = ("charts.js", "engine.js", "lab.js")
    return COMMENT.sub("", "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in names))
