"""The lab's reference against the package: the same paths from the same weights and data."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from reference import refused

from mvtheory import AverageCrossEntropy, Distillation, OnOff, error_rate, learned_views, train
from mvtheory.experiments.settings import SETTING, TASK
from mvtheory.lab import reference as lab
from mvtheory.lab.setting import BOOK, FIELDS, PHASES, PRESETS, LabSetting, page
from mvtheory.model import SReLU
from mvtheory.reduced.reduction import OwnViewNets, Strengths
from mvtheory.reduced.sparse_training import train_reduced

SMALL = LabSetting(k=5, s=2.5, N=100, m=6, nets=4, n_test=100, student_steps=40)


def strengths(setting, data, dtype=torch.float64):
    """The inputs as the package has them."""
    rows = np.arange(len(data.y))
    z, count = data.present * data.z, data.present * float(setting.C_weak)
    z[rows, data.y], count[rows, data.y] = data.own, setting.C_p
    return Strengths(torch.tensor(np.stack([z, count], -1), dtype=dtype), torch.tensor(data.y))


def package_nets(setting, W, dtype=torch.float64):
    """The nets as the package has them."""
    W = torch.tensor(W, dtype=dtype).transpose(2, 3).contiguous()
    return OwnViewNets(W, SReLU(setting.q, setting.varrho))


def assert_same_nets(run, theirs):
    torch.testing.assert_close(torch.tensor(run.W).transpose(2, 3), theirs.W, rtol=1e-5, atol=1e-6)


def schedule(ours):
    return replace(ours, warn=False)


@pytest.mark.parametrize("setting", [SMALL, replace(SMALL, M=3, q=4, C_p=1), replace(SMALL, q=1), replace(SMALL, q=2)])
def test_training_takes_the_path_of_the_package(setting):
    """For so many steps: large steps rock about the path, and double a last bit again and again."""
    setting = replace(setting, steps=60)
    data, W = lab.draw_inputs(setting, setting.N), lab.draw_nets(setting, 1)
    run = lab.train(setting, data, W, setting.schedule)
    theirs = train(package_nets(setting, W), strengths(setting, data), schedule=schedule(setting.schedule))
    assert_same_nets(run, theirs.nets)
    np.testing.assert_allclose(run.loss, theirs.history.loss[-1], rtol=1e-5)
    np.testing.assert_array_equal(run.error, theirs.history.error[-1])
    F = lab.outputs(setting, data, run.W)
    np.testing.assert_allclose(F, theirs.nets(strengths(setting, data).x), rtol=1e-5, atol=1e-6)


def test_the_reduced_trainer_finds_the_same_winners():
    """In single precision: paths part where two views are nearly tied, and nowhere else."""
    setting = LabSetting()
    data, W = lab.draw_inputs(setting, setting.N), lab.draw_nets(setting, 1)
    run = lab.train(setting, data, W, setting.schedule)
    small = strengths(setting, data, torch.float32)
    theirs = train_reduced(package_nets(setting, W, torch.float32), small, schedule(setting.schedule))
    views = torch.eye(setting.M).expand(setting.k, setting.M, setting.M)
    ours = learned_views(package_nets(setting, run.W, torch.float32), views)
    tie = np.sort(W.max(-1), -1)
    clear = torch.tensor(tie[..., -1] > 1.02 * tie[..., -2])
    assert clear.float().mean() > 0.9
    assert torch.equal(ours[clear], learned_views(theirs.nets, views)[clear])
    assert np.abs(run.steps - theirs.steps.numpy()).max() <= 1
    np.testing.assert_allclose(run.loss, theirs.loss, rtol=0.1)


def test_the_average_is_trained_as_in_the_package():
    data, W = lab.draw_inputs(SMALL, SMALL.N), lab.draw_nets(SMALL, 1)
    run = lab.train_average(SMALL, data, W)
    inputs = strengths(SMALL, data)
    theirs = train(package_nets(SMALL, W), inputs, AverageCrossEntropy(inputs.y), schedule(SMALL.schedule))
    assert_same_nets(run, theirs.nets)
    np.testing.assert_allclose(run.loss, theirs.history.loss[-1], rtol=1e-5)


@pytest.mark.parametrize("average", [True, False], ids=["average", "single nets"])
def test_students_learn_as_in_the_package(average):
    """With the book's rule and its baselines; for few steps, since students rock about the bounds of the rule."""
    experiment, setting = lab.Experiment(replace(SMALL, from_start=average)), SMALL
    experiment.do("train")
    experiment.do("distil" if average else "self-distil")
    run = experiment.done["distilled" if average else "self-distilled"]
    inputs = strengths(setting, experiment.data)
    G = package_nets(setting, experiment.done["nets"].W)(inputs.x)
    G = G.mean(0).expand_as(G) if average else G
    threshold = setting.threshold / (setting.nets if average else 1)
    quantile = (1 - setting.s / setting.k) ** setting.M / 2
    rule = OnOff(threshold, setting.cut, setting.slack, quantile)
    start = package_nets(setting, lab.draw_nets(setting, 2 if average else 3))
    if not average:
        start = train(start, inputs, schedule=schedule(setting.schedule)).nets
    objective = Distillation(inputs.y, G, rule, setting.weight)
    theirs = train(start, inputs, objective, schedule(setting.student_schedule))
    assert_same_nets(run, theirs.nets)
    np.testing.assert_allclose(run.loss, theirs.history.loss[-1], rtol=1e-6)


