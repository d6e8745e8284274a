"""Nets, ensembles and students on data without views, small."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from reference import refused
from scipy.stats import norm

from mvtheory import (
    AverageCrossEntropy,
    CrossEntropy,
    Distillation,
    MultiView,
    OnOff,
    PatchNets,
    Schedule,
    SReLU,
    Temperature,
    error_rate,
    train,
)
from mvtheory.controls.no_views import OneView, TeacherLabels, flip_labels
from mvtheory.diagnose import diagnose
from mvtheory.experiments.base import labelled
from mvtheory.experiments.nets import Draw
from mvtheory.experiments.without_views import METHODS, MIXTURE, STUDIES, StructureStudy, error, errors, gain, share

SHORT = Schedule(steps=60, eta=1e6, warn=False)
VIEWS = MultiView(k=3, P=6, d=12, s=1.0)
SMALL = StructureStudy(
    task=VIEWS,
    strata=("single-view", "multi-view"),
    n=30,
    test=60,
    nets=3,
    m=3,
    flipped=0.2,
    schedule=SHORT,
    distillation_schedule=Schedule(steps=5, eta=1e4, warn=False),
    rule=OnOff(threshold=0.3),
    draws=(7, 8),
)


@pytest.fixture(scope="module")
def small():
    return SMALL.run()


@pytest.fixture(scope="module")
def draw_8():
    """Everything of data set 8 of the small study, anew from the primitives."""
    seed = Draw(8).seed
    task = replace(VIEWS, frame_seed=seed)
    data = task.sample(30, seed=seed + 1)
    y = flip_labels(data.y, 3, 0.2, seed=seed + 4)
    nets, training = SMALL._nets(task, data, y, seed)
    tests = {
        "single-view": task.sample(0, 60, seed=seed + 2, balanced=True),
        "multi-view": task.sample(60, seed=seed + 3, balanced=True),
    }
    return data, y, nets, training, tests


def test_a_mixture_meets_the_best_rule():
    """With two classes in one patch, the best rule errs with probability Phi(-separation / (sqrt 2 sigma))."""
    mixture = replace(MIXTURE, k=2, d=10, separation=0.5)
    short = Schedule(steps=20, eta=1e6, warn=False)
    study = StructureStudy(
        task=mixture, n=200, nets=3, m=3, sigma_0=0.1, schedule=short, distillation_schedule=short, draws=(7, 8)
    )
    data = study.run()
    best = norm.cdf(-0.5 / math.sqrt(2 / 10))
    assert abs(error(data, "best rule").value - best) < 4 * math.sqrt(best * (1 - best) / 8000)
    for method in ("single", *METHODS):
        assert error(data, method).value >= error(data, "best rule").value - 0.01
        assert error(data, method).nets == 6
    assert gain(data, "ensemble").value == pytest.approx(error(data, "single").value - error(data, "ensemble").value)


def test_each_net_learns_from_the_average_of_the_others_and_from_the_next(draw_8):
    data, y, nets, training, _ = draw_8
    start = PatchNets.init(3, k=3, m=3, d=12, sigma_0=0.05, seed=Draw(8).seed + 100, activation=SReLU(3, 4.0))
    base = train(start, data, CrossEntropy(y), SHORT)
    assert torch.equal(nets["single"].W, base.nets.W)
    F = base.nets(data.x)
    assert torch.allclose(training, torch.as_tensor(error_rate(F, y)))
    for net in range(3):
        others = [other for other in range(3) if other != net]
        teachers = {
            "distilled": (F[others].mean(0), OnOff(threshold=0.15)),
            "self-distilled": (F[(net + 1) % 3], OnOff(threshold=0.3)),
        }
        for method, (G, rule) in teachers.items():
            objective = Distillation(y, G[None], rule, 4.0)
            student = train(base.nets[net : net + 1], data, objective, SMALL.distillation_schedule).nets
            assert torch.allclose(nets[method].W[net], student.W[0], atol=1e-5)
    joint = train(start, data, AverageCrossEntropy(y), SHORT).nets
    assert torch.equal(nets["trained average"].W, joint.W)


def test_each_data_set_is_tested_on_its_own_inputs(small, draw_8):
    _, _, nets, training, tests = draw_8
    for stratum, test in tests.items():
        for method in ("single", "distilled", "self-distilled"):
            assert np.array_equal(errors(small, method, stratum)[1], error_rate(nets[method](test.x), test.y))
        for method, name in {"ensemble": "single", "trained average": "trained average"}.items():
            assert errors(small, method, stratum)[1] == error_rate(nets[name](test.x).mean(0), test.y)
    assert np.array_equal(errors(small, "single"), errors(small, "single", "single-view"))  # the first kind of inputs
    assert np.array_equal(small["training"][1], training)


def test_shares_are_those_of_the_diagnosis(small, draw_8):
    _, _, nets, _, tests = draw_8
    test = tests["single-view"]  # of 60 inputs, all of which are looked at
    found = diagnose(nets["single"](test.x), test.y)
    assert small["error by size"][1].values == pytest.approx([e.value for e in found.errors])
    assert float(small["corrected"][1]) == pytest.approx(found.corrected.value)
    assert float(small["resolved"][1]) == pytest.approx(found.resolved.value)
    wrong = (nets["single"](test.x).argmax(-1) != test.y).sum(0)
    assert int(small["corrected inputs"][1]) == int((wrong > 0).sum())
    assert int(small["resolved inputs"][1]) == int(((wrong > 0) & (wrong < 3)).sum())
    assert share(small, "corrected").value == pytest.approx(float(small["corrected"].mean()))


def test_a_share_of_nothing_is_refused():
    variables = {"resolved": ("draw", [0.5, math.nan]), "resolved inputs": ("draw", [3, 0])}
    with pytest.raises(ValueError, match="got a data set without 'resolved' inputs"):
        share(labelled(variables), "resolved")


def test_rules_other_than_on_off_are_the_same_for_all_teachers():
    assert replace(SMALL, rule=Temperature(2.0))._rule(9) == Temperature(2.0)
    assert replace(SMALL, rule=OnOff(threshold=0.75, slack=0.4))._rule(3) == OnOff(threshold=0.25, slack=0.4)


def test_studies_differ_where_they_say():
    views, one = STUDIES["two views"], STUDIES["one view"]
    assert replace(one, task=views.task) == views
    assert isinstance(one.task, OneView)
    assert replace(STUDIES["noise"], flipped=0.0) == STUDIES["mixture"]


@pytest.mark.slow
def test_the_gain_goes_with_the_second_view():
    """The same code finds a large gain with two views, and none where one was shown."""
    gains = {}
    for name in ("two views", "one view"):
        brief = replace(STUDIES[name].distillation_schedule, steps=1)
        study = replace(STUDIES[name], strata=("single-view",), n=200, test=400, nets=4, draws=(9, 10))
        gains[name] = gain(replace(study, distillation_schedule=brief).run(), "ensemble").value
    assert gains["two views"] > 0.25
    assert abs(gains["one view"]) < 0.05


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"draws": (1,)}, "draws must be at least 2 different numbers"),
        ({"nets": 2}, "nets must be an integer >= 3 and <= 12; got 2"),
        ({"flipped": 1.0}, r"flipped must be a finite number in \[0, 1\); got 1.0"),
        ({"strata": ("all",)}, "strata must be one of 'multi-view', 'single-view'; got 'all'"),
        ({"task": TeacherLabels()}, "strata must be one of 'multi-view'; got 'single-view'"),
    ],
)
def test_a_faulty_study_is_refused(change, match):
    with refused(ValueError, match):
        replace(SMALL, **change)


def test_an_unknown_result_is_refused(small):
    with pytest.raises(ValueError, match="stratum must be one of 'single-view', 'multi-view'; got 'all'"):
        error(small, "single", "all")
    with pytest.raises(ValueError, match=r"method must be one of .*; got 'boosting'"):
        gain(small, "boosting")
    with pytest.raises(ValueError, match="what must be one of 'corrected', 'resolved'; got 'single'"):
        share(small, "single")
