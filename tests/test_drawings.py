"""The drawings of the book: words for those who cannot see them, and no colours of their own."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DRAWINGS = sorted((ROOT / "book/_static/drawings").glob("*.svg"))
SVG = "{http://www.w3.org/2000/svg}"
USED = re.compile(r"\{drawing\} (\w+)|\{glyph\}`(\w+)`")

drawings = pytest.mark.parametrize("file", DRAWINGS, ids=lambda file: file.stem)


@drawings
def test_a_drawing_has_words(file: Path) -> None:
    root = ET.parse(file).getroot()
    assert root.findtext(f"{SVG}title"), "no title"
    wide = float(root.get("viewBox", "").split()[2]) > 100
    assert not wide or len(root.findtext(f"{SVG}desc") or "") > 40, "no description"


@drawings
def test_a_drawing_takes_the_colours_of_the_page(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    colours = set(re.findall(r'(?:stroke|fill)="([^"]+)"', text))
    assert colours <= {"none", "currentColor", "var(--pst-color-primary, currentColor)"}
    assert "id=" not in text, "identifiers are made where it is used"


def test_pages_use_drawings_that_exist_and_each_is_used() -> None:
    pages = [path.read_text(encoding="utf-8") for path in (ROOT / "book").rglob("*.md")]
    used = {name for page in pages for names in USED.findall(page) for name in names if name}
    assert used == {file.stem for file in DRAWINGS}
