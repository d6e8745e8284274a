"""The README's figure is the one that the build draws."""

import re
from pathlib import Path

from .conftest import ROOT

NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
NAME = re.compile(r"\b[mp][0-9a-f]{10}\b")  # of a shape: a hash of its numbers
HALF_A_POINT = 0.5  # a thousandth of the error axis: processors may differ in the last digits


def skeleton(svg: str) -> tuple[str, list[float]]:
    """Part a drawing into its shapes and its numbers."""
    svg = NAME.sub("name", svg)
    return NUMBER.sub("0", svg), [float(number) for number in NUMBER.findall(svg)]


def test_the_figure_of_the_readme_is_that_of_the_build(book: Path) -> None:
    shapes, numbers = skeleton((book.parent / "result.svg").read_text(encoding="utf-8"))
    committed, former = skeleton((ROOT / "book/_static/result.svg").read_text(encoding="utf-8"))
    assert committed == shapes, "run `make figure`"
    assert max(abs(a - b) for a, b in zip(numbers, former, strict=True)) < HALF_A_POINT, "run `make figure`"
