"""The claims about data without views, on results that are made up."""

import numpy as np
import pytest

from mvtheory.experiments import measure
from mvtheory.experiments.base import labelled
from mvtheory.experiments.gains import CASES, WAYS
from mvtheory.experiments.without_views import STUDIES, StructureStudy

# Errors by method: the first on single-view, the second on multi-view inputs.
ERRORS = {
    "single": (0.5, 0.3),
    "ensemble": (0.05, 0.2),
    "distilled": (0.2, 0.25),
    "self-distilled": (0.4, 0.29),
    "trained average": (0.45, 0.24),
}


def made_up(study):
    """Return results with the errors above on two data sets of three nets; a share of 0.6 or 0.8 is resolved."""
    at = [("single-view", "multi-view").index(stratum) for stratum in study.strata]
    single = {"single", "distilled", "self-distilled"}
    variables = {}
    for method, of in ERRORS.items():
        errors = np.array([of[place] for place in at])
        if method in single:
            variables[method] = ("draw stratum net", np.broadcast_to(errors[:, None], (2, len(at), 3)))
        else:
            variables[method] = ("draw stratum", np.broadcast_to(errors, (2, len(at))))
    resolved = 0.8 if study.flipped else 0.6
    variables |= {
        "inputs": ("draw stratum", np.full((2, len(at)), study.test)),
        "resolved": ("draw", [resolved, resolved]),
        "resolved inputs": ("draw", [100, 50]),
    }
    data = labelled(variables, stratum=study.strata)
    data.attrs["seconds"] = float(sum(study.draws))
    return data


@pytest.fixture(autouse=True)
def results(monkeypatch):
    monkeypatch.setattr(StructureStudy, "run", made_up)


@pytest.mark.parametrize("id", CASES)
@pytest.mark.parametrize("way", WAYS)
def test_a_gain_is_that_of_its_case_and_method(id, way):
    claim = measure(id + way, draws=(3, 4))
    place = ("single-view", "multi-view").index(CASES[id].stratum)
    assert claim.measured.value == pytest.approx(ERRORS["single"][place] - ERRORS[WAYS[way]][place])
    assert (claim.measured.nets, claim.measured.draws, claim.seconds) == (6, 2, 7)


def test_wrong_labels_compare_the_two_averages():
    claim = measure("structure-noise-average")
    assert claim.measured.value == pytest.approx(ERRORS["trained average"][1] - ERRORS["ensemble"][1])
    assert claim.measured.nets == 12  # three alone, three jointly


def test_resolved_disagreements_are_those_of_the_right_study():
    assert measure("structure-noise-settled").measured.value == pytest.approx(0.8)
    assert measure("structure-settled").measured.value == pytest.approx(0.6)
    assert measure("structure-control-settled").measured.value == pytest.approx(0.6)


def test_cases_are_tested_on_inputs_of_their_study():
    for case in CASES.values():
        assert case.stratum in STUDIES[case.study].strata
