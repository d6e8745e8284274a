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
from mvtheory.experiments.base import DRAWS
from mvtheory.experiments.control_variate import lottery_control_variate
from mvtheory.experiments.distilling import (
    CASES,
    ESTIMATORS,
    errors_without_both_views,
    on_shares,
    outputs_by_case,
    predicted_outputs,
    shuffled_within_classes,
    train_students,
)
from mvtheory.experiments.nets import Draw
from mvtheory.experiments.settings import STUDENT_SETTING

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
    assert len(set(G.mul(1e3).round().tolist())) == 4  # no view, either one, both: the first is twice the second


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
        G, hat = (run.outputs["multi-view"][:3].mean(0)[other] for run in (nets, clean))
        R2.append(1 - float(((G - hat) ** 2).sum() / ((G - G.mean()) ** 2).sum()))
    assert found.estimate.value == pytest.approx(np.mean(R2), rel=1e-2)  # mean over n against n - 1
    assert (found.estimate.nets, found.seconds) == (6, 3.0)
    assert 0.01 < found.estimate.value < 0.99


def test_the_mean_output_in_each_case_is_the_share_of_nets_that_hold_the_view(draws):
    measured, predicted = outputs_by_case(readers(draws[0], [ONE, ONE, TWO, BOTH, NONE]))
    expected = [0, 2 / 3, 1 / 3, 1]
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
    assert found.nets == 6


def test_students_are_adjusted_for_the_views_of_their_teacher_and_their_own_and_nothing_is_clipped(draws, monkeypatch):
    wrong = torch.zeros(2, POINTS, dtype=torch.bool)
    wrong[1, :6] = True  # a tenth
    hand_made.use(monkeypatch, distilling, distilled_students=[answering(draw, wrong) for draw in draws])
    found = ESTIMATORS["distill"]([1, 2], EXACT)
    variate = [[lottery_control_variate(draw, [(0, 1, 2, student)]) for student in (3, 4)] for draw in draws]
    assert found.raw.value == pytest.approx(0.05)
    assert found.estimate.value == pytest.approx(0.05 - np.mean(variate))
    assert found.estimate.value != pytest.approx(0.05)
    assert (found.estimate.nets, found.seconds) == (4, 3.0)
    teachers = distilling.distill([1, 2], EXACT, own=False)
    variate = [lottery_control_variate(draw, [(0, 1, 2)]) for draw in draws]
    assert teachers.estimate.value == pytest.approx(0.05 - np.mean(variate)) != found.estimate.value


def test_an_adjusted_error_may_be_negative(draws, monkeypatch):
    right = torch.zeros(2, POINTS, dtype=torch.bool)
    hand_made.use(monkeypatch, distilling, distilled_students=[answering(draw, right) for draw in draws])
    monkeypatch.setattr(distilling, "lottery_control_variate", lambda draw, groups: 0.25)
    found = ESTIMATORS["distill"]([1, 2], EXACT)
    assert (found.estimate.value, found.raw.value) == (-0.25, 0.0)


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


def test_single_nets_are_measured_in_the_setting_of_students():
    parameters = inspect.signature(ESTIMATORS["single-lessons"]).parameters
    assert parameters["setting"].default is STUDENT_SETTING
    assert parameters["draws"].default == DRAWS


def test_errors_are_sorted_by_whether_both_views_were_learned(draws):
    blind, seeing = readers(draws[0], [ONE, ONE]), readers(draws[0], [BOTH, BOTH])
    assert blind.errors("single-view").tolist() == [0.5, 0.5]
    assert errors_without_both_views([blind]) == 1
    assert errors_without_both_views([seeing]) == 0  # no error at all
    wrong = torch.ones(2, POINTS, dtype=torch.bool)
    mistaken = hand_made.of(draws[0], seeing.nets, single_view=answering(draws[0], wrong).outputs["single-view"])
    assert errors_without_both_views([mistaken]) == 0
    assert errors_without_both_views([blind, mistaken]) == pytest.approx(60 / 180)


def test_a_shuffled_teacher_answers_another_input_of_the_class():
    y = torch.arange(4).repeat(25)
    order = shuffled_within_classes(y, seed=3)
    assert torch.equal(y[order], y)
    assert sorted(order.tolist()) == list(range(100))
    assert (order != torch.arange(100)).double().mean() > 0.5
    assert not torch.equal(order, shuffled_within_classes(y, seed=4))


def test_students_go_on_like_those_of_the_book_unless_something_is_changed():
    draw = Draw(1, TRAINED)
    base = hand_made.of(draw, train(draw.init(0, 5), draw.train, schedule=TRAINED.schedule).nets)
    start, schedule = base.students.nets, TRAINED.distillation_schedule

    def by_hand(G, rule, rows=slice(None)):
        objective = Distillation(draw.train.y[rows], G[:, rows], rule, TRAINED.weight)
        return train(start, draw.train[rows], objective, schedule).nets.W

    each, G = base.outputs["train"][:2], base.members.outputs["train"].mean(0)
    assert torch.equal(train_students(base.students, each).W, by_hand(each, TRAINED.rule(1)))
    assert not torch.equal(by_hand(each, TRAINED.rule(1)), by_hand(each, TRAINED.rule(2)))
    of_ensemble = train_students(base.students, G, TRAINED.rule(3)).W
    assert torch.equal(of_ensemble, by_hand(torch.stack([G, G]), TRAINED.rule(3)))
    some = train_students(base.students, G, TRAINED.rule(3), slice(20)).W
    assert torch.equal(some, by_hand(torch.stack([G, G]), TRAINED.rule(3), slice(20)))
    assert not torch.equal(some, of_ensemble)
    labels = train(start, draw.train, schedule=replace(schedule, steps=9)).nets.W
    assert torch.equal(train_students(base.students, None, steps=9).W, labels)


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
