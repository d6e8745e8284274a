"""Stacked convolutional nets: each is the net that one writes by itself, trained as one would train it."""

import numpy as np
import pytest
import torch
import torch.nn.functional as nnf
from torch import nn

from mvtheory.distillation import Distillation, Temperature
from mvtheory.ensemble import AverageCrossEntropy
from mvtheory.images.convolution import ConvNets, fit, outputs
from mvtheory.model import SReLU
from mvtheory.training import CrossEntropy

SIDE, K = 12, 3
RNG = torch.Generator().manual_seed(1)
X = torch.randn(20, 2, SIDE, SIDE, generator=RNG)
Y = torch.randint(K, (20,), generator=RNG)


def small(seeds=(4, 9), **how):
    return ConvNets(seeds, **({"side": SIDE, "k": K, "channels": (3, 5)} | how))


class Alone(nn.Module):
    """One net with the weights of net `net` of a stack, written for itself."""

    def __init__(self, stack, net):
        super().__init__()
        streams, L, _, _ = stack.head.shape

        def of(tensor):
            return nn.Parameter(tensor.detach().unflatten(0, (streams, L, -1))[:, net].clone())

        self.first, self.second = of(stack.first.weight), of(stack.second.weight)
        self.biases = nn.ParameterList([of(stack.first.bias), of(stack.second.bias)])
        self.head = nn.Parameter(stack.head.detach()[:, net].clone())
        self.bias = nn.Parameter(stack.bias.detach()[net, 0].clone())

    def forward(self, x):
        logits = self.bias
        for stream, part in enumerate(x.chunk(len(self.head), 1)):
            z = nnf.conv2d(part, self.first[stream], self.biases[0][stream], stride=2, padding=2)
            z = z.relu()
            z = nnf.conv2d(z, self.second[stream], self.biases[1][stream], stride=2, padding=1)
            logits = logits + z.relu().flatten(1) @ self.head[stream]
        return logits


def test_the_activation_is_that_of_the_second_convolution():
    nets, smooth = small(), small(activation=SReLU(q=3, varrho=0.5))
    assert all(torch.equal(a, b) for a, b in zip(nets.parameters(), smooth.parameters(), strict=True))
    half = nets.second(nets.first(X).relu()) / 0.5  # the slope of the cube is one at 0.5
    z = half.clamp(min=0)
    expected = 0.5 * torch.where(z < 1, z**3 / 3, z - 2 / 3)
    each = expected.view(len(X), -1, nets.head.shape[2]).transpose(0, 1)
    logits = torch.bmm(each, nets.head.flatten(0, 1)).view(*nets.head.shape[:2], len(X), -1).sum(0) + nets.bias
    torch.testing.assert_close(smooth(X), logits)


@pytest.mark.parametrize("filters", ["separate", "stacked"])
def test_each_net_of_a_stack_is_one_net(filters):
    nets = small(filters=filters)
    for net in range(2):
        torch.testing.assert_close(nets(X)[net], Alone(nets, net)(X))
    torch.testing.assert_close(outputs(nets, X, block=7), nets(X).detach())


@pytest.mark.parametrize("filters", ["separate", "stacked"])
def test_a_start_depends_on_the_nets_own_seed_alone(filters):
    both, one = small((4, 9), filters=filters), small((9,), filters=filters)
    torch.testing.assert_close(both(X)[1], one(X)[0])
    assert not torch.allclose(both(X)[0], both(X)[1])
    half = small((9,), filters=filters, scale=0.5)  # three layers without biases, and ReLUs: the cube
    torch.testing.assert_close(8 * half(X), one(X))


def test_initial_weights_have_the_variance_of_he():
    nets = ConvNets([1], channels=(64, 64))
    streams, _, features, _ = nets.head.shape
    for weight, inputs in ((nets.first.weight, 25), (nets.second.weight, 64 * 9), (nets.head, streams * features)):
        assert float(weight.detach().var() * inputs) == pytest.approx(2, rel=5 * (2 / weight.numel()) ** 0.5)


