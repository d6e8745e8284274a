"""The models that the chapter on practice diagnoses, and its two claims on small settings."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hand_made import small
from sklearn.tree import DecisionTreeClassifier

from mvtheory.diagnose import diagnose
from mvtheory.experiments import measure, practice
from mvtheory.experiments.base import select
from mvtheory.experiments.nets import Draw, singles
from mvtheory.experiments.ordinary_nets import deep_net, digit_split, outputs_of
from mvtheory.experiments.practice import DigitModels, MixtureNets, mixture_diagnoses, views_diagnoses
from mvtheory.experiments.settings import SETTING
from mvtheory.model import PatchNets
from mvtheory.training import Schedule, train

SMALL = small(SETTING)
MIXTURE = MixtureNets((1, 2), n=100, test=50, nets=3, m=2, schedule=Schedule(steps=20, warn=False))


@pytest.fixture(autouse=True)
def forget():
    views_diagnoses.cache_clear()


def removed(F, y):
    """Return the share of a net's errors that the average removes; no outputs are tied here."""
    F, y = torch.as_tensor(F), torch.as_tensor(y)
    one, average = (errs.double().mean() for errs in (F.argmax(-1) != y, F.mean(0).argmax(-1) != y))
    return float(1 - average / one)


def test_views_by_hand():
    runs = [singles(Draw(number, SMALL)) for number in (1, 2)]
    claim = measure("practice-views", draws=[1, 2], setting=SMALL)
    by_hand = [removed(nets.outputs["single-view"], nets.labels("single-view")) for nets in runs]
    assert claim.measured.value == pytest.approx(np.mean(by_hand))
    assert (claim.measured.nets, claim.measured.draws) == (10, 2)
    assert claim.seconds == sum(nets.seconds for nets in runs)


def test_mixture_by_hand():
    data = MIXTURE.run()
    claim = measure("practice-mixture", draws=[1, 2], setting=replace(MIXTURE, draws=(8, 9)))
    by_hand = [removed(F, y) for F, y in zip(select(data, "output"), select(data, "label"), strict=True)]
    assert claim.measured.value == pytest.approx(np.mean(by_hand))
    assert (claim.measured.nets, claim.measured.draws) == (6, 2)
    assert [d.removed.value for d in mixture_diagnoses(data)] == pytest.approx(by_hand)


def test_where_no_net_errs_there_is_nothing_to_remove(monkeypatch):
    perfect = diagnose(np.stack([np.eye(3)] * 2), np.arange(3))
    monkeypatch.setattr(practice, "mixture_diagnoses", lambda data: [perfect] * 2)
    with pytest.raises(ValueError, match="draws must be data sets on which some net errs; got 1"):
        measure("practice-mixture", draws=[1, 2], setting=MIXTURE)


def test_nets_on_a_mixture_differ_by_seed_and_data_set():
    data = MIXTURE.run()
    task = replace(practice.MIXTURE, frame_seed=2_000_000)
    start = PatchNets.init(1, k=10, m=2, d=40, sigma_0=MIXTURE.sigma_0, seed=2_000_101, activation=MIXTURE.activation)
    alone = train(start, task.sample(100, seed=2_000_001), schedule=MIXTURE.schedule).nets
    test = task.sample(50, seed=2_000_002)
    np.testing.assert_allclose(select(data, "output")[1, 1], alone(test.x)[0], rtol=1e-4, atol=1e-5)
    assert np.array_equal(select(data, "label", draw=2), test.y)


def test_models_are_those_of_their_seeds():
    data = DigitModels(draws=(5,), seeds=2, students=1, n=60).run()
    x, x_test, y, y_test = digit_split(5, 60)
    tree = DecisionTreeClassifier(max_features="sqrt", min_samples_leaf=3, random_state=1).fit(x, y)
    assert np.array_equal(select(data, "decision trees")[0, 1], tree.predict_proba(x_test))
    assert np.array_equal(select(data, "label", draw=5), y_test)
    for name in ("shallow nets", "deep nets", "students of the ensemble", "students of one net"):
        errors = (select(data, name)[0].argmax(-1) != y_test).mean(-1)
        assert len(errors) == (1 if "students" in name else 2)
        assert (errors < 0.4).all(), name  # chance is 0.9
    assert np.ptp(select(data, "logistic regression")[0], 0).max() == 0  # one optimum, whatever the seed


def test_each_student_has_its_teacher(monkeypatch):
    """Training is left out, so that the teachers are the outputs of nets at their initialisation."""
    teachers = []
    monkeypatch.setattr(practice, "fit", lambda net, x, y, teacher=None, steps=150: teachers.append(teacher) or net)
    monkeypatch.setattr(practice, "_models", dict)
    DigitModels(draws=(5,), seeds=3, students=2, n=60).on(5)
    F = outputs_of([deep_net(seed) for seed in range(3)], digit_split(5, 60)[0])
    assert teachers[:3] == [None] * 3
    for teacher, expected in zip(teachers[3:], [F.mean(0), F.mean(0), F[0], F[1]], strict=True):
        assert torch.equal(teacher, expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"draws": ()}, "draws must be at least 1"),
        ({"seeds": 1}, "seeds .* got 1"),
        ({"students": 11}, "students .* got 11"),
    ],
)
def test_bad_models(arguments, message):
    with pytest.raises(ValueError, match=message):
        DigitModels(**arguments)