def test_the_baseline_counts():
    """Where every input holds some view of a class, its lowest output is not zero."""
    G = np.random.default_rng(0).random((2, 50, SMALL.k))
    blank = (1 - SMALL.s / SMALL.k) ** SMALL.M
    for setting, quantile in ((SMALL, blank / 2), (replace(SMALL, s=2.0), 0.18)):
        theirs = OnOff(baseline_quantile=quantile).prepare_teacher(torch.tensor(G))
        np.testing.assert_array_equal(lab._less_baseline(setting, G), theirs)


def test_test_inputs_keep_one_view():
    setting = replace(SMALL, M=3, favour=2.0)
    data = lab.draw_inputs(setting, 150, single_view=True)
    strong = data.own * setting.C_p > 0.5
    assert (strong.sum(1) == 1).all()
    kept = strong.argmax(1)
    assert np.bincount(data.y * 3 + kept).tolist() == [10] * 15
    assert np.unique(data.own[~strong] * setting.C_p).tolist() == [setting.rho]
    assert (data.own[kept == 0, 0] * setting.C_p >= 2).all()
    assert not data.present[np.arange(150), data.y].any()
    others = data.present.mean() * setting.k / (setting.k - 1)
    assert others == pytest.approx(setting.s / setting.k, abs=0.05)


def test_results_are_those_of_the_package():
    experiment = lab.Experiment(SMALL)
    for phase in PHASES[:3]:
        experiment.do(phase)
    rows = experiment.results().set_index("method")
    test = strengths(SMALL, experiment.test)
    F = package_nets(SMALL, experiment.done["nets"].W)(test.x)
    assert rows.error["single net"] == pytest.approx(error_rate(F, test.y).mean())
    pairs = [error_rate((F[net] + F[(net + 1) % 4]) / 2, test.y) for net in range(4)]
    assert rows.error["average of 2"] == pytest.approx(np.mean(pairs))
    joint = package_nets(SMALL, experiment.done["trained average"].W)(test.x).mean(0)
    assert rows.error["trained average"] == pytest.approx(float(error_rate(joint, test.y)))
    assert rows.predicted.tolist() == [0.5, 0.25, 0.125, 0.0625, 0.5]


def test_each_generation_begins_with_the_students_of_the_last():
    experiment = lab.Experiment(SMALL)
    for phase in ("train", "self-distil"):
        experiment.do(phase)
    students = experiment.done["self-distilled"]
    experiment.do("next generation")
    assert experiment.done == {"nets": students}
    experiment.do("self-distil")
    assert not np.array_equal(experiment.done["self-distilled"].W, students.W)
    assert experiment.results().predicted.tolist() == [0.25, 0.125]
    experiment.do("train")
    assert experiment.results().predicted.tolist() == [0.5]


