"""The book builds wherever its checkout lies, or says why it does not."""

import shutil
import subprocess
from pathlib import Path

from .conftest import ROOT
from .test_build_fails import CLAIM, DRAW, FIGURE, build


def test_a_checkout_under_any_name_is_built(tmp_path: Path) -> None:
    folder, other = "100%20/what? #1/a*[b]c", "100%20/what? #1/a_and_bc"  # a pattern may find the second
    for place in (folder, other):
        (tmp_path / place / "book/chapters").mkdir(parents=True)
        (tmp_path / place / "book/chapters/pair.ipynb").write_text("not to be read", encoding="utf-8")
    done = build(tmp_path / folder, index=FIGURE.format(DRAW) + CLAIM)
    assert done.returncode == 0, done.stdout[-5000:]
    assert (tmp_path / folder / "_build/html/index.html").is_file()
    found = [path for depth in ("*", "*/*", "*/*/*") for path in sorted(tmp_path.glob(depth))]
    names = [path.relative_to(tmp_path).as_posix() for path in found]
    assert names == ["100%20", "100%20/what? #1", *sorted([folder, other])], "written elsewhere"


def test_a_colon_in_the_path_is_refused_with_the_reason(tmp_path: Path) -> None:
    folder = tmp_path / "a:b"
    folder.mkdir()
    done = build(folder, index=CLAIM)
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
    assert [path for path in links if "node_modules" not in path.parts] == []  # which npm installs
