"""Distillation: each rule against its formula by loops, its gradient against autograd, students against each other."""

import math

import pytest
import torch
import torch.nn.functional as nnf
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import clean_task, cross_entropy, gradient, refused, small_problem
from torch import Tensor

from mvtheory import (
    CrossEntropy,
    Distillation,
    OneSided,
    OnOff,
    PatchNets,
    Schedule,
    SReLU,
    Temperature,
    average,
    error_rate,
    train,
)
from mvtheory.training import loss_and_gradient

EXACT = {"rtol": 1e-10, "atol": 1e-12}
RULES = [OnOff(0.2, 0.5, 0.4), OnOff(0.2, 0.5, 0.0), OneSided(1.3, 0.6), Temperature(3.0)]


def pair(seed: int = 0, size: float = 0.5, shape: tuple[int, ...] = (7, 3, 4)) -> tuple[Tensor, Tensor]:
    """Return outputs of students and of teachers: positive, as those of the nets are, on both sides of each cut."""
    rng = torch.Generator().manual_seed(seed)
    F, G = (2 * size * torch.rand(shape, generator=rng, dtype=torch.float64) for _ in range(2))
    return F, G


# The rules


@pytest.mark.parametrize("rule", RULES[:2])
def test_on_off_agrees_with_loops(rule):
    F, G = pair()
    penalty, output_grad = rule(F, G)
    cases = set()
    for b in range(7):
        for net in range(3):
            total = 0.0
            for j in range(4):
                f, on = float(F[b, net, j]) / rule.cut, float(G[b, net, j]) >= rule.threshold
                up, over = max(0.0, 1 - f), max(0.0, f - rule.slack)
                if on:
                    total += up**2 / 2
                    expected = -up / rule.cut
                    cases.add(("on", up > 0))
                else:
                    total += over**2 / 2 if over <= 1 else over - 1 / 2
                    expected = min(over, 1) / rule.cut
                    cases.add(("off", over > 0, over > 1))
                assert float(output_grad[b, net, j]) == pytest.approx(expected, abs=1e-14)
            assert float(penalty[b, net]) == pytest.approx(total, abs=1e-14)
    assert len(cases) >= 4


def test_temperature_agrees_with_loops():
    F, G = pair(size=5)
    penalty, _ = Temperature(3.0)(F, G)
    for b in range(7):
        for net in range(3):
            f, g = ([math.exp(t / 3) for t in H[b, net].tolist()] for H in (F, G))
            p, target = ([t / sum(e) for t in e] for e in (f, g))
            kl = sum(t * math.log(t / s) for s, t in zip(p, target, strict=True))
            assert float(penalty[b, net]) == pytest.approx(9 * kl, abs=1e-12)


@pytest.mark.parametrize("rule", [*RULES[:2], RULES[3]])
def test_the_gradient_is_that_of_the_penalty(rule):
    F, G = pair(size=0.8)
    F.requires_grad_()
    penalty, output_grad = rule(F, G)
    torch.testing.assert_close(output_grad.detach(), torch.autograd.grad(penalty.sum(), F)[0], **EXACT)


def truncated(F: list[float], tau: float, cut: float) -> list[float]:
    e = [math.exp(min(f / cut, 1) / tau) for f in F]
    return [t / sum(e) for t in e]


@pytest.mark.parametrize(("tau", "cut"), [(0.1, 0.5), (0.8, 0.8**-2), (1.3, 0.6), (2.5, 0.16)])
def test_the_one_sided_gradient_agrees_with_the_formula(tau, cut):
    """sum_i a_i grad log p_i, with a_i = min(p_i(F) - p_i(G), 0) and the gradient by loops."""
    F, G = pair()
    rule = OneSided(tau, cut)
    penalty, output_grad = rule(F, G)
    for b in range(7):
        for net in range(3):
            p, target = (truncated(H[b, net].tolist(), tau, cut) for H in (F, G))
            assert rule.probabilities(F)[b, net].tolist() == pytest.approx(p, abs=1e-14)
            a = [min(s - t, 0) for s, t in zip(p, target, strict=True)]
            assert float(penalty[b, net]) == pytest.approx(sum(t**2 for t in a) / 2, abs=1e-14)
            for j in range(4):
                inside = float(F[b, net, j]) < cut
                slope = [inside / (tau * cut) * ((i == j) - p[j]) for i in range(4)]  # d log p_i / d F_j
                expected = sum(a[i] * slope[i] for i in range(4))
                assert float(output_grad[b, net, j]) == pytest.approx(expected, abs=1e-12)


