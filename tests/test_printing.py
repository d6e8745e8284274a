"""Files for lecturers where there is no Chromium, and bookmarks in a PDF."""

import importlib
import re
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from pypdf import PdfReader, PdfWriter

EXTENSIONS = Path(__file__).parents[1] / "book/_ext"


@pytest.fixture
def extension(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The extension, which lies beside the book."""
    monkeypatch.syspath_prepend(EXTENSIONS)
    return importlib.import_module("printing")


def test_without_chromium_a_line_says_so(
    extension: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(extension.shutil, "which", lambda name: None)
    assert extension.print_pages({tmp_path / "a.pdf": tmp_path / "a.html"}) == "there is no Chromium"


def test_a_chromium_that_does_not_start_is_no_error(
    extension: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert extension.print_pages({tmp_path / "a.pdf": tmp_path / "a.html"})


def test_the_index_leads_to_what_there_is_alone(extension: ModuleType, tmp_path: Path) -> None:
    home = tmp_path / "index.html"
    home.write_text(f"<p>{''.join(extension.MARKS)}</p>", encoding="utf-8")
    for files in ([], ["book.pdf", "book.zip"], ["handout.pdf"]):
        extension.write_links(home, files)
        assert re.findall('href="(.*?)"', home.read_text(encoding="utf-8")) == ["slides.html", *files]


def test_the_same_pages_give_the_same_zip(extension: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("text", encoding="utf-8")
    made = []
    for _ in range(2):
        (tmp_path / "index.html").touch()
        extension.pack(tmp_path, [tmp_path / "index.html"])
        made.append((tmp_path / "book.zip").read_bytes())
    assert made[0] == made[1]
    with zipfile.ZipFile(tmp_path / "book.zip") as archive:
        assert archive.read("book/index.html") == b"text"


def test_bookmarks_are_added_in_two_levels(extension: ModuleType, tmp_path: Path) -> None:
    file, writer = tmp_path / "a.pdf", PdfWriter()
    for page, name in enumerate(["a", "a--b", "a--c", "d"]):
        writer.add_blank_page(width=100, height=100)
        writer.add_named_destination(name, page)
    writer.write(file)
    extension.add_bookmarks(file, [(0, "One", "a"), (1, "First", "a--b"), (1, "Second", "a--c"), (0, "Two – β", "d")])
    reader = PdfReader(file)
    one, [first, second], two = reader.outline
    assert [entry.title for entry in (one, first, second, two)] == ["One", "First", "Second", "Two – β"]
    assert [reader.get_destination_page_number(entry) for entry in (one, first, second, two)] == [0, 1, 2, 3]
    assert one["/Count"] == -2  # folded
    assert reader.page_mode == "/UseOutlines"
