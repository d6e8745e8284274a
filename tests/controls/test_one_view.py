"""One view a class, labels of a net, wrong labels."""

import math

import pytest
import torch
from reference import refused, untouched_global_state, within

from mvtheory import MultiView
from mvtheory.controls.no_views import OneView, TeacherLabels, flip_labels


def test_one_view_hides_all_others_in_multi_view_inputs_only():
    task, plain = (kind(k=3, M=3, P=9, d=12, s=2.0) for kind in (OneView, MultiView))
    sample, whole = task.sample(60, 40, seed=5), plain.sample(60, 40, seed=5)
    shown = ~sample.single_view
    assert not sample.present[shown, :, 1:].any()
    assert torch.equal(sample.strength[shown, :, 0], whole.strength[shown, :, 0])
    assert torch.equal(sample.strength[~shown], whole.strength[~shown])
    assert set(sample.kept[~shown].tolist()) == {0, 1, 2}
    hidden = torch.einsum("npd,jld->npjl", sample.x[shown], task.views[:, 1:]).abs().amax()
    assert hidden < 1.0  # noise alone: a view would add its strength, at least 1, to the label's patches
    assert repr(task) != repr(plain)  # the store tells them apart


def test_a_net_makes_labels_of_equal_shares():
    task = TeacherLabels(k=5, P=2, d=6, m=3, frame_seed=2)
    n = 20_000
    sample = task.sample(n, seed=4)
    shares = torch.bincount(sample.y, minlength=5) / n
    for share in shares:  # the offsets come from as many inputs of their own
        assert within(share, 0.2, math.sqrt(2 * 0.2 * 0.8), n)
    W, b = task.teacher.W[0], task.offsets
    scores = torch.einsum("krd,npd->nkrp", W, sample.x[:500]).clamp(min=0).sum((2, 3)) + b
    assert torch.equal(scores.argmax(-1), sample.y[:500])
    assert within(sample.x.mean(), 0, 1, sample.x.numel())
    assert within(sample.x.square().mean(), 1, math.sqrt(2), sample.x.numel())
    assert not sample.present.any()
    assert not sample.single_view.any()


def test_labels_depend_on_seeds_alone():
    with untouched_global_state():
        one, again, other = (TeacherLabels(frame_seed=f).sample(50, seed=s) for f, s in ((1, 2), (1, 2), (3, 2)))
    assert torch.equal(one.x, again.x)
    assert torch.equal(one.y, again.y)
    assert torch.equal(one.x, other.x)
    assert not torch.equal(one.y, other.y)


def test_as_many_labels_are_wrong_as_asked():
    y = torch.arange(4).repeat(2500)
    with untouched_global_state():
        flipped = flip_labels(y, 4, 0.3, seed=1)
    wrong = flipped != y
    assert int(wrong.sum()) == 3000
    jump = (flipped - y)[wrong] % 4
    for step in (1, 2, 3):  # every other class alike
        assert within((jump == step).double().mean(), 1 / 3, math.sqrt(2) / 3, 3000)
    assert torch.equal(y, torch.arange(4).repeat(2500))
    assert torch.equal(flip_labels(y, 4, 0, seed=1), y)
    assert torch.equal(flipped, flip_labels(y, 4, 0.3, seed=1))
    assert not torch.equal(flipped, flip_labels(y, 4, 0.3, seed=2))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: TeacherLabels(k=1), "k must be an integer >= 2; got 1"),
        (lambda: TeacherLabels(m=0), "m must be an integer >= 1; got 0"),
        (lambda: TeacherLabels(frame_seed=-1), "frame_seed must be"),
        (lambda: TeacherLabels().sample(5, 1, seed=0), r"n_single_view \(.*\) must be an integer >= 0 and <= 0; got 1"),
        (lambda: TeacherLabels().sample(0, seed=0), "n_multi_view must be an integer >= 1; got 0"),
        (lambda: flip_labels(torch.tensor([0, 2]), 2, 0.1, seed=0), "y must hold classes 0 to 1"),
        (lambda: flip_labels(torch.tensor([0, 1]), 2, 1.1, seed=0), "share must be"),
    ],
)
def test_faulty_data_are_refused(call, match):
    with refused(ValueError, match):
        call()
