"""What a reader of a page with the lab meets: by mouse, keyboard, screen reader, on a phone."""

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal

import pytest
from playwright.sync_api import Page

from mvtheory.lab.reference import Experiment, run
from mvtheory.lab.setting import BOOK, FIELDS, PRESETS, LabSetting

pytestmark = pytest.mark.slow  # in a browser

SMALL = LabSetting(k=4, s=2.0, N=80, m=6, nets=4, n_test=100, student_steps=40)

OpenLab = Callable[..., Page]


def press(page: Page, name: str) -> None:
    """Press a button, and wait for what it does."""
    page.get_by_role("button", name=name, exact=True).click()
    page.get_by_role("button", name="Pause", exact=True, disabled=True).wait_for()


def shown(value: float, digits: int) -> str:
    """Return a number as the page shows it: halves are rounded up."""
    if math.isnan(value):
        return "–"
    return str(Decimal(value).quantize(Decimal(10) ** -digits, ROUND_HALF_UP))


def table(page: Page) -> list[list[str]]:
    """Return the rows of the table of results."""
    rows = page.locator(".mv-tables table").first.locator("tr")
    return [row.locator("td").all_text_contents() for row in rows.all()[1:]]


def status(page: Page) -> str:
    """Return the sentence that says what happened."""
    return page.locator(".mv-status").text_content() or ""


def test_the_buttons_do_what_python_does(open_lab: OpenLab) -> None:
    page = open_lab(SMALL)
    for name in ("Train", "Average", "Train the average", "Distil", "Self-distil"):
        press(page, name)
    expected = [
        [method, *map(shown, numbers, (4, 4, 4, 4, 1))] for method, *numbers in run(SMALL).itertuples(index=False)
    ]
    assert table(page) == expected


def test_the_next_generation_errs_half_as_often(open_lab: OpenLab) -> None:
    page = open_lab(SMALL)
    assert page.get_by_role("button", name="Next generation").is_disabled()
    for name in ("Train", "Self-distil", "Next generation"):
        press(page, name)
    assert "Generation 1" in status(page)
    assert [row[2] for row in table(page)] == ["0.2500"]
    press(page, "Self-distil")
    assert [row[2] for row in table(page)] == ["0.2500", "0.1250"]


def test_what_was_begun_and_left_is_forgotten(open_lab: OpenLab) -> None:
    page = open_lab(SMALL)
    page.get_by_role("button", name="Step").click()  # of the training
    press(page, "Train the average")
    assert [row[0] for row in table(page)] == ["trained average"]
    assert page.get_by_role("button", name="Distil", exact=True).is_disabled()
    press(page, "Train")
    assert [row[0] for row in table(page)] == ["single net", "trained average"]


def test_new_seeds_do_again_what_was_done(open_lab: OpenLab) -> None:
    page = open_lab(SMALL)
    for name in ("Train", "Average"):
        press(page, name)
    before = table(page)
    press(page, "New seeds")
    page.wait_for_function("document.querySelectorAll('.mv-tables tr').length > 5")
    assert [row[0] for row in table(page)] == [row[0] for row in before]
    assert table(page) != before


def test_a_sentence_says_how_far_it_is_from_the_prediction(open_lab: OpenLab) -> None:
    page = open_lab(SMALL)
    press(page, "Train")
    error = run(SMALL, ["train"]).error[0]
    assert f"A single net errs on {shown(100 * error, 1)}%" in status(page)
    assert "the lottery predicts 50.0%" in status(page)
    press(page, "Average")
    assert "the lottery predicts 6.3%" in status(page)
    assert page.locator(".mv-status").get_attribute("role") == "status"


def test_python_code_of_the_page_prints_the_same_table(open_lab: OpenLab, capsys: pytest.CaptureFixture[str]) -> None:
    page = open_lab(LabSetting(), hash="#lab?k=4&s=2&N=80&m=6&nets=4&seed=9")
    for name in ("Train", "Average"):
        press(page, name)
    page.get_by_text("The same in Python").click()
    exec(page.locator(".mv-lab pre").text_content() or "")  # the code is the page's own
    printed = [line.rsplit(maxsplit=5) for line in capsys.readouterr().out.splitlines()[1:]]
    assert [line[0].strip() for line in printed] == [row[0] for row in table(page)]
    assert [f"{float(line[1]):.4f}" for line in printed] == [row[1] for row in table(page)]


