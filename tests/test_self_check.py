"""The questions of a chapter's self-check: which claims they ask about, and what they say."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest
from bs4 import BeautifulSoup

from mvtheory.claims import Claim
from mvtheory.measurement import Estimate

EXTENSIONS = Path(__file__).parents[1] / "book/_ext"
INTERVALS = {"holds": (0.1, 0.2), "fails": (1.1, 1.2), "inconclusive": (0.9, 1.1)}


@pytest.fixture
def extension(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The extension, which lies beside the book."""
    monkeypatch.syspath_prepend(EXTENSIONS)
    return importlib.import_module("self_check")


def claim(id: str, verdict: str, kind: str = "claim", raw: Estimate | None = None) -> Claim:
    """A claim with a predicted range from 0 to 1 that came out so."""
    low, high = INTERVALS[verdict]
    made = Claim(id, "Nets < 3 err", (0, 1), "c", "derived", "all", kind)
    made = made.measure(Estimate(low, low, high, nets=5, draws=5), seconds=1, raw=raw)
    assert made.verdict == verdict
    return made


@pytest.mark.parametrize(
    ("verdicts", "asked"),
    [
        ("hhhhhh", "abcd"),
        ("hhhhhf", "abcf"),
        ("hhhfhi", "abdf"),
        ("fffhhh", "abde"),
        ("hf", "ab"),
        ("HHhhf", "Acde"),  # a check is asked where claims are few
        ("HFhhhh", "cdef"),
    ],
)
def test_verdicts_take_turns_and_checks_come_last(extension: ModuleType, verdicts: str, asked: str) -> None:
    named = {"h": "holds", "f": "fails", "i": "inconclusive"}
    claims = [
        claim("abcdef"[place], named[letter.lower()], "check" if letter.isupper() else "claim")
        for place, letter in enumerate(verdicts)
    ]
    assert [chosen.id for chosen in extension.choose(claims)] == list(asked.lower())


@pytest.mark.parametrize("verdict", INTERVALS)
def test_a_question_offers_three_verdicts_and_folds_the_answer(extension: ModuleType, verdict: str) -> None:
    asked = claim("one", verdict, raw=Estimate(0.15, 0.1, 0.25, nets=5, draws=5))
    page = BeautifulSoup(extension.question(asked), "html.parser")
    (legend, fold) = page.legend, page.details
    assert legend.text == "Nets < 3 err. Predicted: 0 to 1."
    choices = page.select("label > input[type=radio][name=check-one]")
    assert [choice["value"] for choice in choices] == list(INTERVALS)
    assert [label.text.strip() for label in page.select("label")] == ["holds", "fails", "cannot tell"]
    assert [choice["value"] for choice in choices if choice.has_attr("data-right")] == [verdict]
    assert not fold.has_attr("open")
    assert fold.strong.text == verdict
    assert f"Measured: {asked.measured} (before adjustment {asked.raw})." in fold.text
    assert str(asked.measured) not in page.text.replace(fold.text, "")
