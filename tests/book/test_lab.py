"""The lab on the built page: alive on a disk and over http, with the numbers of Python."""

from dataclasses import asdict, replace

import pytest
from playwright.sync_api import Browser

from mvtheory.lab.reference import Experiment
from mvtheory.lab.setting import LabSetting

from .conftest import HTML, Visit, at, tab

SMALL = LabSetting(k=4, s=2.0, N=80, m=6, nets=4, n_test=80)


@pytest.mark.parametrize("scheme", ["file", "http"])
def test_a_first_run_plays_to_its_end(browser: Browser, http_host: str, scheme: str) -> None:
    host = HTML.as_uri() if scheme == "file" else http_host
    with tab(browser, host, "lab") as visit:
        page = visit.page
        page.evaluate("location.hash = '#lab?k=4&s=2&N=80&m=6&nets=4'")
        page.get_by_role("button", name="Play all").click()
        page.wait_for_function(
            "document.querySelector('.mv-status').textContent.startsWith('A student of a single net')"
        )
        assert page.locator(".mv-tables table").first.locator("tr").count() == 8
        assert not visit.errors
        assert not visit.left


def test_the_page_computes_the_bits_of_python(browser: Browser) -> None:
    with tab(browser, HTML.as_uri(), "lab") as visit:
        for setting in (SMALL, replace(SMALL, q=2, M=3, seed=5), replace(SMALL, C_p=1, favour=1.5)):
            weights = visit.page.evaluate(
                """setting => {
                  const experiment = new multiViewEngine.Experiment(setting);
                  for (const _ of experiment.phase("train"));
                  return experiment.runs.nets.W.flatMap(W => Array.from(W));
                }""",
                asdict(setting),
            )
            experiment = Experiment(setting)
            experiment.do("train")
            assert weights == experiment.done["nets"].W.flatten().tolist()


@at("desk", "reference/notation")
def test_other_pages_do_not_load_it(desk: Visit) -> None:
    assert desk.page.evaluate("typeof multiViewLab") == "undefined"
