"""The study of the number of classes: who comes first by loops, what is measured by hand, and what is refused."""

from dataclasses import replace

import pytest
import torch
from reference import refused

from mvtheory import MultiView, PatchNets, Schedule, SReLU
from mvtheory.experiments.nets import Draw
from mvtheory.experiments.paper_rule import CLEAN, ClassesStudy, lost_view_first
from mvtheory.reduced.reduction import reduce_to_all_views

TINY = ClassesStudy(
    k=(4, 6),
    inputs=10,
    draws=(1, 2),
    setting=replace(
        CLEAN,
        task=replace(CLEAN.task, s=2.0),
        m=4,
        members=3,
        students=2,
        schedule=Schedule(steps=60, stop_loss=0.1, eta=3000.0),
        distillation_schedule=Schedule(steps=20, stop_loss=0.01, eta=2000.0),
        test_single=80,
        test_multi=40,
    ),
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MVTHEORY_CACHE", str(tmp_path))


def test_the_lost_view_comes_first_where_it_grows_faster_than_any_shortcut():
    task = MultiView(k=3, P=14, d=8, C_p=2, C_weak=1, s=1.5, main=(1.0, 1.0), weak=(0.9, 0.9))
    draw = Draw(1, replace(CLEAN, task=task))
    nets = PatchNets.init(5, k=3, m=2, d=8, sigma_0=1.0, seed=3, activation=SReLU(q=4, varrho=2.0))
    small, _, axes = reduce_to_all_views(nets, task.sample(4, seed=0), task.views)
    # Half of the classes through each view: on in three quarters of the inputs. Weak views sit in one patch of strength
    # 0.9, main ones in two of strength 1/2.
    weak, main = 0.5 * 0.9**4, (3 / 4) / 3 * 2 * 0.5**4
    expected = []
    for net in range(5):
        first = 0
        for j in range(3):
            overlap = [
                [max(0.0, *(float(nets.W[net, j, r] @ task.views[i, v]) for r in range(2))) for v in range(2)]
                for i in range(3)
            ]
            shortcut = max(overlap[i][v] for i in range(3) for v in range(2) if i != j)
            first += weak * min(overlap[j]) ** 2 > main * shortcut**2
        expected.append(first / 3)
    assert lost_view_first(small, axes, draw).tolist() == pytest.approx(expected)
    assert 0 < sum(expected) < 5


def test_the_study_measures_students_and_their_tickets():
    found, seconds = TINY.run()
    assert seconds > 0
    names = {f"{what}, {rule}, {who}" for what in ("error", "alone") for rule in ("two-sided", "paper")
             for who in ("ensemble", "single")}  # fmt: skip
    assert set(found) == names | {"lost, ensemble", "lost, single", "first"}
    for name, tensor in found.items():
        assert tensor.shape == (1 if "single" in name else 2, 2, 2), name  # single teachers at the most classes only
        assert ((tensor >= 0) & (tensor <= 1)).all()
    assert (found["lost, ensemble"][-1:] <= found["lost, single"]).all()  # each single teacher is a member
    assert not torch.equal(found["error, paper, single"], found["error, two-sided, single"])
    again, _ = TINY.run()
    assert all(torch.equal(again[name], found[name]) for name in found)


def test_more_classes_get_room_and_as_many_inputs_each():
    draw = TINY.at(6, 2)
    assert (draw.task.k, draw.task.d, draw.task.P) == (6, 12, 4 + 10)
    assert len(draw.train) == 60
    assert draw.number == 2


def test_the_study_refuses():
    with refused(ValueError, "k must be .*; got 1"):
        ClassesStudy(k=(1,))
    with refused(ValueError, r"weight must be a finite number in \(0, inf\); got 0"):
        ClassesStudy(weight=0)
