"""The book's nets in a small setting: who is trained on what, and that chapters share the work."""

import runpy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hand_made import small

from mvtheory import training
from mvtheory.distillation import Distillation, OnOff, Temperature
from mvtheory.ensemble import AverageCrossEntropy
from mvtheory.experiments import base
from mvtheory.experiments.base import DRAWS
from mvtheory.experiments.nets import (
    Draw,
    distilled_students,
    each_draw,
    singles,
    trained_averages,
)
from mvtheory.experiments.settings import SETTING
from mvtheory.model import PatchNets, SReLU
from mvtheory.persistence.store import LockedError
from mvtheory.training import Schedule, train

SMALL = small(SETTING)
LEARNED = replace(
    SMALL,
    activation=SReLU(q=3, varrho=12.0),
    sigma_0=0.3,
    threshold=0.3,
    schedule=Schedule(steps=100, stop_loss=0.1, eta=3000.0, max_change=0.3, warn=False),
    distillation_schedule=Schedule(steps=5, eta=100.0, warn=False),
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MVTHEORY_CACHE", str(tmp_path))


def test_no_seed_serves_twice(monkeypatch):
    used, init = [], PatchNets.init

    def noted(count, *, seed, **sizes):
        used.extend(range(seed, seed + count))
        return init(1, seed=seed, **sizes)

    monkeypatch.setattr(PatchNets, "init", noted)
    for number in DRAWS:
        draw = Draw(number)
        used.extend(draw.seed + i for i in range(5))  # frame, inputs, their order
        draw.init(0, SETTING.members + SETTING.students)  # the members, and students that begin at random
        for average in range(1, SETTING.students):  # the first one begins where the members do
            draw.init(1000 * average, SETTING.members)
        draw.init(100_000, 400)  # those that say how likely a view is
    assert len(set(used)) == len(used)
    assert min(used) >= 10**6


def test_a_draw_has_the_sizes_of_its_setting_and_its_own_frame():
    draw, other = Draw(1, SMALL), Draw(2, SMALL)
    assert [len(draw.train), len(draw.test_single_view), len(draw.test_multi_view)] == [41, 60, 20]
    assert int(draw.train.single_view.sum()) == 1
    assert draw.test_single_view.single_view.all()
    assert not draw.test_multi_view.single_view.any()
    assert not torch.equal(draw.task.views, other.task.views)
    assert not torch.equal(draw.train.y, other.train.y)
    for kind in (draw.train.single_view, ~draw.train.single_view):  # as many of each class, in a random order
        count = torch.bincount(draw.train.y[kind], minlength=3)
        assert count.max() - count.min() <= 1
    assert not torch.equal(draw.test_single_view.strength, other.test_single_view.strength)


@pytest.mark.parametrize("kind", ["single_view", "multi_view"])
def test_no_test_input_is_a_training_input(kind):
    """Of one seed and one size, samples would be the same."""
    few = dict.fromkeys(("n_single_view", "n_multi_view"), 0) | dict.fromkeys((f"n_{kind}", f"test_{kind}"), 30)
    draw = Draw(1, replace(SMALL, **few))
    train, test = (data.x.flatten(1) for data in (draw.train, getattr(draw, f"test_{kind}")))
    assert train.shape == test.shape
    assert torch.cdist(train, test).min() > 0.1


def test_members_are_nets_that_differ_by_seed_alone():
    draw = Draw(1, SMALL)
    nets = singles(draw)
    alone = train(draw.init(4, 1), draw.train, None, SMALL.schedule).nets
    assert len(nets.nets) == 5
    torch.testing.assert_close(nets.nets.W[4], alone.W[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(nets.outputs["single-view"], nets.nets(draw.test_single_view.x))
    wrong = (nets.outputs["multi-view"].argmax(-1) != draw.test_multi_view.y).double().mean(-1)
    np.testing.assert_allclose(nets.errors("multi-view"), wrong)


def test_students_of_single_nets_are_the_first_members_and_the_next_ones_teach_them():
    nets = singles(Draw(1, SMALL))
    assert torch.equal(nets.students.nets.W, nets.nets.W[[0, 1]])
    assert torch.equal(nets.teachers.nets.W, nets.nets.W[[2, 3]])
    for where, F in nets.outputs.items():
        assert torch.equal(nets.students.outputs[where], F[[0, 1]])
        assert torch.equal(nets.teachers.outputs[where], F[[2, 3]])


def test_an_average_errs_where_the_sum_of_the_outputs_is_not_largest_for_the_label():
    nets = singles(Draw(1, SMALL))
    for where in ("train", "single-view", "multi-view"):
        F, y = nets.outputs[where].double().sum(0), nets.labels(where)
        wrong = [not all(f[label] > f[j] for j in range(3) if j != label) for f, label in zip(F, y, strict=True)]
        assert nets.average_wrong(where).tolist() == wrong
        assert nets.average_error(where) == pytest.approx(np.mean(wrong))
    assert 0 < nets.average_error("single-view") < 1


@pytest.mark.parametrize(
    ("teacher", "start"), [("ensemble", None), ("single", None), ("ensemble", "labels"), ("single", "random")]
)
def test_students_learn_from_their_teachers_and_begin_where_they_should(teacher, start):
    draw = Draw(1, LEARNED)
    base = singles(draw)
    F = base.outputs["train"]
    baseline = (2 / 3) ** 2 / 2  # half of the inputs that hold neither view of a class
    first = start or {"ensemble": "random", "single": "labels"}[teacher]
    # One of five is on.
    slack = {"random": LEARNED.slack, "labels": LEARNED.slack_after_labels}[first]
    rule = OnOff(0.06 if teacher == "ensemble" else 0.3, cut=0.4, slack=slack, baseline_quantile=baseline)
    begins = {"random": draw.init(5, 2), "labels": PatchNets(base.nets.W[:2], LEARNED.activation)}

    def by_hand(G, begin=first, weight=LEARNED.weight):
        objective = Distillation(draw.train.y, G, rule, weight)
        return train(begins[begin], draw.train, objective, LEARNED.distillation_schedule).nets.W

    W = distilled_students(draw, teacher, start=start).nets.W
    G = torch.stack([F.mean(0)] * 2) if teacher == "ensemble" else F[2:4]
    torch.testing.assert_close(W, by_hand(G))
    others = [by_hand(F[3:5]), by_hand(F[2:4].flip(0)), by_hand(G, weight=1.0)]
    others += [by_hand(G, begin) for begin in ("random", "labels")]
    gaps = [float((W - other).abs().max()) for other in others]
    gaps.append(float((W - distilled_students(draw, teacher, Temperature(), start).nets.W).abs().max()))
    assert sorted(gap > 1e-4 for gap in gaps) == [False, *[True] * 5], gaps  # one of both starts is that of W


def test_students_of_different_kinds_are_kept_apart():
    draw = Draw(1, LEARNED)
    found = [distilled_students(draw, who, start=start) for who in ("ensemble", "single") for start in (None, "random")]
    assert torch.equal(found[0].nets.W, found[1].nets.W)  # the ensemble's begin at random anyway
    assert len({nets.nets.W.sum().item() for nets in found}) == 3


def test_single_teachers_need_as_many_members_as_their_students():
    five = Draw(1, replace(SMALL, students=3))
    match = r"students \(half of the members, to have a teacher each\) must be an integer <= 2; got 3"
    with pytest.raises(ValueError, match=match):
        distilled_students(five, "single")
    assert len(distilled_students(five, "ensemble").nets) == 3


def test_what_was_trained_once_is_not_trained_again(monkeypatch):
    draws = each_draw(singles, [2, 1], SMALL)
    monkeypatch.setattr("mvtheory.training.loss_and_gradient", None)  # a step would fail
    again = each_draw(singles, [1, 2], SMALL)
    assert [nets.draw.number for nets in draws] == [2, 1]
    assert torch.equal(draws[1].nets.W, again[0].nets.W)
    assert not torch.equal(again[0].nets.W, again[1].nets.W)


@pytest.mark.parametrize("why", ["stopped", "damaged"])
def test_a_study_that_was_stopped_goes_on_where_it_was(why, tmp_path, monkeypatch):
    count, stop = [0], 12
    real = training.loss_and_gradient

    def counted(*args):
        count[0] += 1
        if count[0] == stop:
            raise SystemExit("the machine goes down")
        return real(*args)

    draw = Draw(1, SMALL)
    whole = train(draw.init(0, 5), draw.train, None, SMALL.schedule, views=draw.task.views)
    monkeypatch.setattr(training, "loss_and_gradient", counted)
    with pytest.raises(SystemExit):
        singles(draw)
    files = list(tmp_path.glob("*.checkpoint*"))
    assert len(files) == 3  # the last one, the one before, the lock
    count[0], stop = 0, 0
    if why == "damaged":
        for file in files:
            file.write_bytes(b"")
        with pytest.warns(UserWarning, match="training without a checkpoint: .*damaged"):
            again = singles(draw)
    else:
        again = singles(draw)
    steps = int(whole.history.step[-1]) + 1
    assert count[0] == (steps if why == "damaged" else steps - 10)
    assert torch.equal(again.nets.W, whole.nets.W)
    assert torch.equal(again.history.overlap, whole.history.overlap)
    assert not list(tmp_path.glob("*.checkpoint*"))


def test_draws_that_another_process_has_in_hand_come_last():
    calls = []

    def busy_at_first(draw, *, wait):
        calls.append((draw.number, wait))
        if draw.number == 1 and not wait:
            raise LockedError("another process")
        return draw.number

    assert each_draw(busy_at_first, [1, 2]) == [1, 2]
    assert calls == [(1, False), (2, False), (1, True)]


def test_trained_averages_are_as_many_as_students_of_as_many_nets_as_the_ensemble():
    draw = Draw(1, SMALL)
    found = trained_averages(draw)
    assert [len(nets.nets) for nets in found] == [5, 5]
    for nets, first in zip(found, (0, 1000), strict=True):  # the first begins where the members do
        by_hand = train(draw.init(first, 5), draw.train, AverageCrossEntropy(draw.train.y), SMALL.schedule).nets
        torch.testing.assert_close(nets.nets.W, by_hand.W)
    assert (found[0].nets.W - found[1].nets.W).abs().max() > 0.1
    assert trained_averages(Draw(1, replace(SMALL, students=0))) == []


def test_full_mode_takes_five_times_the_data_sets_and_begins_with_the_same(monkeypatch):
    def draws(mode):
        """Execute the module anew, as a process with this environment does when it imports it."""
        monkeypatch.setenv("MVTHEORY_FULL", mode)
        module = runpy.run_path(base.__file__)
        return module["DRAWS"], module["STUDENT_DRAWS"]

    for usual, full in zip(draws("0"), draws("1"), strict=True):
        assert len(full) == 5 * len(usual)
        assert full[: len(usual)] == usual
    (everything, some), (everything_full, some_full) = draws("0"), draws("1")
    assert everything == tuple(range(5001, 5017))
    assert some == everything[:5]
    assert some_full == everything_full[:25]
    with pytest.raises(ValueError, match="environment variable MVTHEORY_FULL must be one of '0', '1'; got 'yes'"):
        draws("yes")


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"teacher must be one of 'ensemble', 'single'; got 'crowd'"):
        distilled_students(Draw(1, SMALL), "crowd")
    with pytest.raises(ValueError, match=r"start must be one of 'random', 'labels'; got 'teacher'"):
        distilled_students(Draw(1, SMALL), "single", start="teacher")
    with pytest.raises(ValueError, match=r"number must be an integer >= 1; got 0"):
        Draw(0)
    with pytest.raises(ValueError, match="where must be one of"):
        singles(Draw(1, SMALL)).errors("validation")
