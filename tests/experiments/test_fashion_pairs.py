"""The study of pairs of photographs: who is trained on what, and each claim on results whose answer is known."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from hand_made import photographs

from mvtheory.distillation import Distillation
from mvtheory.ensemble import average
from mvtheory.experiments import fashion_pairs as photos
from mvtheory.experiments import measure, photo_pairs
from mvtheory.experiments.base import one_thread
from mvtheory.experiments.digit_images import reliance
from mvtheory.measurement import error_rate
from mvtheory.model import PatchNets
from mvtheory.training import Schedule, train

FEW = Schedule(steps=90, stop_loss=1.0, eta=1e9, max_change=0.2, warn=False)
SETTING = photos.PhotoSetting(
    per_class=10, test_per_class=30, components=20, sigma_0=0.03, schedule=FEW,
    distillation_schedule=replace(FEW, steps=4, stop_loss=1e-3),
)  # fmt: skip
DRAWS = (1, 2, 3)
NETS = photos.FashionNets(draws=DRAWS, nets=4, references=2, setting=SETTING)
STUDENTS = photos.FashionStudents(draws=DRAWS, nets=NETS)


@pytest.fixture(scope="module")
def data():
    return NETS.run()


@pytest.fixture(scope="module")
def taught():
    return STUDENTS.run()


def single_view(nets, split):
    return [error_rate(nets(part.x), part.y) for part in (split.left, split.right)]


@one_thread()
def test_single_nets_and_their_averages_are_those_of_the_seeds(data):
    split = SETTING.split(2)
    nets = SETTING.fit(SETTING.init(2, 0, 4, split.train.x.shape[-1]), split.train)
    np.testing.assert_array_equal(data["weights"].sel(draw=2), nets.W)
    measured = data["single"].sel(draw=2).squeeze("contrast").mean("class")
    np.testing.assert_allclose(measured.transpose("half", "net"), np.stack(single_view(nets, split)))
    outputs = [nets(part.x) for part in (split.left, split.right)]
    for L in (1, 2, 4):
        expected = [
            np.mean([float(error_rate(average(F[list(chosen)]), part.y)) for chosen in combinations(range(4), L)])
            for F, part in zip(outputs, (split.left, split.right), strict=True)
        ]
        np.testing.assert_allclose(data["by size"].sel(draw=2, size=L), expected)


@one_thread()
def test_the_control_shares_coordinates_and_the_reference_sees_single_halves(data):
    common = SETTING.split(1, form="shared")
    shared = SETTING.fit(SETTING.init(1, 0, 4, 20), common.train)
    measured = data["shared"].sel(draw=1).squeeze("contrast").mean("class")
    np.testing.assert_allclose(measured.transpose("half", "net"), np.stack(single_view(shared, common)))
    split = SETTING.split(1)
    reference = SETTING.fit(SETTING.init(1, 500, 2, 40), split.halves)
    measured = data["reference"].sel(draw=1).squeeze("contrast").mean("class")
    np.testing.assert_allclose(measured.transpose("half", "reference_net"), np.stack(single_view(reference, split)))


@one_thread()
def test_students_have_their_teachers(data, taught):
    split = SETTING.split(1)
    nets = PatchNets(torch.from_numpy(data["weights"].sel(draw=1).values), SETTING.activation)
    G = nets(split.train.x)
    on_average = replace(SETTING.rule, threshold=SETTING.rule.threshold / 4)
    for kind, (teacher, rule) in {
        "distilled": (average(G).expand(2, -1, -1), on_average),
        "self-distilled": (G[2:], SETTING.rule),
    }.items():
        objective = Distillation(split.train.y, teacher, rule, SETTING.weight)
        students = train(nets[:2], split.train, objective, SETTING.distillation_schedule).nets
        measured = taught[kind].sel(draw=1).squeeze("contrast").mean("class")
        np.testing.assert_allclose(measured.transpose("half", "student"), np.stack(single_view(students, split)))


def test_excess_and_factor():
    data = photographs({"single": 0.5, "ensemble": 0.14, "reference": 0.1})
    np.testing.assert_allclose(photo_pairs.excess_removed(data, "ensemble"), 0.9)
    halved = photographs({"reference": 0.1}, sizes=[0.1 + 0.4 / 2**L for L in range(5)])
    np.testing.assert_allclose(photo_pairs.factor(halved), 0.5)


def test_reliance_on_one_half():
    data = photographs({"single": 0.2})
    data["single"][:, :, 0, 0] = 0.9  # the first of three nets cannot read the left half
    assert reliance(data, "single").value == pytest.approx(1 / 3)


def test_every_claim_is_measured(monkeypatch):
    """On two splits whose errors are known, all claims are what one computes by hand."""
    nets = photographs({"single": 0.5, "ensemble": 0.1, "reference": 0.1, "trained average": 0.4, "shared": 0.2})
    nets["ensemble"][1] = 0.14
    nets["by size"][1] += 0.1
    nets["single"][:, :, 0, 0] += 0.4  # the first of three nets cannot read the left half
    nets["single"][:, :, 1, 1:] += 0.2  # the others read the left one better
    nets["single"][1, :, 1, 1:, :4] -= 0.4  # but the right one in half of the classes of a split
    taught = photographs(dict.fromkeys(photos.STUDENT_KINDS, 0.25))
    taught["self-matched"][0] = 0.4
    for data in (nets, taught):
        data.attrs["seconds"] = 1.0
    monkeypatch.setattr(photos.FashionNets, "run", lambda self: nets)
    monkeypatch.setattr(photos.FashionStudents, "run", lambda self: taught)
    found = {id: measure(id, draws=(1, 2)).measured for id in photos.ESTIMATORS}
    single = nets["single"].mean(("contrast", "half", "net", "class")).values
    gain = single - [0.1, 0.14]
    assert found["photos-single"].value == pytest.approx(single.mean())
    assert found["photos-lottery"].value == found["photos-control"].value == 0
    # Halves that the three nets rely on: right, left, left; in half of the classes of the second split all right.
    assert found["photos-opposite-nets"].value == pytest.approx((2 / 3 + 1 / 3) / 2)
    assert found["photos-opposite-classes"].value == pytest.approx((0 + (0 + 4 / 7 + 4 / 7) / 3) / 2)
    assert found["photos-ensemble"].value == pytest.approx((gain / (single - 0.1)).mean())
    factors = [((0.15 + more - 0.1) / (0.5 + more - 0.1)) ** (1 / 3) for more in (0, 0.1)]
    assert found["photos-law"].value == pytest.approx(np.mean(factors))
    assert found["photos-train-average"].value == pytest.approx(((single - 0.4) / gain).mean())
    for id in ("photos-distill", "photos-self-distill"):
        assert found[id].value == pytest.approx(((single - 0.25) / gain).mean())
    assert found["photos-self-matched"].value == pytest.approx(((single - [0.4, 0.25]) / gain).mean())


@pytest.mark.parametrize(
    ("kind", "options"), [(photos.FashionNets, {"nets": 1}), (photos.FashionStudents, {"students": 6})]
)
def test_bad_studies(kind, options):
    with pytest.raises(ValueError, match="must be an integer"):
        kind(**options)
