"""Nets with their data: settings that vary, the reduction beside the full model, a training set that prefers a view."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from reference import refused

from mvtheory import SReLU, error_rate, train
from mvtheory.experiments.nets import Draw
from mvtheory.experiments.problem import NOISE_FREE, Problem, vary, weaken_second_view
from mvtheory.experiments.settings import TASK
from mvtheory.reduced.reduction import OwnViewNets, reduce_to_own_views
from mvtheory.training import Schedule

SMALL = vary(NOISE_FREE, k=4, P=12, d=16, s=1.0, n_multi_view=60, m=3, test_single_view=80)


def test_a_setting_varies_in_its_own_fields_and_in_those_of_its_task():
    changed = vary(NOISE_FREE, s=2.5, sigma_0=0.1)
    assert changed == replace(NOISE_FREE, sigma_0=0.1, task=replace(NOISE_FREE.task, s=2.5))
    assert NOISE_FREE.task.s == TASK.s


@pytest.mark.parametrize("name", ["sigma", "task"])
def test_a_field_that_is_not_there_is_refused(name):
    with refused(ValueError, f"changes must be one of .* got '{name}'"):
        vary(NOISE_FREE, **{name: 1})


def test_both_kinds_hold_the_same_inputs_and_nets():
    draw = Draw(7, SMALL)
    full, small = Problem.full(draw, 3), Problem.reduced(draw, 3)
    assert torch.equal(full.nets.W, draw.init(0, 3).W)
    assert torch.equal(small.nets.W, reduce_to_own_views(draw.init(0, 3), draw.train, draw.task.views)[0].W)
    for problem in (full, small):
        assert torch.equal(problem.data.y, draw.train.y)
        assert torch.equal(problem.test.y, draw.test_single_view.y)
        assert torch.equal(problem.kept, draw.test_single_view.kept)
    assert full.schedule == SMALL.schedule


def test_the_step_of_the_reduction_grows_with_the_cut():
    eta = {v: Problem.reduced(Draw(7, vary(SMALL, activation=SReLU(3, v))), 1).schedule.eta for v in (1.5, 3.0)}
    assert eta == {1.5: 600.0, 3.0: 1200.0}


@pytest.mark.parametrize("kind", [Problem.full, Problem.reduced])
def test_trained_nets_are_those_of_the_trainer(kind):
    schedule = Schedule(steps=6, eta=500.0, warn=False)
    start = kind(Draw(7, SMALL), 2)
    end, expected = start.trained(schedule), train(start.nets, start.data, schedule=schedule).nets
    assert torch.equal(end.nets.W, expected.W)
    assert not torch.equal(end.nets.W, start.nets.W)
    assert np.array_equal(end.errors, error_rate(expected(start.test.x), start.test.y))
    assert np.array_equal(end.training_errors, error_rate(expected(start.data.x), start.data.y))
    own = replace(start, schedule=schedule).trained()
    assert torch.equal(own.nets.W, expected.W)


def test_learned_views_are_counted():
    start = Problem.reduced(Draw(7, SMALL), 2)
    W = torch.zeros(2, 4, 3, 2)
    W[:, :, 0, 0] = 5.0  # all classes have the first view
    W[1, :2, 1, 1] = 5.0  # two classes of the second net have the second view, too
    problem = replace(start, nets=OwnViewNets(W, start.nets.activation))
    assert problem.share_with_all_views == 2 / 8
    y, kept = problem.test.y, problem.kept
    assert torch.equal(problem.learned_kept_view[0], kept == 0)
    assert torch.equal(problem.learned_kept_view[1], (kept == 0) | (y < 2))


def test_the_second_view_of_the_own_class_alone_is_weakened():
    draw = Draw(7, SMALL)
    weak = weaken_second_view(draw.train, 0.5)
    before, after = (Problem.reduced(draw, 1, data).data.x for data in (draw.train, weak))
    own = torch.zeros(60, 4, 2, dtype=torch.bool)
    own[range(60), draw.train.y, 1] = True
    assert torch.equal(after[own][:, 0], before[own][:, 0] / 2)
    assert torch.equal(after[~own], before[~own])
    assert torch.equal(after[..., 1], before[..., 1])  # as many patches
    assert not torch.equal(draw.train.strength, weak.strength)
