"""Data without views, the dial between two views and one, and what nets gain on them."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from reference import refused, untouched_global_state, within
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
from mvtheory.controls.no_views import GaussianMixture, OneView, TeacherLabels, flip_labels
from mvtheory.controls.overlap import Overlapping, overlap_at, predicted_gain, resting_ratio
from mvtheory.experiments.nets import Draw
from mvtheory.experiments.overlapping_views import DialResults, DialStudy, winners
from mvtheory.experiments.without_views import METHODS, STUDIES, StructureResults, StructureStudy

SHORT = Schedule(steps=60, eta=1e6)
VIEWS = MultiView(k=3, P=6, d=12, s=1.0)
SMALL = StructureStudy(
    VIEWS,
    ("single-view", "multi-view"),
    n=30,
    test=60,
    nets=3,
    m=3,
    flipped=0.2,
    schedule=SHORT,
    lesson=Schedule(steps=5, eta=1e4),
    rule=OnOff(threshold=0.3),
    draws=(7, 8),
)
DIAL = DialStudy(
    Overlapping(k=3, P=6, d=12, s=1.0), (0.0, 0.5, 1.0), (0.2, 0.4), 30, 60, 3, 3, schedule=SHORT, draws=(7, 8)
)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MVTHEORY_CACHE", str(tmp_path))


# Overlapping views


@pytest.mark.parametrize("c", [0.0, 0.3, 1.0])
def test_views_overlap_as_told_and_classes_stay_orthogonal(c):
    task = Overlapping(k=4, P=8, d=12, s=1.0, overlap=c, frame_seed=3)
    gram = torch.einsum("ild,jmd->iljm", task.views, task.views)
    expected = torch.zeros(4, 2, 4, 2)
    for i in range(4):
        expected[i, :, i, :] = torch.tensor([[1.0, c], [c, 1.0]])
    assert torch.allclose(gram, expected, atol=1e-6)
    assert torch.equal(task.views[:, 0], MultiView(k=4, P=8, d=12, s=1.0, frame_seed=3).views[:, 0])


def test_inputs_carry_the_overlapping_views():
    task = Overlapping(k=3, P=6, d=12, s=1.0, overlap=0.6, noise_signal=0.0, noise_background=0.0)
    sample, plain = (
        data.sample(20, 20, seed=1)
        for data in (task, MultiView(k=3, P=6, d=12, s=1.0, noise_signal=0.0, noise_background=0.0))
    )
    assert torch.equal(sample.strength, plain.strength)
    expected = torch.einsum("njl,jld->nd", sample.strength, task.views)
    assert torch.allclose(sample.x.sum(1), expected, atol=1e-6)


@pytest.mark.parametrize("q", [3, 4, 5, 7])
def test_a_neuron_comes_to_rest_at_the_ratio_of_the_formula(q):
    """Integrate the two growth laws, in steps of the larger overlap's logarithm."""
    for c in (0.0, 0.1, 0.25, 0.9 * (q - 2) / q, (q - 2) / q + 0.1):
        for r in (0.01, 0.9):
            for _ in range(60_000):
                r += 1e-3 * ((c + r ** (q - 1)) - r * (1 + c * r ** (q - 1))) / (1 + c * r ** (q - 1))
            assert r == pytest.approx(resting_ratio(c, q), abs=2e-3)


@pytest.mark.parametrize("q", [3, 4, 6])
def test_the_formula_is_a_ratio_of_hyperbolic_sines(q):
    for r in (0.05, 0.4, 0.9, 0.999):
        u = -math.log(r)
        assert overlap_at(r, q) == pytest.approx(math.sinh((q - 2) * u / 2) / math.sinh(q * u / 2), rel=1e-9)
    assert overlap_at(1, q) == pytest.approx((q - 2) / q)
    assert overlap_at(0, q) == resting_ratio(0, q) == 0
    assert resting_ratio(1, q) == resting_ratio((q - 2) / q, q) == 1
    for c in (0.01, 0.2, 0.3):
        assert overlap_at(resting_ratio(c, q), q) == pytest.approx(c)


