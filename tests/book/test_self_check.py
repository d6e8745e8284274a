"""The self-check of a chapter: by keyboard and screen reader, on a phone, on paper, and without scripts."""

import re

from playwright.sync_api import Browser, Locator

from mvtheory.measurement import Estimate

from .conftest import CHAPTERS, HTML, ROOT, SETTLED, Visit, at, seen

ASKING = [name for name in CHAPTERS if "```{self-check}" in (ROOT / f"book/{name}.md").read_text("utf-8")]
FIRST = ASKING[0]


def questions(visit: Visit) -> list[Locator]:
    """Give the questions of a page."""
    return visit.page.locator("fieldset.self-check").all()


@at("desk", *ASKING)
def test_questions_have_the_verdicts_and_numbers_of_the_file(desk: Visit, claims: list[dict]) -> None:
    known = {claim["id"]: claim for claim in claims}
    asked = questions(desk)
    assert 2 <= len(asked) <= 4
    for question in asked:
        names = question.get_by_role("radio").evaluate_all("all => all.map(e => e.name)")
        assert len(names) == 3
        (name,) = {name.removeprefix("check-") for name in names}
        claim, answer = known[name], question.locator("details").text_content()
        assert claim["chapter"] == desk.name.removeprefix("chapters/")
        assert question.locator("legend").inner_text().startswith(claim["statement"])
        assert f"Verdict: {claim['verdict']}." in answer
        assert str(Estimate(claim["measured"], *claim["interval"], claim["nets"], claim["draws"])) in answer


@at("desk", FIRST)
def test_the_keyboard_chooses_and_then_looks(desk: Visit) -> None:
    page = desk.page
    for question in questions(desk):
        radios, fold = question.get_by_role("radio"), question.locator("details")
        assert page.get_by_role("group", name=question.locator("legend").inner_text(), exact=True).count() == 1
        radios.first.focus()
        page.keyboard.press("Space")
        for _ in range(3):  # round all three, and the answer stays folded
            page.keyboard.press("ArrowDown")
        assert radios.first.is_checked()
        assert not fold.evaluate("fold => fold.open")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert fold.locator("strong").is_visible()
        right = radios.first.get_attribute("value") == fold.locator("strong").inner_text()
        assert fold.locator(".right").is_visible() == right
        assert fold.locator(".wrong").is_visible() != right
        page.keyboard.press("Enter")
        assert not fold.evaluate("fold => fold.open")


@at("desk", FIRST)
def test_a_choice_moves_nothing(desk: Visit) -> None:
    heights = "() => document.querySelector('article').getBoundingClientRect().height"
    before = desk.page.evaluate(heights)
    for question in questions(desk):
        question.get_by_role("radio").last.check()
    desk.page.evaluate(SETTLED)
    assert desk.page.evaluate(heights) == before


@at("phone", FIRST)
def test_a_choice_is_large_enough_for_a_finger(phone: Visit) -> None:
    for label in phone.page.locator("fieldset.self-check label").all():
        box = label.bounding_box()
        assert box
        assert min(box["width"], box["height"]) >= 24


@at("desk", FIRST)
@seen({"media": "print"})
def test_on_paper_each_question_has_its_answer(desk: Visit) -> None:
    desk.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    seen = [(q.locator("legend").is_visible(), q.locator("details p").is_visible()) for q in questions(desk)]
    desk.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert seen
    assert all(question and answer for question, answer in seen)


def test_it_lives_without_scripts(browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{HTML.as_uri()}/{FIRST}.html")
    question = page.locator("fieldset.self-check").first
    question.get_by_role("radio").first.check()
    question.locator("summary").click()
    assert re.search(r"redicted\. Verdict: (holds|fails|inconclusive)\.", question.locator("details").inner_text())
    context.close()