def test_the_one_sided_gradient_agrees_with_autograd():
    F, G = pair()
    F.requires_grad_()
    rule = OneSided(1.3, 0.6)
    p = ((F / 0.6).clamp(max=1) / 1.3).softmax(-1)
    a = (p - rule.probabilities(G)).clamp(max=0).detach()
    expected = torch.autograd.grad((a * p.log()).sum(), F)[0]
    torch.testing.assert_close(rule(F.detach(), G)[1], expected, **EXACT)


@pytest.mark.parametrize("rule", RULES)
def test_a_student_that_matches_its_teacher_is_left_alone(rule):
    on_off = torch.tensor([[[0.0, 0.9, 0.1, 2.0]]]).double()  # off below slack, on above cut
    penalty, output_grad = rule(on_off * (on_off > 0.5), on_off * (on_off > 0.5))
    assert penalty.abs().max() < 1e-15
    assert output_grad.abs().max() < 1e-15


def test_the_gradient_is_zero_beyond_the_cut():
    F, G = torch.full((1, 1, 2), 0.7).double(), torch.tensor([[[5.0, 0.0]]]).double()
    assert OnOff(0.2, 0.5, 0.4)(F, G)[1][0, 0, 0] == 0


def test_a_teacher_at_the_threshold_is_on_and_a_student_at_the_cut_is_done():
    at, below = 0.5, 0.4375
    F, G = torch.tensor([[[0.0, 0.0]]]), torch.tensor([[[at, below]]])
    assert OnOff(threshold=at, cut=0.5)(F, G)[1].tolist() == [[[-2.0, 0.0]]]
    F, G = torch.tensor([[[at, 0.0]]]), torch.tensor([[[at, 0.25]]])  # the second class is to rise against the first
    output_grad = OneSided(cut=at)(F, G)[1][0, 0]
    assert output_grad[0] == 0
    assert output_grad[1] < 0


def test_the_on_off_rule_measures_each_class_from_its_baseline():
    """An offset common to all inputs makes no difference."""
    G = pair(shape=(2, 16, 3))[1].sort(dim=1).values
    prepared = OnOff(baseline_quantile=0.25).prepare_teacher(G)
    assert (prepared[:, 4] == 0).all()  # a quarter of the inputs lies below
    torch.testing.assert_close(
        prepared, OnOff(baseline_quantile=0.25).prepare_teacher(G + torch.tensor([0.0, 5.0, -1.0])), **EXACT
    )
    torch.testing.assert_close(prepared[:, 9] - prepared[:, 2], G[:, 9] - G[:, 2], **EXACT)
    assert torch.equal(Distillation(torch.zeros(16, dtype=torch.long), G, OnOff(baseline_quantile=0.25)).G, prepared)
    for rule in (OneSided(), Temperature()):
        assert torch.equal(rule.prepare_teacher(G), G)


def test_the_one_sided_rule_raises_outputs_and_the_two_sided_rule_also_lowers_them():
    F, G = torch.tensor([[[0.1, 0.3]]]).double(), torch.tensor([[[0.4, 0.0]]]).double()
    output_grad = OneSided(1.3, 0.6)(F, G)[1]
    assert output_grad[0, 0, 0] < 0  # descent raises F_0
    down = OnOff(0.2, 0.5, 0.4)(F, G)[1]
    assert down[0, 0, 0] < 0 < down[0, 0, 1]


