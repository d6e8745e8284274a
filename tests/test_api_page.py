"""The API reference names everything public."""

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import mvtheory

PAGES = sorted((Path(__file__).parents[1] / "book/reference").glob("api*.md"))
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
# All public modules but those inside the engine, and the packages that have public names of their own.
MODULES = [
    name
    for _, name, package in pkgutil.walk_packages(mvtheory.__path__, "mvtheory.")
    if "._" not in name and not package and not name.startswith("mvtheory.engine.")
] + ["mvtheory.engine", "mvtheory.experiments"]

modules = pytest.mark.parametrize("name", MODULES)


def test_every_module_has_its_section():
    sections = re.findall(r"^\.\. automodule:: (\S+)\n   :members:$", TEXT, re.MULTILINE)
    assert sorted(sections) == sorted(MODULES), (
        "book/reference/api*.md must have one automodule, with :members:, for each"
    )


@modules
def test_every_public_name_is_described(name):
    """`automodule` shows the names of `__all__` that have a docstring; other constants need a comment or an entry."""
    module = importlib.import_module(name)
    assert module.__all__, f"{name} must say what is public"
    source = Path(module.__file__).read_text(encoding="utf-8")
    for public in module.__all__:
        value = getattr(module, public)
        if inspect.isclass(value) or inspect.isroutine(value):
            assert value.__doc__, f"{name}.{public} has no docstring"
        else:
            commented = re.search(rf"^#:.*\n(#:.*\n)*{public}\b.* =", source, re.MULTILINE)
            listed = f".. autodata:: {name}.{public}\n" in TEXT
            assert bool(commented) != listed, f"{name}.{public} needs a comment #: above it, or an autodata in api*.md"


def test_the_facade_shows_nothing_else():
    described = {name for module in MODULES for name in importlib.import_module(module).__all__}
    assert set(mvtheory.__all__) <= described
