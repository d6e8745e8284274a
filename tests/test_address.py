"""The addresses of the repository and of the pages are those of `_config.yml`, wherever a file spells one out."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
# Where a format, or a notebook that stands for itself, asks for an address.
SPELT_OUT = ["README.md", "pyproject.toml", "CITATION.cff", "book/chapters"]
BUILT = {"_build", ".git", ".venv", "build", "dist", "mutants"}
ADDRESS = re.compile(r"github\.com/[\w-]+/mvtheory\b|[\w-]+\.github\.io/mvtheory\b")


def text_files(folder: Path) -> list[Path]:
    """List what is not built, and may hold an address."""
    suffixes = {".md", ".ipynb", ".py", ".toml", ".cff", ".yml", ".txt", ".js", ".css", ".html", ".bib", ".json"}
    parts = [part for part in folder.iterdir() if part.name not in BUILT]
    found = [path for part in parts for path in (part.rglob("*") if part.is_dir() else [part])]
    return [path for path in found if path.suffix in suffixes]


def addresses(folder: Path) -> dict[str, set[str]]:
    """Find the addresses of this book, by file."""
    found = {
        path.relative_to(folder).as_posix(): set(ADDRESS.findall(path.read_text(encoding="utf-8")))
        for path in text_files(folder)
        if path != Path(__file__)
    }
    return {name: those for name, those in found.items() if those}


def configured(folder: Path) -> set[str]:
    """Read both addresses, without scheme and last slash."""
    config = yaml.safe_load((folder / "_config.yml").read_text(encoding="utf-8"))
    return {
        url.removeprefix("https://").rstrip("/") for url in (config["repository"]["url"], config["html"]["baseurl"])
    }


def test_every_address_is_the_configured_one() -> None:
    found = addresses(ROOT)
    assert {name: those - configured(ROOT) for name, those in found.items() if those - configured(ROOT)} == {}
    assert set().union(*found.values()) == configured(ROOT)


def test_nothing_else_spells_an_address_out() -> None:
    allowed = ("_config.yml", *SPELT_OUT)
    assert [name for name in addresses(ROOT) if not name.startswith(allowed)] == []


def test_the_command_of_the_readme_changes_all_of_them(tmp_path: Path) -> None:
    for name in addresses(ROOT):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Fork this book")[2]
    command = re.search(r"```sh\n(.*?)```", section, re.DOTALL)[1]
    command = command.replace("OWNER", "someone").replace("REPOSITORY", "mvtheory")
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    assert configured(tmp_path) == {"github.com/someone/mvtheory", "someone.github.io/mvtheory"}
    kept = {name: those - configured(tmp_path) for name, those in addresses(tmp_path).items()}
    assert not any(kept.values()), kept


def test_a_notebook_names_the_page_that_has_its_numbers() -> None:
    """In a comment of MyST, which the page does not show, and plain Jupyter and Colab do."""
    home = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["html"]["baseurl"]
    notebooks = sorted((ROOT / "book/chapters").glob("*.ipynb"))
    assert notebooks
    for notebook in notebooks:
        first = json.loads(notebook.read_text(encoding="utf-8"))["cells"][0]["source"]
        assert [line for line in first if line.startswith("% ") and f"{home}chapters/{notebook.stem}.html" in line]
