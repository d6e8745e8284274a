"""The digits: no test image is trained on, the nets are what they say, training follows its formulas."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from mvtheory.distillation import Temperature
from mvtheory.images.digits import DigitNets, fit, single_view, split_pairs


@pytest.fixture(scope="module")
def split():
    return split_pairs(seed=3)


# pairs


@pytest.mark.parametrize("per_class", [2, 50, 172])
@pytest.mark.parametrize("seed", range(5))
def test_no_test_image_is_trained_on_and_none_is_used_twice(seed, per_class):
    train, test = split_pairs(seed, per_class)
    trained, tested = train.index[:, 0], test.index.flatten()
    assert len(trained) == 10 * per_class == len(trained.unique())
    assert len(tested) == len(tested.unique())
    assert not set(trained.tolist()) & set(tested.tolist())
    assert set(trained.tolist()) == set(train.index[:, 1].tolist())


def test_images_labels_and_indices_belong_together(split):
    from sklearn.datasets import load_digits

    digits = load_digits()
    for pairs, n in zip(split, (500, 620), strict=True):
        assert pairs.images.shape == (n, 2, 8, 8)
        assert torch.equal(pairs.y, torch.arange(10).repeat_interleave(n // 10))
        for half in (0, 1):
            index = pairs.index[:, half]
            assert torch.equal(pairs.y, torch.tensor(digits.target)[index])
            assert torch.equal(pairs.images[:, half], torch.tensor(digits.images / 16, dtype=torch.float32)[index])
        assert (pairs.index[:, 0] != pairs.index[:, 1]).all()
        assert 0 <= pairs.images.min() < pairs.images.max() <= 1


def test_training_favours_no_half(split):
    train, _ = split
    there = {tuple(pair) for pair in train.index.tolist()}
    assert {(b, a) for a, b in there} == there


def test_a_split_is_its_seed(split):
    again, other = split_pairs(seed=3), split_pairs(seed=4)
    assert all(torch.equal(a.index, b.index) for a, b in zip(split, again, strict=True))
    assert not torch.equal(split[0].index, other[0].index)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1,), "seed must be an integer >= 0; got -1"),
        ((0, 51), "per_class must be even.*51"),
        ((0, 0), "per_class must be an integer >= 2 and <= 172; got 0"),
        ((0, 174), "per_class .* got 174"),
    ],
)
def test_bad_splits(arguments, message):
    with pytest.raises(ValueError, match=message):
        split_pairs(*arguments)


# single-view inputs


@pytest.mark.parametrize("contrast", [0.0, 0.3, 1.0])
def test_one_image_stays_and_the_other_is_a_faint_one_of_another_class(split, contrast):
    _, test = split
    labels = dict(zip(test.index.flatten().tolist(), test.y.repeat_interleave(2).tolist(), strict=True))
    scans = dict(zip(test.index.flatten().tolist(), test.images.flatten(0, 1), strict=True))
    for kept, pairs in enumerate(single_view(test, contrast, seed=5)):
        lost = 1 - kept
        assert torch.equal(pairs.y, test.y)
        assert torch.equal(pairs.images[:, kept], test.images[:, kept])
        intruders = pairs.index[:, lost].tolist()
        assert all(labels[scan] != y for scan, y in zip(intruders, test.y.tolist(), strict=True))
        assert torch.equal(pairs.images[:, lost], contrast * torch.stack([scans[scan] for scan in intruders]))


def test_intruders_are_of_all_other_classes_alike(split):
    _, test = split
    counts = torch.zeros(9)
    for seed in range(20):
        pairs, _ = single_view(test, 1.0, seed)
        position = {scan: i // 62 for i, scan in enumerate(test.index[:, 1].tolist())}
        shift = (torch.tensor([position[scan] for scan in pairs.index[:, 1].tolist()]) - test.y) % 10
        counts += torch.bincount(shift, minlength=10)[1:]
    n = counts.sum().item()
    sigma = math.sqrt(n * (1 / 9) * (8 / 9))
    assert (counts - n / 9).abs().max() < 4.5 * sigma  # 9 counts: missed once in 16000 seeds


@pytest.mark.parametrize("contrast", [-0.1, 1.1, math.nan])
def test_bad_contrast(split, contrast):
    with pytest.raises(ValueError, match="contrast must be a finite number in"):
        single_view(split[1], contrast)


# the nets


@pytest.mark.parametrize("shared", [False, True])
def test_nets_are_two_convolutions_and_a_linear_layer(split, shared):
    _, test = split
    nets = DigitNets([4, 9], channels=(3, 5), scale=1.0, shared=shared).double()
    with torch.no_grad():
        for bias in nets.biases:
            bias.normal_(generator=torch.Generator().manual_seed(0))
    images = test.images[::7].double()
    for net, logits in enumerate(nets(images)):
        expected = nets.biases[2][net]
        for half in (0, 1):
            weights, biases = (
                [p[net, 0 if shared else half] for p in part[:2]] for part in (nets.weights, nets.biases)
            )
            z = F.conv2d(images[:, half : half + 1], weights[0].view(3, 1, 4, 4), biases[0], stride=2, padding=1).relu()
            z = F.conv2d(z, weights[1].view(5, 3, 2, 2), biases[1], stride=2).relu()
            expected = expected + z.flatten(1) @ nets.weights[2][net, 0 if shared else half].T
        torch.testing.assert_close(logits, expected, rtol=1e-12, atol=1e-12)


def test_shared_filters_cannot_tell_left_from_right(split):
    images = split[1].images
    nets = DigitNets(range(3), scale=1.0, shared=True)
    torch.testing.assert_close(nets(images), nets(images.flip(1)))
    nets = DigitNets(range(3), scale=1.0)
    assert (nets(images) - nets(images.flip(1))).abs().mean() > 0.01


def test_initial_weights_have_the_size_of_he():
    nets = DigitNets(range(40), channels=(16, 32), scale=0.5)
    for weight, inputs in zip(nets.weights, (16, 64, 256), strict=True):
        n, sigma = weight.numel(), 0.5 * math.sqrt(2 / inputs)
        assert abs(weight.mean().item()) < 5 * sigma / math.sqrt(n)
        assert abs(weight.std().item() / sigma - 1) < 5 / math.sqrt(2 * n)
    assert all((bias == 0).all() for bias in nets.biases)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"seeds": []}, ValueError, "seeds must not be empty; got no seed"),
        ({"seeds": [-1]}, ValueError, "seeds .* got -1"),
        ({"seeds": [0], "channels": (0, 8)}, ValueError, "channels .* got 0"),
        ({"seeds": [0], "scale": 0.0}, ValueError, "scale .* got 0.0"),
    ],
)
def test_bad_nets(arguments, error, message):
    with pytest.raises(error, match=message):
        DigitNets(**arguments)


def test_images_of_another_shape_are_refused():
    with pytest.raises(Exception, match="images"):
        DigitNets([0])(torch.zeros(5, 2, 8, 9))


# training


def parameters(nets, net):
    return [p[net].detach() for p in nets.parameters()]


@pytest.mark.parametrize("distil", [False, True])
def test_a_net_of_a_stack_is_the_net_trained_alone(split, distil):
    train, _ = split
    teacher = torch.randn(3, len(train), 10, generator=torch.Generator().manual_seed(0)) if distil else None
    stack = fit(DigitNets([7, 8, 9], scale=1.0), train, steps=20, teacher=teacher)
    for net, seed in enumerate((7, 8, 9)):
        own = None if teacher is None else teacher[net : net + 1]
        alone = fit(DigitNets([seed], scale=1.0), train, steps=20, teacher=own)
        for a, b in zip(parameters(stack, net), parameters(alone, 0), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_training_is_deterministic_and_reaches_the_labels(split):
    train, test = split
    first, second = (fit(DigitNets([0, 1], scale=1.0), train, steps=150) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert torch.equal(first(train.images).argmax(-1), train.y.expand(2, -1))
    assert (first(test.images).argmax(-1) != test.y).float().mean() < 0.1


def one_step(nets, train, loss, rate):
    """Return the parameters after one step down the gradient of a loss."""
    gradients = torch.autograd.grad(loss(nets(train.images)), list(nets.parameters()))
    return [p - rate * g for p, g in zip(nets.parameters(), gradients, strict=True)]


def test_a_step_on_the_labels_follows_the_cross_entropy(split):
    train, _ = split
    expected = one_step(
        DigitNets([1, 2], scale=1.0),
        train,
        lambda out: -sum(o.log_softmax(-1)[torch.arange(len(train)), train.y].mean() for o in out),
        0.1,
    )
    nets = fit(DigitNets([1, 2], scale=1.0), train, steps=1, rate=0.1)
    for a, b in zip(nets.parameters(), expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_a_joint_step_follows_the_cross_entropy_of_the_average(split):
    train, _ = split
    expected = one_step(
        DigitNets([1, 2, 3], scale=1.0),
        train,
        lambda out: -3 * out.mean(0).log_softmax(-1)[torch.arange(len(train)), train.y].mean(),
        0.1,
    )
    nets = fit(DigitNets([1, 2, 3], scale=1.0), train, steps=1, rate=0.1, joint=True)
    for a, b in zip(nets.parameters(), expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_a_student_step_follows_hintons_gradient(split):
    train, _ = split
    nets, n, T, weight = DigitNets([1, 2], scale=1.0), len(train), 3.0, 4.0
    teacher = 5 * torch.randn(1, n, 10, generator=torch.Generator().manual_seed(0))
    # d CE / dF = p - onehot, d (T^2 KL) / dF = T (p^T - q^T): the formulas, not autograd, of the loss.
    out = nets(train.images)
    with torch.no_grad():
        output_grad = out.softmax(-1) - F.one_hot(train.y, 10)
        output_grad += weight * T * ((out / T).softmax(-1) - (teacher / T).softmax(-1))
    gradients = torch.autograd.grad(out, list(nets.parameters()), output_grad / n)
    rate = 0.1 / (1 + weight) / T
    expected = [p - rate * g for p, g in zip(nets.parameters(), gradients, strict=True)]
    fit(nets, train, steps=1, rate=0.1, teacher=teacher, rule=Temperature(T), weight=weight)
    for a, b in zip(nets.parameters(), expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_bad_training(split):
    train, _ = split
    nets = DigitNets([0, 1])
    cases = [
        ({"steps": -1}, "steps .* got -1"),
        ({"rate": 0.0}, "rate .* got 0.0"),
        ({"momentum": 1.0}, "momentum .* got 1.0"),
        ({"teacher": torch.zeros(3, len(train), 10)}, r"teacher must have shape \[2, 500, 10\]"),
        ({"teacher": torch.full((1, len(train), 10), math.nan)}, "teacher must be finite"),
        ({"teacher": torch.zeros(1, len(train), 10), "joint": True}, "joint must be False"),
        ({"teacher": torch.zeros(1, len(train), 10), "weight": -1.0}, "weight .* got -1"),
    ]
    before = [p.clone() for p in nets.parameters()]
    for arguments, message in cases:
        with pytest.raises(ValueError, match=message):
            fit(nets, train, **arguments)
    with pytest.raises(ValueError, match=r"pairs.y must hold classes 0 to 9; got 1 to 10"):
        fit(nets, replace(train, y=train.y + 1))
    with pytest.raises(ValueError, match=r"pairs.images must be finite"):
        fit(nets, replace(train, images=train.images / 0))
    assert all(torch.equal(a, b) for a, b in zip(before, nets.parameters(), strict=True))