def test_students_can_be_teachers():
    """Their own views stay above the threshold where the rule lowers them, so that they count as on."""
    for setting in PRESETS.values():
        assert setting.threshold < setting.slack * setting.cut


@pytest.mark.slow
def test_students_of_students_hold_three_lotteries():
    setting = replace(LabSetting(), N=100, nets=5)
    rows = lab.run(setting, ["train", "self-distil", "next generation", "self-distil"])
    assert 0.08 < rows.error.iloc[-1] < 0.2 < rows.error[0] < 0.32


def test_values_that_are_not_allowed_are_named():
    with refused(ValueError, r"k must be a finite number in \[2, 30\]; got 31"):
        LabSetting(k=31)
    with refused(TypeError, "q must be an integer"):
        LabSetting(q=2.5)
    with refused(ValueError, "at most all classes"):
        LabSetting(k=4)  # of which 5 show a view
    with refused(ValueError, "phase must be one of 'train'"):
        lab.Experiment(SMALL).do("rest")
    with refused(ValueError, "panels must be one of 'race'"):
        page(panels=["pie"])


def test_the_book_s_setting_is_that_of_the_book():
    """But for noise, single-view training inputs, steps and their end."""
    task, both, rule = TASK, SETTING.activation, SETTING.rule(1, "labels")
    for name in ("k", "M", "s", "Gamma", "rho", "C_p"):
        assert getattr(BOOK, name) == getattr(task, name), name
    assert (BOOK.weak, BOOK.weak) == task.weak
    assert (BOOK.main_low, BOOK.main_high) == task.main
    assert (BOOK.q, BOOK.varrho) == (both.q, both.varrho)
    assert (BOOK.sigma_0, BOOK.m, BOOK.nets) == (SETTING.sigma_0, SETTING.m, SETTING.members)
    assert (BOOK.threshold, BOOK.cut, BOOK.slack) == (rule.threshold, rule.cut, rule.slack)
    assert (BOOK.weight, BOOK.n_test) == (SETTING.weight, SETTING.test_single_view)
    assert SETTING.n_multi_view + SETTING.n_single_view == BOOK.N
    assert (BOOK.eta, BOOK.student_eta) == (SETTING.schedule.eta, SETTING.distillation_schedule.eta)


def test_presets_begin_where_inputs_allow():
    for name, preset in PRESETS.items():
        for field, allowed in FIELDS.items():
            assert allowed.low <= getattr(preset, field) <= allowed.high, name


# (method, least, most) of the error on single-view inputs.
SHOWN = {
    "two views": [("single net", 0.45, 0.51), ("average of 2", 0.22, 0.28), ("average of 10", 0, 0.01)],
    "the book's setting": [("single net", 0.45, 0.51), ("average of 2", 0.22, 0.28), ("average of 10", 0, 0.01)],
    "plain ReLU": [("single net", 0, 0.01)],
    "q = 2": [("single net", 0, 0.1)],
    "large start": [("single net", 0, 0.1), ("average of 10", 0, 0.001)],
    "three views": [("single net", 0.6, 0.68), ("average of 2", 0.38, 0.47), ("average of 10", 0, 0.06)],
    "views never missing": [("single net", 0, 0.001)],
    "strong favourite": [("single net", 0.45, 0.51), ("average of 10", 0.44, 0.51)],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_presets_show_what_their_names_say(name):
    rows = lab.run(PRESETS[name], ["train", "average"]).set_index("method")
    assert rows.train_error["single net"] == 0
    for method, low, high in SHOWN[name]:
        assert low <= rows.error[method] <= high, method


@pytest.fixture(scope="module")
def errors():
    """Errors of one experiment, by method: the same nets teach both kinds of students."""
    phases = ["train", "train the average", "distil", "self-distil"]
    return lab.run(replace(LabSetting(), nets=5, student_steps=300), phases).set_index("method").error


@pytest.mark.slow
def test_the_average_teaches_and_cannot_be_trained(errors):
    assert errors["distilled net"] < 0.02 < 0.35 < errors["trained average"]


@pytest.mark.slow
def test_a_student_of_one_net_holds_two_lotteries(errors):
    assert 0.15 < errors["self-distilled net"] < 0.32