def test_python_code_has_all_that_differs_from_the_defaults(open_lab: OpenLab) -> None:
    def setting(page: Page) -> LabSetting:
        names: dict = {}
        exec(page.locator(".mv-lab pre").text_content().rpartition("\n")[0], names)  # all but the run
        return names["setting"]

    for given in (replace(SMALL, from_start=False, rho=0.5), *PRESETS.values()):
        assert setting(open_lab(given)) == given
    page = open_lab(hash="#lab?preset=the%20book%27s%20setting&seed=7")
    assert setting(page) == replace(BOOK, seed=7)
    page.get_by_label("nets: and students of each kind").fill("3")
    page.keyboard.press("Tab")
    other = open_lab(hash=page.evaluate("location.hash"))
    assert setting(other) == replace(BOOK, seed=7, nets=3)


def test_a_run_that_ends_too_early_says_so(open_lab: OpenLab) -> None:
    """With a power this high and a start this small, nothing is learned within the limit of steps."""
    page = open_lab(replace(SMALL, M=3, q=5, steps=60))
    press(page, "Train")
    assert re.match(r"Training ended at its limit of 60 steps, with a loss of 1\.\d\d and \d+\.\d% of", status(page))
    assert "of the training inputs wrong: the prediction, which is for nets that answer all of them, does" in status(
        page
    )
    press(page, "Train the average")
    assert status(page).startswith("Training ended at its limit of 60 steps")
    page.get_by_label("q: power of the activation").fill("2")
    page.keyboard.press("Tab")
    press(page, "Train")
    assert status(page).startswith("All training inputs are right.")


def test_a_lab_may_be_small(open_lab: OpenLab) -> None:
    page = open_lab(SMALL, inputs=["q"], panels=["race"], phases=["train"])
    assert page.get_by_role("button").all_text_contents() == [
        *("Pause", "Step", "Train", "New seeds")  # others are folded
    ]
    assert page.locator(".mv-lab input").count() == 1
    assert page.locator(".mv-panels figure").count() == 1
    press(page, "Train")
    page.get_by_role("button", name="Step").click()  # a run is done: train once more
    assert page.locator(".mv-progress").text_content() == "train, step 1"


def test_steps_are_taken_one_by_one(open_lab: OpenLab) -> None:
    page = open_lab(SMALL)
    for step in (1, 2, 3):
        page.get_by_role("button", name="Step").click()
        assert page.locator(".mv-progress").text_content() == f"train, step {step}"
    press(page, "Go on")
    assert len(table(page)) == 1
    whole = table(page)
    press(page, "Train")
    assert table(page) == whole


@pytest.mark.parametrize(
    ("name", "given", "value", "words"),
    [
        ("k", "100", "30", "k must be a whole number from 2 to 30: it was set to 30."),
        ("q", "2.6", "3", "q must be a whole number from 1 to 6: it was set to 3."),
        ("weak", "-1", "0", "weak must be from 0 to 1: it was set to 0."),
        ("s", "12", "10", "s must be from 0 to 10: it was set to 10."),
        ("k", "4", "4", "s was set to 4: no more classes can show a view."),
        ("m", "", "8", "m must be a whole number from 1 to 20: it was set to 8."),
    ],
)
def test_bad_values_are_moved_and_the_reader_is_told(
    open_lab: OpenLab, name: str, given: str, value: str, words: str
) -> None:
    page = open_lab()
    field = page.get_by_label(f"{name}: {FIELDS[name].label}", exact=True)
    field.fill(given)
    field.press("Enter")
    field.blur()
    assert field.input_value() == value
    note = page.locator(".mv-note")
    assert note.text_content() == words
    assert note.get_attribute("role") == "alert"


def test_the_address_holds_the_setting(open_lab: OpenLab) -> None:
    page = open_lab()
    page.get_by_label("Preset: what it shows").select_option("three views")
    page.get_by_role("button", name="New seeds").click()
    hash = page.evaluate("location.hash")
    assert "M=3" in hash
    assert "seed=2" in hash
    other = open_lab(hash=hash)
    assert other.get_by_label("M: views of a class").input_value() == "3"
    assert other.get_by_label("seed: of all that is random").input_value() == "2"
    assert other.get_by_label("Preset: what it shows").input_value() == "own setting"


@pytest.mark.parametrize("hash", ["#lab?k=1000", "#lab?q=2.5", "#lab?k=4&s=9", "#lab?k=x", "#lab?", "#section"])
def test_an_address_that_is_not_allowed_is_not_taken(open_lab: OpenLab, hash: str) -> None:
    page = open_lab(hash=hash)
    assert page.get_by_label("Preset: what it shows").input_value() == "two views"


