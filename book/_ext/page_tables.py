"""Build tables out of plain rows, for the directives of this folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.environment import BuildEnvironment

Entry = str | nodes.Node


def table(header: Sequence[str], rows: Mapping[str, Sequence[Entry]], classes: Sequence[str] = ()) -> nodes.table:
    """Make a table whose rows have identifiers.

    Parameters
    ----------
    header
        One name a column.
    rows
        The entries of each row, text or inline nodes, by the row's identifier in the page.
    classes
        Style classes of the table.

    Returns
    -------
    docutils.nodes.table
        The table, to be put into a page.
    """
    group = nodes.tgroup(cols=len(header))
    group += [nodes.colspec(colwidth=1) for _ in header]
    group += nodes.thead("", row(header))
    body = nodes.tbody()
    for name, entries in rows.items():
        body += row(entries, ids=[name])
    group += body
    return nodes.table("", group, classes=["colwidths-auto", *classes])


def row(entries: Sequence[Entry], ids: Sequence[str] = ()) -> nodes.row:
    """Make a row of text and inline nodes."""
    made = nodes.row(ids=list(ids))
    for entry in entries:
        made += nodes.entry("", nodes.paragraph("", "", nodes.Text(entry) if isinstance(entry, str) else entry))
    return made


def page_link(env: BuildEnvironment, here: str, docname: str, text: nodes.Node | None = None) -> pending_xref:
    """Link to another page of the book, by its title where no other text is given."""
    text = text or nodes.inline(text=env.titles[docname].astext())
    where = {"refdoc": here, "reftarget": f"/{docname}", "refexplicit": True, "refwarn": True}
    return pending_xref("", text, refdomain="std", reftype="doc", **where)