def test_the_predicted_gain_is_the_probability_of_being_drowned_out():
    z = np.random.default_rng(0).uniform(1.0, 1.1, 20_000)
    for c in (0.0, 0.1, 0.32, 0.33, 0.34, 0.6):
        share = np.mean(resting_ratio(c, 4) * z < 0.4)
        assert within(2 * predicted_gain(c, 0.4, 4, (1.0, 1.1)), share, 0.5, len(z))
    assert predicted_gain(0.2, 0.1, 4, (1.0, 1.0)) == 0
    assert predicted_gain(0.05, 0.1, 4, (1.0, 1.0)) == 0.5
    assert predicted_gain(0.0, 0.0, 4, (1.0, 1.0)) == 0


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: Overlapping(k=3, P=6, d=12, s=1.0, overlap=1.5), r"overlap must be a finite number in \[0, 1\]"),
        (lambda: Overlapping(k=3, P=9, d=12, s=1.0, M=3), "M must be an integer >= 2 and <= 2; got 3"),
        (lambda: overlap_at(0.5, 2), "q must be an integer >= 3; got 2"),
        (lambda: overlap_at(1.5, 4), "ratio must be"),
        (lambda: resting_ratio(-0.1, 4), "overlap must be"),
        (lambda: predicted_gain(0.1, -1.0, 4, (1.0, 1.1)), "Gamma must be"),
        (lambda: predicted_gain(0.1, 0.1, 4, (0.0, 1.1)), r"main\[0\] must be"),
        (lambda: predicted_gain(0.1, 0.1, 4, (1.0, 0.9)), r"main\[1\] must be"),
    ],
)
def test_faulty_overlaps_are_refused(call, match):
    with refused(ValueError, match):
        call()


# One view, labels of a net, wrong labels


def test_one_view_hides_all_others_in_multi_view_inputs_only():
    task, plain = (kind(k=3, M=3, P=9, d=12, s=2.0) for kind in (OneView, MultiView))
    sample, whole = task.sample(60, 40, seed=5), plain.sample(60, 40, seed=5)
    shown = ~sample.single_view
    assert not sample.present[shown, :, 1:].any()
    assert torch.equal(sample.strength[shown, :, 0], whole.strength[shown, :, 0])
    assert torch.equal(sample.strength[~shown], whole.strength[~shown])
    assert set(sample.kept[~shown].tolist()) == {0, 1, 2}
    hidden = torch.einsum("npd,jld->npjl", sample.x[shown], task.views[:, 1:]).abs().amax()
    assert hidden < 1.0  # noise alone: a view would add its strength, at least 1, to the label's patches
    assert repr(task) != repr(plain)  # the store tells them apart


def test_a_net_makes_labels_of_equal_shares():
    task = TeacherLabels(k=5, P=2, d=6, m=3, frame_seed=2)
    n = 20_000
    sample = task.sample(n, seed=4)
    shares = torch.bincount(sample.y, minlength=5) / n
    for share in shares:  # the offsets come from as many inputs of their own
        assert within(share, 0.2, math.sqrt(2 * 0.2 * 0.8), n)
    W, b = task.teacher.W[0], task.offsets
    scores = torch.einsum("krd,npd->nkrp", W, sample.x[:500]).clamp(min=0).sum((2, 3)) + b
    assert torch.equal(scores.argmax(-1), sample.y[:500])
    assert within(sample.x.mean(), 0, 1, sample.x.numel())
    assert within(sample.x.square().mean(), 1, math.sqrt(2), sample.x.numel())
    assert not sample.present.any()
    assert not sample.single_view.any()


def test_labels_depend_on_seeds_alone():
    with untouched_global_state():
        one, again, other = (TeacherLabels(frame_seed=f).sample(50, seed=s) for f, s in ((1, 2), (1, 2), (3, 2)))
    assert torch.equal(one.x, again.x)
    assert torch.equal(one.y, again.y)
    assert torch.equal(one.x, other.x)
    assert not torch.equal(one.y, other.y)


def test_as_many_labels_are_wrong_as_told():
    y = torch.arange(4).repeat(2500)
    with untouched_global_state():
        flipped = flip_labels(y, 4, 0.3, seed=1)
    wrong = flipped != y
    assert int(wrong.sum()) == 3000
    jump = (flipped - y)[wrong] % 4
    for step in (1, 2, 3):  # every other class alike
        assert within((jump == step).double().mean(), 1 / 3, math.sqrt(2) / 3, 3000)
    assert torch.equal(y, torch.arange(4).repeat(2500))
    assert torch.equal(flip_labels(y, 4, 0, seed=1), y)
    assert torch.equal(flipped, flip_labels(y, 4, 0.3, seed=1))
    assert not torch.equal(flipped, flip_labels(y, 4, 0.3, seed=2))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: TeacherLabels(k=1), "k must be an integer >= 2; got 1"),
        (lambda: TeacherLabels(m=0), "m must be an integer >= 1; got 0"),
        (lambda: TeacherLabels(frame_seed=-1), "frame_seed must be"),
        (
            lambda: TeacherLabels().sample(5, 1, seed=0),
            r"single \(labels of a net have no single-view inputs\) must be",
        ),
        (lambda: TeacherLabels().sample(0, seed=0), "multi must be an integer >= 1; got 0"),
        (lambda: flip_labels(torch.tensor([0, 2]), 2, 0.1, seed=0), "y must hold classes 0 to 1"),
        (lambda: flip_labels(torch.tensor([0, 1]), 2, 1.1, seed=0), "share must be"),
    ],
)
def test_faulty_data_are_refused(call, match):
    with refused(ValueError, match):
        call()


