"""Set-up of every test: shapes are checked, the slow tests of the built pages come last, all share one browser."""

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import jaxtyping
import psutil
import pytest
from filelock import FileLock
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


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Leave out the checks of shapes in a long simulation, whose thousands of calls are like those of other tests."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


class Build(threading.Thread):
    """`make book`, beside the tests; of the processes that share these, the first begins and the others wait for it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.built, self.env = folder / "book.built", dict(os.environ)
        self.make: subprocess.Popen[str] | None = None
        self.ended = False

    def run(self) -> None:
        """Build the book, and leave a file with what is to be said of a failure, empty if there is none."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        with FileLock(self.built.with_suffix(".lock")):
            if not self.built.exists():
                self.make = subprocess.Popen(["make", "book"], cwd=BOOK.parents[1], env=self.env, **pipes)
                said = self.make.communicate()[0]
                if not self.ended:  # else another process that needs the pages begins anew
                    self.built.write_text(said[-4000:] if self.make.returncode else "", encoding="utf-8")

    def wait(self) -> None:
        """Wait for the pages; begin to build them if nobody has."""
        if self.ident is None:
            self.start()
        self.join()

    def end(self) -> None:
        """Let no build go on when the tests are at their end."""
        if self.make and self.make.poll() is None:
            self.ended = True
            make = psutil.Process(self.make.pid)
            for process in [make, *make.children(recursive=True)]:
                process.terminate()
            self.join()


@pytest.fixture(scope="session", autouse=True)
def build(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Iterator[Build | None]:
    """Begin to build the book where its pages are to be tested, so that it is there when other tests are done.

    A first build takes half an hour of both cores, and other tests would wait too long for their turn: it comes last.
    """
    folder = tmp_path_factory.getbasetemp()
    begun = None
    if any(BOOK in item.path.parents for item in request.session.items):
        begun = Build(folder if worker_id == "master" else folder.parent)
        if (BOOK.parents[1] / "_build/html/index.html").exists():
            begun.start()
    yield begun
    if begun:
        begun.end()


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
