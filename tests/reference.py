"""Slow and plain versions of what the package computes: Python loops and autograd, in float64."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import jaxtyping
import pytest
import torch
import torch.nn.functional as nnf
from torch import Tensor

from mvtheory import MultiView, PatchNets, Sample, SReLU


@contextmanager
def refused(error: type[Exception], match: str) -> Iterator[None]:
    """Expect an error that the package raises itself, with the shape checks of the test run off."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        with pytest.raises(error, match=match):
            yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


@contextmanager
def untouched_global_state() -> Iterator[None]:
    """Check that nothing draws from, or seeds, the generator that all torch code shares."""
    before = torch.get_rng_state()
    yield
    assert torch.equal(before, torch.get_rng_state())


def srelu(z: float, q: int, varrho: float) -> float:
    """Return the smoothed ReLU of a number, by cases."""
    if z <= 0:
        return 0.0
    return z**q / (q * varrho ** (q - 1)) if z <= varrho else z - (1 - 1 / q) * varrho


def srelu_torch(z: Tensor, q: int, varrho: float) -> Tensor:
    """Return the smoothed ReLU of a tensor, ready for autograd."""
    above_zero = torch.where(z <= varrho, z**q / (q * varrho ** (q - 1)), z - (1 - 1 / q) * varrho)
    return torch.where(z <= 0, 0 * z, above_zero)


def outputs(W: Tensor, x: Tensor, activation: SReLU) -> Tensor:
    """Return the outputs [L, n, k] of the nets with weights `W`, ready for autograd."""
    z = torch.einsum("lird,npd->lnirp", W, x)
    return srelu_torch(z, activation.q, activation.varrho).sum((-1, -2))


def gradient(nets: PatchNets, x: Tensor, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the gradient in W of ``loss(F).sum()`` by autograd; F is [L, n, k]."""
    W = nets.W.detach().clone().requires_grad_()
    return torch.autograd.grad(loss(outputs(W, x, nets.activation)).sum(), W)[0]


def cross_entropy(F: Tensor, y: Tensor) -> Tensor:
    """Return the mean cross-entropy of each net, [L]."""
    return torch.stack([nnf.cross_entropy(f, y) for f in F])


def double(data: Sample) -> Sample:
    """Return the sample in double precision."""
    return Sample(data.x.double(), data.y, data.strength.double(), data.kept, data.patch_view)


def small_problem(L: int = 3, n: int = 24, seed: int = 0, sigma_0: float = 0.5, **kwargs) -> tuple[PatchNets, Sample]:
    """Return a few nets and inputs in float64, with pre-activations on all three pieces of the sReLU."""
    task = MultiView(**{"k": 3, "P": 6, "d": 8, "s": 1.0, "noise_signal": 0.3, "noise_background": 0.5} | kwargs)
    activation = SReLU(q=3, varrho=0.5)
    nets = PatchNets.init(L, k=task.k, m=4, d=task.d, sigma_0=sigma_0, seed=seed, activation=activation)
    return nets.to(torch.float64), double(task.sample(n - 4, 4, seed=seed))


def clean_task(k: int = 4, M: int = 2, **kwargs) -> MultiView:
    """Return a task without noise, as small as it can be: patches hold one view or nothing."""
    none = {"noise_signal": 0.0, "noise_background": 0.0}
    return MultiView(**{"k": k, "M": M, "P": k * M, "d": k * M, "s": 1.0, "frame": "axes"} | none | kwargs)


def within(value: float, expected: float, sigma: float, n: int, z: float = 5.0) -> bool:
    """Tell whether the mean of `n` draws of standard deviation `sigma` may well be `value`."""
    return abs(float(value) - expected) <= z * sigma / math.sqrt(n)