# The study of gains


def test_the_mixture_study_meets_the_best_rule(cache):
    """With two classes in one patch, the best rule errs with probability Phi(-separation / (sqrt 2 sigma))."""
    mixture = GaussianMixture(k=2, P=1, d=10, separation=0.5)
    schedule = Schedule(steps=20, eta=1e6)
    study = StructureStudy(mixture, n=200, nets=3, m=3, sigma_0=0.1, schedule=schedule, lesson=schedule, draws=(7, 8))
    results = study.run()
    error = norm.cdf(-0.5 / math.sqrt(2 / 10))
    assert abs(results.error("best rule").value - error) < 4 * math.sqrt(error * (1 - error) / 8000)
    for method in ("single", *METHODS):
        assert results.error(method).value >= results.error("best rule").value - 0.01
        assert results.error(method).nets == 6
    gain = results.error("single").value - results.error("ensemble").value
    assert results.gain("ensemble").value == pytest.approx(gain)
    again = study._compute()
    assert all(torch.equal(results.tensors[name], again[name]) for name in again)


def test_each_net_learns_from_the_average_of_the_others_and_from_the_next():
    """Train draw 8 of the small study again, net by net, from the primitives."""
    seed = Draw(8).seed
    task = replace(VIEWS, frame_seed=seed)
    data = task.sample(30, seed=seed + 1)
    y = flip_labels(data.y, 3, 0.2, seed=seed + 4)
    nets, error = SMALL._nets(task, data, y, seed)
    start = PatchNets.init(3, k=3, m=3, d=12, sigma_0=0.05, seed=seed + 100, activation=SReLU(3, 4.0))
    base = train(start, data, CrossEntropy(y), SHORT)
    assert torch.equal(nets["single"].W, base.nets.W)
    F = base.nets(data.x)
    assert torch.allclose(error, (F.argmax(-1) != y).double().mean(-1))
    for net in range(3):
        others = [other for other in range(3) if other != net]
        teachers = {
            "distilled": (F[others].mean(0), OnOff(threshold=0.15)),
            "self-distilled": (F[(net + 1) % 3], OnOff(threshold=0.3)),
        }
        for method, (G, rule) in teachers.items():
            lesson = Distillation(y, G[None], rule, 4.0)
            student = train(base.nets[net : net + 1], data, lesson, SMALL.lesson).nets
            assert torch.allclose(nets[method].W[net], student.W[0], atol=1e-5)
    joint = train(start, data, AverageCrossEntropy(y), SHORT).nets
    assert torch.equal(nets["trained average"].W, joint.W)


def test_a_draw_is_tested_on_its_own_inputs(cache):
    results, seed = SMALL.run(), Draw(8).seed
    task = replace(VIEWS, frame_seed=seed)
    data = task.sample(30, seed=seed + 1)
    nets, error = SMALL._nets(task, data, flip_labels(data.y, 3, 0.2, seed=seed + 4), seed)
    tests = {
        "single-view": task.sample(0, 60, seed=seed + 2, balanced=True),
        "multi-view": task.sample(60, seed=seed + 3, balanced=True),
    }
    for stratum, test in tests.items():
        for method in ("single", "distilled", "self-distilled"):
            assert np.allclose(results.errors(method, stratum)[1], error_rate(nets[method](test.x), test.y))
        for method, name in {"ensemble": "single", "trained average": "trained average"}.items():
            expected = error_rate(nets[name](test.x).mean(0), test.y)
            assert float(results.errors(method, stratum)[1, 0]) == pytest.approx(float(expected))
    assert torch.equal(results.tensors["training"][1], error)


def test_shares_are_those_of_the_diagnosis(cache):
    results = SMALL.run()
    assert results.tensors["fall"].shape == (2, 3)
    first = results.tensors["fall"][:, 0]  # a balanced test set of 60 is looked at as a whole
    assert torch.allclose(first.double(), results.errors("single").mean(-1), atol=1e-6)
    assert torch.allclose(results.tensors["fall"][:, -1].double(), results.errors("ensemble")[:, 0], atol=1e-6)
    assert 0 <= results.found("rescued").low <= results.found("rescued").high <= 1
    nothing = {"settled": torch.full((2, 1), math.nan), "settled inputs": torch.zeros(2, dtype=torch.int64)}
    with pytest.raises(ValueError, match="got 'settled', a share of nothing"):
        StructureResults(SMALL, results.tensors | nothing, 0.0).found("settled")


def test_rules_other_than_on_off_are_the_same_for_all_teachers():
    assert replace(SMALL, rule=Temperature(2.0))._rule(9) == Temperature(2.0)
    assert replace(SMALL, rule=OnOff(threshold=0.75, slack=0.4))._rule(3) == OnOff(threshold=0.25, slack=0.4)


