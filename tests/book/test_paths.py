"""A book says why it does not build where its checkout lies; those that do are in `test_build_fails`."""

import shutil
import subprocess
from pathlib import Path

from .conftest import ROOT
from .test_build_fails import CLAIM, build


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
