"""Set-up of every test: shapes are checked, the slow tests of the built pages come last, all share one browser."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jaxtyping import install_import_hook

if TYPE_CHECKING:
    from playwright.sync_api import Browser

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of the built pages after all others, so that a mistake in the package is told at once."""
    items.sort(key=lambda item: BOOK in item.path.parents)


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
