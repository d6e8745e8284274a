"""Ensembles: averages against loops, the joint gradient against autograd, the lottery against trained nets."""

import dataclasses
import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as nnf
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import clean_task, cross_entropy, gradient, refused, small_problem

from mvtheory import (
    AverageCrossEntropy,
    MultiView,
    PatchNets,
    Schedule,
    SReLU,
    average,
    error_rate,
    learned_views,
    predict_lottery,
    train,
    view_outputs,
)
from mvtheory.ensemble import groups, main_strength
from mvtheory.training import loss_and_gradient

VIEWS = MultiView(k=3, P=6, d=8, s=1, frame_seed=3).views.double()


# Averages


@settings(deadline=None)
@given(L=st.integers(1, 9), size=st.integers(1, 9), seed=st.integers(0, 99))
def test_groups_are_averages_of_disjoint_nets(L, size, seed):
    F = torch.randn(L, 2, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    if size > L:
        with refused(ValueError, f"size must be an integer >= 1 and <= {L}; got {size}"):
            groups(F, size)
        return
    G = groups(F, size)
    assert G.shape == (L // size, 2, 3)
    for g in range(L // size):
        members = [F[net] for net in range(g * size, (g + 1) * size)]
        torch.testing.assert_close(G[g], sum(members[1:], members[0]) / size)
    torch.testing.assert_close(average(F), groups(F, L)[0])


def test_average_is_uniform():
    F = torch.tensor([[[1.0, 2.0]], [[3.0, -2.0]], [[2.0, 9.0]]])
    assert average(F).tolist() == [[2, 3]]


# Joint training


@pytest.mark.parametrize("L", [1, 3])
def test_gradient_of_the_average_agrees_with_autograd(L):
    nets, data = small_problem(L)
    stats, got = loss_and_gradient(nets, data.x, AverageCrossEntropy(data.y), torch.arange(24), torch.arange(L))
    expected = gradient(nets, data.x, lambda F: nnf.cross_entropy(F.mean(0), data.y))
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)
    of_average = cross_entropy(average(nets(data.x))[None], data.y)
    torch.testing.assert_close(stats["loss"], of_average.expand(L), rtol=1e-10, atol=1e-12)


def test_rows_need_not_show_every_class():
    y, F = torch.tensor([2, 0, 1]), torch.tensor([[[1.0, 2.0, 4.0], [3.0, 0.0, 0.0]]], dtype=torch.float64)
    loss, dF = AverageCrossEntropy(y)(F, torch.tensor([1]), torch.arange(2))
    p = torch.tensor([2.0, 1.0, 2.0]).double().softmax(-1)
    torch.testing.assert_close(loss, -p[0].log().expand(1, 2))
    torch.testing.assert_close(dF, ((p - torch.eye(3)[0]) / 2).expand(1, 2, 3))


def test_the_average_of_one_net_trains_as_the_net():
    nets, data = small_problem(1)
    alone, joint = (train(nets, data, goal, Schedule(steps=30)) for goal in (None, AverageCrossEntropy(data.y)))
    torch.testing.assert_close(joint.nets.W, alone.nets.W, rtol=1e-9, atol=1e-12)


def test_training_the_average_trains_it():
    nets, data = small_problem(3)
    run = train(nets, data, AverageCrossEntropy(data.y), Schedule(steps=500))
    assert error_rate(average(run.nets(data.x)), data.y) == 0
    assert run.history.loss[-1, 0] == pytest.approx(float(nnf.cross_entropy(average(run.nets(data.x)), data.y)))


# Views


@pytest.mark.parametrize("z", [1.0, 0.4])
def test_view_outputs_are_outputs_on_one_patch(z):
    nets, _ = small_problem()
    got = view_outputs(nets, VIEWS, z)
    for i in range(3):
        for v in range(2):
            F = nets((z * VIEWS[i, v]).view(1, 1, 8))
            torch.testing.assert_close(got[:, i, v], F[:, 0, i], rtol=1e-12, atol=1e-14)


def test_kept_views_of_nets_made_by_hand():
    views = torch.eye(6).view(3, 2, 6)
    W = torch.zeros(1, 3, 2, 6)
    W[0, 0, 0, 0], W[0, 0, 1, 1] = 2.0, 0.31  # class 0: view 0, and a share 0.31 / 2 of view 1
    W[0, 0, :, 2:] = 9.0  # other classes' views do not count; class 1 learns nothing
    W[0, 2, 0, 5] = 0.05  # class 2: view 1, weak beside class 0 but all that it has
    nets = PatchNets(W, SReLU(1, 1.0))
    assert learned_views(nets, views).tolist() == [[[True, True], [False, False], [False, True]]]
    assert learned_views(nets, views, share=0.15).tolist()[0][0] == [True, True]
    assert learned_views(nets, views, share=0.16).tolist()[0][0] == [True, False]


# The lottery


def test_main_strength_agrees_with_loops():
    task = MultiView(k=4, M=3, P=12, d=12, s=2, main=(1.0, 2.0))
    data = task.sample(50, 20, seed=0)
    expected = torch.zeros(4, 3)
    for y, kept, z in zip(data.y.tolist(), data.kept.tolist(), data.strength.tolist(), strict=True):
        for v in range(3):
            expected[y, v] += (kept < 0) * z[y][v] ** 3 / 50
    torch.testing.assert_close(main_strength(data, 3), expected)
    one = data[:1]
    torch.testing.assert_close(main_strength(one, 3)[one.y[0]], one.strength[0, one.y[0]] ** 3)


@pytest.mark.parametrize("q", [3, 4, 5])
def test_prediction_agrees_with_loops(q):
    nets = dataclasses.replace(small_problem(L=30)[0], activation=SReLU(q, 0.5))
    task = MultiView(k=3, P=6, d=8, s=1, main=(1.0, 3.0), frame_seed=3)
    data = task.sample(30, 10, seed=1)
    S = main_strength(data, q)
    predicted = predict_lottery(nets, VIEWS, data)
    for net in range(30):
        for i in range(3):
            scores = []
            for v in range(2):
                start = max(0, *(float(nets.W[net, i, r] @ VIEWS[i, v]) for r in range(4)))
                scores.append(start * float(S[i, v]) ** (1 / (q - 2)))
            assert int(predicted[net, i]) == scores.index(max(scores))
    start_alone = nets.own_view_overlap(VIEWS).argmax(-1)
    assert (predicted != start_alone).any()  # the training set's own imbalance counts


def clear(nets: PatchNets, views: torch.Tensor, S: torch.Tensor, gap: float) -> torch.Tensor:
    """Mask [L, k] of the lotteries whose first score is more than `gap` times the second."""
    q = nets.activation.q
    first, second = (nets.own_view_overlap(views) * S ** (1 / (q - 2))).topk(2).values.unbind(-1)
    return first > gap * second


@pytest.mark.parametrize(("k", "M", "q"), [(4, 2, 3), (3, 3, 3), (3, 2, 4)])
def test_the_predicted_view_is_kept(k, M, q):
    task = clean_task(k, M)
    data = task.sample(300, seed=0)
    nets = PatchNets.init(12, k=k, m=8, d=task.d, sigma_0=0.1, seed=0, activation=SReLU(q, 2.0))
    trained = train(nets, data).nets
    predicted, kept = predict_lottery(nets, task.views, data), learned_views(trained, task.views)
    sure = clear(nets, task.views, main_strength(data, q), gap=1.3)
    assert 0.3 < sure.float().mean() < 1
    only = nnf.one_hot(predicted, M).bool()
    assert (kept == only)[sure].all()
    assert len(predicted[sure].unique()) == M  # seeds differ in what they keep
    # A strength of 1 drives what the winner learned and nothing of what it lost.
    output = view_outputs(trained, task.views)
    assert (output[only & sure[..., None]] > 10 * output[~only & sure[..., None]].max()).all()


def test_a_stronger_view_wins_from_behind():
    """Where one view is 40% stronger in the training set, the prediction with S is right and without it wrong."""
    task = clean_task(3)
    data = task.sample(300, seed=0)
    strength, x = data.strength.clone(), data.x.clone()
    rows = torch.arange(300)
    strength[rows, data.y, 1] *= 1.4
    second = data.patch_view == (2 * data.y + 1)[:, None]
    x[second] *= 1.4
    data = dataclasses.replace(data, x=x, strength=strength)
    nets = PatchNets.init(20, k=3, m=8, d=task.d, sigma_0=0.05, seed=0, activation=SReLU(3, 2.0))
    predicted, start = predict_lottery(nets, task.views, data), nets.own_view_overlap(task.views).argmax(-1)
    behind = clear(nets, task.views, main_strength(data, 3), gap=1.3) & (predicted != start)
    assert behind.sum() >= 10
    output = view_outputs(train(nets, data).nets, task.views)
    assert torch.equal(output.argmax(-1)[behind], predicted[behind])


# Bad input


def test_averages_are_checked():
    with refused(ValueError, r"F must have shape \[L, n, k\] with no empty axis; got \(0, 2, 3\)"):
        average(torch.zeros(0, 2, 3))
    with refused(ValueError, r"F must have shape \[L, n, k\] .*; got \(2, 3\)"):
        groups(torch.zeros(2, 3), 1)
    with refused(TypeError, "size must be an integer .*; got 1.5"):
        groups(torch.zeros(2, 3, 4), 1.5)


@pytest.mark.parametrize("share", [0, 1, math.nan])
def test_kept_views_refuses_a_share(share):
    nets, _ = small_problem()
    with refused(ValueError, rf"share must be a finite number in \(0, 1\); got {share}"):
        learned_views(nets, VIEWS, share)


def test_views_are_checked():
    nets, data = small_problem()
    wrong = r"views must have shape \[3, M, 8\] .*; got \(2, 2, 8\)"
    for function in (view_outputs, learned_views, lambda nets, views: predict_lottery(nets, views, data)):
        with refused(ValueError, wrong):
            function(nets, VIEWS[:2])
    with refused(ValueError, r"z must be a finite number in \(0, inf\); got 0"):
        view_outputs(nets, VIEWS, 0)


def test_the_lottery_is_checked():
    nets, data = small_problem()
    linear = PatchNets(nets.W, SimpleNamespace(value_and_slope=lambda z: (z, torch.ones_like(z))))
    with refused(TypeError, "nets.activation.q must be an integer >= 3; got None"):
        predict_lottery(linear, VIEWS, data)
    with refused(ValueError, "nets.activation.q must be an integer >= 3; got 2"):
        predict_lottery(PatchNets(nets.W, SReLU(2)), VIEWS, data)
    with refused(ValueError, "q must be an integer >= 1; got 0"):
        main_strength(data, 0)
    with refused(ValueError, r"data must hold a multi-view input of every class; got none of \[0, 1, 2\]"):
        predict_lottery(nets, VIEWS, data[data.single_view])
    with refused(ValueError, r"data must hold a multi-view input of every class; got none of \[1\]"):
        predict_lottery(nets, VIEWS, data[data.y != 1])
    other = MultiView(k=3, M=3, P=9, d=9, s=1).sample(9, seed=0)
    with refused(ValueError, r"data.strength must have shape \[n, 3, 2\] .*; got \(9, 3, 3\)"):
        predict_lottery(nets, VIEWS, other)
