"""The wheel: all of the package, nothing else, and everything that it imports is declared."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mvtheory"
FILES = {
    path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*") if path.suffix in (".py", ".typed", ".js", ".css")
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of a copy of the project; building in place would leave files behind."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    shutil.copytree(PACKAGE, source / "mvtheory", ignore=shutil.ignore_patterns("__pycache__"))
    for folder in ("tests", "book", "benchmarks"):  # what must not be found
        (source / folder).mkdir()
        (source / folder / "__init__.py").touch()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", out, source], check=True)
    (path,) = out.iterdir()
    with zipfile.ZipFile(path) as file:
        yield file


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert "mvtheory/py.typed" in names
    assert names == FILES


@pytest.mark.slow
def test_what_the_book_alone_needs_is_an_extra(wheel):
    (metadata,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    needs = re.findall("^Requires-Dist: (.*)$", wheel.read(metadata).decode(), re.MULTILINE)
    assert [need for need in needs if "myst" in need] == ['myst-nb>=1.0; extra == "book"']


def imported(path: Path) -> set[str]:
    """Return the top-level names that a module imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"mvtheory"}


def test_every_import_is_declared():
    """IPython comes with ipywidgets, and matplotlib_inline with IPython."""
    extras = PROJECT["optional-dependencies"]
    declared = [*PROJECT["dependencies"], *extras["book"], *extras["cluster"]]
    declared = {re.split("[<>=]", need)[0] for need in declared} | {"ipython", "matplotlib-inline"}
    distributions = packages_distributions()
    for path in PACKAGE.rglob("*.py"):
        for name in imported(path):
            assert declared & {found.lower() for found in distributions[name]}, f"{path} imports {name}"
