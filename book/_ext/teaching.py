"""Pages for lecturers, made from the chapters: slides and a handout, with templates of their own.

A page whose front matter has ``template: slides.html`` is written by this template of ``_ext/templates``, in no list of
contents and in no search. Such pages quote glued values as any other; a figure of a chapter is shown again by its name:

.. code-block:: md

   ```{figure-of} fig-error-table
   ```

The directive ``for-lecturers`` is the line that leads to them and to the files of the extension ``printing``.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any, cast

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.domains.std import StandardDomain
from sphinx.errors import ExtensionError
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

FILES = ("slides.css", "slides.js", "handout.css", "one-page.css")
MARKS = "<!--for lecturers-->", "<!--end-->"
PLACE = re.compile(f"(?<={re.escape(MARKS[0])}).*?(?={re.escape(MARKS[1])})")


class FigureOfNode(nodes.General, nodes.Element):
    """Stands where a picture goes until every chapter has been read."""


class FigureOf(SphinxDirective):
    """The picture of a figure of another page, with its text alternative."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Leave a place for it."""
        return [FigureOfNode(name=self.arguments[0])]


class ForLecturers(SphinxDirective):
    """The line of links to slides, handout and the whole book."""

    def run(self) -> list[nodes.Node]:
        """Leave a place that is filled when it is known which of them there are."""
        return [nodes.raw("", f"<p>{''.join(MARKS)}</p>", format="html")]


class FillFigures(SphinxPostTransform):
    """Put the pictures in their places."""

    default_priority = 3  # before MyST-NB chooses among the formats of an output, which is at 4

    def run(self, **kwargs: Any) -> None:
        """Replace each placeholder by the picture."""
        for place in list(self.document.findall(FigureOfNode)):
            place.replace_self(self.picture(place["name"]))

    def picture(self, name: str) -> nodes.image:
        """Find the picture of a figure by the figure's name."""
        labels = cast(StandardDomain, self.env.get_domain("std")).anonlabels
        docname, target = labels.get(name, ("", ""))[:2]
        chapter = self.env.get_doctree(docname) if docname else nodes.Element()
        for figure in chapter.findall(nodes.figure):
            for image in figure.findall(nodes.image) if target in figure["ids"] else ():
                return image.deepcopy()
        raise ExtensionError(f"{self.env.docname}: no figure with a picture has the name {name!r}")


def choose_template(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: nodes.document | None
) -> str | None:
    """Name the template that a page asks for."""
    return app.env.metadata.get(pagename, {}).get("template")


def copy(app: Sphinx) -> None:
    """Copy styles and script into the built book."""
    if app.builder.format == "html":
        target = Path(app.outdir) / "_static/offline"
        target.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            shutil.copyfile(Path(app.srcdir) / "_offline" / name, target / name)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_node(FigureOfNode)
    app.add_directive("figure-of", FigureOf)
    app.add_directive("for-lecturers", ForLecturers)
    app.add_post_transform(FillFigures)
    app.connect("builder-inited", copy)
    app.connect("html-page-context", choose_template, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
