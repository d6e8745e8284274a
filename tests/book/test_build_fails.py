"""What must never be published fails the build: tried on a book of one chapter."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEADER = """---
jupytext:
  text_representation: {extension: .md, format_name: myst}
kernelspec: {display_name: Python 3, language: python, name: python3}
---
# A chapter
"""
FIGURE = """
```{{code-cell}} ipython3
---
mystnb: {{image: {{alt: A line that rises from zero to one.}}}}
---
{0}
```
"""
DRAW = "import matplotlib.pyplot as plt\nplt.plot([0, 1]);"
CLAIM = """
```{code-cell} ipython3
from IPython.display import display
mime = "application/vnd.mvtheory.claim+json"
claim = {"id": "one", "chapter": "c", "statement": "s", "predicted": [0, None], "measured": 1.0,
         "interval": [0.5, 1.5], "nets": 1, "draws": 1, "verdict": "holds", "seconds": 1.0,
         "setting": "s", "source": "derived", "kind": "claim", "unit": "data set", "raw": None}
display({mime: claim, "text/plain": "a claim"}, raw=True)
```
"""
CELL = "\n```{{code-cell}} ipython3\n{0}\n```\n"


def build(folder: Path, chapter: str, timeout: int = 300, **env: str) -> subprocess.CompletedProcess[str]:
    """Build a book of one chapter, with the machinery of this one, in a shell that has set MPLBACKEND."""
    for name in ("requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    config = re.sub(r"timeout: \d+", f"timeout: {timeout}", (ROOT / "_config.yml").read_text(encoding="utf-8"))
    (folder / "_config.yml").write_text(config, encoding="utf-8")
    shutil.copytree(ROOT / "mvtheory", folder / "mvtheory", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("_ext", "_offline", "_static"):
        shutil.copytree(ROOT / "book" / name, folder / "book" / name)
    for place in (folder, folder / "book"):
        (place / "_toc.yml").write_text("format: jb-book\nroot: index\n", encoding="utf-8")
    (folder / "book/references.bib").touch()
    (folder / "book/index.md").write_text(HEADER + chapter, encoding="utf-8")
    command = [Path(sys.executable).with_name("jupyter-book"), "build", "book", "-W", "-n", "--keep-going"]
    env = {"MPLBACKEND": "Agg"} | env
    return subprocess.run(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)


def test_a_sound_chapter_is_built(tmp_path: Path) -> None:
    done = build(tmp_path, FIGURE.format(DRAW) + CLAIM + "\n```{claims-ledger}\n```\n\n```{reproducibility}\n```\n")
    assert done.returncode == 0, done.stdout[-5000:]
    claims = json.loads((tmp_path / "_build/claims.json").read_text(encoding="utf-8"))["claims"]
    assert [(claim["id"], claim["predicted"]) for claim in claims] == [("one", [0, None])]
    page = (tmp_path / "_build/html/index.html").read_text(encoding="utf-8")
    assert 'id="claim-one"' in page
    assert "≥ 0" in page
    assert "A line that rises from zero to one." in page


@pytest.mark.parametrize(
    ("chapter", "reasons"),
    [
        (CELL.format("1 / 0"), ["ZeroDivisionError: division by zero"]),
        (
            FIGURE.format("None") + CELL.format(DRAW),
            ["a cell that describes a figure draws none", "a cell draws a figure and has no mystnb: image: alt"],
        ),
        (CLAIM + CLAIM, ["the claim 'one' is made twice"]),
        ("\n```{self-check}\n```\n", ["a self-check asks about the claims of its page, and there are none"]),
        (
            CELL.format("import sys; print('beware', file=sys.stderr)") + "\n{glue:text}`missing`\n",
            ["stderr", "No key 'missing' found in glue data"],
        ),
    ],
    ids=["cell", "figures", "claims", "self-check", "warnings"],
)
def test_a_faulty_chapter_is_not(tmp_path: Path, chapter: str, reasons: list[str]) -> None:
    done = build(tmp_path, CELL.format("None") + chapter)
    assert done.returncode != 0
    assert all(reason in done.stdout for reason in reasons), done.stdout


def test_a_cell_has_five_times_as_long_in_full_mode(tmp_path: Path) -> None:
    slow, done = CELL.format("import time; time.sleep(3)"), {}
    for full in ("0", "1"):
        (tmp_path / full).mkdir()
        done[full] = build(tmp_path / full, slow, timeout=1, MVTHEORY_FULL=full)
    assert done["0"].returncode != 0
    assert "a cell failed" in done["0"].stdout
    assert "timed out" in done["0"].stdout
    assert done["1"].returncode == 0, done["1"].stdout[-5000:]
