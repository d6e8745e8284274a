"""Students of an ensemble: what is measured, on nets whose answers are known."""

import inspect
from dataclasses import replace

import hand_made
import numpy as np
import pytest
import torch
from hand_made import EXACT, answering, readers

from mvtheory import Distillation, OnOff, Schedule, train
from mvtheory.experiments import distilling
from mvtheory.experiments.base import STUDENT_DRAWS
from mvtheory.experiments.control_variate import expected_uncovered, lottery_control_variate, predicted_views
from mvtheory.experiments.distilling import (
    CASES,
    ESTIMATORS,
    errors_without_both_views,
    on_shares,
    outputs_by_case,
    predicted_outputs,
    train_students,
)
from mvtheory.experiments.nets import Draw, distilled_students

ONE, TWO, BOTH, NONE = ([[a, b]] * 3 for a, b in ((1, 0), (0, 1), (1, 1), (0, 0)))
POINTS = EXACT.test_single_view
TRAINED = replace(
    EXACT,
    task=replace(EXACT.task, noise_background=0.2),
    sigma_0=0.3,
    schedule=Schedule(steps=100, stop_loss=0.1, eta=3000.0, max_change=0.3, warn=False),
    distillation_schedule=Schedule(steps=5, eta=100.0, warn=False),
)


@pytest.fixture
def draws():
    return [Draw(number, EXACT) for number in (1, 2)]


def test_views_predict_the_outputs_of_nets_that_see_nothing_else(draws):
    nets = readers(draws[0], [ONE, ONE, TWO, BOTH, NONE])
    predicted, G = predicted_outputs(nets)
    assert predicted.shape == G.shape == (90 * 2,)
    torch.testing.assert_close(predicted, G, rtol=1e-4, atol=1e-6)
    assert len(set(G.mul(1e3).round().tolist())) == 4  # no view, either one, both: more hold the first than the second


