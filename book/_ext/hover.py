"""Show what a citation or a term of the glossary means, when the mouse or the keyboard is on it, without a network.

The texts are those of the bibliography and the glossary. They lie in a script, since a page that is read from the disk
may fetch nothing; ``_offline/hover.js`` shows them.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup, Tag
from docutils import nodes
from sphinx.application import Sphinx

from search import plain, plain_text

# Pages, and where the text of an entry is.
TERMS, WORKS = "reference/glossary", "reference/bibliography"
LINKED = re.compile(r'<a [^>]*href="(?:[^"]*glossary\.html)?#term-|<a [^>]*href="[^"]*bibliography\.html#')


def texts(app: Sphinx) -> dict[str, str]:
    """Give the text of each entry, by the end of the links to it."""
    found = {}
    for page, entries in {TERMS: "dl.glossary dt[id]", WORKS: "div.citation[id], dt[id]"}.items():
        if page not in app.env.found_docs:
            continue
        html = (Path(app.outdir) / app.builder.get_target_uri(page)).read_text(encoding="utf-8")
        for entry in BeautifulSoup(html, "html.parser").select(f"article :is({entries})"):
            found[f"{page.split('/')[-1]}.html#{entry['id']}"] = text_of(entry)
    return found


def text_of(entry: Tag) -> str:
    """Write an entry as plain text: of a term what it means, of a work how it is cited."""
    said = entry.find_next_sibling("dd") if entry.name == "dt" else entry
    said = said or entry
    for part in said.select(".headerlink, .label, .backrefs"):
        part.decompose()
    for formula in said.select(".math"):
        formula.string = plain(formula.get_text())
    return re.sub(r"\s+([,.;:)])", r"\1", plain_text(said))


def write(app: Sphinx, exception: Exception | None) -> None:
    """Write the script with its texts."""
    if exception or app.builder.format != "html":
        return
    known = json.dumps(texts(app), ensure_ascii=False, indent=0, sort_keys=True)
    script = (Path(app.srcdir) / "_offline/hover.js").read_text(encoding="utf-8")
    file = Path(app.outdir) / "_static/offline/hover.js"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"const HOVER = {known};\n{script}", encoding="utf-8")


def load(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: nodes.document) -> None:
    """Let a page with such links load it, by a tag of its own: Sphinx would add a hash of what the last build wrote."""
    if LINKED.search(context.get("body", "")):
        source = context["pathto"]("_static/offline/hover.js", resource=True)
        context["metatags"] = f'{context.get("metatags", "")}\n<script defer src="{source}"></script>'


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("html-page-context", load)
    app.connect("build-finished", write)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
