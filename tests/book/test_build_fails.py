"""What must never be published fails the build: tried on books of a few short chapters."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

Done = subprocess.CompletedProcess[str]

ROOT = Path(__file__).parents[2]
HEADER = """---
jupytext:
  text_representation: {extension: .md, format_name: myst}
kernelspec: {display_name: Python 3, language: python, name: python3}
---
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


def build(folder: Path, timeout: int = 300, env: Mapping[str, str] = {}, **chapters: str) -> Done:
    """Build a book of some chapters, with the machinery of this one, in a shell that has set MPLBACKEND."""
    for name in ("requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    config = re.sub(r"timeout: \d+", f"timeout: {timeout}", (ROOT / "_config.yml").read_text(encoding="utf-8"))
    (folder / "_config.yml").write_text(config, encoding="utf-8")
    shutil.copytree(ROOT / "mvtheory", folder / "mvtheory", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("_ext", "_offline", "_static"):
        shutil.copytree(ROOT / "book" / name, folder / "book" / name)
    others = [{"file": name} for name in chapters if name != "index"]
    toc = json.dumps({"format": "jb-book", "root": "index"} | ({"chapters": others} if others else {}))
    for place in (folder, folder / "book"):
        (place / "_toc.yml").write_text(toc, encoding="utf-8")
    (folder / "book/references.bib").touch()
    for name, chapter in {"index": "", **chapters}.items():
        text = (HEADER if "{code-cell}" in chapter else "") + "# A chapter\n" + chapter
        (folder / f"book/{name}.md").write_text(text, encoding="utf-8")
    command = [Path(sys.executable).with_name("jupyter-book"), "build", "book", "-W", "-n", "--keep-going"]
    env = {"MPLBACKEND": "Agg", **env}
    return subprocess.run(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)


SLOW = CELL.format("import time; time.sleep(6)")
TIMEOUT = 4  # seconds a cell; five times as many in full mode


FOLDER, OTHER = "100%20/what? #1/a*[b]c", "100%20/what? #1/a_and_bc"  # a pattern may find the second


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """A book without a fault, in full mode, in a folder of an odd name."""
    root = tmp_path_factory.mktemp("sound")
    for place in (FOLDER, OTHER):
        (root / place / "book/chapters").mkdir(parents=True)
        (root / place / "book/chapters/pair.ipynb").write_text("not to be read", encoding="utf-8")
    chapter = FIGURE.format(DRAW) + CLAIM + "\n```{claims-ledger}\n```\n\n```{reproducibility}\n```\n"
    return root, build(root / FOLDER, TIMEOUT, {"MVTHEORY_FULL": "1"}, index=chapter, slow=SLOW)


def test_sound_chapters_are_built_and_a_cell_has_five_times_as_long_in_full_mode(sound: tuple[Path, Done]) -> None:
    root, done = sound
    assert done.returncode == 0, done.stdout[-5000:]
    claims = json.loads((root / FOLDER / "_build/claims.json").read_text(encoding="utf-8"))["claims"]
    assert [(claim["id"], claim["predicted"]) for claim in claims] == [("one", [0, None])]
    page = (root / FOLDER / "_build/html/index.html").read_text(encoding="utf-8")
    assert 'id="claim-one"' in page
    assert "≥ 0" in page
    assert "A line that rises from zero to one." in page


def test_a_checkout_under_any_name_is_built(sound: tuple[Path, Done]) -> None:
    root, done = sound
    assert done.returncode == 0, done.stdout[-5000:]
    assert (root / FOLDER / "_build/html/index.html").is_file()
    found = [path for depth in ("*", "*/*", "*/*/*") for path in sorted(root.glob(depth))]
    names = [path.relative_to(root).as_posix() for path in found]
    assert names == ["100%20", "100%20/what? #1", *sorted([FOLDER, OTHER])], "written elsewhere"


# Books whose faults are found at the same stage of the build, so that each of them is told.
@pytest.mark.parametrize(
    ("chapters", "reasons"),
    [
        (
            {"fails": CELL.format("1 / 0"), "slow": SLOW},
            [
                "a cell failed\n",
                "fails: An error occurred while executing the following cell:\n",
                "ZeroDivisionError: division by zero",
                "slow: A cell timed out",
            ],
        ),
        (
            {
                "figures": FIGURE.format("None") + CELL.format(DRAW),
                "warns": CELL.format("import sys; print('beware', file=sys.stderr)") + "\n{glue:text}`missing`\n",
            },
            [
                "figures: a cell that describes a figure draws none",
                "figures: a cell draws a figure and has no mystnb: image: alt",
                "warns.md:10: ERROR: stderr was found",
                "warns.md:12: WARNING: No key 'missing' found in glue data",
            ],
        ),
        ({"claims": CLAIM + CLAIM}, ["the claim 'one' is made twice: in claims and in claims"]),
        (
            {"asks": CELL.format("None") + "\n```{self-check}\n```\n"},
            ["asks: a self-check asks about the claims of its page, and there are none"],
        ),
    ],
    ids=["cells", "figures and warnings", "claims", "self-check"],
)
def test_faulty_chapters_are_not(tmp_path: Path, chapters: dict[str, str], reasons: list[str]) -> None:
    done = build(tmp_path, TIMEOUT if "slow" in chapters else 300, **chapters)
    assert done.returncode != 0
    assert [reason for reason in reasons if reason not in done.stdout] == [], done.stdout
