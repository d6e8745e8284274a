"""Set-up of every test: shapes are checked, the slow tests of the built pages come last, all share one browser."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jaxtyping import install_import_hook

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from xdist.remote import Producer
    from xdist.scheduler import Scheduling

# Every annotated shape in the package is checked when a test calls it, and costs nothing elsewhere.
# As everywhere in Python, an int may stand for a float. Compiled functions cannot be wrapped.
PACKAGE = Path(__file__).parents[1] / "mvtheory"
MODULES = [
    ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)
    for file in PACKAGE.rglob("[!_]*.py")
    if file.parent.name != "engine"
]
install_import_hook(MODULES, "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")

BOOK = Path(__file__).parent / "book"


def page_of(nodeid: str) -> str:
    """Return the open page that a test shares with others, as its parameter names it; "" where there is none."""
    found = re.search(r"\((desk|phone) [\w/-]+\)", nodeid)
    return found[0] if found else ""


def look_of(item: pytest.Item) -> tuple[bool, str]:
    """Return whether a test comes after all others of its page, and how it looks at it; "" for the page's own way."""
    look = getattr(item, "callspec", None) and item.callspec.params.get("look")
    return item.get_closest_marker("last") is not None, repr(sorted(look.items())) if look else ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of the built pages after all others, so that a mistake in the package is told at once.

    Those of one page follow each other, from whatever modules, so that it is opened once; of these, those that look at
    it in the same way, so that it is laid out once for each.
    """
    items.sort(key=lambda item: (BOOK in item.path.parents, page_of(item.nodeid), *look_of(item)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: "Producer") -> "Scheduling | None":
    """Keep the tests of one page in one process, as ``--dist loadscope`` does with those of a module."""
    from xdist.scheduler import LoadScopeScheduling

    class ByPage(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return page_of(nodeid) or super()._split_scope(nodeid)

    return ByPage(config, log) if config.getvalue("dist") == "loadscope" else None


CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """Debian's Chromium, without a display."""
    from playwright.sync_api import sync_playwright  # only where a test asks for it

    chromium = shutil.which("chromium")
    assert chromium, "pages are tested in Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM)
        yield opened
        opened.close()
