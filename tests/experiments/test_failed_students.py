"""Students that go wrong on digits: each by its mistake alone; nets that share a start."""

import numpy as np
import pytest
import torch

from mvtheory.experiments import failed_students
from mvtheory.experiments.base import select
from mvtheory.experiments.failed_students import MISTAKES, FailedStudents, _new_head
from mvtheory.experiments.ordinary_nets import deep_net, digit_split, outputs_of


def test_each_student_has_one_mistake(monkeypatch):
    """Training is left out: what it was asked for is kept."""
    asked = []
    monkeypatch.setattr(failed_students, "fit", lambda net, *args: asked.append((net, *args[2:])) or net)
    data = FailedStudents((5,), seeds=3, students=1, n=60).on(5)
    x, x_test, _, y_test = digit_split(5, 60)
    teacher = outputs_of([deep_net(seed) for seed in range(3)], x).mean(0)
    students = dict(zip(MISTAKES, asked[3:-3], strict=True))
    assert {name: call[2:] for name, call in students.items()} == {
        "none": (400, 4.0, 9.0),
        "no factor T²": (400, 4.0, 9 / 16),
        "T = 1": (400, 1.0, 9.0),
        "few steps": (50, 4.0, 9.0),
        "narrow": (400, 4.0, 9.0),
    }
    for name, (net, G, *_) in students.items():
        assert torch.equal(G, teacher)
        assert next(net.parameters()).shape == ((10 if name == "narrow" else 32), 64)
    assert [len(call) for call in asked[:3] + asked[-3:]] == [1] * 6  # the labels alone
    assert np.array_equal(data["label"], y_test)
    assert data["shared start"].shape == (3, len(x_test), 10)


def test_a_new_head_leaves_the_rest():
    net = deep_net(0)
    before = [p.detach().clone() for p in net.parameters()]
    first, again, other = _new_head(net, 1), _new_head(net, 1), _new_head(net, 2)
    for new in (first, other):
        assert all(torch.equal(a, b) for a, b in zip(list(new.parameters())[:-2], before[:-2], strict=True))
    assert torch.equal(first[-1].weight, again[-1].weight)
    assert not torch.equal(first[-1].weight, other[-1].weight)
    assert all(torch.equal(p, old) for p, old in zip(net.parameters(), before, strict=True))
    with torch.no_grad():
        first[0].weight += 1
    assert torch.equal(next(net.parameters()), before[0])  # a copy


@pytest.mark.slow
def test_they_are_trained():
    data = FailedStudents((5,), seeds=2, students=1, n=60).run()
    y = select(data, "label")[0]
    errors = {name: (select(data, name)[0].argmax(-1) != y).mean() for name in (*MISTAKES, "nets", "shared start")}
    assert errors["none"] < 0.4
    assert errors["shared start"] < 0.4  # chance is 0.9
    assert errors["few steps"] > errors["none"]


@pytest.mark.parametrize("arguments", [{"draws": ()}, {"seeds": 1}, {"students": 0}])
def test_bad_arguments(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        FailedStudents(**arguments)