@settings(deadline=None)
@given(seed=st.integers(0, 999), size=st.floats(0.01, 20))
def test_the_gradient_of_off_classes_is_bounded_and_penalties_are_not_negative(seed, size):
    F, G = pair(seed, size)
    for rule in RULES:
        penalty, output_grad = rule(F, G)
        assert (penalty >= -1e-12).all()
        assert torch.isfinite(output_grad).all()
    assert (RULES[0](F, G)[1] <= 1 / 0.5 + 1e-12).all()
    assert torch.allclose(RULES[3](F, G)[1].sum(-1), torch.zeros(7, 3).double(), atol=1e-12)


# The objective


@pytest.mark.parametrize("rule", RULES)
def test_gradient_in_the_weights_agrees_with_autograd(rule):
    nets, data = small_problem()
    G = nets(data.x).flip(0) * 0.7 + 0.1
    y, label = data.y, nnf.one_hot(data.y, 3)
    stats, got = loss_and_gradient(nets, data.x, Distillation(y, G, rule, 1.7), torch.arange(24), torch.arange(3))
    F = nets(data.x)
    G = rule.prepare_teacher(G)
    output_grad = rule(F.transpose(0, 1), G.transpose(0, 1))[1].transpose(0, 1)
    direction = ((F.softmax(-1) - label) + 1.7 * output_grad) / 24  # fixed: autograd differentiates the nets alone
    expected = gradient(nets, data.x, lambda F: (F * direction).sum((1, 2)))
    torch.testing.assert_close(got, expected, **EXACT)
    if not isinstance(rule, OneSided):  # whose direction is not a gradient

        def loss(F: Tensor) -> Tensor:
            return cross_entropy(F, y) + 1.7 * rule(F.transpose(0, 1), G.transpose(0, 1))[0].mean(0)

        torch.testing.assert_close(got, gradient(nets, data.x, loss), **EXACT)
        torch.testing.assert_close(stats["loss"], loss(F), **EXACT)


def test_weight_zero_is_the_cross_entropy():
    nets, data = small_problem()
    rows, part = torch.arange(24), torch.arange(3)
    none = loss_and_gradient(nets, data.x, Distillation(data.y, nets(data.x), weight=0), rows, part)
    torch.testing.assert_close(none, loss_and_gradient(nets, data.x, CrossEntropy(data.y), rows, part), **EXACT)


def test_rows_and_nets_find_their_teachers():
    _, data = small_problem()
    F, G = pair(shape=(4, 2, 3))[0], pair(shape=(3, 24, 3))[1]
    rows, part = torch.tensor([20, 3, 7, 0]), torch.tensor([0, 2])
    loss, dF = Distillation(data.y, G, Temperature(2.0), 3.0)(F, rows, part)
    for b, row in enumerate(rows.tolist()):
        for s, net in enumerate(part.tolist()):
            penalty, output_grad = Temperature(2.0)(F[b, s][None, None], G[net, row][None, None])
            p = F[b, s].softmax(-1)
            assert float(loss[b, s]) == pytest.approx(float(3 * penalty - p[data.y[row]].log()), abs=1e-12)
            torch.testing.assert_close(dF[b, s], p - nnf.one_hot(data.y[row], 3) + 3 * output_grad[0, 0])


def test_one_teacher_can_serve_all_students():
    nets, data = small_problem()
    G = average(nets(data.x))[None]
    shared, copied = (train(nets, data, Distillation(data.y, g), Schedule(steps=9, stop_loss=0)) for g in
                      (G.expand(3, -1, -1), G.repeat(3, 1, 1)))  # fmt: skip
    assert torch.equal(shared.nets.W, copied.nets.W)


