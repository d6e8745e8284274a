"""The book's nets in a small setting: who is trained on what, and that chapters share the work."""

import runpy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hand_made import small

from mvtheory import training
from mvtheory.distillation import Distillation, OnOff, Temperature
from mvtheory.experiments import base
from mvtheory.experiments.base import DRAWS
from mvtheory.experiments.nets import (
    Draw,
    distilled_students,
    each_draw,
    singles,
    trained_average,
)
from mvtheory.experiments.settings import NET_SETTING, STUDENT_SETTING
from mvtheory.persistence.store import LockedError
from mvtheory.training import Schedule, train

SMALL = small(STUDENT_SETTING)
LEARNED = replace(
    SMALL,
    sigma_0=0.3,
    schedule=Schedule(steps=100, stop_loss=0.1, eta=3000.0, max_change=0.3, warn=False),
    distillation_schedule=Schedule(steps=5, eta=100.0, warn=False),
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MVTHEORY_CACHE", str(tmp_path))


def test_no_seed_serves_twice():
    most = 100 + max(STUDENT_SETTING.nets, NET_SETTING.nets)
    seeds = [seed for number in DRAWS for seed in [Draw(number).seed + i for i in range(most)]]
    assert len(set(seeds)) == len(seeds)
    assert min(seeds) >= 10**6


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


def test_members_and_students_are_nets_that_differ_by_seed_alone():
    draw = Draw(1, SMALL)
    nets = singles(draw)
    alone = train(draw.init(4, 1), draw.train, None, SMALL.schedule).nets
    assert len(nets.members.nets) == 3
    assert len(nets.students.nets) == 2
    torch.testing.assert_close(nets.students.nets.W[1], alone.W[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(nets.outputs["single-view"], nets.nets(draw.test_single_view.x))
    wrong = (nets.outputs["multi-view"].argmax(-1) != draw.test_multi_view.y).double().mean(-1)
    np.testing.assert_allclose(nets.errors("multi-view"), wrong)


@pytest.mark.parametrize("teacher", ["ensemble", "single"])
def test_a_student_goes_on_from_its_labels_with_its_teacher(teacher):
    draw = Draw(1, LEARNED)
    base = singles(draw)
    F = base.outputs["train"]
    baseline = (2 / 3) ** 2 / 2  # half of the inputs that hold neither view of a class
    rule = OnOff(threshold=0.1 if teacher == "ensemble" else 0.3, baseline_quantile=baseline)  # one of three is on

    def by_hand(G, weight=LEARNED.weight):
        objective = Distillation(draw.train.y, G, rule, weight)
        return train(base.students.nets, draw.train, objective, LEARNED.distillation_schedule).nets.W

    W = distilled_students(draw, teacher).nets.W
    torch.testing.assert_close(W, by_hand(torch.stack([F[:3].mean(0)] * 2) if teacher == "ensemble" else F[:2]))
    for other in (by_hand(F[1:3]), by_hand(F[:2], 1.0), distilled_students(draw, teacher, Temperature()).nets.W):
        assert (W - other).abs().max() > 0.01


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


def test_a_trained_average_starts_from_the_first_seeds():
    draw = Draw(1, SMALL)
    W = trained_average(draw).nets.W
    moved = [W - draw.init(first, SMALL.averaged).W for first in (0, SMALL.averaged)]
    assert moved[0].norm() < 0.9 * moved[1].norm()


def test_full_mode_takes_five_times_the_data_sets_and_begins_with_the_same(monkeypatch):
    def draws(mode):
        """Execute the module anew, as a process with this environment does when it imports it."""
        monkeypatch.setenv("MVTHEORY_FULL", mode)
        return runpy.run_path(base.__file__)["DRAWS"]

    usual, full = draws("0"), draws("1")
    assert len(full) == 5 * len(usual)
    assert full[: len(usual)] == usual
    with pytest.raises(ValueError, match="environment variable MVTHEORY_FULL must be one of '0', '1'; got 'yes'"):
        draws("yes")


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"teacher must be one of 'ensemble', 'single'; got 'crowd'"):
        distilled_students(Draw(1, SMALL), "crowd")
    with pytest.raises(ValueError, match=r"number must be an integer >= 1; got 0"):
        Draw(0)
    with pytest.raises(ValueError, match="where must be one of"):
        singles(Draw(1, SMALL)).errors("validation")


def test_a_draw_can_have_several_disjoint_ensembles():
    two = Draw(1, replace(SMALL, ensembles=2))
    nets, one = singles(two), singles(Draw(1, SMALL))
    assert len(nets.nets) == 2 * SMALL.members + SMALL.students
    first, second = nets.ensembles
    torch.testing.assert_close(first.nets.W, one.members.nets.W)  # the same seeds, in a larger stack
    torch.testing.assert_close(second.nets.W[: SMALL.students], one.students.nets.W)
    assert torch.equal(nets.students.nets.W, nets.nets.W[2 * SMALL.members :])
    assert torch.equal(nets.members.nets.W, first.nets.W)
