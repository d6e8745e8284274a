"""The choice between torch and compiled code: one place that all computations ask.

Written by hand, since torch's own backends are about libraries inside its operations, not about code beside them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

from mvtheory._check import check_choice

__all__ = ["backend", "chosen", "obstacle", "use_compiled"]

_CHOSEN: ContextVar[str] = ContextVar("backend", default="auto")


@contextmanager
def backend(name: str) -> Iterator[None]:
    """Choose what computes outputs and gradients of nets, for the calls inside a ``with`` block.

    The choice reaches whatever nets compute there, in training or out of it. It holds in this thread and in those that
    training starts, not in other processes.

    Parameters
    ----------
    name : {"auto", "torch", "compiled"}
        ``"torch"``: torch alone, on any device. ``"compiled"``: compiled code; what it does not support is an
        error. ``"auto"``, the default outside of any block: compiled code for what it supports, else torch.
        Compiled code supports tensors on the CPU, in single or double precision, that require no gradients, and nets
        whose activation is :class:`~mvtheory.model.SReLU` and no other class. Its products of inputs and weights need a
        processor with vectors of 256 bits (AVX2 and FMA) or more.

    Raises
    ------
    ValueError
        If `name` is none of these; in the block, if it is ``"compiled"`` and compiled code does not support
        the call.

    Examples
    --------
    >>> from mvtheory import MultiView, PatchNets
    >>> nets = PatchNets.init(2, k=3, m=4, d=24, sigma_0=0.1, seed=0)
    >>> x = MultiView(k=3, P=6, d=24, s=1).sample(n_multi_view=5, seed=0).x
    >>> with backend("torch"):
    ...     F = nets(x)
    >>> torch.allclose(F, nets(x), atol=1e-6)
    True
    """
    token = _CHOSEN.set(check_choice("backend", name, ("auto", "torch", "compiled")))
    try:
        yield
    finally:
        _CHOSEN.reset(token)


def chosen() -> str:
    """Return the backend that was chosen."""
    return _CHOSEN.get()


def use_compiled(obstacle: str | None) -> bool:
    """Return whether to use compiled code, given the obstacle to it; None is no obstacle.

    Raises
    ------
    ValueError
        If ``"compiled"`` was chosen and there is an obstacle.
    """
    if chosen() == "compiled" and obstacle:
        raise ValueError(f"backend must be 'auto' or 'torch' {obstacle}; got 'compiled'")
    return chosen() != "torch" and not obstacle


def obstacle(*tensors: Tensor) -> str | None:
    """Return what keeps compiled code from reading `tensors`, or None."""
    dtypes = {tensor.dtype for tensor in tensors}
    if devices := {tensor.device.type for tensor in tensors} - {"cpu"}:
        return f"for tensors on {', '.join(sorted(devices))}"
    if any(tensor.requires_grad for tensor in tensors):
        return "for tensors that require gradients"
    if len(dtypes) > 1 or not dtypes <= {torch.float32, torch.float64}:
        return f"for tensors of {', '.join(sorted(map(str, dtypes)))}"
    return None
