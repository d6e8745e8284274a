"""The built book, as a folder and over http, in a real browser."""

import functools
import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.sync_api import Browser, BrowserContext, Page, Request

ROOT = Path(__file__).parents[2]
HTML = ROOT / "_build/html"
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
CONTENTS = [
    TOC["root"],
    *(
        page["file"].removesuffix(".md")
        for part in TOC["parts"]
        for chapter in part["chapters"]
        for page in [chapter, *chapter.get("sections", [])]
    ),
]
CHAPTERS = [name for name in CONTENTS if name.startswith("chapters/")]
EXECUTED = [name for name in CONTENTS if name in {"index", "setting", "what-removes-it", "proof", *CHAPTERS}]
PAGES = [*CONTENTS, "genindex", "search"]
ALL = [*PAGES, "py-modindex", "prf-prf"]

# How a page is opened for the tests that share it: from the disk in a wide, light window, and over http in a dark one
# as narrow as a phone.
WINDOWS = {"desk": (1280, "light"), "phone": (390, "dark")}

# A new size of the window has come to the page's scripts, and colours have faded over.
SETTLED = """async () => {
  const frames = async n => { while (n--) await new Promise(done => requestAnimationFrame(done)); };
  await frames(3);
  const fading = document.getAnimations().filter(animation => animation instanceof CSSTransition);
  await Promise.allSettled(fading.map(animation => animation.finished));
  await frames(1);
}"""


@pytest.fixture(scope="session", autouse=True)
def book(build: Any) -> Path:
    """The built pages, up to date; see `tests/conftest.py`, where the build begins."""
    build.wait()
    if failure := build.built.read_text(encoding="utf-8"):
        pytest.fail(f"the book cannot be built\n{failure}", pytrace=False)
    return HTML


@pytest.fixture(scope="session")
def claims(book: Path) -> list[dict]:
    """What the build measured."""
    return json.loads((book.parent / "claims.json").read_text(encoding="utf-8"))["claims"]


