"""Ordinary nets on the digits of scikit-learn, and how they are trained."""

import numpy as np
import torch
from sklearn.datasets import load_digits

from mvtheory.experiments.ordinary_nets import deep_net, digit_split, fit


def test_a_split_parts_the_digits():
    x, x_test, y, y_test = digit_split(n=300)
    digits = load_digits()
    assert [x.shape, x_test.shape, y.shape, y_test.shape] == [(300, 64), (1497, 64), (300,), (1497,)]
    assert x.dtype == np.float32
    rows = np.concatenate([x, x_test])
    order = np.lexsort(rows.T)
    assert np.array_equal(rows[order], (digits.data / 16)[np.lexsort(digits.data.T)].astype("float32"))
    assert np.abs(np.bincount(y) / 300 - np.bincount(digits.target) / 1797).max() < 1 / 300
    assert not np.array_equal(x, digit_split(72, 300)[0])


def test_a_teacher_is_followed_by_hintons_rule():
    """The first step of Adam goes against the sign of the gradient, which is computed here from its formula."""
    x, _, y, _ = digit_split(5, 60)
    teacher = 5 * torch.randn(60, 10, generator=torch.Generator().manual_seed(0))
    net, T, weight = deep_net(3), 4.0, 9.0
    out = net(torch.tensor(x))
    with torch.no_grad():
        grad = out.softmax(-1) - torch.nn.functional.one_hot(torch.tensor(y), 10)
        grad += weight * T * ((out / T).softmax(-1) - (teacher / T).softmax(-1))
    gradients = torch.autograd.grad(out, list(net.parameters()), grad / 60)
    before = [p.detach().clone() for p in net.parameters()]
    fit(net, x, y, teacher, steps=1)
    for p, old, gradient in zip(net.parameters(), before, gradients, strict=True):
        clear = gradient.abs() > 1e-5
        torch.testing.assert_close((p - old)[clear], -0.01 * gradient.sign()[clear], rtol=0.01, atol=0)


def test_initial_weights_leave_the_global_generator_alone():
    before = torch.random.get_rng_state()
    first, again, other = (next(deep_net(seed).parameters()) for seed in (3, 3, 4))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_narrow_nets():
    state = torch.random.get_rng_state()
    net = deep_net(3, width=7)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert [tuple(p.shape) for p in net.parameters()][::2] == [(7, 64), (7, 7), (7, 7), (10, 7)]
