"""Search by section, from the disk as well as over http.

Sphinx ranks whole pages, and fetches each of them for an excerpt, which a browser refuses from the disk. Here the text
of every section is a script of the results page, and ``_static/search.js`` ranks and quotes it. A section is found by
its text, its title, its main entries of the index (those with an exclamation mark, and terms of the glossary), and the
symbols that head the rows of its tables.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.domains.index import IndexDomain
from sphinx.search.en import SearchEnglish

QUESTION_WORDS = """
about am any can could did do does from had has have how i me my need our should so than them us use we what when where
which who whose why would you your
"""
LEFT_OUT = ".headerlink, script, style, .cell_input, div.math, .widget-subarea, dt.sig"


class English(SearchEnglish):
    """English, in which a question is asked by its other words."""

    stopwords = SearchEnglish.stopwords | set(QUESTION_WORDS.split())


def write_sections(app: Sphinx, exception: Exception | None) -> None:
    """Write the text of all sections as a script."""
    if exception or app.builder.format != "html":
        return
    pages = [page for page in sorted(app.env.found_docs) if "nosearch" not in app.env.metadata[page]]
    sections = [list(section) for page in pages for section in page_sections(app, page)]
    text = json.dumps(sections, ensure_ascii=False, separators=(",", ":"))
    (Path(app.outdir) / "_static/sections.js").write_text(f"const SECTIONS = {text};\n", encoding="utf-8")


def page_sections(app: Sphinx, page: str) -> Iterator[tuple[str, str, str, str, str]]:
    """Give the sections of a built page, innermost first.

    Yields
    ------
    tuple of str
        Page, fragment, title, keywords and text. The fragment is empty for the page as a whole.
    """
    html = (Path(app.outdir) / app.builder.get_target_uri(page)).read_text(encoding="utf-8")
    article = BeautifulSoup(html, "html.parser").select_one("article.bd-article")
    assert article, page
    for part in article.select(LEFT_OUT):
        part.decompose()
    for formula in article.select(".math"):
        formula.string = plain(formula.get_text())
    entries = main_entries(app, page)
    title = plain_text(article.h1)
    for heading in reversed(article.select("section[id] > :is(h1, h2, h3, h4, h5, h6)")):
        section = heading.parent
        assert section  # by the selector
        section.extract()
        own, whole = plain_text(heading), heading.name == "h1"
        ids = {element["id"] for element in section.select("[id]")}
        keywords = [entry for target, entry in entries.items() if target in ids]
        keywords += [symbol.get_text() for symbol in section.select("tr > td:first-child .math")]
        heading.extract()
        name = title if whole else f"{title} > {own}"
        yield page, "" if whole else f"#{section['id']}", name, " ".join(keywords), plain_text(section)


def main_entries(app: Sphinx, page: str) -> dict[str, str]:
    """Give the main entries of the index that a page has, by their place in it."""
    domain = app.env.get_domain("index")
    assert isinstance(domain, IndexDomain)
    found: dict[str, str] = {}
    for _, text, target, main, _ in domain.entries.get(page, []):
        if main:
            found[target] = f"{found.get(target, '')} {text}"
    return found


def plain_text(element: Any) -> str:
    """Give the text of an element, in one line."""
    return " ".join(element.get_text(" ").split()) if element else ""


def plain(tex: str) -> str:
    """Write a short formula as text: Greek letters for their commands, no braces."""
    tex = re.sub(r"\\[()\[\]]|\\(?:math|text)[a-z]+|\\(?:left|right|widetilde|tilde|hat|bar)\b", "", tex)
    tex = re.sub(r"\\(?:var)?([A-Za-z]+)", lambda command: greek(command[1]), tex)
    return re.sub(r"[\\{}]", "", tex)


def greek(name: str) -> str:
    """Give the letter of this name; the name itself if there is none."""
    case = "CAPITAL" if name[0].isupper() else "SMALL"
    try:
        return unicodedata.lookup(f"GREEK {case} LETTER {name.replace('ambda', 'amda').upper()}")
    except KeyError:
        return name


def add_sections(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: nodes.document) -> None:
    """Load the sections on the results page, before search.js.

    Sphinx would add a hash of what the last build wrote, and two builds would differ.
    """
    if pagename == "search":
        source = context["pathto"]("_static/sections.js", resource=True)
        context["metatags"] = f'{context.get("metatags", "")}\n<script src="{source}"></script>'


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_search_language(English)
    app.connect("html-page-context", add_sections)
    app.connect("build-finished", write_sections)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
