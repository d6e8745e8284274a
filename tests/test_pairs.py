"""Each chapter lies beside the same chapter as a notebook without outputs."""

from pathlib import Path

import jupytext
import pytest
import yaml
from nbformat import NotebookNode

ROOT = Path(__file__).parents[1]
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
CHAPTERS = [
    ROOT / "book" / chapter["file"]
    for part in TOC["parts"]
    for chapter in part["chapters"]
    if chapter["file"].startswith("chapters/")
]

chapters = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)


def cells(notebook: NotebookNode) -> list[tuple[str, str, dict]]:
    """What a cell is, says and asks for; not its random identifier."""
    return [(cell.cell_type, cell.source, dict(cell.metadata)) for cell in notebook.cells]


@chapters
def test_the_notebook_has_the_cells_of_the_text(chapter: Path) -> None:
    text, notebook = jupytext.read(chapter), jupytext.read(chapter.with_suffix(".ipynb"))
    assert cells(notebook) == cells(text), "the pair differs: run `make pairs`"
    assert notebook.metadata.kernelspec == text.metadata.kernelspec


@chapters
def test_the_notebook_has_no_outputs(chapter: Path) -> None:
    code = [cell for cell in jupytext.read(chapter.with_suffix(".ipynb")).cells if cell.cell_type == "code"]
    assert code
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


@chapters
def test_no_line_of_code_is_longer_than_a_column_of_the_book(chapter: Path) -> None:
    code = [cell.source for cell in jupytext.read(chapter).cells if cell.cell_type == "code"]
    assert not [line for source in code for line in source.splitlines() if len(line) > 88]


def test_no_chapter_is_left_out_of_the_contents() -> None:
    found = {path.with_suffix("") for path in (ROOT / "book/chapters").iterdir() if path.suffix in {".md", ".ipynb"}}
    assert found == {path.with_suffix("") for path in CHAPTERS}
