"""The same training step as the field writes it: L nets, full batch, cross-entropy, gradient descent.

Each peer takes initial weights [L, k, m, d], inputs [N, P, d], labels [N] and a learning rate, and returns a function
of a number of steps that goes on from where it was and returns the weights as a numpy array.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout

import jax
import jax.numpy as jnp
import numpy as np
import torch
import torch.nn.functional as nnf
import torchensemble
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.utils.data import DataLoader

Steps = Callable[[int], np.ndarray]


class Net(nn.Module):
    """One net, as one would write it."""

    def __init__(self, W: Tensor, q: int, varrho: float) -> None:
        super().__init__()
        self.W, self.q, self.varrho = nn.Parameter(W.clone()), q, varrho

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs F [n, k]."""
        k, m, d = self.W.shape
        z = x @ self.W.reshape(k * m, d).T
        t = z.clamp(0, self.varrho)
        value = z.clamp(min=0) - t + t**self.q / (self.q * self.varrho ** (self.q - 1))
        return value.sum(1).view(-1, k, m).sum(-1)


def modules(W: Tensor, x: Tensor, y: Tensor, eta: float, q: int, varrho: float, *, compiled: bool) -> Steps:
    """Loop over modules, each with an optimiser of its own."""
    nets = [Net(w, q, varrho) for w in W]
    optimizers = [torch.optim.SGD(net.parameters(), lr=eta) for net in nets]
    loss_of = lambda net: nnf.cross_entropy(net(x), y)  # noqa: E731
    loss_of = torch.compile(loss_of) if compiled else loss_of

    def run(steps: int) -> np.ndarray:
        for _ in range(steps):
            for net, optimizer in zip(nets, optimizers, strict=True):
                optimizer.zero_grad()
                loss_of(net).backward()
                optimizer.step()
        return torch.stack([net.W.detach() for net in nets]).numpy()

    return run


def stacked(W: Tensor, x: Tensor, y: Tensor, eta: float, q: int, varrho: float, *, compiled: bool) -> Steps:
    """`torch.func.vmap` over the stacked weights."""
    net = Net(W[0], q, varrho)
    gradient = vmap(grad(lambda w: nnf.cross_entropy(functional_call(net, {"W": w}, (x,)), y)))
    step = lambda w: w - eta * gradient(w)  # noqa: E731
    step = torch.compile(step) if compiled else step
    state = W.clone()

    def run(steps: int) -> np.ndarray:
        nonlocal state
        with torch.no_grad():
            for _ in range(steps):
                state = step(state)
        return state.numpy()

    return run


def in_jax(W: Tensor, x: Tensor, y: Tensor, eta: float, q: int, varrho: float) -> Steps:
    """`jax.vmap` under `jax.jit`."""
    inputs, labels = jnp.asarray(x.numpy()), jnp.asarray(y.numpy())

    def loss(w: jax.Array) -> jax.Array:
        k, m, d = w.shape
        z = inputs @ w.reshape(k * m, d).T
        t = jnp.clip(z, 0, varrho)
        value = jnp.maximum(z, 0) - t + t**q / (q * varrho ** (q - 1))
        F = value.sum(1).reshape(-1, k, m).sum(-1)
        return -jnp.take_along_axis(jax.nn.log_softmax(F), labels[:, None], 1).mean()

    step = jax.jit(lambda w: w - eta * jax.vmap(jax.grad(loss))(w), donate_argnums=0)
    state = jnp.array(W.numpy())

    def run(steps: int) -> np.ndarray:
        nonlocal state
        for _ in range(steps):
            state = step(state)
        return np.array(state.block_until_ready())

    return run


def voting(W: Tensor, x: Tensor, y: Tensor, eta: float, q: int, varrho: float) -> Steps:
    """`torchensemble.VotingClassifier`, one batch an epoch; each call starts anew."""
    logging.disable(logging.INFO)
    loader = DataLoader(list(zip(x, y, strict=True)), batch_size=len(y), collate_fn=lambda _: (x, y))
    starts = iter(())

    class Member(Net):
        def __init__(self) -> None:
            super().__init__(next(starts), q, varrho)

    def run(steps: int) -> np.ndarray:
        nonlocal starts
        starts = iter([*W, *W])
        model = torchensemble.VotingClassifier(estimator=Member, n_estimators=len(W), cuda=False)
        model.set_optimizer("SGD", lr=eta)
        with tempfile.TemporaryDirectory() as folder, redirect_stderr(None), redirect_stdout(None):
            model.fit(loader, epochs=steps, log_interval=10**9, save_model=False, save_dir=folder)
        return torch.stack([net.W.detach() for net in model.estimators_]).numpy()

    return run


PEERS: dict[str, Callable[..., Steps]] = {
    "loop of modules": lambda *a: modules(*a, compiled=False),
    "loop of modules, compiled": lambda *a: modules(*a, compiled=True),
    "torch.func.vmap": lambda *a: stacked(*a, compiled=False),
    "torch.func.vmap, compiled": lambda *a: stacked(*a, compiled=True),
    "jax.vmap under jit": in_jax,
    "torchensemble": voting,
}
