"""Drawings inside the page, which take its colours, light and dark: the directive ``drawing``, the role ``glyph``.

.. code-block:: md

   ```{drawing} car
   :name: fig-car

   **Three pictures of a car.** The caption.
   ```

The argument is the name of a file in ``_static/drawings``, whose title and description are its words for those who
cannot see it. A glyph is a small drawing in a line, beside the word that says it: screen readers pass over it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole

FOLDER = Path(__file__).parents[1] / "_static/drawings"


def read(name: str) -> str:
    """Read a drawing on one line."""
    file = FOLDER / f"{name}.svg"
    if not file.is_file():
        known = ", ".join(sorted(path.stem for path in FOLDER.glob("*.svg")))
        raise ValueError(f"a drawing must be one of {known}; got {name}")
    return " ".join(file.read_text(encoding="utf-8").split())


class Drawing(SphinxDirective):
    """A figure with a drawing and a caption."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {"name": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """Make a figure as any other, numbered where it has a name."""
        name = self.arguments[0]
        try:
            svg = read(name)
        except ValueError as error:
            raise self.error(str(error)) from error
        self.env.note_dependency(str(FOLDER / f"{name}.svg"))
        for part in ("title", "desc"):
            svg = svg.replace(f"<{part}>", f'<{part} id="{name}-{part}">')
        words = f'role="img" aria-labelledby="{name}-title {name}-desc"'
        figure = nodes.figure()
        figure += nodes.raw("", svg.replace("<svg", f'<svg class="drawing" {words}', 1), format="html")
        self.add_name(figure)
        holder = nodes.Element()
        self.state.nested_parse(self.content, self.content_offset, holder)
        if holder.children:
            figure += nodes.caption("", "", *holder[0].children)
        return [figure]


class Glyph(SphinxRole):
    """A small drawing in a line of text."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Put the drawing into the line."""
        try:
            svg = read(self.text)
        except ValueError as error:
            return [], [self.inliner.reporter.error(str(error), line=self.lineno)]
        bare = re.sub(r"<title>.*?</title> *", "", svg)
        html = bare.replace("<svg", '<svg class="glyph" aria-hidden="true"', 1)
        return [nodes.raw("", html, format="html")], []


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_directive("drawing", Drawing)
    app.add_role("glyph", Glyph())
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
