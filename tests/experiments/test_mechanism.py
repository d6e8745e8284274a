"""The ledger can fail: change the mechanism, and a verdict turns."""

from dataclasses import replace

import pytest
import torch

from mvtheory.claims import Claim
from mvtheory.data import MultiView
from mvtheory.distillation import Distillation, OneSided, OnOff
from mvtheory.ensemble import average, predict_lottery, view_outputs
from mvtheory.measurement import error_rate, over_draws
from mvtheory.model import PatchNets, SReLU
from mvtheory.training import Schedule, train

pytestmark = pytest.mark.slow

TASK = MultiView(k=8, P=20, d=64, C_p=2, C_weak=1, s=5.0, weak=(0.3, 0.3), noise_signal=0.05, noise_background=0.2)
SEEDS, TEACHERS = (1, 2, 3), 5
RANGES = {"single": (0.3, 0.6), "ensemble": (0.0, 0.2), "distill": (0.0, 0.45), "lottery": (0.8, 1.0)}


def draw(seed, task=TASK):
    task = replace(task, frame_seed=seed)
    return task, task.sample(400, seed=10 * seed), task.sample(0, 1000, seed=10 * seed + 1, balanced=True)


def start(seed, q=3):
    return PatchNets.init(
        TEACHERS + 1, k=8, m=8, d=64, sigma_0=0.02, seed=100 * seed, activation=SReLU(q=q, varrho=4.0)
    )


def verdict(name, values, nets):
    claim = Claim(name, "on a small problem", RANGES[name], "tests", "our tolerance", "small")
    return claim.measure(over_draws(values, points=1000, nets=nets), seconds=0).verdict


@pytest.fixture(scope="module")
def trained():
    """Nets of each draw, trained as the theory wants."""
    schedule = Schedule(steps=500, stop_loss=0.1, eta=1000.0)
    return {seed: train(start(seed), draw(seed)[1], schedule=schedule).nets for seed in SEEDS}


def student_errors(trained, rule):
    """Errors of a student of each draw under a rule."""
    schedule, errors = Schedule(steps=300, stop_loss=0.005, eta=1000.0, warn=False), []
    for seed, nets in trained.items():
        _, data, test = draw(seed)
        G = average(nets[:TEACHERS](data.x))[None]
        student = train(nets[TEACHERS:], data, Distillation(data.y, G, rule, 6.0), schedule).nets
        errors.append(error_rate(student(test.x), test.y))
    return errors


class Opposite(OnOff):
    """Moves away from the teacher: another sign."""

    def __call__(self, F, G):
        penalty, output_grad = super().__call__(F, G)
        return penalty, -output_grad


def test_the_verdicts_hold_where_nothing_is_changed(trained):
    single, ensemble, lottery = [], [], []
    for seed, nets in trained.items():
        task, data, test = draw(seed)
        F = nets(test.x)
        single.append(error_rate(F, test.y))
        ensemble.append([error_rate(average(F), test.y)])
        kept = view_outputs(nets, task.views).argmax(-1)
        lottery.append([(predict_lottery(start(seed), task.views, data) == kept).double().mean()])
    assert verdict("single", single, None) == "holds"
    assert verdict("ensemble", ensemble, 18) == "holds"
    assert verdict("lottery", lottery, 18) == "holds"
    assert verdict("distill", student_errors(trained, OnOff.for_average(TEACHERS)), None) == "holds"


def test_another_sign_turns_the_student(trained):
    assert verdict("distill", student_errors(trained, Opposite.for_average(TEACHERS)), None) == "fails"


def test_one_side_alone_turns_the_student(trained):
    assert verdict("distill", student_errors(trained, OneSided()), None) != "holds"


def test_another_exponent_turns_single_nets():
    errors = []
    for seed in SEEDS:
        _, data, test = draw(seed)
        nets = train(start(seed, q=1)[:3], data, schedule=Schedule(steps=100, stop_loss=0.1, eta=1.0, warn=False)).nets
        errors.append(error_rate(nets(test.x), test.y))
    assert verdict("single", errors, None) == "fails"


def test_another_frame_turns_the_lottery(trained):
    shares = []
    for seed, nets in trained.items():
        task, data, _ = draw(seed)
        kept = view_outputs(nets, task.views).argmax(-1)
        other = replace(task, frame_seed=seed + 50).views
        shares.append([(predict_lottery(start(seed), other, data) == kept).double().mean()])
    assert verdict("lottery", shares, 18) == "fails"
    assert torch.allclose(other @ other.transpose(1, 2), torch.eye(2), atol=1e-5)  # a frame as good as the true one
