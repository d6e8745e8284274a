"""More cases of the chapter on practice: boosted trees, nets on photographs, students on other inputs."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingClassifier

from mvtheory.experiments import practice_cases
from mvtheory.experiments.base import select
from mvtheory.experiments.ordinary_nets import deep_net, digit_split, outputs_of
from mvtheory.experiments.practice_cases import BoostedTrees, OtherInputs, PhotoNets
from mvtheory.images import fashion
from mvtheory.images.fashion import FashionMNIST


@pytest.fixture
def pictures(monkeypatch):
    """Pictures of noise whose first row tells the class."""
    rng = np.random.default_rng(0)
    images = {n: torch.from_numpy(rng.integers(0, 100, (n, 28, 28)).astype(np.uint8)) for n in (60, 40)}
    y = {n: torch.from_numpy(rng.integers(0, 10, n)) for n in images}
    for n, pixels in images.items():
        pixels[torch.arange(n), :, y[n]] = 255
    data = FashionMNIST(images[60], y[60], images[40], y[40])
    monkeypatch.setattr(fashion, "load", lambda: data)
    return data


def test_boosted_trees_are_those_of_their_seeds():
    data = BoostedTrees((5,), seeds=2, rounds=3, n=60).run()
    x, x_test, y, y_test = digit_split(5, 60)
    model = HistGradientBoostingClassifier(max_iter=3, max_features=0.3, random_state=1).fit(x, y)
    assert np.array_equal(select(data, "output")[0, 1], model.predict_proba(x_test))
    assert np.array_equal(select(data, "label")[0], y_test)


def test_nets_on_photographs(pictures):
    data = PhotoNets((3,), seeds=2, epochs=4, n=50, test=30).run()
    nets, checkpoints = select(data, "nets")[0], select(data, "checkpoints")[0]
    assert nets.shape == checkpoints.shape == (2, 30, 10)
    assert np.array_equal(nets[0], checkpoints[1])  # the last checkpoint is the first net
    assert np.abs(nets[0] - nets[1]).max() > 1e-3
    assert np.abs(checkpoints[0] - checkpoints[1]).max() > 1e-3
    assert np.array_equal(select(data, "label")[0], pictures.test_y[:30])
    longer = PhotoNets((3,), seeds=2, epochs=3, n=50, test=30).run()
    assert np.array_equal(select(longer, "nets")[0, 0], checkpoints[0])  # a checkpoint is the net of fewer epochs


def test_nets_on_photographs_learn_and_leave_the_generator_alone(pictures):
    x, y = practice_cases._pixels(pictures.train_images), pictures.train_y
    state = torch.random.get_rng_state()
    history = practice_cases._by_epoch(0, x, y, x, 30)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (history[-1].argmax(-1) == y).float().mean() > 0.5  # chance is 0.1
    assert x.shape == (60, 1, 28, 28)
    assert x.max() == 1


def test_students_see_their_images_alone(monkeypatch):
    """Training is left out: what it was asked for is kept."""
    asked = []
    monkeypatch.setattr(practice_cases, "fit", lambda net, *_: net)
    monkeypatch.setattr(practice_cases, "_match", lambda net, *args: asked.append(args) or net)
    data = OtherInputs((5,), seeds=2, students=1, n=60, other=40).on(5)
    x, rest, y, y_rest = digit_split(5, 60)
    nets = [deep_net(seed) for seed in range(2)]
    for (inputs, labels, images, teacher), expected in zip(asked, (x, rest[:40]), strict=True):
        assert np.array_equal(inputs, x)
        assert np.array_equal(labels, y)
        assert np.array_equal(images, expected)
        assert torch.equal(teacher, outputs_of(nets, expected).mean(0))
    assert np.array_equal(data["label"], y_rest[40:])
    confidence = data["confidence"].sel(where="other images")
    assert float(confidence) == pytest.approx(float(outputs_of(nets, rest[:40]).mean(0).softmax(-1).amax(-1).mean()))


def test_a_student_goes_against_the_gradient_of_both_losses():
    """The first step of Adam goes against the sign of the gradient, which is computed here from its formula."""
    x, rest, y, _ = digit_split(5, 60)
    teacher = 5 * torch.randn(40, 10, generator=torch.Generator().manual_seed(0))
    net = deep_net(3)
    F, G = net(torch.tensor(x)), net(torch.tensor(rest[:40]))
    with torch.no_grad():
        grad_F = (F.softmax(-1) - torch.nn.functional.one_hot(torch.tensor(y), 10)) / 60
        grad_G = 9 * (G.softmax(-1) - teacher.softmax(-1)) / 40
    gradients = torch.autograd.grad([F, G], list(net.parameters()), [grad_F, grad_G])
    before = [p.detach().clone() for p in net.parameters()]
    practice_cases._match(net, x, y, rest[:40], teacher, steps=1)
    for p, old, gradient in zip(net.parameters(), before, gradients, strict=True):
        clear = gradient.abs() > 1e-5
        torch.testing.assert_close((p - old)[clear], -0.01 * gradient.sign()[clear], rtol=0.01, atol=0)


@pytest.mark.parametrize(
    ("case", "arguments"),
    [
        (BoostedTrees, {"draws": ()}),
        (BoostedTrees, {"seeds": 1}),
        (BoostedTrees, {"rounds": 0}),
        (PhotoNets, {"seeds": 1}),
        (PhotoNets, {"epochs": 4}),
        (OtherInputs, {"other": 1401}),
        (OtherInputs, {"students": 0}),
    ],
)
def test_bad_arguments(case, arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        case(**arguments)
