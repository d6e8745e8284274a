"""Add bookmarks to a PDF that Chromium printed.

Chromium makes bookmarks of its own, in which a heading that was moved to the next sheet stands twice. It names the
places that the page links to; here the bookmarks lead to these names, in an update at the end of the file, which the
format provides for (ISO 32000-1, 7.5.6 and 12.3.3).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

CATALOG = re.compile(rb"(\d+) 0 obj\s*<<(/Type /Catalog.*?)>>\s*endobj", re.DOTALL)
TRAILER = re.compile(rb"trailer\s*<</Size (\d+)(.*?)>>\s*startxref\s*(\d+)\s*%%EOF\s*$", re.DOTALL)


def add_bookmarks(file: Path, entries: Sequence[tuple[int, str, str]]) -> None:
    """Add bookmarks in two levels.

    Parameters
    ----------
    file : pathlib.Path
        A PDF by Chromium, without bookmarks.
    entries : sequence of (int, str, str)
        Level, 0 or 1, title, and the name of the place, in the order of the file; the first is of level 0.

    Raises
    ------
    ValueError
        If the file is not as Chromium writes it.
    """
    data = file.read_bytes()
    catalog, trailer = CATALOG.search(data), TRAILER.search(data)
    if not catalog or not trailer:
        raise ValueError(f"{file} is not a PDF as Chromium prints it")
    root = int(trailer[1])  # the first number that no object has
    objects = {int(catalog[1]): b"<<%b /Outlines %d 0 R /PageMode /UseOutlines>>" % (catalog[2], root)}
    objects |= outline(entries, root)
    size = max(objects) + 1
    written, table = bytearray(data), [b"xref\n0 1\n0000000000 65535 f \n"]
    for number, body in objects.items():
        table.append(b"%d 1\n%010d 00000 n \n" % (number, len(written)))
        written += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    start = len(written)
    written += b"".join(table)
    written += b"trailer\n<</Size %d%b /Prev %b>>\nstartxref\n%d\n%%%%EOF\n" % (size, trailer[2], trailer[3], start)
    file.write_bytes(written)


def outline(entries: Sequence[tuple[int, str, str]], root: int) -> dict[int, bytes]:
    """Give the objects of the bookmarks by number, from the root on."""
    numbers = range(root + 1, root + 1 + len(entries))
    parents, above = {}, root
    for number, (level, *_) in zip(numbers, entries, strict=True):
        parents[number] = above if level else root
        above = above if level else number
    children = {parent: [n for n in numbers if parents[n] == parent] for parent in (root, *numbers)}
    made = {root: b"<</Type /Outlines %b/Count %d>>" % (ends(children[root]), len(children[root]))}
    for number, (_, title, place) in zip(numbers, entries, strict=True):
        siblings = children[parents[number]]
        at = siblings.index(number)
        around = b"/Prev %d 0 R " % siblings[at - 1] if at else b""
        around += b"/Next %d 0 R " % siblings[at + 1] if at + 1 < len(siblings) else b""
        below = children[number]
        inside = ends(below) + b"/Count %d " % -len(below) if below else b""
        text = ("\ufeff" + title).encode("utf-16-be").hex().encode()
        made[number] = b"<</Title <%b> /Parent %d 0 R %b%b/Dest /%b>>" % (
            text,
            parents[number],
            around,
            inside,
            place.encode(),
        )
    return made


def ends(children: Sequence[int]) -> bytes:
    """Name the first and the last of some bookmarks."""
    return b"/First %d 0 R /Last %d 0 R " % (children[0], children[-1]) if children else b""
