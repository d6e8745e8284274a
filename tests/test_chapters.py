"""What a reader is asked for: words, code in sight, minutes that are stated, and the order of a chapter's parts."""

import ast
import importlib
import re
from contextlib import suppress
from pathlib import Path

import jupytext
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode

FOLDER = Path(__file__).parents[1] / "book/chapters"
SHORT = [
    "01-multi-view-data",
    "02-single-model",
    "03-ensembling",
    "04-distillation",
    "05-self-distillation",
    "06-random-features",
    "07-lazy",
    "08-classical",
    "09-structure",
    "10-digits",
    "11-regime",
    "12-scale",
    "13-practice",
    "14-rules",
    "15-photographs",
    "16-convolutions",
    "../what-removes-it",
]

FOLDED = {"hide-cell", "hide-input", "remove-cell", "remove-input"}
NO_PROSE = re.compile(r"\{[a-z:]+\}`[^`]*`|\$\$?[^$]*\$\$?|^:::.*$|^```.*$|\]\([^)]*\)|\[", re.MULTILINE)

chapters = pytest.mark.parametrize("name", SHORT)


def read(name: str) -> NotebookNode:
    """Read a chapter's cells."""
    return jupytext.read(FOLDER / f"{name}.md")


def words(name: str) -> int:
    """Count the words of its text."""
    text = "\n".join(cell.source for cell in read(name).cells if cell.cell_type == "markdown")
    return len(re.findall(r"[A-Za-z][A-Za-z'-]*", NO_PROSE.sub(" ", text)))


def lines(name: str, folded: bool) -> list[int]:
    """Count the lines of each code cell that is in sight, or folded."""
    code = [cell for cell in read(name).cells if cell.cell_type == "code"]
    some = [cell.source for cell in code if bool(FOLDED & set(cell.metadata.get("tags", []))) == folded]
    return [sum(bool(line.strip()) for line in source.splitlines()) for source in some]


def imports(page: Path) -> list[tuple[str, str]]:
    """List what the cells of a page import from the package, as modules and names."""
    code = [cell.source for cell in jupytext.read(page).cells if cell.cell_type == "code"]
    trees = [ast.parse(TransformerManager().transform_cell(source)) for source in code]
    found = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return [
        (node.module, alias.name)
        for node in found
        if node.module and node.module.startswith("mvtheory")
        for alias in node.names
    ]


def there(module: str, name: str) -> bool:
    """Return whether a module has such a name, or a submodule of it."""
    with suppress(ModuleNotFoundError):
        importlib.import_module(f"{module}.{name}")
    return hasattr(importlib.import_module(module), name)


def test_what_the_pages_import_is_there() -> None:
    """A build tells so too, but only after half an hour."""
    wanted = {(page, *what) for page in sorted(FOLDER.parent.rglob("*.md")) for what in imports(page)}
    assert len(wanted) > 100
    missing = [
        f"{page.name}: from {module} import {name}" for page, module, name in sorted(wanted) if not there(module, name)
    ]
    assert not missing


@chapters
def test_a_chapter_is_short(name: str) -> None:
    assert words(name) <= 2500
    assert sum(lines(name, folded=False)) <= 80
    assert max(lines(name, folded=False) + lines(name, folded=True)) <= 25


@chapters
def test_the_stated_minutes_are_those_of_its_words_and_code(name: str) -> None:
    (stated,) = re.findall(r"Reading takes about (\d+) minutes", (FOLDER / f"{name}.md").read_text(encoding="utf-8"))
    assert abs(int(stated) - words(name) / 180 - sum(lines(name, folded=False)) / 20) <= 1


@chapters
def test_one_folded_cell_comes_before_the_first_figure(name: str) -> None:
    code = [cell for cell in read(name).cells if cell.cell_type == "code"]
    figure = next(i for i, cell in enumerate(code) if "image" in cell.metadata.get("mystnb", {}))
    assert [cell.metadata.get("tags") for cell in code[:figure]] == [["hide-cell"]]


@chapters
def test_a_chapter_ends_with_a_cell_to_vary(name: str) -> None:
    text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    heads = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert heads[-2:] == ["Vary it", "Take away"]
    cells = read(name).cells
    start = next(i for i, cell in enumerate(cells) if "## Vary it" in cell.source)
    seen = cells[start + 1]
    assert not seen.metadata.get("tags")
    assert 3 <= len(seen.source.splitlines()) <= 9


@chapters
def test_every_figure_has_a_caption_that_begins_with_its_message(name: str) -> None:
    drawn = [cell.metadata["mystnb"] for cell in read(name).cells if cell.metadata.get("mystnb", {}).get("image")]
    assert drawn
    for options in drawn:
        assert options["figure"]["caption"].startswith("**")
        assert options["figure"]["name"].startswith("fig-")


@chapters
def test_exercises_are_three_to_five_and_each_solution_checks_itself(name: str) -> None:
    text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    solutions = re.findall(r"^````\{solution-start\}.*?^````\{solution-end\}", text, re.MULTILINE | re.DOTALL)
    assert 3 <= len(solutions) <= 5
    assert all(re.search(r"^ *assert ", solution, re.MULTILINE) for solution in solutions)


def test_the_proof_has_five_lemmas_in_ninety_lines() -> None:
    text = (FOLDER.parent / "proof.md").read_text(encoding="utf-8")
    parts = re.findall(r"^```\{prf:(lemma|proof)\}.*?^```$", text, re.MULTILINE | re.DOTALL)
    assert parts == ["lemma", "proof"] * 5
    stated = re.findall(r"^```\{prf:.*?^```$", text, re.MULTILINE | re.DOTALL)
    assert sum(part.count("\n") + 1 for part in stated) <= 90
    assert words("../proof") <= 1300


@pytest.mark.parametrize("name", [path.stem for path in sorted(FOLDER.glob("*.md")) if path.stem[:2] != "01"])
def test_a_chapter_with_claims_asks_for_their_verdicts_before_its_take_away(name: str) -> None:
    text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    assert "record(" in text
    assert text.count("\n```{self-check}\n```\n\n## Take away\n") == 1
