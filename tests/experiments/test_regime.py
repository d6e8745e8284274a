"""The claims about the regime on small settings: what each number is made of, worked out a second time."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from hand_made import small
from reference import refused

from mvtheory.distillation import OnOff
from mvtheory.experiments import measure, regime
from mvtheory.experiments.control_variate import lottery_control_variate
from mvtheory.experiments.distilling import distill
from mvtheory.experiments.nets import Draw, distilled_students, singles
from mvtheory.experiments.problem import NOISE_FREE, Problem, vary
from mvtheory.experiments.settings import NET_SETTING, STUDENT_SETTING
from mvtheory.reduced.reduction import OwnViewNets
from mvtheory.training import Schedule

DRAWS = (11, 12)
SMALL = small(STUDENT_SETTING, students=1, schedule=Schedule(steps=60, stop_loss=0.3, eta=500.0, warn=False))


def mean_error(nets, chosen):
    """Error of an average, input by input; a tie is an error."""
    F, y = nets.outputs["single-view"][list(chosen)].mean(0), nets.labels("single-view")
    best = F.max(-1, keepdim=True).values
    right = [
        int(f.argmax()) == int(label) and int((f == top).sum()) == 1 for f, label, top in zip(F, y, best, strict=True)
    ]
    return 1 - np.mean(right)


def test_what_is_doubled_is_doubled_and_nothing_else():
    sizes = {"k": NET_SETTING.task.k, "d": NET_SETTING.task.d, "P": NET_SETTING.task.P}
    for size, setting in regime.DOUBLED.items():
        assert setting.task.k * setting.task.d == 2 * sizes["k"] * sizes["d"]
        assert getattr(setting.task, size[-1]) == 2 * sizes[size[-1]]
        assert vary(setting, **sizes, members=10, ensembles=2, n_multi_view=498) == NET_SETTING
        students = vary(regime.STUDENTS_DOUBLED[size], **sizes, members=10, students=2)
        assert regime.STUDENTS_DOUBLED[size].task.k == setting.task.k
        if size == "2k":
            one, other = STUDENT_SETTING.schedule, STUDENT_SETTING.distillation_schedule
            assert (students.schedule.eta, students.distillation_schedule.eta) == (2 * one.eta, 2 * other.eta)
            students = vary(students, weight=2 * students.weight, slack=OnOff.slack, schedule=one)
            students = vary(students, distillation_schedule=other)
        else:
            assert students.n_multi_view == 2 * STUDENT_SETTING.n_multi_view
            students = vary(students, n_multi_view=STUDENT_SETTING.n_multi_view)
        assert students == STUDENT_SETTING


def test_the_factor_of_the_law_is_that_of_all_averages_of_fewer_than_all_nets():
    measured = regime.law(DRAWS, SMALL)
    factors = {"raw": [], "adjusted": []}
    for number in DRAWS:
        nets = singles(Draw(number, SMALL))
        choices = {L: list(combinations(range(4), L)) for L in (1, 2, 3)}
        raw = np.array([np.mean([mean_error(nets, c) for c in some]) for some in choices.values()])
        variate = np.array([lottery_control_variate(nets.draw, some) for some in choices.values()])
        for name, e in {"raw": raw, "adjusted": raw - variate}.items():
            factors[name].append((e[1] + e[2]) / (e[0] + e[1]))
    assert measured.raw.value == pytest.approx(np.mean(factors["raw"]), abs=1e-12)
    assert measured.estimate.value == pytest.approx(np.mean(factors["adjusted"]), abs=1e-12)
    assert measured.estimate.value != measured.raw.value
    assert (measured.estimate.nets, measured.estimate.draws) == (8, 2)


@pytest.mark.slow
def test_the_slack_of_a_setting_reaches_the_students():
    one, other = (distill(DRAWS, vary(SMALL, weight=50.0, slack=slack)) for slack in (0.0, OnOff.slack))
    assert one.raw.value != other.raw.value


@pytest.mark.slow
def test_students_of_one_net_are_compared_with_what_both_nets_missed():
    pairs = (21, 22)
    measured = regime.self_distill(DRAWS, pairs, replace(SMALL, slack=0.5))
    gaps = []
    for number, setting in [(n, SMALL) for n in DRAWS] + [(n, replace(SMALL, members=1)) for n in pairs]:
        draw = Draw(number, replace(setting, slack=0.5))
        student = distilled_students(draw, "single")
        wrong = singles(draw).wrong("single-view")
        assert len(wrong) == setting.members + 1
        gaps.append(
            float(student.errors("single-view")[0])
            - np.mean([a and b for a, b in zip(wrong[0], wrong[-1], strict=True)])
        )
    assert measured.estimate.value == pytest.approx(np.mean(gaps), abs=1e-12)
    assert measured.estimate.draws == 4
    assert measured.raw is None


@pytest.mark.slow
def test_the_reduction_learns_the_views_of_the_full_model_where_there_is_no_noise():
    setting = vary(NOISE_FREE, n_multi_view=300, members=3, students=0, test_single_view=200)
    claim = measure("reduction", draws=DRAWS, setting=setting)
    assert claim.measured.value > 0.95
    assert claim.measured.nets == 6
    assert regime.reduced_error(DRAWS, setting).value == pytest.approx(0.5, abs=0.12)


@pytest.mark.slow
def test_errors_in_the_reduction_are_those_of_disjoint_groups():
    setting = vary(NOISE_FREE, n_multi_view=100, members=5, students=0, test_single_view=100)
    errors, seconds = regime.reduced_curves((11, 12), setting, 2)
    end = Problem.reduced(Draw(12, setting), 5).trained()
    pairs = [end.outputs[i : i + 2].mean(0).argmax(-1) != end.test.y for i in (0, 2)]
    assert errors[1] == pytest.approx([end.errors.mean(), float(torch.stack(pairs).double().mean())], abs=1e-12)
    assert errors.shape == (2, 2)
    assert seconds > 0


def test_missed_inputs_are_counted_where_exactly_one_net_knows_the_view():
    draw = Draw(7, vary(NOISE_FREE, k=4, P=12, d=16, s=1.0, n_multi_view=60, m=3, test_single_view=80))
    start = Problem.reduced(draw, 3)
    W = torch.zeros(3, 4, 3, 2)
    W[0, :, 0, 0] = 2.0  # the first net has small outputs on the first views
    W[1:, :, 0, 1] = 50.0  # both others have large ones on the second views
    problem = replace(start, nets=OwnViewNets(W, start.nets.activation))
    F, y = problem.outputs, problem.test.y.tolist()
    for chosen, known_by_one in [([0, 1], problem.kept >= 0), ([0, 1, 2], problem.kept == 0)]:
        outputs = F[chosen].mean(0).tolist()
        missed = [any(f[j] >= f[label] for j in range(4) if j != label) for f, label in zip(outputs, y, strict=True)]
        expected = np.mean([miss for miss, one in zip(missed, known_by_one.tolist(), strict=True) if one])
        assert 0 < expected < 1
        assert regime.share_missed(problem, [chosen]) == pytest.approx(expected)


def test_a_size_that_was_not_measured_is_refused():
    with refused(ValueError, "size must be one of '2k', '2d'; got '3k'"):
        regime.student_errors("3k")
