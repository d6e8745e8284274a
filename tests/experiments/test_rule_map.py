"""Rules side by side and shuffled teachers: what is measured by hand, what is trained like the package does."""

import hand_made
import numpy as np
import pytest
import torch
from hand_made import EXACT, readers, small

from mvtheory import CrossEntropy, Distillation, OneSided, Schedule, Temperature, average, learned_views, train
from mvtheory.experiments import rule_map
from mvtheory.experiments.base import labelled
from mvtheory.experiments.nets import Draw, singles
from mvtheory.experiments.rule_map import (
    ESTIMATORS,
    OF_NEWS,
    WAYS,
    Matching,
    RuleMap,
    ShuffledTeacher,
    by_way,
    found_by_teacher,
    shuffled_within_classes,
)
from mvtheory.experiments.settings import SETTING
from mvtheory.measurement import wrong

ONE, TWO, BOTH = ([[a, b]] * 3 for a, b in ((1, 0), (0, 1), (1, 1)))
TINY = small(SETTING)
STEPS = Schedule(steps=40, eta=1e6, max_change=0.3, warn=False)


def test_a_shuffled_order_keeps_the_classes_and_moves_the_inputs():
    y = torch.randint(4, (200,), generator=torch.Generator().manual_seed(0))
    order = shuffled_within_classes(y)
    assert torch.equal(y[order], y)
    assert torch.equal(order.sort().values, torch.arange(200))
    assert (order != torch.arange(200)).double().mean() > 0.9
    assert not torch.equal(order, shuffled_within_classes(y, seed=1))


def test_found_views_are_counted_among_those_that_were_lacked():
    teacher = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], bool)
    before = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], bool)
    after = np.array([[1, 1], [1, 1], [0, 1], [1, 0]], bool)
    # Lacked: (0, 1) and (3, 0), not of the teacher, both found; (1, 1) and (2, 0), of the teacher, the first found.
    assert found_by_teacher(teacher, before, after) == (0.5, 1.0)
    assert found_by_teacher(teacher, np.ones_like(before), after) == (0.0, 0.0)  # nothing was lacked


def test_news_is_one_for_students_that_take_what_their_teachers_have_and_no_more(monkeypatch):
    base = [readers(Draw(number, EXACT), [TWO, TWO, ONE, TWO, ONE]) for number in (1, 2)]
    faithful = [readers(nets.draw, [BOTH, TWO]) for nets in base]
    careless = [readers(nets.draw, [BOTH, BOTH]) for nets in base]
    for students, expected in ((faithful, 1), (careless, 0)):
        hand_made.use(monkeypatch, rule_map, singles=base, distilled_students=students)
        measured = OF_NEWS["news"]([1, 2], EXACT)
        assert measured.estimate.value == expected
        assert (measured.estimate.nets, measured.estimate.draws, measured.seconds) == (4, 2, 3.0)


def test_matching_is_half_the_squared_distance():
    F, G = torch.randn(2, 5, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    F.requires_grad_()
    penalty, gradient = Matching()(F, G)
    assert torch.allclose(penalty, ((F - G) ** 2).sum(-1) / 2)
    assert torch.allclose(torch.autograd.grad(penalty.sum(), F)[0], gradient)


def test_label_smoothing_is_the_temperature_one_with_smoothed_labels_for_a_teacher():
    y, F = torch.tensor([2, 0]), torch.randn(2, 1, 4, generator=torch.Generator().manual_seed(2))
    soft = 0.9 * torch.nn.functional.one_hot(y, 4) + 0.025
    _, gradient = Temperature(1.0)(F, soft.log()[:, None])
    assert torch.allclose(gradient, F.softmax(-1) - soft[:, None], atol=1e-6)


@pytest.mark.slow
def test_each_way_is_what_its_name_says():
    study = RuleMap((1, 2), weights=(1.0, 3.0, 2.0, 4.0), T=3.0, tau=0.5, schedule=STEPS, setting=TINY)
    data, nets = study.on(1), singles(Draw(1, TINY))
    draw, y, G = nets.draw, nets.draw.train.y, average(nets.outputs["train"])[None]
    shuffled = G[:, shuffled_within_classes(y)]
    soft = (0.9 * torch.nn.functional.one_hot(y, 3) + 0.1 / 3).log()[None].to(G)
    begin = {"random": draw.init(5, 1), "labels": nets.nets[:1]}
    objectives = {
        "labels only": CrossEntropy(y),
        "label smoothing": Distillation(y, soft, Temperature(1.0), 1.0),
        "matching": Distillation(y, G, Matching(), 3.0),
        "temperature": Distillation(y, G, Temperature(3.0), 2.0),
        "paper": Distillation(y, G, OneSided(0.5), 4.0),
        "paper, shuffled": Distillation(y, shuffled, OneSided(0.5), 4.0),
    }
    test = draw.test_single_view
    for way, start in WAYS:
        on_off = Distillation(y, shuffled if "shuffled" in way else G, TINY.rule(5, start), TINY.weight)
        student = train(begin[start], draw.train, objectives.get(way, on_off), STEPS).nets
        found = data.sel(way=f"{way} from {start}")
        assert float(found.error) == wrong(student(test.x), test.y).mean()
        assert float(found.both) == float(learned_views(student, draw.task.views).all(-1).double().mean())
    assert len(np.unique(data.error)) > 3  # the ways differ


def test_a_way_is_compared_with_labels_alone_from_the_same_start(monkeypatch):
    names = [f"{way} from {start}" for way, start in WAYS]
    error = torch.rand(2, len(WAYS), generator=torch.Generator().manual_seed(3)).numpy()
    data = labelled({"error": ("draw way", error)}, draw=[1, 2], way=names).assign_attrs(seconds=1.0)
    monkeypatch.setattr(RuleMap, "run", lambda study: data)
    mean = dict(zip(names, error.mean(0), strict=True))
    for id, way in (("distill-temperature", "temperature"), ("distill-shuffled-paper", "paper, shuffled")):
        expected = mean[f"{way} from random"] - mean["labels only from random"]
        assert (ESTIMATORS | OF_NEWS)[id]([1, 2], TINY).estimate.value == pytest.approx(expected)
    assert ESTIMATORS["distill-paper-rule"]([1, 2], TINY).estimate.value == pytest.approx(mean["paper from random"])
    assert by_way([1, 2], TINY)["on/off from labels"].value == pytest.approx(mean["on/off from labels"])


@pytest.mark.slow
def test_a_shuffled_teacher_is_another_net_whose_outputs_are_shuffled():
    data, nets = ShuffledTeacher((1, 2), schedule=STEPS, setting=TINY).on(1), singles(Draw(1, TINY))
    y, views = nets.draw.train.y, nets.draw.task.views
    G = nets.outputs["train"][2:4][:, shuffled_within_classes(y)]
    after = train(nets.nets[:2], nets.draw.train, Distillation(y, G, TINY.rule(1, "labels"), TINY.weight), STEPS).nets
    for name, some in {"teacher": nets.nets[2:4], "before": nets.nets[:2], "after": after}.items():
        assert np.array_equal(data[name], learned_views(some, views))
    measured = OF_NEWS["news-shuffled"]([1, 2], TINY)
    assert (measured.estimate.nets, measured.estimate.draws) == (4, 2)
    assert -1 <= measured.estimate.low <= measured.estimate.high <= 1
