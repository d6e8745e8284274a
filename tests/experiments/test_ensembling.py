"""Averages of nets: closed forms of the law, one way to compute errors by size, and students of chance."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from hand_made import answering, small, use
from scipy.stats import binomtest

from mvtheory.experiments import ensembling, measure
from mvtheory.experiments.control_variate import expected_uncovered, lottery_control_variate, predicted_views
from mvtheory.experiments.nets import Draw, each_draw, singles, trained_averages
from mvtheory.experiments.settings import SETTING
from mvtheory.measurement import error_rate

SMALL = small(SETTING)


@pytest.fixture(autouse=True)
def forget():
    ensembling.error_curves.cache_clear()


@pytest.mark.parametrize("f", [0.5, 2 / 3, 1.0])
def test_the_factor_of_a_geometric_fall_is_its_ratio(f):
    assert ensembling.factor(3.0 * f ** np.arange(10)) == pytest.approx(f)


def test_the_factor_of_a_fall_like_that_of_a_variance_is_another():
    harmonic = 1 / np.arange(1, 11)
    assert ensembling.factor(harmonic) == pytest.approx((harmonic.sum() - 1) / (harmonic.sum() - 0.1))


def test_choices_are_sets_of_different_nets():
    choices = ensembling.random_choices(6, 4, count=30)
    assert list(choices) == [1, 2, 3, 4]
    assert choices[1] == [[net] for net in range(6)]
    for L in (2, 3, 4):
        assert len(choices[L]) == 30
        assert all(len(set(c)) == L and set(c) <= set(range(6)) for c in choices[L])
    assert choices == ensembling.random_choices(6, 4, count=30)


def test_errors_of_averages_are_means_over_choices():
    rng = torch.Generator().manual_seed(0)
    F, y = torch.randn(4, 50, 3, generator=rng), torch.randint(3, (50,), generator=rng)
    choices = {L: [list(c) for c in combinations(range(4), L)] for L in (1, 2, 4)}
    found = ensembling.average_errors(F, y, choices)
    assert found[0] == pytest.approx(error_rate(F, y).mean())
    by_hand = [(F[list(c)].mean(0).argmax(-1) != y).double().mean() for c in combinations(range(4), 2)]
    assert found[1] == pytest.approx(np.mean(by_hand))
    assert found[2] == pytest.approx((F.mean(0).argmax(-1) != y).double().mean())


def test_adjusted_errors_are_raw_ones_minus_the_control_variate():
    raw, adjusted, seconds = ensembling.error_curves((1, 2), SMALL)
    base, choices = each_draw(singles, (1, 2), SMALL), ensembling.random_choices(5, 5)
    for row, nets in enumerate(base):
        errors = ensembling.average_errors(nets.outputs["single-view"], nets.labels("single-view"), choices)
        np.testing.assert_array_equal(raw[row], errors)
        for L, chosen in choices.items():
            variate = lottery_control_variate(nets.draw, chosen)
            assert adjusted[row, L - 1] == pytest.approx(raw[row, L - 1] - variate)
    assert seconds == sum(nets.seconds for nets in base)


def test_the_claims_are_means_of_the_curves_and_nothing_is_clipped(monkeypatch):
    raw = np.array([[0.5, 0.25, 0.01], [0.5, 0.26, 0.0]])
    adjusted = raw - np.array([[0, 0, 0.02], [0, 0, 0.01]])
    monkeypatch.setattr(ensembling, "error_curves", lambda draws, setting: (raw, adjusted, 1.0))
    claim = measure("law-3", draws=(1, 2), setting=SMALL)
    assert claim.measured.value == pytest.approx(-0.01)
    assert claim.raw.value == pytest.approx(0.005)
    assert claim.measured.nets == 10
    factors = [np.sum(row[1:]) / np.sum(row[:-1]) for row in adjusted]
    assert measure("law", draws=(1, 2), setting=SMALL).measured.value == pytest.approx(np.mean(factors))
    assert measure("law-2", draws=(1, 2), setting=SMALL).measured.value == pytest.approx(0.255)


def test_the_ensemble_of_all_members_is_adjusted_for_the_views_that_they_are_predicted_to_lack(monkeypatch):
    """The average errs on what no member is predicted to learn, and on all inputs of one view of the first data set."""
    draws = [Draw(number, replace(SMALL, members=2)) for number in (1, 2)]
    runs, lacking = [], []
    for draw in draws:
        test, views = draw.test_single_view, predicted_views(draw)[0][:2]
        wrong = (views[:, test.y] != test.kept).all(0)
        lacking.append(wrong.double().mean())
        if draw.number == 1:
            y, kept = next((int(y), int(v)) for y, v, miss in zip(test.y, test.kept, wrong, strict=True) if not miss)
            wrong = wrong | (test.y == y) & (test.kept == kept)
        runs.append(answering(draw, torch.stack([wrong] * 2)))
    use(monkeypatch, ensembling, singles=runs)
    claim = measure("ensemble", draws=(1, 2), setting=draws[0].setting)
    units = 2 * 6
    expected = np.mean([expected_uncovered(draw, 2) for draw in draws])
    assert claim.raw.value == pytest.approx(np.mean(lacking) + 1 / units)
    assert claim.measured.value == pytest.approx(expected + 1 / units)
    more = binomtest(1, units).proportion_ci(method="exact")
    assert claim.measured.high == pytest.approx(expected + more.high)
    none = 1 - 0.025 ** (1 / units)
    assert claim.measured.low == pytest.approx(expected + 1 / units - np.hypot(1 / units - more.low, none))
    assert (claim.measured.nets, claim.measured.draws, claim.raw.nets, claim.seconds) == (4, 2, 4, 3.0)


def test_the_ensemble_is_the_average_of_all_members():
    claim = measure("ensemble", draws=(1, 2), setting=SMALL)
    base = each_draw(singles, (1, 2), SMALL)
    answers = [nets.outputs["single-view"].sum(0).argmax(-1) for nets in base]
    raw = [(answer != nets.labels("single-view")).double().mean() for answer, nets in zip(answers, base, strict=True)]
    assert claim.raw.value == pytest.approx(np.mean(raw))
    variate = [lottery_control_variate(nets.draw, [range(5)]) for nets in base]
    assert claim.measured.value == pytest.approx(np.mean(raw) - np.mean(variate))
    assert claim.seconds == sum(nets.seconds for nets in base)


def test_trained_averages_are_compared_with_single_nets_of_the_same_data():
    claim = measure("train-average", draws=(1, 2), setting=SMALL)
    joint, base = each_draw(trained_averages, (1, 2), SMALL), each_draw(singles, (1, 2), SMALL)
    errors = [[nets.average_error("single-view") for nets in some] for some in joint]
    assert [len(some) for some in errors] == [2, 2]
    gaps = [np.mean(some) - nets.errors("single-view").mean() for some, nets in zip(errors, base, strict=True)]
    assert claim.measured.value == pytest.approx(np.mean(gaps))
    error = ensembling.trained_average_error((1, 2), SMALL)
    assert error.value == pytest.approx(np.mean(errors))
    assert (error.nets, claim.measured.nets) == (2 * 2 * 5, 2 * (2 * 5 + 5))
    assert claim.seconds == sum(nets.seconds for some in joint for nets in some)


def test_other_initialisations_say_how_likely_the_first_view_is():
    draw = Draw(1, SMALL)
    counts = predicted_views(draw)[1]
    assert ensembling.first_view_probability(draw).tolist() == pytest.approx((counts[:, 0] / 400).tolist())


def test_pooled_neurons_give_the_sum_of_the_nets():
    nets = Draw(1, SMALL).init(0, 3)
    x = Draw(1, SMALL).test_single_view.x
    torch.testing.assert_close(ensembling.pooled(nets)(x)[0], nets(x).sum(0))


def test_outweighed_answers_are_those_of_one_net_alone_that_the_average_misses():
    base = each_draw(singles, (1, 2), SMALL)
    share = ensembling.outweighed_share(base, [[0], [1]])
    wrong, holds = [], []
    for nets in base:
        from mvtheory.ensemble import learned_views

        y, kept = nets.labels("single-view"), nets.draw.test_single_view.kept
        own = learned_views(nets.nets, nets.draw.task.views)[:2, y, kept].numpy()
        wrong.append((nets.wrong("single-view")[:2] & own).sum())
        holds.append(own.sum())
    assert share == pytest.approx(sum(wrong) / sum(holds))


@pytest.mark.parametrize("L", [1, 2])
def test_the_error_of_small_averages_is_that_of_disjoint_groups(L):
    base = each_draw(singles, (1, 2), SMALL)
    groups = [[range(i, i + L) for i in range(0, 5 - L + 1, L)]] * 2
    by_hand = [
        [error_rate(nets.outputs["single-view"][list(c)].mean(0), nets.labels("single-view")) for c in some]
        for nets, some in zip(base, groups, strict=True)
    ]
    assert ensembling.error_of_size(base, L).value == pytest.approx(np.mean([np.mean(row) for row in by_hand]))


def test_the_error_of_large_averages_counts_whole_views():
    base = each_draw(singles, (1, 2), replace(SMALL, members=7, students=2))
    found = ensembling.error_of_size(base, 7)
    assert found.value == pytest.approx(np.mean([nets.average_error("single-view") for nets in base]))
    assert found.high >= 1 - 0.025 ** (1 / (2 * SMALL.task.k * 2)) - 1e-9  # an exact interval is never a point


def test_the_pooled_lottery_is_that_of_one_wide_net():
    joint = each_draw(trained_averages, (1, 2), SMALL)
    right, both = ensembling.pooled_lottery(joint)
    hits, twice = [], []
    for averages in joint:
        for number, nets in enumerate(averages):
            start = nets.draw.init(1000 * number, 5).own_view_overlap(nets.draw.task.views).amax(0)
            outputs = sum(ensembling.view_outputs(nets.nets[net : net + 1], nets.draw.task.views) for net in range(5))
            S = ensembling.main_strength(nets.draw.train, SMALL.activation.q)
            predicted = (start * S ** (1 / (SMALL.activation.q - 2))).argmax(-1)
            hits.append((predicted == outputs[0].argmax(-1)).double().mean())
            twice.append((outputs[0].amin(-1) >= 0.1 * outputs[0].amax(-1)).double().mean())
    assert right.value == pytest.approx(float(np.mean(hits)))
    assert both.value == pytest.approx(float(np.mean(twice)))
    assert 0 <= ensembling.known_and_missed(joint) <= ensembling.trained_average_error((1, 2), SMALL).value


def test_near_ties_are_counted_race_by_race():
    base = each_draw(singles, (1, 2), SMALL)
    found = ensembling.near_ties(base)
    near, tied, ends = [], [], []
    for nets in base:
        S = ensembling.main_strength(nets.draw.train, SMALL.activation.q)
        learned = ensembling.learned_views(nets.nets, nets.draw.task.views)
        for net in range(5):
            for i in range(SMALL.task.k):
                a, b = sorted(
                    float(nets.history.overlap[0, net, i, v]) ** (SMALL.activation.q - 2) * float(S[i, v])
                    for v in (0, 1)
                )
                near.append(a / b > 0.9)
                tied += [bool(learned[net, i].all())] * near[-1]
                ends.append(float(nets.history.overlap[-1, net, i].max()))
    assert found.share == pytest.approx(np.mean(near))
    assert found.both == pytest.approx(np.mean(tied), nan_ok=True)
    assert found.winner == pytest.approx(torch.tensor(ends).median().item())
    together = ensembling.near_ties(base, joint=True)
    assert together.winner >= found.winner