def train_alone(net, objective, steps, rate, batch, seed, momentum=0.9, mix=None):
    """The same training by autograd."""
    optimizer = torch.optim.SGD(net.parameters(), rate, momentum=momentum)
    rng, done = torch.Generator().manual_seed(seed), 0
    while done < steps:
        for rows in torch.randperm(len(X), generator=rng)[: len(X) // batch * batch].split(batch):
            if done == steps:
                break
            share = mix(rng) if mix else 1.0
            other = rows[torch.randperm(batch, generator=rng)] if mix else rows
            F = net(share * X[rows] + (1 - share) * X[other])
            optimizer.zero_grad()
            (share * objective(F, rows) + (1 - share) * objective(F, other)).backward()
            optimizer.step()
            done += 1
    return net


@pytest.mark.parametrize("mixture", [None, "midpoint", "uniform"])
def test_training_on_labels_and_mixtures_is_that_of_one_net(mixture):
    nets = small()
    mix = {None: None, "midpoint": lambda rng: 0.5, "uniform": lambda rng: float(torch.rand((), generator=rng))}
    expected = [
        train_alone(Alone(nets, net), lambda F, rows: nnf.cross_entropy(F, Y[rows]), 7, 0.05, 6, 3, mix=mix[mixture])
        for net in range(2)
    ]
    fit(nets, X, CrossEntropy(Y), steps=7, rate=0.05, batch=6, seed=3, mixture=mixture)
    for net in range(2):
        torch.testing.assert_close(nets(X)[net], expected[net](X), rtol=1e-4, atol=1e-5)


def test_students_and_trained_averages_follow_their_losses():
    G = 3 * torch.randn(2, 20, K, generator=torch.Generator().manual_seed(5))
    nets = small()

    def loss(F, rows):
        soft = nnf.kl_div((F / 4).log_softmax(-1), (G[1, rows] / 4).softmax(-1), reduction="batchmean")
        return nnf.cross_entropy(F, Y[rows]) + 2 * 16 * soft

    expected = train_alone(Alone(nets, 1), loss, 5, 0.01, 10, 0)
    fit(nets, X, Distillation(Y, G, Temperature(4.0), 2.0), steps=5, rate=0.01, batch=10)
    torch.testing.assert_close(nets(X)[1], expected(X), rtol=1e-4, atol=1e-5)

    joint = small()
    pair = nn.ModuleList([Alone(joint, 0), Alone(joint, 1)])
    optimizer = torch.optim.SGD(pair.parameters(), 2 * 0.01, momentum=0.9)  # the rate times the number of nets
    for _ in range(4):
        rows = torch.arange(20)
        optimizer.zero_grad()
        nnf.cross_entropy((pair[0](X) + pair[1](X)) / 2, Y[rows]).backward()
        optimizer.step()
    fit(joint, X, AverageCrossEntropy(Y), steps=4, rate=0.01, batch=20)
    torch.testing.assert_close(joint(X)[0], pair[0](X), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("filters", ["separate", "stacked"])
def test_channels_that_are_not_heard(filters):
    nets = small(filters=filters)
    deaf = nets.without(torch.tensor([0, 3]))
    with torch.no_grad():  # the same by silencing the convolution
        silent = small(filters=filters)
        shape = silent.second.weight.unflatten(0, (-1, 5))
        shape[:, [0, 3]] = 0
    torch.testing.assert_close(deaf(X), silent(X))
    assert not torch.allclose(deaf(X), nets(X))
    assert torch.equal(nets(X), small(filters=filters)(X))  # the nets themselves stay


def test_responses_are_the_largest_of_each_filter():
    """Filters of the second picture, second net: those of the net by itself."""
    nets = small()
    alone = Alone(nets, 1)
    z = nnf.conv2d(X[:, 1:], alone.first[1], alone.biases[0][1], stride=2, padding=2).relu()
    z = nnf.conv2d(z, alone.second[1], alone.biases[1][1], stride=2, padding=1)
    torch.testing.assert_close(nets.responses(X)[:, 1, 1], z.flatten(2).max(-1).values)
    assert nets.responses(X).shape == (20, 2, 2, 5)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: small(()), "seeds"),
        (lambda: small(filters="shared"), "filters"),
        (lambda: small(scale=0), "scale"),
        (lambda: small()(X[:, :1]), "x"),
        (lambda: small().without(torch.tensor([5])), "channels"),
        (lambda: fit(small(), X, CrossEntropy(Y), steps=1, rate=0.1, batch=21), "batch"),
        (lambda: fit(small(), X, CrossEntropy(Y[:-1]), steps=1, rate=0.1, batch=2), "objective.y"),
        (lambda: fit(small(), X * np.nan, CrossEntropy(Y), steps=1, rate=0.1, batch=2), "x"),
        (lambda: fit(small(), X, CrossEntropy(Y), steps=1, rate=0.1, batch=2, mixture="both"), "mixture"),
    ],
)
def test_bad_arguments_are_named(call, name):
    with pytest.raises(ValueError, match=f"^{name} "):
        call()