def test_students_of_different_teachers_train_as_they_do_alone():
    """Also once one of them has stopped: each keeps its own teacher."""
    nets, data = small_problem(4, n=40, noise_signal=0.0, noise_background=0.0)
    G = 0.3 * nets(data.x).flip(0)
    schedule = Schedule(steps=60, stop_loss=0.5, record_every=1)
    run = train(nets, data, Distillation(data.y, G, weight=0.02), schedule)
    stopped = (run.history.time.diff(dim=0) == 0).sum(0)
    assert len(stopped.unique()) > 1
    for net in range(4):
        alone = train(nets[[net]], data, Distillation(data.y, G[[net]], weight=0.02), schedule)
        torch.testing.assert_close(alone.nets.W[0], run.nets.W[net], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("rule", [OnOff(threshold=0.03, cut=0.15, slack=0.5), Temperature(1.0)])
def test_a_student_of_an_ensemble_recovers_views_that_it_lost(rule):
    """Noise-free and small: distillation must at least halve the error on inputs that show one view."""
    task = clean_task(4, s=2.0, weak=(0.4, 0.4))
    data, test = task.sample(200, seed=0), task.sample(0, 500, seed=1)
    nets = PatchNets.init(8, k=4, m=6, d=task.d, sigma_0=0.05, seed=0, activation=SReLU(3, 2.0))
    nets = train(nets, data, schedule=Schedule(steps=200)).nets
    teacher, students = average(nets(data.x)), nets[:3]
    before = error_rate(students(test.x), test.y).mean()
    goal = Distillation(data.y, teacher.expand(3, -1, -1), rule, 2.0)
    after = error_rate(train(students, data, goal, Schedule(steps=200, stop_loss=0, eta=1000.0)).nets(test.x), test.y)
    assert before > 0.3
    assert after.mean() < before / 2


# Bad input


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: OnOff(threshold=0), ValueError, r"threshold must be a finite number in \(0, inf\); got 0"),
        (lambda: OnOff(cut=-1.0), ValueError, r"cut must be a finite number in \(0, inf\); got -1.0"),
        (lambda: OnOff(baseline_quantile=1.0), ValueError, r"baseline_quantile must be .* in \[0, 1\); got 1.0"),
        (lambda: OnOff(slack=1.0), ValueError, r"slack must be a finite number in \[0, 1\); got 1.0"),
        (lambda: OneSided(tau=0), ValueError, r"tau must be a finite number in \(0, inf\); got 0"),
        (lambda: OneSided(cut=0), ValueError, r"cut must be a finite number in \(0, inf\); got 0"),
        (lambda: OneSided(tau="2"), TypeError, "tau must be a finite number .*; got '2'"),
        (lambda: Temperature(T=math.nan), ValueError, r"T must be a finite number in \(0, inf\); got nan"),
    ],
)
def test_rules_refuse(make, error, match):
    with refused(error, match):
        make()


Y = torch.tensor([0, 1, 2, 0])


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: Distillation(Y, torch.zeros(2, 5, 3)), ValueError, r"G must have shape \[L, 4, k\].*got \(2, 5, 3\)"),
        (lambda: Distillation(Y, torch.zeros(4, 3)), ValueError, r"G must have shape \[L, 4, k\] .*; got \(4, 3\)"),
        (lambda: Distillation(Y, torch.full((2, 4, 3), math.nan)), ValueError, "G must be finite; got 24 non-finite"),
        (lambda: Distillation(Y, torch.zeros(2, 4, 2)), ValueError, "y must hold classes 0 to 1; got 0 to 2"),
        (lambda: Distillation(Y[:0], torch.zeros(2, 0, 3)), ValueError, r"y must have shape \[n\] with no empty axis"),
        (lambda: Distillation(Y / 1, torch.zeros(2, 4, 3)), TypeError, "y must hold integers; got dtype torch.float32"),
        (lambda: Distillation(Y, torch.zeros(2, 4, 3), weight=-1), ValueError, r"weight must be .* \[0, inf\); got -1"),
    ],
)
def test_distillation_refuses(make, error, match):
    with refused(error, match):
        make()


def test_one_member_of_an_average_is_enough():
    rule = OnOff.for_average(5)
    alone = OnOff().threshold  # one net is on, the others contribute nothing
    F, G = torch.zeros(1, 1, 2), torch.tensor([[[alone, 0.99 * alone]]]) / 5
    assert rule(F, G)[1].tolist() == [[[-1 / rule.cut, 0.0]]]
    assert OnOff.for_average(1) == OnOff()
    with refused(ValueError, "L must be an integer >= 1; got 0"):
        OnOff.for_average(0)
