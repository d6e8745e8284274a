"""The book builds wherever its checkout lies, or says why it does not."""

import shutil
import subprocess
from pathlib import Path

import pytest

from .conftest import ROOT
from .test_build_fails import CLAIM, DRAW, FIGURE, build


@pytest.mark.parametrize("name", ["100%20", "a*[b]c", "what? #1"])
def test_a_checkout_under_any_name_is_built(tmp_path: Path, name: str) -> None:
    for folder in (name, "a_and_bc"):  # the second fits a pattern that the first may be read as
        (tmp_path / folder / "book/chapters").mkdir(parents=True)
        (tmp_path / folder / "book/chapters/pair.ipynb").write_text("not to be read", encoding="utf-8")
    done = build(tmp_path / name, FIGURE.format(DRAW) + CLAIM)
    assert done.returncode == 0, done.stdout[-5000:]
    assert (tmp_path / name / "_build/html/index.html").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "a_and_bc"]), "written elsewhere"


def test_a_colon_in_the_path_is_refused_with_the_reason(tmp_path: Path) -> None:
    folder = tmp_path / "a:b"
    folder.mkdir()
    done = build(folder, CLAIM)
    assert done.returncode != 0
    assert "the path of the checkout must not contain ':'" in done.stdout
    shutil.copy(ROOT / "Makefile", folder)
    made = subprocess.run(["make", "--dry-run", "book"], cwd=folder, capture_output=True, text=True)
    assert made.returncode != 0
    assert "must not contain a colon" in made.stderr


def test_no_file_of_the_checkout_is_a_link() -> None:
    """Some tools unpack a link as a text file."""
    parts = [part for part in ROOT.iterdir() if part.name not in {"_build", ".venv", ".git"}]
    links = [path for part in parts for path in (part, *part.rglob("*")) if path.is_symlink()]
    assert links == []
