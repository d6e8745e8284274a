"""axe-core finds nothing on any page; in a module of its own, so that another process takes the other tests."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from .conftest import ALL, HTML, tab

# Style sheets are not fetched a second time, which a browser refuses from the disk, after ten seconds.
AXE = {"preload": False, "resultTypes": ["violations"]}


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
@pytest.mark.parametrize("name", ALL)
def test_axe_finds_nothing(browser: Browser, name: str, width: int, scheme: str) -> None:
    with tab(browser, HTML.as_uri(), name, width=width, dark=scheme == "dark") as visit:
        visit.page.wait_for_selector(f"html[data-theme={scheme}]")
        visit.page.wait_for_timeout(500)  # boxes that scroll get the keyboard
        found = Axe().run(visit.page, options=AXE).response["violations"]
    assert not [(rule["id"], node["html"][:200], node["failureSummary"]) for rule in found for node in rule["nodes"]]
