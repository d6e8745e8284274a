"""The study of pairs of digits: who is trained on what, and each claim on results whose answer is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mvtheory.experiments import measure
from mvtheory.experiments.base import labelled, select
from mvtheory.experiments.digit_images import (
    SPLITS,
    DigitStudy,
    gain_share,
    gap,
    opposite_share,
    reliance,
    removed,
    single_view_error,
)
from mvtheory.images.digits import DigitNets, fit, single_view, split_pairs

SMALL = DigitStudy(draws=(1, 2), nets=3, students=2, per_class=20, steps=3, student_steps=2, contrasts=(0.0, 0.3))


@pytest.fixture(scope="module")
def data():
    return SMALL.run()


def test_every_method_is_tested_on_every_input(data):
    models = {"single": (3,), "growing ensemble": (3,), "shared": (3,), "distilled": (2,), "self-distilled": (2,)}
    averages = ("ensemble", "trained average", "distilled ensemble", "self-distilled ensemble", "shared ensemble")
    for method, shape in (models | dict.fromkeys(averages, ())).items():
        assert data[method].shape == (2, 2, 2, *shape, 10)
        assert data[f"training {method}"].shape == data[f"two-view {method}"].shape == (2, *shape, 10)
    assert len(data.data_vars) == 3 * 10
    assert all(((errors >= 0) & (errors <= 1)).all() for errors in data.values())


def test_the_results_are_those_of_the_nets(data):
    """Train the first net of the second split by hand and test it by hand."""
    train, test = split_pairs(2, 20)
    assert SMALL.test_pairs == len(test)
    net = fit(DigitNets([2000], scale=SMALL.scale), train, steps=3)

    def error(pairs):
        return (net(pairs.images)[0].argmax(-1) != pairs.y).double().mean().item()

    for half, pairs in zip(("left", "right"), single_view(test, 0.3, seed=2), strict=True):
        assert select(data, "single", contrast=0.3, half=half)[1, 0].mean() == pytest.approx(error(pairs), abs=0.01)
    assert select(data, "two-view single")[1, 0].mean() == pytest.approx(error(test), abs=0.01)
    assert select(data, "training single")[1, 0].mean() == pytest.approx(error(train), abs=0.01)


def test_each_student_has_its_teacher():
    """Self-distilled nets have one single net each, distilled nets the average; the rest has none."""
    train, _ = split_pairs(3)
    study = replace(SMALL, scale=1.0, steps=4, student_steps=4)
    stacks = study.train(train, first_seed=2000)
    single = fit(DigitNets(range(2000, 2003), scale=1.0), train, steps=4)
    with torch.no_grad():
        outputs = single(train.images)
    teachers = {"distilled": outputs.mean(0, keepdim=True), "self-distilled": outputs[:2]}
    expected = {
        "single": single,
        "trained average": fit(DigitNets(range(2000, 2003), scale=1.0), train, steps=4, joint=True),
        "shared": fit(DigitNets(range(2000, 2003), scale=1.0, shared=True), train, steps=4),
    }
    for name, teacher in teachers.items():
        expected[name] = fit(DigitNets([2500, 2501], scale=1.0), train, steps=4, teacher=teacher)
    assert stacks.keys() == expected.keys()
    for name, nets in expected.items():
        for a, b in zip(stacks[name].parameters(), nets.parameters(), strict=True):
            torch.testing.assert_close(a, b, msg=name)


def test_growing_ensembles_end_at_their_single_net_and_at_the_ensemble(data):
    growing = single_view_error(data, "growing ensemble")
    assert torch.equal(growing[:, 0], single_view_error(data, "single")[:, 0])
    torch.testing.assert_close(growing[:, -1], single_view_error(data, "ensemble"), rtol=0, atol=0.01)


# claims on results whose answer is known


def by_hand(**errors):
    """Return errors of two splits at the contrast 0.3, by half and class, as the study has them."""
    axes = {"single": "net", "shared": "net", "distilled": "student", "self_distilled": "student"}
    variables = {}
    for method, by_split in errors.items():
        axis = axes.get(method, "")
        models = {"net": (3,), "student": (2,), "": ()}[axis]
        values = torch.tensor(by_split, dtype=torch.float64).view(2, 1, -1, *[1] * len(models), 1)
        name = method.replace("_", "-" if axis else " ")
        variables[name] = f"draw contrast half {axis} digit", values.expand(2, 1, 2, *models, 10)
    return labelled(variables, draw=[1, 2], contrast=[0.3], half=["left", "right"]).assign_attrs(seconds=7.0)


@pytest.mark.parametrize(
    ("name", "value", "nets"),
    [
        ("single", 0.5, 6),
        ("ensemble", (0.8 + 0.6) / 2, 6),
        ("distill", (1 + 0.5) / 2, 10),
        ("self-distill", (0 + 0.5) / 2, 10),
        ("train-average", (0.5 + 1) / 2, 12),
        ("lottery", 0.5, 6),
        ("control", 0, 6),
    ],
)
def test_claims_by_hand(name, value, nets, monkeypatch):
    data = by_hand(
        single=[[0.2, 0.8], [0.45, 0.55]],  # a gap above a half on the first split alone
        ensemble=[[0.1], [0.2]],
        distilled=[[0.1], [0.35]],
        self_distilled=[[0.5], [0.35]],
        trained_average=[[0.3], [0.2]],
        shared=[[0.4], [0.4]],
    )
    monkeypatch.setattr(DigitStudy, "run", lambda study: data if study.draws == (1, 2) else None)
    claim = measure(f"digits-{name}", draws=[1, 2], setting=replace(SMALL, draws=(8, 9)))
    assert claim.measured.value == pytest.approx(value)
    assert (claim.measured.nets, claim.measured.draws, claim.seconds) == (nets, 2, 7.0)


def test_gain_shares_by_hand():
    data = by_hand(single=[[0.5], [0.5]], ensemble=[[0.1], [0.1]], distilled=[[0.1], [0.2]])
    assert gain_share(data, "single").tolist() == pytest.approx([0, 0])
    assert gain_share(data, "ensemble").tolist() == pytest.approx([1, 1])
    assert gain_share(data, "distilled").tolist() == pytest.approx([1, 0.75])


def test_a_share_removed_by_hand():
    data = by_hand(shared=[[0.5], [0.4]], shared_ensemble=[[0.5], [0.1]])
    found = removed(data, "shared", "shared ensemble")
    assert found.value == pytest.approx((0 + 0.75) / 2)
    assert found.nets == 6


def test_gaps_and_opposites_by_hand():
    # Two nets, the first relies on the left half on all classes, the second on the right half on the first five.
    halves = np.zeros((2, 1, 2, 2, 10))  # split, contrast, half kept, net, class
    halves[:, 0, 1, 0] = 0.9
    halves[:, 0, 0, 1, :5] = halves[:, 0, 1, 1, 5:] = 0.4
    data = labelled(
        {"single": ("draw contrast half net digit", halves)}, draw=[1, 2], contrast=[0.3], half=["left", "right"]
    )
    assert gap(data, "single")[0].tolist() == [pytest.approx([0.9] * 10), pytest.approx([-0.4] * 5 + [0.4] * 5)]
    assert opposite_share(data, "single", "nets").tolist() == pytest.approx([0.5, 0.5])
    assert opposite_share(data, "single", "classes").tolist() == pytest.approx([25 / 90, 25 / 90])  # 0, 25 of 45 pairs
    assert reliance(data, "single").value == 0.5


def test_unknown_names_are_refused(data):
    with pytest.raises(ValueError, match=r"name must be one of .*'single'.*; got 'boosted'"):
        single_view_error(data, "boosted")
    with pytest.raises(ValueError, match=r"contrast must be one of 0.0, 0.3; got 0.5"):
        gap(data, "single", 0.5)
    with pytest.raises(ValueError, match="across must be one of 'nets', 'classes'; got 'splits'"):
        opposite_share(data, "single", "splits")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"draws": (1, 1)}, r"draws must be at least 2 different .*; got \(1, 1\)"),
        ({"nets": 1}, "nets .* got 1"),
        ({"students": 11}, "students .* got 11"),
    ],
)
def test_bad_studies(arguments, message):
    with pytest.raises(ValueError, match=message):
        DigitStudy(**arguments)


def test_the_reported_splits_are_not_those_of_the_choices():
    assert not set(SPLITS) & {1, 2, 3}
