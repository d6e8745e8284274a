"""Convolutional nets on photographs: who is trained on what, and each claim on results whose answer is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hand_made import photographs

from mvtheory.distillation import Distillation
from mvtheory.ensemble import AverageCrossEntropy, average
from mvtheory.experiments import fashion_convolutions as conv
from mvtheory.experiments import fashion_plain as plain
from mvtheory.experiments import measure
from mvtheory.experiments.base import labelled, one_thread
from mvtheory.images.convolution import outputs
from mvtheory.images.plain import plain_subset
from mvtheory.measurement import error_rate

BRIEF = {
    "steps": 12,
    "student_steps": 5,
    "mixture_steps": 9,
    "per_class": 12,
    "test_per_class": 10,
    "side": 14,
    "batch": 32,
}
BRIEF_REST = {"reference_steps": 10, "average_steps": 11}
SETTINGS = {
    name: replace(setting, **BRIEF, **BRIEF_REST)
    for name, setting in {"planted": conv.PLANTED, "smooth": conv.SMOOTH, "stacked": conv.STACKED}.items()
}
NETS = {name: conv.FashionConvNets((1, 2), 4, 2, setting) for name, setting in SETTINGS.items()}
STUDENTS = {name: conv.FashionConvStudents((1, 2), 2, nets, ("midpoint",)) for name, nets in NETS.items()}
PLAIN = plain.FashionPlain((1, 2), 3, plain.PlainSetting(per_class=12, steps=8))


def single_view(nets, split):
    return np.stack([error_rate(outputs(nets, part.x), part.y) for part in (split.left, split.right)])


def measured(study, method, axis):
    return study.run()[method].sel(draw=2).squeeze("contrast").mean("class").transpose("half", axis)


@one_thread()
@pytest.mark.parametrize("name", SETTINGS)
def test_nets_learn_from_pairs_and_references_from_halves(name):
    setting, study = SETTINGS[name], NETS[name]
    split = setting.split(2)
    assert split.train.x.shape[-1] == 14
    single = setting.fit(setting.init(2, 0, 4), split.train)
    np.testing.assert_allclose(measured(study, "single", "net"), single_view(single, split))
    reference = setting.fit(setting.init(2, 500, 2), split.halves, steps=10)
    np.testing.assert_allclose(measured(study, "reference", "reference_net"), single_view(reference, split))
    np.testing.assert_allclose(study.run()["teachers"].sel(draw=2), outputs(single, split.train.x))


@one_thread()
@pytest.mark.parametrize("name", ["planted", "smooth"])
def test_students_have_their_teachers_and_their_starts(name):
    setting, split = SETTINGS[name], SETTINGS[name].split(2)
    G = torch.from_numpy(NETS[name].run()["teachers"].sel(draw=2).values)
    for kind, teacher in {"distilled": average(G).expand(2, -1, -1), "self-distilled": G[2:]}.items():
        students = {
            "planted": setting.fit(setting.init(2, 0, 2), split.train),
            "smooth": setting.init(2, 700, 2),
        }[name]
        objective = Distillation(split.train.y, teacher, setting.rule, setting.weight)
        setting.fit(students, split.train, objective, steps=5, rate={"planted": 0.1 / 10 / 8, "smooth": 0.05}[name])
        np.testing.assert_allclose(measured(STUDENTS[name], kind, "student"), single_view(students, split))


@one_thread()
def test_mixtures_and_trained_averages_have_their_steps():
    setting, split = SETTINGS["planted"], SETTINGS["planted"].split(2)
    mixed = setting.fit(setting.init(2, 900, 2), split.train, mixture="midpoint", steps=9)
    np.testing.assert_allclose(measured(STUDENTS["planted"], "midpoint", "student"), single_view(mixed, split))
    joint = setting.fit(setting.init(2, 0, 4), split.train, AverageCrossEntropy(split.train.y), steps=11)
    expected = [error_rate(average(outputs(joint, part.x)), part.y) for part in (split.left, split.right)]
    found = STUDENTS["planted"].run()["trained average"].sel(draw=2).squeeze("contrast").mean("class")
    np.testing.assert_allclose(found, expected)


def test_filters_that_are_silent_are_counted():
    setting = SETTINGS["planted"]
    split, nets = setting.split(1), setting.init(1, 0, 2)
    with torch.no_grad():
        of_nets = nets.second.bias.view(2, 2, -1)  # [halves, nets, channels]
        of_nets[0, 1, :4] = -1e6
        of_nets[1, :, :] = 1e6
    assert nets.second.bias.numel() == 64
    shares = conv._silent(nets, split.train)
    assert shares[:, 1].tolist() == [0, 0]
    assert shares[1, 0] >= 4 / 16


@one_thread()
def test_methods_on_plain_photographs():
    s = PLAIN.setting
    train, test = plain_subset(2, per_class=12, side=14)
    data = PLAIN.run().sel(draw=2)
    single = s.fit(s.init(2, 0, 3), train)
    F = outputs(single, test.x)
    np.testing.assert_allclose(data["single"], error_rate(F, test.y))
    np.testing.assert_allclose(data["ensemble"], error_rate(average(F), test.y))
    G = outputs(single, train.x)
    for kind, first, teacher in (("distilled", 500, average(G).expand(3, -1, -1)), ("self-distilled", 600, G)):
        objective = Distillation(train.y, teacher, s.rule, s.weight)
        student = s.fit(s.init(2, first, 3), train, objective, rate=s.rate / (1 + s.weight) / s.rule.T)
        np.testing.assert_allclose(data[kind], error_rate(outputs(student, test.x), test.y))
        np.testing.assert_allclose(data[f"training {kind}"], error_rate(outputs(student, train.x), train.y))
    blank = test.x.clone()
    blank[..., 7:] = 0
    bags = test.y == 8
    expected = error_rate(outputs(single, blank[bags]), test.y[bags])
    np.testing.assert_allclose(data["without half"].sel(half="right")[:, 8], expected)
    deaf = single.without(torch.arange(8))
    np.testing.assert_allclose(
        data["without channels"].sel(half="left").mean("class"), error_rate(outputs(deaf, test.x), test.y), atol=1e-12
    )


def probed(first, second):
    """Results of two nets on one subset: their errors without either half, the same for all classes."""
    errors = np.stack([np.array(part, float)[None, :, None].repeat(10, 2) for part in (first, second)], 1)
    variables = dict.fromkeys(("without half", "without channels"), ("draw half net class", errors))
    again = errors[:, ::-1].copy()  # the very same nets, with the halves of their channels exchanged
    return labelled(variables | {"reordered": ("draw half net class", again)}, draw=[1], half=["left", "right"])


def test_opposite_halves():
    assert plain.opposite(probed([0.1, 0.9], [0.2, 0.3]), "without half").tolist() == [1]
    assert plain.opposite(probed([0.9, 0.9], [0.2, 0.3]), "without half").tolist() == [0]
    assert plain.opposite(probed([0.9, 0.3], [0.2, 0.3]), "without half").tolist() == [0.5]
    assert plain.opposite(probed([0.1, 0.9], [0.2, 0.3]), "reordered").tolist() == [1]


def test_every_claim_on_pairs_is_measured(monkeypatch):
    """On two splits whose errors are known, all claims are what one computes by hand."""
    results = {}
    for contrast, shift in ((0.3, 0.0), (0.0, 0.02)):
        data = photographs(
            {"single": 0.5 + shift, "ensemble": 0.14, "reference": 0.1}, sizes=(0.5, 0.3, 0.2), contrast=contrast
        )
        data["single"][:, :, 0, 0] = 0.9  # the first of three nets reads the right half better
        data["single"][0, :, 0, 0] = 1.0
        data["single"][0, :, 1, 0] = 0.3  # on the first split it cannot read the left one
        data["single"][1, :, 1, 1] += 0.1  # on the other the second net reads the left one better
        data["by size"][0, 1] = 0.2
        taught = {"distilled": 0.2, "self-distilled": 0.4, "trained average": 0.45, "midpoint": 0.15, "uniform": 0.3}
        results[contrast] = data, photographs(taught, sizes=(0.5, 0.3, 0.2), contrast=contrast)
        for part in results[contrast]:
            part.attrs["seconds"] = 1.0
    monkeypatch.setattr(conv.FashionConvNets, "run", lambda self: results[self.setting.contrast][0])
    monkeypatch.setattr(conv.FashionConvStudents, "run", lambda self: results[self.nets.setting.contrast][1])
    found = {id: measure(id, draws=(1, 2)).measured.value for id in conv.ESTIMATORS}
    single, stacked = (results[c][0]["single"].mean(("contrast", "half", "net", "class")).values for c in (0.3, 0.0))
    expected = {
        "conv-lottery": [1 / 3, 0],
        "conv-opposite-nets": [1 / 2, 2 / 3],  # a net that needs neither is half an opposite
        "conv-ensemble": (single - 0.14) / (single - 0.1),
        "conv-law": [0.1 / 0.4, 0.2 / 0.4],
        "conv-train-average": (single - 0.45) / (single - 0.14),
        "conv-distill": (single - 0.2) / (single - 0.14),
        "conv-self-distill": (single - 0.4) / (single - 0.14),
        "smooth-self-matched": (single - 0.4) / (single - 0.14),
        "stacked-ensemble": (stacked - 0.14) / (stacked - 0.1),
        "stacked-distill": (stacked - 0.2) / (stacked - 0.14),
        "stacked-midpoint": (stacked - 0.15) / (stacked - 0.1),
    }
    assert {estimator.keywords["draws"] for id, estimator in conv.ESTIMATORS.items() if id.startswith("smooth")} == {
        conv.SMOOTH_SPLITS, conv.SMOOTH_SPLITS[:5]
    }  # fmt: skip
    same = ("lottery", "opposite-nets", "ensemble", "law", "train-average", "distill")
    expected |= {f"smooth-{what}": expected[f"conv-{what}"] for what in same}
    assert found == pytest.approx({id: float(np.mean(values)) for id, values in expected.items()})


def test_every_claim_on_plain_photographs_is_measured(monkeypatch):
    errors = {"ensemble": [0.16, 0.15], "trained average": [0.17, 0.18]}
    several = {"single": [[0.2, 0.22], [0.21, 0.19]], "distilled": [[0.18, 0.18]] * 2,
               "self-distilled": [[0.19, 0.21]] * 2}  # fmt: skip
    variables = {name: ("draw", values) for name, values in errors.items()}
    variables |= {name: ("draw net", values) for name, values in several.items()}
    data = labelled(variables, draw=[1, 2])
    halves = probed([0.1, 0.9], [0.2, 0.3])["without half"].sel(draw=[1, 1]).assign_coords(draw=[1, 2]).copy()
    halves[1, :, 1] = 0.5  # on the second subset the second net needs neither
    data["without half"] = halves
    data.attrs["seconds"] = 1.0
    monkeypatch.setattr(plain.FashionPlain, "run", lambda self: data)
    found = {id: measure(id, draws=(1, 2)).measured.value for id in plain.ESTIMATORS if id.startswith("plain")}
    single, best = np.array([0.21, 0.20]), np.array([0.16, 0.15])
    expected = {
        "plain-ensemble": 1 - best / single,
        "plain-distill": (single - 0.18) / (single - best),
        "plain-self-distill": (single - 0.2) / (single - best),
        "plain-train-average": (single - [0.17, 0.18]) / (single - best),
        "plain-opposite-halves": [1, 0.5],
    }
    assert found == pytest.approx({name: float(np.mean(values)) for name, values in expected.items()})


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (conv.FashionConvNets, {"nets": 1}),
        (conv.FashionConvStudents, {"students": 6}),
        (plain.FashionPlain, {"nets": 1}),
    ],
)
def test_bad_studies(kind, options):
    with pytest.raises(ValueError, match="must be an integer"):
        kind(**options)
