"""Print the handout and the whole book as PDF, pack the book as a zip, and link the index to what there is.

Chromium prints, driven by playwright; where one of them is missing, a line says so, there are no PDFs, and the index
leads to none. What was made from the same inputs stays as it is: ``_build/kit.json`` has a digest of each file's.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pypdf import PdfWriter
from pypdf.generic import Fit, IndirectObject
from sphinx.application import Sphinx
from sphinx.util import logging

from one_page import bookmarks, local_files, whole_book
from teaching import MARKS, PLACE

LOGGER = logging.getLogger(__name__)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
PDFS = {"handout.pdf": "a handout of two pages (PDF)", "book.pdf": "the book (PDF)"}
ZIP = "book.zip"
# The mathematics of a page is set, and its pictures are there.
READY = """async () => {
  await window.MathJax?.startup?.promise;
  await document.fonts.ready;
  await Promise.all([...document.images].map(image => image.decode().catch(() => {})));
}"""


def make(app: Sphinx, exception: Exception | None) -> None:
    """Make all files of a book whose index has the line for lecturers."""
    home = Path(app.outdir) / "index.html"
    if exception or app.builder.format != "html" or MARKS[0] not in home.read_text(encoding="utf-8"):
        return
    out, record = Path(app.outdir), Path(app.outdir).parent / "kit.json"
    known = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    write_links(home, [])
    whole = out / "whole.html"  # beside the pages, for its links to pictures and styles
    whole.write_text(whole_book(app), encoding="utf-8")
    sources = {"handout.pdf": out / "handout.html", "book.pdf": whole}
    digests = {name: digest(out, [source, *local_files(source)]) for name, source in sources.items()}
    stale = {name: sources[name] for name in PDFS if known.get(name) != digests[name] or not (out / name).exists()}
    if stale and (reason := print_pages({out / name: source for name, source in stale.items()})):
        LOGGER.info("no PDFs of the book: %s", reason)
        for name in stale:
            (out / name).unlink(missing_ok=True)
    if "book.pdf" in stale and (out / "book.pdf").exists():
        add_bookmarks(out / "book.pdf", bookmarks(whole.read_text(encoding="utf-8")))
    whole.unlink()
    printed = [name for name in PDFS if (out / name).exists()]
    write_links(home, printed)
    pages = sorted(path for path in out.rglob("*") if path.is_file() and path.name != ZIP)
    digests[ZIP] = digest(out, pages)
    if known.get(ZIP) != digests[ZIP] or not (out / ZIP).exists():
        pack(out, pages)
    write_links(home, [*printed, ZIP])
    kept = {name: value for name, value in digests.items() if (out / name).exists()}
    record.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def digest(out: Path, files: list[Path]) -> str:
    """Hash names and contents of files."""
    total = hashlib.sha256()
    for path in files:
        total.update(f"{path.relative_to(out)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def print_pages(pages: dict[Path, Path]) -> str:
    """Print pages as PDF, by the file to write; return why that cannot be done, or nothing."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        return "there is no Chromium"
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        return "playwright is not installed"
    flags = ["--disable-gpu", *os.environ.get("CHROMIUM_FLAGS", "").split()]
    if os.geteuid() == 0:
        flags.append("--no-sandbox")  # Chromium refuses to start as root with one
    try:
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=browser, args=flags)
            for file, source in pages.items():
                page = chromium.new_page(color_scheme="light")
                page.set_default_timeout(300_000)
                page.goto(source.as_uri())
                page.evaluate(READY)
                page.pdf(path=file, prefer_css_page_size=True, print_background=True, tagged=True)
                page.close()
            chromium.close()
    except Error as error:
        return str(error).partition("\n")[0]
    return ""


def add_bookmarks(file: Path, entries: Sequence[tuple[int, str, str]]) -> None:
    """Add bookmarks in two levels to a PDF; Chromium's own name a heading twice that was moved to the next sheet.

    Parameters
    ----------
    file : pathlib.Path
        A PDF with named places.
    entries : sequence of (int, str, str)
        Level, 0 or 1, title, and the name of the place, in the order of the file; the first is of level 0.
    """
    writer = PdfWriter(file, incremental=True)
    places = {name.removeprefix("/"): place for name, place in writer.named_destinations.items()}
    above: IndirectObject | None = None
    for level, title, name in entries:
        place = places[name]
        made = writer.add_outline_item(
            title=title,
            page_number=place.page,
            parent=above if level else None,
            fit=Fit.xyz(left=place.left, top=place.top),
            is_open=False,
        )
        above = above if level else made
    writer.page_mode = "/UseOutlines"
    writer.write(file)


def write_links(home: Path, files: list[str]) -> None:
    """Write the line for lecturers into the index."""
    names = {"slides.html": "slides for a lecture", **PDFS, ZIP: "the book to read offline (zip)"}
    links = [f'<a href="{name}">{names[name]}</a>' for name in ["slides.html", *files]]
    text = home.read_text(encoding="utf-8")
    line = f"<strong>For lecturers:</strong> {', '.join(links)}."
    if (filled := PLACE.sub(line, text)) != text:
        home.write_text(filled, encoding="utf-8")


def pack(out: Path, pages: list[Path]) -> None:
    """Pack the pages; the same pages give the same file."""
    part = out / f"{ZIP}.part"
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for path in pages:
            entry = zipfile.ZipInfo(f"book/{path.relative_to(out).as_posix()}")
            entry.compress_type = zipfile.ZIP_STORED if path.suffix in {".woff", ".woff2"} else zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes())
    part.replace(out / ZIP)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("build-finished", make, priority=900)  # after all that write pages
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
