"""The paper's rule by the number of classes: who comes first by loops, what is measured by hand, what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from reference import refused

from mvtheory import (
    Distillation,
    MultiView,
    OneSided,
    OnOff,
    PatchNets,
    Schedule,
    SReLU,
    train,
)
from mvtheory.experiments import paper_rule
from mvtheory.experiments.base import labelled, select
from mvtheory.experiments.nets import Draw
from mvtheory.experiments.paper_rule import (
    ESTIMATORS,
    NOISE_FREE,
    PaperRule,
    by_classes,
    excess_error,
    lost_view_first,
    predicted_excess,
)
from mvtheory.reduced.reduction import reduce_to_all_views

SMALL = replace(
    NOISE_FREE,
    task=replace(NOISE_FREE.task, s=2.0),
    m=4,
    members=3,
    students=2,
    schedule=Schedule(steps=60, stop_loss=0.1, eta=3000.0, warn=False),
    distillation_schedule=Schedule(steps=20, stop_loss=0.01, eta=2000.0, warn=False),
    test_single_view=80,
    test_multi_view=40,
)
TINY = PaperRule((1, 2), k=5, inputs=10, setting=SMALL)


def test_the_lost_view_comes_first_where_it_grows_faster_than_any_shortcut():
    task = MultiView(k=3, P=14, d=8, C_p=2, C_weak=1, s=1.5, main=(1.0, 1.0), weak=(0.9, 0.9))
    draw = Draw(1, replace(NOISE_FREE, task=task))
    nets = PatchNets.init(5, k=3, m=2, d=8, sigma_0=1.0, seed=3, activation=SReLU(q=4, varrho=2.0))
    small, _, axes = reduce_to_all_views(nets, task.sample(4, seed=0), task.views)
    # Half of the classes through each view: on in three quarters of the inputs. Weak views sit in one patch of strength
    # 0.9, main ones in two of strength 1/2.
    weak, main = 0.5 * 0.9**4, (3 / 4) / 3 * 2 * 0.5**4
    expected = []
    for net in range(5):
        first = 0
        for j in range(3):
            overlap = [
                [max(0.0, *(float(nets.W[net, j, r] @ task.views[i, v]) for r in range(2))) for v in range(2)]
                for i in range(3)
            ]
            shortcut = max(overlap[i][v] for i in range(3) for v in range(2) if i != j)
            first += weak * min(overlap[j]) ** 2 > main * shortcut**2
        expected.append(first / 3)
    assert lost_view_first(small, axes, draw).tolist() == pytest.approx(expected)
    assert 0 < sum(expected) < 5


@pytest.mark.slow
def test_students_are_trained_by_each_rule_from_each_teacher():
    found, draw = TINY.run(), TINY.at(2)
    views, y = draw.task.views, draw.test_single_view.y
    nets, data, axes = reduce_to_all_views(draw.init(0, 5), draw.train, views)
    nets = train(nets, data, schedule=replace(SMALL.schedule, eta=1500.0)).nets  # k / 10 of the step at ten classes
    single, multi = (
        reduce_to_all_views(draw.init(0, 1), test, views)[1].x for test in (draw.test_single_view, draw.test_multi_view)
    )
    wrong = nets(single).argmax(-1) != y
    F, fresh = nets(data.x), nets(multi)
    for teacher, threshold in (("ensemble", 0.1), ("single", 0.3)):
        G, on_fresh = ((f[:3].mean(0).expand(2, -1, -1) if teacher == "ensemble" else f[:2]) for f in (F, fresh))
        of_teacher = wrong[:3].all(0) if teacher == "ensemble" else wrong[:2]
        lost = (wrong[3:] & of_teacher).double().mean(-1)
        assert select(found, "lost", draw=2, teacher=teacher).tolist() == pytest.approx(lost.tolist())
        for name, rule in (("paper", OneSided()), ("two-sided", OnOff(threshold=threshold))):
            objective, schedule = Distillation(data.y, G, rule, 20.0), replace(SMALL.distillation_schedule, eta=1000.0)
            students = train(nets[3:], data, objective, schedule).nets
            error = (students(single).argmax(-1) != y).double().mean(-1).tolist()
            on, off = students(multi) >= 0.5, on_fresh < threshold
            alone = [float(on[i][off[i]].double().mean()) for i in range(2)]
            where = {"draw": 2, "teacher": teacher, "rule": name}
            assert select(found, "error", **where).tolist() == pytest.approx(error)
            assert select(found, "alone", **where).tolist() == pytest.approx(alone)
    assert select(found, "first", draw=2).tolist() == lost_view_first(nets[3:], axes, draw).tolist()
    assert found.attrs["seconds"] > 0


@pytest.mark.slow
def test_single_nets_are_teachers_at_the_most_classes_only(monkeypatch):
    monkeypatch.setattr(paper_rule, "CLASSES", (4, 6))
    found = by_classes((1, 2), SMALL)
    teachers = {k: data.teacher.values.tolist() for k, data in found.items()}
    assert teachers == {4: ["ensemble"], 6: ["ensemble", "single"]}


def test_more_classes_get_room_and_as_many_inputs_each():
    draw = replace(TINY, k=6).at(2)
    assert (draw.task.k, draw.task.d, draw.task.P) == (6, 12, 4 + 10)
    assert len(draw.train) == 60
    assert draw.number == 2


def measured(**errors):
    """Results of two data sets with two students each: errors by teacher and rule, 0.1 of them lost."""
    error = [[errors[f"{who}_{rule}"] for rule in ("paper", "two")] for who in ("ensemble", "single")]
    variables = {
        "error": ("teacher rule draw student", error),
        "lost": ("teacher draw student", np.full((2, 2, 2), 0.1)),
        "first": ("draw student", np.array([[0.5, 0.7], [0.9, 0.9]])),
    }
    data = labelled(variables, teacher=["ensemble", "single"], rule=["paper", "two-sided"], draw=[1, 2])
    return data.transpose("draw", ...).assign_attrs(seconds=2.0)


def test_claims_are_measured_by_hand(monkeypatch):
    few = measured(ensemble_paper=[[0.4, 0.3], [0.2, 0.1]], ensemble_two=np.full((2, 2), 0.1),
                   single_paper=np.full((2, 2), 0.3), single_two=np.full((2, 2), 0.3))  # fmt: skip
    many = measured(ensemble_paper=[[0.2, 0.2], [0.1, 0.2]], ensemble_two=np.full((2, 2), 0.1),
                    single_paper=np.full((2, 2), 0.4), single_two=np.full((2, 2), 0.3))  # fmt: skip
    monkeypatch.setattr(paper_rule, "CLASSES", (10, 20))
    monkeypatch.setattr(paper_rule, "by_classes", lambda draws, setting: {10: few, 20: many})
    np.testing.assert_allclose(predicted_excess(few), [[0.25, 0.15], [0.05, 0.05]])
    assert excess_error(few, "paper").value == pytest.approx(0.15)
    assert excess_error(few, "two-sided").value == pytest.approx(0)
    called, works = (ESTIMATORS[id]((1, 2)) for id in ("one-sided-called", "one-sided"))
    assert called.estimate.value == pytest.approx((0.15 + 0.075) / 2 - 0.125)
    assert works.estimate.value == pytest.approx((0.075 + 0.1) / 2)
    assert (called.estimate.nets, works.estimate.nets) == (8, 16)
    assert called.seconds == works.seconds == 4.0


def test_the_experiment_refuses():
    with refused(ValueError, "k must be .*; got 1"):
        PaperRule(k=1)
    with refused(ValueError, r"weight must be a finite number in \(0, inf\); got 0"):
        PaperRule(weight=0)
    with refused(ValueError, "teachers must be one of 'ensemble', 'single'; got 'crowd'"):
        PaperRule(teachers=("crowd",))
    with refused(ValueError, "draws must be at least 2 different numbers"):
        PaperRule(draws=(3,))
