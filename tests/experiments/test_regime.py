"""The claims about the regime on small settings: what each number is made of, worked out a second time."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from hand_made import small
from scipy.stats import binom

from mvtheory.experiments import measure, regime
from mvtheory.experiments.control_variate import lottery_control_variate
from mvtheory.experiments.nets import Draw, singles
from mvtheory.experiments.problem import NOISE_FREE, Problem, vary
from mvtheory.experiments.settings import SETTING
from mvtheory.reduced.reduction import OwnViewNets
from mvtheory.training import Schedule

DRAWS = (11, 12)
SMALL = small(SETTING, members=4, students=0, schedule=Schedule(steps=60, stop_loss=0.3, eta=500.0, warn=False))


def mean_error(nets, chosen):
    """Error of an average, input by input; a tie is an error."""
    F, y = nets.outputs["single-view"][list(chosen)].mean(0), nets.labels("single-view")
    best = F.max(-1, keepdim=True).values
    right = [
        int(f.argmax()) == int(label) and int((f == top).sum()) == 1 for f, label, top in zip(F, y, best, strict=True)
    ]
    return 1 - np.mean(right)


def test_what_is_doubled_is_doubled_and_nothing_else():
    task, sizes = SETTING.task, {"members": SETTING.members, "students": SETTING.students}
    classes, dimensions = regime.DOUBLED["2k"], regime.DOUBLED["2d"]
    assert vary(dimensions, d=task.d, **sizes) == SETTING
    assert dimensions.task.d == 2 * task.d
    assert vary(classes, k=task.k, d=task.d, n_multi_view=SETTING.n_multi_view, **sizes) == SETTING
    assert classes.task.k == 2 * task.k
    once, twice = (s.n_multi_view + s.n_single_view for s in (SETTING, classes))
    assert twice == 2 * once  # as many inputs of each class
    assert once % task.k == 0


def test_more_views_change_nothing_but_the_room_that_they_need():
    for M in (3, 4):
        for book, setting, members in (
            (SETTING, regime.MORE_VIEWS[M], 6),
            (NOISE_FREE, regime.MORE_VIEWS_REDUCED[M], 12),
        ):
            assert (setting.task.M, setting.members) == (M, members)
            room = {"M": 2, "P": book.task.P, "d": book.task.d, "members": book.members, "students": book.students}
            assert vary(setting, **room) == book


@pytest.mark.parametrize("setting", [*regime.MORE_VIEWS.values(), *regime.DOUBLED.values()])
def test_inputs_have_room_for_their_views(setting):
    """The number of views of other classes that are present is binomial; a data set in a hundred may not fit."""
    task, inputs = setting.task, setting.n_multi_view + setting.test_single_view + setting.test_multi_view
    assert inputs * binom.sf(task.P - task.M, (task.k - 1) * task.M, task.s / task.k) < 1e-2


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
def test_the_reduction_learns_the_views_of_the_full_model_where_there_is_no_noise():
    setting = vary(NOISE_FREE, n_multi_view=300, members=3, students=0, test_single_view=200)
    claim = measure("reduction", draws=DRAWS, setting=setting)
    assert claim.measured.value > 0.95
    assert claim.measured.nets == 6
    assert regime.reduced_error(DRAWS, setting).value == pytest.approx(0.5, abs=0.12)


@pytest.mark.slow
def test_errors_in_the_reduction_are_those_of_disjoint_groups():
    few = {"n_multi_view": 60, "m": 3, "members": 5, "students": 0, "test_single_view": 80}
    setting = vary(NOISE_FREE, k=4, P=12, d=16, s=1.0, **few)
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