class Silent(http.server.SimpleHTTPRequestHandler):
    """A file server that keeps its log to itself."""

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def http_host(book: Path) -> Iterator[str]:
    """The book's address on the loopback interface."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Silent, directory=book)) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Visit:
    """A page of the book that has been opened, and what happened while it was."""

    def __init__(self, page: Page, host: str, name: str) -> None:
        self.page, self.host, self.name = page, host, name
        self.loaded: set[str] = set()
        self.left: list[str] = []
        self.errors: list[str] = []
        self.looks: dict[str, object] = {}
        page.on("request", self.note_request)
        page.on("requestfailed", lambda request: self.errors.append(f"not loaded: {request.url}"))
        page.on(
            "response",
            lambda answer: answer.ok or answer.status == 304 or self.errors.append(f"{answer.status}: {answer.url}"),
        )
        page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.wait()

    def note_request(self, request: Request) -> None:
        """Keep the files of the book that are asked for, and the address of what is asked from anywhere else."""
        if request.url.startswith(self.host):
            self.loaded.add(request.url.removeprefix(self.host).partition("?")[0].partition("#")[0])
        elif not request.url.startswith(("data:", "blob:")):
            self.left.append(request.url)

    def wait(self) -> None:
        """Open the page and wait until its mathematics and its widgets are there."""
        self.page.goto(f"{self.host}/{self.name}.html")
        if self.page.locator("script[src*=mathjax]").count():
            self.page.wait_for_function("window.MathJax?.startup?.promise")
            self.page.evaluate("MathJax.startup.promise.then(() => true)")
        if self.page.locator("script[type*=widget-view]").count():
            self.page.wait_for_selector("html[data-widgets=alive]")
            self.page.wait_for_timeout(200)  # links between widgets settle
        self.since = time.monotonic()

    def look(self, *, width: int, height: int = 900, scheme: str = "light", media: str = "screen") -> None:
        """Look at the page in a window of another size, in other colours, on a screen or on paper."""
        looks = {"width": width, "height": height, "scheme": scheme, "media": media}
        if looks == self.looks:
            return  # to lay out and paint a page anew takes most of the time of a test
        self.looks = looks
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.emulate_media(color_scheme=scheme, media=media)
        self.page.wait_for_selector(f"html[data-theme={scheme}]")
        self.page.evaluate(SETTLED)
        self.since = time.monotonic()

    def rest(self) -> None:
        """Wait until the page has been looked at in one way for half a second: boxes that scroll get the keyboard."""
        self.page.wait_for_timeout(max(0.0, 500 - 1000 * (time.monotonic() - self.since)))


def new_window(browser: Browser, width: int, dark: bool) -> BrowserContext:
    """Open a window without pages."""
    # A lab in a page would train by itself and take the time of the tests.
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light", reduced_motion="reduce"
    )
    context.set_default_timeout(60_000)  # a busy machine is slow, not wrong
    return context


@contextmanager
def tab(browser: Browser, host: str, name: str, width: int = 1280, dark: bool = False) -> Iterator[Visit]:
    """Open a page of the book in a fresh window."""
    context = new_window(browser, width, dark)
    try:
        yield Visit(context.new_page(), host, name)
    finally:
        context.close()


class Tabs:
    """The page that was opened last, for all tests of it."""

    def __init__(self, browser: Browser, hosts: dict[str, str]) -> None:
        self.browser, self.hosts = browser, hosts
        self.windows: dict[str, BrowserContext] = {}
        self.visit: Visit | None = None

    def open(self, window: str, name: str, look: dict[str, Any] | None) -> Visit:
        """Give a page as it is after opening, except for what tests did to its sliders and folds."""
        width, scheme = WINDOWS[window]
        if not self.visit or (self.visit.host, self.visit.name) != (self.hosts[window], name):
            self.close()
            if window not in self.windows:
                self.windows[window] = new_window(self.browser, width, scheme == "dark")
                self.windows[window].new_page()  # which stays: another tab is opened in half the time of a window
            self.visit = Visit(self.windows[window].new_page(), self.hosts[window], name)
        if look is not None:
            self.visit.look(**{"width": width, "scheme": scheme, **look})
        return self.visit

    def close(self) -> None:
        """Close the page."""
        if self.visit:
            self.visit.page.close()
        self.visit = None


@pytest.fixture(scope="session")
def tabs(browser: Browser, http_host: str) -> Iterator[Tabs]:
    """Pages that tests of several modules share."""
    shared = Tabs(browser, {"desk": HTML.as_uri(), "phone": http_host})
    yield shared
    for window in shared.windows.values():
        window.close()


def at(window: str, *names: str) -> pytest.MarkDecorator:
    """Let a test look at some pages alone."""
    return pytest.mark.parametrize(window, names, indirect=True, ids=f"({window} {{}})".format)


def seen(*looks: dict[str, Any]) -> pytest.MarkDecorator:
    """Let a test look at its pages in other ways than the window's own, see `Visit.look`."""
    return pytest.mark.parametrize("look", looks, ids=lambda look: " ".join(map(str, look.values())) or "own")


@pytest.fixture
def look(request: pytest.FixtureRequest) -> dict[str, Any] | None:
    """How a page is looked at, where a test asks for nothing else; None leaves it as the test before did."""
    return None if request.node.get_closest_marker("last") else {}


@pytest.fixture(params=ALL, ids="(desk {})".format)
def desk(request: pytest.FixtureRequest, tabs: Tabs, look: dict[str, Any] | None) -> Visit:
    """A page in a wide, light window, read from the disk; see `tests/conftest.py` for the order of the tests."""
    return tabs.open("desk", request.param, look)


@pytest.fixture(params=ALL, ids="(phone {})".format)
def phone(request: pytest.FixtureRequest, tabs: Tabs, look: dict[str, Any] | None) -> Visit:
    """A page in a dark window as narrow as a phone, read over http."""
    return tabs.open("phone", request.param, look)


@pytest.fixture(params=[(window, name) for name in ALL for window in WINDOWS], ids=lambda key: f"({key[0]} {key[1]})")
def visit(request: pytest.FixtureRequest, tabs: Tabs, look: dict[str, Any] | None) -> Visit:
    """A page in each of the two windows."""
    return tabs.open(*request.param, look)