def test_presets_set_all_inputs(open_lab: OpenLab) -> None:
    page = open_lab()
    for name, preset in PRESETS.items():
        page.get_by_label("Preset: what it shows").select_option(name)
        for field, about in FIELDS.items():
            assert float(page.get_by_label(f"{field}: {about.label}", exact=True).input_value()) == getattr(
                preset, field
            )


def test_a_first_run_plays_by_itself(open_lab: OpenLab) -> None:
    page = open_lab(SMALL, calm=False)
    page.wait_for_function("document.querySelector('.mv-progress').textContent.startsWith('train, step')")
    assert page.locator(".mv-race polyline").count() == SMALL.nets * SMALL.M
    page.get_by_role("button", name="Pause").click()
    standing = page.locator(".mv-progress").text_content()
    page.wait_for_timeout(200)
    assert page.locator(".mv-progress").text_content() == standing
    page.get_by_role("button", name="Go on").click()
    page.wait_for_function("document.querySelector('.mv-status').textContent.startsWith('A student of a single net')")


def test_nothing_moves_where_readers_asked_for_calm(open_lab: OpenLab) -> None:
    page = open_lab(SMALL, calm=True)
    page.wait_for_timeout(500)
    assert status(page).endswith("Press Train.")


def test_no_frame_is_long(open_lab: OpenLab) -> None:
    """Of the processor: while ten nets are trained and drawn, a task takes 50 ms at most, but for rare collections."""
    page = open_lab(calm=False)
    page.wait_for_function("document.querySelector('.mv-progress').textContent.startsWith('train, step')")
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def measure() -> tuple[float, int]:
        metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
        return metrics["TaskDuration"], page.evaluate("window.frames_seen ??= 0")

    page.evaluate(
        "(function count() { window.frames_seen = (window.frames_seen ?? 0) + 1; requestAnimationFrame(count) })()"
    )
    before = measure()
    page.wait_for_timeout(1000)
    after = measure()
    assert (after[0] - before[0]) / (after[1] - before[1]) < 0.05


def test_everything_has_a_name_and_the_keyboard_comes_by(open_lab: OpenLab) -> None:
    page = open_lab(SMALL)
    controls = page.locator(".mv-lab :is(input, select, button)")
    nameless = controls.evaluate_all(
        "all => all.filter(e => !(e.labels?.length || e.textContent.trim())).map(e => e.outerHTML)"
    )
    assert not nameless
    page.keyboard.press("Tab")
    seen = set()
    for _ in range(30):
        seen.add(page.evaluate("document.activeElement.textContent || document.activeElement.id.split('-').at(-1)"))
        page.keyboard.press("Tab")
    assert {"Setting", "k", "seed", "Play all", "Train", "New seeds"} <= seen
    for figure in page.locator(".mv-panels [role=img]").all():
        assert len(figure.get_attribute("aria-label") or "") > 40


def test_tables_stand_behind_the_charts(open_lab: OpenLab) -> None:
    page = open_lab(SMALL)
    press(page, "Train")
    held = page.locator(".mv-tables table").nth(1).locator("td").all_text_contents()
    assert len(held) == SMALL.nets * (SMALL.k + 2)
    path = page.locator(".mv-tables table").nth(2).locator("tr").all()
    first, last = (path[row].locator("td").all_text_contents() for row in (1, -1))
    assert first[0] == "1"
    experiment = Experiment(SMALL)
    experiment.do("train")
    assert int(last[0]) == experiment.done["nets"].steps.max() + 1  # with the look that ended it
    assert float(first[1]) > 10 * float(last[1])  # the loss
    assert all(max(map(float, race.split(" : "))) > 1 for race in last[3:])
    assert {re.sub("[12+]", "", text) for net in range(SMALL.nets) for text in held[6 * net + 2 : 6 * net + 6]} == {""}


@pytest.mark.parametrize("setting", [SMALL, replace(SMALL, k=30, M=5, nets=20, m=2, N=60)], ids=["small", "large"])
def test_a_phone_needs_no_sideways_scrolling(open_lab: OpenLab, setting: LabSetting) -> None:
    page = open_lab(setting, width=390)
    press(page, "Train")
    for summary in page.locator(".mv-lab summary").all()[1:]:
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_configuration_is_json() -> None:
    from mvtheory.lab.setting import page as config

    assert json.loads(json.dumps(config())) == config() | {"inputs": list(FIELDS)}