def test_the_share_of_the_variance_is_that_which_noise_leaves(draws, monkeypatch):
    base = [readers(draw, [ONE, TWO, BOTH, NONE, NONE]) for draw in draws]
    noise = [0.02 * torch.randn(5, 90, 3, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    noisy = [
        hand_made.of(nets.draw, nets.nets, multi_view=nets.outputs["multi-view"] + e)
        for nets, e in zip(base, noise, strict=True)
    ]
    hand_made.use(monkeypatch, distilling, singles=noisy)
    found = ESTIMATORS["dark"]([1, 2], EXACT)
    R2 = []
    for clean, nets in zip(base, noisy, strict=True):
        other = torch.arange(3) != nets.labels("multi-view")[:, None]
        G, hat = (run.outputs["multi-view"].mean(0)[other] for run in (nets, clean))
        R2.append(1 - float(((G - hat) ** 2).sum() / ((G - G.mean()) ** 2).sum()))
    assert found.estimate.value == pytest.approx(np.mean(R2), rel=1e-2)  # mean over n against n - 1
    assert (found.estimate.nets, found.seconds) == (10, 3.0)
    assert 0.01 < found.estimate.value < 0.99


def test_the_mean_output_in_each_case_is_the_share_of_nets_that_hold_the_view(draws):
    measured, predicted = outputs_by_case(readers(draws[0], [ONE, ONE, TWO, BOTH, NONE]))
    expected = [0, 3 / 5, 2 / 5, 1]
    assert measured.tolist() == pytest.approx(expected, abs=1e-4)
    assert predicted.tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_a_case_is_measured_minus_predicted(case, draws, monkeypatch):
    base = []
    for draw, extra in zip(draws, (0.5, 0.7), strict=True):
        nets = readers(draw, [ONE, ONE, TWO, BOTH, NONE])
        views = {"neither": (0, 0), "first": (1, 0), "second": (0, 1), "both": (1, 1)}[case]
        here = (draw.test_multi_view.present == torch.tensor(views)).all(-1)
        u = nets.outputs["multi-view"].new_tensor(0.3**3 * 9**3 / (3 * 12**2))  # z^q / (q varrho^(q - 1)), at overlap 9
        base.append(hand_made.of(draw, nets.nets, multi_view=nets.outputs["multi-view"] + extra * u * here))
    hand_made.use(monkeypatch, distilling, singles=base)
    found = ESTIMATORS[f"dark-{case}"]([1, 2], EXACT).estimate
    assert found.value == pytest.approx(0.6, abs=1e-3)
    assert found.nets == 10


def test_students_are_adjusted_for_the_views_that_teacher_and_student_are_predicted_to_lack(monkeypatch):
    """With few members both views of a class are lacked at times; each student errs there, and nowhere else."""
    draws = [Draw(number, replace(EXACT, members=2)) for number in (1, 2)]
    runs = []
    for draw in draws:
        test, views = draw.test_single_view, predicted_views(draw)[0]
        lacking = views[:, test.y] != test.kept
        runs.append(answering(draw, torch.stack([lacking[[0, 1, own]].all(0) for own in (2, 3)])))
    assert any(not np.array_equal(*run.wrong("single-view")) for run in runs)  # so that the order of students counts
    hand_made.use(monkeypatch, distilling, distilled_students=runs)
    found = ESTIMATORS["distill"]([1, 2], draws[0].setting)
    expected = np.mean([expected_uncovered(draw, 3) for draw in draws])
    clear = 1 - 0.025 ** (1 / (2 * 6))  # no view of a data set fails in another way
    assert found.raw.value == pytest.approx(np.mean([run.errors("single-view") for run in runs]))
    assert found.estimate.value == pytest.approx(expected)
    assert (found.estimate.low, found.estimate.high) == pytest.approx((expected - clear, expected + clear))
    assert (found.estimate.nets, found.estimate.draws, found.seconds) == (4, 2, 3.0)


def test_students_are_students_of_the_ensemble_and_nothing_is_clipped(draws, monkeypatch):
    right, asked = torch.zeros(2, POINTS, dtype=torch.bool), []

    def each_draw(study, numbers, setting, *args):
        asked.append((study, *args))
        return [answering(draw, right) for draw in draws]

    monkeypatch.setattr(distilling, "each_draw", each_draw)
    for id in ("distill", "ensemble-after-kd"):
        ESTIMATORS[id]([1, 2], EXACT)
    assert asked == [(distilled_students, "ensemble")] * 2
    found = ESTIMATORS["distill"]([1, 2], EXACT)
    variate = [lottery_control_variate(draw, [[0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 6]]) for draw in draws]
    assert found.estimate.value == pytest.approx(-np.mean(variate))
    assert found.raw.value == 0
    assert found.estimate.low < 0


@pytest.mark.parametrize("id", ["distill", "ensemble-after-kd"])
def test_students_are_measured_on_the_data_sets_that_have_some(id):
    assert inspect.signature(ESTIMATORS[id]).parameters["draws"].default == STUDENT_DRAWS


def test_what_averaging_students_adds_is_negative_where_each_errs_alone(draws, monkeypatch):
    wrong = torch.zeros(2, POINTS, dtype=torch.bool)
    wrong[0, :6], wrong[1, 3:9] = True, True  # three inputs in common
    runs = [answering(draw, wrong) for draw in draws]
    for run in runs:
        run.outputs["single-view"][:, :9] += (
            0.01 * torch.eye(3)[run.labels("single-view")[:9]]
        )  # one of two: the label wins
    hand_made.use(monkeypatch, distilling, distilled_students=runs)
    found = ESTIMATORS["ensemble-after-kd"]([1, 2], EXACT)
    assert found.estimate.value == pytest.approx((3 - 6) / POINTS)
    assert found.estimate.nets == 4


def test_errors_are_sorted_by_whether_both_views_were_learned(draws):
    blind, seeing = readers(draws[0], [ONE, ONE]), readers(draws[0], [BOTH, BOTH])
    assert blind.errors("single-view").tolist() == [0.5, 0.5]
    assert errors_without_both_views([blind]) == 1
    assert errors_without_both_views([seeing]) == 0  # no error at all
    wrong = torch.ones(2, POINTS, dtype=torch.bool)
    mistaken = hand_made.of(draws[0], seeing.nets, single_view=answering(draws[0], wrong).outputs["single-view"])
    assert errors_without_both_views([mistaken]) == 0
    assert errors_without_both_views([blind, mistaken]) == pytest.approx(60 / 180)


def test_students_learn_like_those_of_the_book_unless_something_is_changed():
    draw = Draw(1, TRAINED)
    base = hand_made.of(draw, train(draw.init(0, 5), draw.train, schedule=TRAINED.schedule).nets)
    schedule = TRAINED.distillation_schedule

    def by_hand(start, G, rule, rows=slice(None)):
        objective = Distillation(draw.train.y[rows], G[:, rows], rule, TRAINED.weight)
        return train(start, draw.train[rows], objective, schedule).nets.W

    each, G = base.teachers.outputs["train"], base.outputs["train"].mean(0)
    both = torch.stack([G, G])
    for start in (draw.init(5, 2), base.students.nets):
        of_single = train_students(start, draw, each).W
        assert torch.equal(of_single, by_hand(start, each, TRAINED.rule(1, "labels")))
        assert not torch.equal(of_single, by_hand(start, each, TRAINED.rule(2, "labels")))
        of_ensemble = train_students(start, draw, G, TRAINED.rule(5, "labels")).W
        assert torch.equal(of_ensemble, by_hand(start, both, TRAINED.rule(5, "labels")))
        some = train_students(start, draw, G, TRAINED.rule(5, "labels"), slice(20)).W
        assert torch.equal(some, by_hand(start, both, TRAINED.rule(5, "labels"), slice(20)))
        assert not torch.equal(some, of_ensemble)
        labels = train(start, draw.train, schedule=replace(schedule, steps=9)).nets.W
        assert torch.equal(train_students(start, draw, None, steps=9).W, labels)
        few = train(start, draw.train[:20], schedule=replace(schedule, steps=9)).nets.W
        assert torch.equal(train_students(start, draw, None, None, slice(20), steps=9).W, few)


def test_students_are_on_where_their_views_are(draws):
    draw = draws[0]
    base, rule = readers(draw, [BOTH] * 5), OnOff(threshold=0.01, cut=0.01, baseline_quantile=0)
    there = draw.test_multi_view.present  # [n, k, M]
    perfect = on_shares(base.students.nets, base, rule)
    assert perfect == pytest.approx({"inside": 1, "outside": 1, "alone": 0, "error": 0, "blank": 0})
    half = on_shares(readers(draw, [ONE, ONE]).nets, base, rule, slice(10))
    seen = [present[..., 0].sum() / present.any(-1).sum() for present in (draw.train[:10].present, there)]
    assert (half["inside"], half["outside"]) == pytest.approx(tuple(map(float, seen)))
    assert (half["alone"], half["error"]) == (0, 0.5)
    always = replace(rule, cut=1e-9)
    shifted = replace(base.nets, W=base.nets.W + 0.5 * draw.task.views.sum((0, 1)))  # answers every view a little
    assert on_shares(shifted, base, always)["alone"] == pytest.approx(1)
    assert on_shares(shifted, base, always)["blank"] > 0
