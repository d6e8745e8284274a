"""Training of many classes: a sample's strengths without the sample, and the trainer's path at less cost."""

import math
from dataclasses import replace

import pytest
import torch
from reference import clean_task, refused, within

from mvtheory import MultiView, PatchNets, Schedule, SReLU, train
from mvtheory.reduced.reduction import OwnViewNets, Strengths, draw_strengths, reduce_to_own_views
from mvtheory.reduced.sparse_training import train_reduced
from mvtheory.training import Diverged

TASK = MultiView(
    k=5, P=30, d=20, C_p=2, C_weak=1, s=2.0, weak=(0.2, 0.4), noise_signal=0.0, noise_background=0.0, frame_seed=3
)


def problem(task=TASK, q=4, sigma_0=0.3, L=3, n=80, n_single_view=6):
    activation = SReLU(q, 3.0)
    nets = PatchNets.init(L, k=task.k, m=4, d=task.d, sigma_0=sigma_0, seed=1, activation=activation)
    return reduce_to_own_views(nets, task.sample(n, n_single_view, seed=3), task.views)[:2]


# strengths without patches


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize(
    "change", [{}, {"C_weak": None, "M": 3, "P": 42}, {"weak": (0.2, 0.2), "s": 0.5}, {"rho": 0.0}]
)
def test_strengths_are_those_of_the_sample_bit_for_bit(balanced, change):
    task = replace(TASK, **change)
    data = task.sample(40, 20, seed=7, balanced=balanced)
    nets = PatchNets.init(1, k=task.k, m=1, d=task.d, sigma_0=0.1, seed=0)
    expected = reduce_to_own_views(nets, data, task.views)[1]
    drawn, kept = draw_strengths(task, 40, 20, seed=7, balanced=balanced)
    assert torch.equal(drawn.x, expected.x)
    assert torch.equal(drawn.y, expected.y)
    assert torch.equal(kept, data.kept)
    y, kept, strength = task.strengths(40, 20, seed=7, balanced=balanced)
    assert torch.equal(strength, data.strength)
    assert torch.equal(kept, data.kept)
    assert torch.equal(y, data.y)


def test_many_classes_need_no_patches():
    k = 400
    task = MultiView(k=k, P=2 * k, d=2 * k, s=5.0)  # 500 of its inputs would take a gigabyte
    data, _ = draw_strengths(task, 500, seed=0)
    others = (data.x[..., 1] > 0).sum((1, 2)).double() - 2
    p = 5 / k
    assert within(others.mean(), 2 * (k - 1) * p, math.sqrt(2 * (k - 1) * p * (1 - p)), len(data))


# the path


@pytest.mark.parametrize("q", [2, 3, 4])
@pytest.mark.parametrize("change", [{}, {"weak": (0.2, 0.2)}, {"M": 3, "P": 48}])
def test_the_path_is_that_of_the_trainer(q, change):
    nets, data = problem(replace(TASK, **change), q=q)
    schedule = Schedule(steps=60, stop_loss=0.0, eta=500.0)
    slow, fast = train(nets, data, schedule=schedule), train_reduced(nets, data, schedule)
    # Single precision adds up over 60 steps, in which weights grow by up to 20% each: as for `reduce_to_all_views`.
    assert torch.allclose(fast.nets.W, slow.nets.W, rtol=1e-3, atol=1e-4 * float(slow.nets.W.abs().max()))
    assert torch.allclose(fast.loss, slow.history.loss[-1], rtol=1e-3, atol=1e-5)
    assert torch.equal(fast.steps, torch.full((3,), 60))


def test_each_net_stops_when_it_has_learned_everything():
    nets, data = problem(n_single_view=0)
    schedule = Schedule(steps=2000, stop_loss=0.05, eta=2000.0)
    slow, fast = train(nets, data, schedule=schedule), train_reduced(nets, data, schedule)
    assert torch.equal(fast.error, torch.zeros(3))
    assert (fast.loss < 0.05).all()
    assert len(set(fast.steps.tolist())) > 1
    assert torch.allclose(fast.loss, slow.history.loss[-1], rtol=0.02)


def test_a_net_does_not_stop_while_a_training_input_is_wrong():
    nets, data = problem(n_single_view=0)
    fast = train_reduced(nets, data, Schedule(steps=2000, stop_loss=1e9, eta=2000.0))
    assert (fast.error == 0).all()
    assert fast.steps.max() > 1  # some nets are right from the start


def test_a_net_does_not_depend_on_the_others():
    nets, data = problem()
    schedule = Schedule(steps=300, stop_loss=0.05, eta=2000.0, warn=False)
    together, alone = train_reduced(nets, data, schedule), train_reduced(nets[1:2], data, schedule)
    assert torch.allclose(together.nets.W[1:2], alone.nets.W, rtol=1e-4, atol=1e-5)
    assert together.steps[1] == alone.steps[0]


def test_the_loss_counts_silent_classes():
    """A single input with one view of weight a: the loss is log(k - 1 + e^F) - F."""
    k, F = 7, 0.5**3 / 3
    W = torch.zeros(1, k, 1, 2)
    W[0, 2, 0, 0] = 0.5
    x = torch.zeros(1, k, 2, 2)
    x[0, 2, 0] = torch.tensor([1.0, 1.0])
    end = train_reduced(
        OwnViewNets(W, SReLU(3, 1.0)), Strengths(x, torch.tensor([2])), Schedule(steps=1, stop_loss=0, eta=1e-9)
    )
    assert float(end.loss) == pytest.approx(math.log(k - 1 + math.exp(F)) - F, rel=1e-6)
    assert float(end.error) == 0


def test_a_label_whose_views_are_absent_is_an_error():
    x = torch.zeros(1, 3, 2, 2)
    x[0, 1, 0] = torch.tensor([1.0, 1.0])
    W = torch.full((1, 3, 1, 2), 0.5)
    end = train_reduced(
        OwnViewNets(W, SReLU(3, 1.0)), Strengths(x, torch.tensor([0])), Schedule(steps=1, stop_loss=0, eta=1e-9)
    )
    assert float(end.error) == 1


def test_inputs_are_not_changed_and_bad_ones_are_refused():
    nets, data = problem(clean_task(), L=2)
    before = nets.W.clone(), data.x.clone()
    train_reduced(nets, data, Schedule(steps=3, stop_loss=0))
    assert torch.equal(nets.W, before[0])
    assert torch.equal(data.x, before[1])
    with refused(ValueError, "schedule.optimizer must be one of 'gd'; got 'adam'"):
        train_reduced(nets, data, Schedule(optimizer="adam"))
    with refused(ValueError, r"nets.activation.q must be an integer >= 2; got 1"):
        train_reduced(replace(nets, activation=SReLU(1, 1.0)), data)
    with refused(ValueError, r"data.x must have shape"):
        train_reduced(nets, Strengths(data.x[:, 1:], data.y.clamp(max=2)))
    with refused(ValueError, r"data.x must be finite"):
        train_reduced(nets, Strengths(data.x / 0, data.y))


def test_divergence_is_told_with_its_step():
    nets, data = problem()
    with pytest.raises(Diverged, match="not finite at step"):
        train_reduced(replace(nets, W=torch.full_like(nets.W, 3e38)), data)
