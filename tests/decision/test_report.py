"""The report in a real browser: axe-core finds nothing, and the largest one is small."""

from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from mvtheory import diagnose
from mvtheory.decision.worlds import sample


def saved(folder, L):
    """Save a report that has all parts."""
    world = sample("views", L=L, n=1000, seed=0)
    found = diagnose(world.F, world.y, world.F[:3], held_out=0.2, larger=world.F[0])
    found.save(folder / "r.html")
    return folder / "r.html"


@pytest.mark.parametrize("L", [12, 40])
def test_a_report_of_many_nets_is_small(tmp_path, L):
    assert saved(tmp_path, L).stat().st_size < 300_000


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_axe_finds_nothing(browser: Browser, tmp_path, width: int, scheme: Literal["light", "dark"]):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.goto(saved(tmp_path, 6).as_uri())
    found = Axe().run(page).response["violations"]
    assert not [(rule["id"], node["html"][:200]) for rule in found for node in rule["nodes"]]
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow == 0  # tables scroll in their own boxes
    context.close()
