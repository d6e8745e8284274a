"""The lab on the built page: alive on a disk and over http, with the numbers of Python."""

from collections.abc import Iterator
from dataclasses import asdict, replace

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page

from mvtheory.lab.questions import QUESTIONS, Seen
from mvtheory.lab.reference import Experiment
from mvtheory.lab.script import script
from mvtheory.lab.setting import PRESETS, LabSetting

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


def test_the_page_has_the_script_of_the_package() -> None:
    """Whose bits are compared with Python's in twenty random settings."""
    assert (HTML / "_static/offline/lab.js").read_text(encoding="utf-8") == script()


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


def press(page: Page, name: str) -> None:
    """Press a button, and wait for what it does."""
    page.get_by_role("button", name=name, exact=True).click()
    page.get_by_role("button", name="Pause", exact=True, disabled=True).wait_for()


@pytest.fixture(scope="module")
def lab(browser: Browser) -> Iterator[Page]:
    """The page of the lab."""
    with tab(browser, HTML.as_uri(), "lab") as visit:
        yield visit.page


@pytest.mark.parametrize("number", range(len(QUESTIONS)))
def test_questions_are_answered_as_the_page_says(lab: Page, number: int) -> None:
    question = QUESTIONS[number]
    box = lab.locator(".lab-question").nth(number)
    assert box.locator(".admonition-title").text_content().startswith(f"{number + 1}. {question.text}")
    box.locator(".toggle-button").click()
    preset = lab.get_by_label("Preset: what it shows")
    preset.select_option("plain ReLU")  # so that all begins anew
    preset.select_option(question.preset)
    for step in question.steps:
        if "=" in step:
            name, value = step.split(" = ")
            lab.locator(f".mv-lab input[id$=-{name}]").fill(value)
            lab.keyboard.press("Tab")
        else:
            press(lab, step.capitalize())
    rows = {row[0]: float(row[1]) for row in cells(lab.locator(".mv-tables table").first)}
    for seen in question.seen:
        share = rows[seen.what] if not seen.cells else grid_share(lab, seen, PRESETS[question.preset].k)
        assert seen.low <= share <= seen.high, seen


def grid_share(page: Page, seen: Seen, k: int) -> float:
    """Return the share of the cells of a grid that hold what was seen, from the table behind it."""
    page.locator(".mv-lab select[id$=-show]").select_option(seen.what)
    table = page.locator(f".mv-tables [aria-label='Views of the {seen.what}']")
    held = [cell for row in cells(table) for cell in row[-k:]]  # a row begins with the net and its error
    return held.count(seen.cells) / len(held)


def cells(table: Locator) -> list[list[str]]:
    """Return the texts of the rows of a table, without its heads."""
    rows = table.locator("tr").evaluate_all("rows => rows.map(row => [...row.cells].map(cell => cell.textContent))")
    return rows[1:]


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)], ids=["desk", "phone"])
def test_axe_finds_nothing_after_a_run(browser: Browser, width: int, dark: bool) -> None:
    with tab(browser, HTML.as_uri(), "lab", width, dark=dark) as visit:
        page = visit.page
        page.evaluate("location.hash = '#lab?k=4&s=2&N=80&m=6&nets=4'")
        press(page, "Play all")
        page.locator(".mv-lab details").evaluate_all("folds => folds.forEach(fold => fold.open = true)")
        page.wait_for_timeout(500)  # boxes that scroll get the keyboard
        found = Axe().run(page, context=".mv-lab", options={"preload": False, "resultTypes": ["violations"]})
        assert not found.violations_count, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@at("desk", "reference/notation")
def test_other_pages_do_not_load_it(desk: Visit) -> None:
    assert desk.page.evaluate("typeof multiViewLab") == "undefined"
