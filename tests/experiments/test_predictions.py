"""The table of claims: each row is whole, and has one estimator, in the module of its chapter."""

import importlib
import inspect
from pathlib import Path

import pytest
import yaml

from mvtheory.experiments import _MODULES, estimator, measure
from mvtheory.experiments.base import Measurement
from mvtheory.experiments.predictions import CLAIMS
from mvtheory.measurement import Estimate

TOC = yaml.safe_load((Path(__file__).parents[2] / "_toc.yml").read_text(encoding="utf-8"))
CHAPTERS = [Path(page["file"]).stem for part in TOC["parts"] for page in part["chapters"]]


def test_claims_stand_in_the_order_of_the_chapters():
    order = list(dict.fromkeys(claim.chapter for claim in CLAIMS.values()))
    assert order == [chapter for chapter in CHAPTERS if chapter in order]
    assert set(order) == set(_MODULES)
    assert all(id == claim.id and claim.measured is None for id, claim in CLAIMS.items())


@pytest.mark.parametrize("id", CLAIMS)
def test_every_claim_has_one_estimator(id):
    function = estimator(id)
    assert callable(function)
    assert all(option.default is not option.empty for option in inspect.signature(function).parameters.values())


@pytest.mark.parametrize("chapter", _MODULES)
def test_no_estimator_is_without_a_claim(chapter):
    module = importlib.import_module(f"mvtheory.experiments.{_MODULES[chapter]}")
    assert set(module.ESTIMATORS) == {id for id, claim in CLAIMS.items() if claim.chapter == chapter}


def test_a_claim_is_measured_with_the_options_of_its_estimator(monkeypatch):
    given = []

    def estimate(draws=(1, 2), setting="the book's"):
        given.append((draws, setting))
        return Measurement(Estimate(0.5, 0.495, 0.505, 4, 2), 3.0, Estimate(0.6, 0.5, 0.7, 4, 2))

    monkeypatch.setattr("mvtheory.experiments.single_model.ESTIMATORS", {"single": estimate})
    claim = measure("single")
    assert (claim.verdict, claim.seconds, claim.raw.value, claim.setting) == ("holds", 3.0, 0.6, "the book")
    assert measure("single", draws=(3, 4), setting="mine").setting == "the book, changed"
    assert given == [((1, 2), "the book's"), ((3, 4), "mine")]


def test_claims_and_options_that_are_not_there_are_named():
    with pytest.raises(ValueError, match=r"id must be one of 'single', .*; got 'double'"):
        measure("double")
    with pytest.raises(ValueError, match="options of 'single' must be one of 'draws', 'setting'; got 'k'"):
        measure("single", k=3)
