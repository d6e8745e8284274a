"""Mend the HTML that other extensions write, where it misleads screen readers."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

TABLE = re.compile(
    r'<div class="pst-scrollable-table-container">(?=\s*<table(?:(?!</table>).)*?<thead>(.*?)</thead>)', re.DOTALL
)
EMPTY_HEADER = re.compile(r"<th[^>]*>(?:\s|<p>\s*</p>)*</th>")


def mend(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Correct names, roles and identifiers in the body of a page."""
    if body := context.get("body"):
        # The words inside, "Show code cell source", say more than this name, which would hide them.
        body = body.replace('<summary aria-label="Toggle hidden content">', "<summary>")
        body = body.replace(' role="doc-biblioentry"', ' role="listitem"')  # deprecated, and they stand in a list
        body = EMPTY_HEADER.sub("<td></td>", body)  # the corner of a table heads nothing
        body = TABLE.sub(name_table, body)
        context["body"] = drop_repeated_ids(body)


def name_table(box: re.Match[str]) -> str:
    """Name the box in which a wide table scrolls, and which then has the keyboard, by the table's columns."""
    columns = re.findall(r"<th[^>]*>(.*?)</th>", box[1], re.DOTALL)
    names = ", ".join(re.sub(r"<[^>]+>|\\[()]|\s+", " ", column).strip() for column in columns)
    return f'<div class="pst-scrollable-table-container" role="group" aria-label="Table: {" ".join(names.split())}">'


def drop_repeated_ids(body: str) -> str:
    """Keep the first of several equal identifiers, the one that links lead to."""
    seen: set[str] = set()

    def first(attribute: re.Match[str]) -> str:
        again = attribute[1] in seen
        seen.add(attribute[1])
        return "" if again else attribute[0]

    return re.sub(r'(?<=[\w"]) id="([^"]+)"', first, body)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("html-page-context", mend)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
