"""Files for lecturers where there is no Chromium, and bookmarks in a PDF."""

import importlib
import re
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

EXTENSIONS = Path(__file__).parents[1] / "book/_ext"
PDF = b"""%PDF-1.4
1 0 obj
<</Type /Catalog
/Pages 2 0 R
/Dests 4 0 R>>
endobj
trailer
<</Size 5
/Root 1 0 R>>
startxref
9
%%EOF
"""


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
    file = tmp_path / "a.pdf"
    file.write_bytes(PDF)
    extension.add_bookmarks(file, [(0, "One", "a"), (1, "First", "a--b"), (1, "Second", "a--c"), (0, "Two – β", "d")])
    text = file.read_bytes()
    assert text.startswith(PDF)
    for number, offset in re.findall(rb"\n(\d+) 1\n(\d{10}) 00000 n ", text):
        assert text[int(offset) :].startswith(number + b" 0 obj")
    items = dict(re.findall(rb"(\d+) 0 obj\n<</Title <[^>]*> (.*?)>>", text))
    assert items == {
        b"6": b"/Parent 5 0 R /Next 9 0 R /First 7 0 R /Last 8 0 R /Count -2 /Dest /a",
        b"7": b"/Parent 6 0 R /Next 8 0 R /Dest /a--b",
        b"8": b"/Parent 6 0 R /Prev 7 0 R /Dest /a--c",
        b"9": b"/Parent 5 0 R /Prev 6 0 R /Dest /d",
    }
    assert b"/Size 10" in text
    assert b"/Type /Outlines /First 6 0 R /Last 9 0 R /Count 2" in text
    assert "\ufeffTwo – β".encode("utf-16-be").hex().encode() in text
    with pytest.raises(ValueError, match="is not a PDF as Chromium prints it"):
        extension.add_bookmarks(EXTENSIONS / "bookmarks.py", [])