def test_studies_differ_where_they_say():
    views, one = STUDIES["two views"], STUDIES["one view"]
    assert replace(one, task=views.task) == views
    assert isinstance(one.task, OneView)
    assert replace(STUDIES["noise"], flipped=0.0) == STUDIES["mixture"]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"draws": (1,)}, "draws must be at least 2 different seeds"),
        ({"draws": (0, 1)}, "draws must be an integer >= 1; got 0"),
        ({"nets": 2}, "nets must be an integer >= 3 and <= 12; got 2"),
        ({"flipped": 1.0}, r"flipped must be a finite number in \[0, 1\); got 1.0"),
        ({"strata": ("all",)}, "strata must be one of 'multi-view', 'single-view'; got 'all'"),
        ({"task": TeacherLabels()}, "strata must be one of 'multi-view'; got 'single-view'"),
    ],
)
def test_a_faulty_study_is_refused(change, match):
    with refused(ValueError, match):
        replace(SMALL, **change)


def test_an_unknown_result_is_refused(cache):
    results = SMALL.run()
    with pytest.raises(ValueError, match="stratum must be one of 'single-view', 'multi-view'; got 'all'"):
        results.error("single", "all")
    with pytest.raises(ValueError, match=r"method must be one of .*; got 'boosting'"):
        results.gain("boosting")
    with pytest.raises(ValueError, match="what must be one of 'rescued', 'settled'; got 'fall'"):
        results.found("fall")


# The dial


def test_winners_are_the_neurons_with_the_largest_overlap():
    task = Overlapping(k=2, P=4, d=6, s=1.0, overlap=0.5)
    W = torch.zeros(1, 2, 3, 6)
    W[0, 0, 1], W[0, 1, 2], W[0, 1, 0] = 3 * task.views[0, 1], 2 * task.views[1, 0], -9 * task.views[1, 0]
    assert torch.allclose(winners(PatchNets(W), task), torch.tensor([[[1.5, 3.0], [2.0, 1.0]]]), atol=1e-6)


def test_the_dial_repeats_and_pairs_its_errors(cache):
    results = DIAL.run()
    assert results.tensors["winner"].shape == (2, 3, 3, 3, 2)
    assert results.ratios().shape == (2, 3, 3, 3)
    assert torch.allclose(results.ratios()[:, -1], torch.ones(2, 3, 3), atol=1e-5)  # two views that are one
    for place, Gamma in enumerate(DIAL.strengths):
        single, ensemble = (results.tensors[name][:, 1, place].mean() for name in ("single", "ensemble"))
        assert results.gain(0.5, Gamma).value == pytest.approx(float(single - ensemble))
    again = DIAL._compute()
    assert all(torch.equal(results.tensors[name], again[name]) for name in again)
    with pytest.raises(ValueError, match=r"strength must be one of 0.2, 0.4; got 0.3"):
        results.gains(0.3)
    with pytest.raises(ValueError, match=r"overlap must be one of 0.0, 0.5, 1.0; got 0.1"):
        results.gain(0.1, 0.2)


def test_halves_are_read_off_between_positions():
    single = torch.tensor([[0.4, 0.3, 0.1], [0.4, 0.4, 0.4]])[:, :, None, None].double()
    tensors = {"single": single, "ensemble": torch.zeros_like(single)}
    study = replace(DIAL, strengths=(0.2,))
    # From 0.3 at overlap 0.5 to 0.1 at 1: half of 0.4 is met midway. The second draw never falls.
    assert np.allclose(DialResults(study, tensors, 0.0).halves(0.2), [0.75, 1.0])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"overlaps": (0.5, 0.0)}, "overlaps must be at least 2 numbers, each larger than the last"),
        ({"overlaps": (0.0, 2.0)}, "overlaps must be a finite number"),
        ({"strengths": (-0.1,)}, "strengths must be a finite number"),
        ({"nets": 1}, "nets must be an integer >= 2; got 1"),
        ({"draws": (3, 3)}, "draws must be at least 2 different seeds"),
    ],
)
def test_a_faulty_dial_is_refused(change, match):
    with refused(ValueError, match):
        replace(DIAL, **change)


def test_verdicts_turn_with_the_structure():
    """The same code finds a large gain with two views, and none where one was shown."""
    gains = {}
    for name in ("two views", "one view"):
        study = replace(STUDIES[name], strata=("single-view",), n=200, test=400, nets=4, draws=(9, 10))
        study = replace(study, lesson=replace(study.lesson, steps=1))
        gains[name] = StructureResults(study, study._compute(), 0.0).gain("ensemble").value
    assert gains["two views"] > 0.25
    assert abs(gains["one view"]) < 0.05
