"""Put the lab into pages: the directive ``lab``, and its script and style, which pages with a lab load.

The directive ``lab-questions`` lists :data:`mvtheory.lab.questions.QUESTIONS`, each with a folded answer.

.. code-block:: md

   ```{lab} plain ReLU
   :inputs: q sigma_0 seed
   :panels: race errors
   ```

The argument is a preset; without one the lab begins with the first. The options name the numbers that may be
changed, the charts that are shown and the buttons, all of them by default (``:phases: train, next generation``). With
``:address:`` the page's address holds the setting.
"""

from __future__ import annotations

import json
import runpy
from html import escape
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

SOURCE = Path(__file__).parents[2] / "mvtheory/lab"
MARK = 'data-lab="'


class Lab(SphinxDirective):
    """A lab, with its configuration as JSON in the page."""

    optional_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar[dict[str, Any]] = {
        "inputs": str.split,
        "panels": str.split,
        "phases": lambda text: [phase.strip() for phase in text.split(",")],
        "address": directives.flag,
    }

    def run(self) -> list[nodes.Node]:
        """Leave an element that the script fills."""
        from mvtheory.lab.setting import PRESETS, page  # imports torch: only where a page is read

        self.env.note_dependency(str(SOURCE / "setting.py"))
        name = self.arguments[0] if self.arguments else next(iter(PRESETS))
        if name not in PRESETS:
            raise self.error(f"the preset of a lab must be one of {', '.join(PRESETS)}; got {name}")
        parts = {key: self.options[key] for key in ("inputs", "panels", "phases") if key in self.options}
        try:
            config = page(PRESETS[name], **parts, address="address" in self.options)
        except ValueError as error:
            raise self.error(str(error)) from error
        words = "The lab runs in the page: it needs JavaScript."
        return [nodes.raw("", f'<div {MARK}{escape(json.dumps(config))}"><p>{words}</p></div>', format="html")]


class LabQuestions(SphinxDirective):
    """Questions to answer by playing, with the steps and what is seen, folded."""

    def run(self) -> list[nodes.Node]:
        """Write them in Markdown, and read that."""
        from mvtheory.lab.questions import QUESTIONS

        self.env.note_dependency(str(SOURCE / "questions.py"))
        boxes = [
            f":::{{admonition}} {number}. {question.text}\n:class: dropdown lab-question\n{question}\n:::\n"
            for number, question in enumerate(QUESTIONS, 1)
        ]
        return self.parse_text_to_nodes("\n".join(boxes))


def copy(app: Sphinx) -> None:
    """Copy script and style into the built book."""
    if app.builder.format != "html":
        return
    target = Path(app.outdir) / "_static/offline"
    target.mkdir(parents=True, exist_ok=True)
    script = runpy.run_path(str(SOURCE / "script.py"))["script"]()  # without the package, which imports torch
    (target / "lab.js").write_text(script, encoding="utf-8")
    (target / "lab.css").write_bytes((SOURCE / "lab.css").read_bytes())


def load(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: nodes.document) -> None:
    """Let a page with a lab load them."""
    if MARK in context.get("body", ""):
        app.add_css_file("offline/lab.css")
        app.add_js_file("offline/lab.js")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_directive("lab", Lab)
    app.add_directive("lab-questions", LabQuestions)
    app.connect("builder-inited", copy)
    app.connect("html-page-context", load)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
