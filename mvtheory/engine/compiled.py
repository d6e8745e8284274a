"""A training step's work on the CPU by compiled code: one look at all inputs by all nets, on one or more threads.

Each thread owns a part of the inputs and a gradient of its own, and goes through its part in blocks. The parts and the
order of all sums follow from the number of threads, so that the same machine gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from functools import wraps
from inspect import signature
from itertools import pairwise
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

from mvtheory._check import check_shape
from mvtheory.engine.tiles import PANEL_BYTES, ROWS, WIDE, backward, filled, forward, learn

__all__ = ["CompiledStep", "single_threaded_torch", "supports", "threads"]

Args, T = ParamSpec("Args"), TypeVar("T")

#: How many threads compiled code may use, where torch itself keeps to one; None where both may use as many as torch.
_THREADS: ContextVar[int | None] = ContextVar("threads", default=None)


def threads() -> int:
    """Return how many threads compiled code may use."""
    return _THREADS.get() or torch.get_num_threads()


def single_threaded_torch(function: Callable[Args, T]) -> Callable[Args, T]:
    """Let torch keep to one thread while `function`, of `nets` and `data`, leaves the heavy work to compiled code.

    The threads of torch wait by spinning: what little they did would cost the compiled code a core.
    """

    @wraps(function)
    def run(*args: Args.args, **kwargs: Args.kwargs) -> T:
        given = signature(function).bind(*args, **kwargs).arguments
        if not given["nets"].compiled(given["data"].x):
            return function(*args, **kwargs)
        before = torch.get_num_threads()
        token = _THREADS.set(threads())
        torch.set_num_threads(1)
        try:
            return function(*args, **kwargs)
        finally:
            _THREADS.reset(token)
            torch.set_num_threads(before)

    return run


def supports(W: Tensor, x: Tensor) -> bool:
    """Tell whether compiled code can do the work for weights `W` and inputs `x`."""
    plain = W.device.type == x.device.type == "cpu" and not (W.requires_grad or x.requires_grad)
    return WIDE and plain and W.dtype == x.dtype and W.dtype in (torch.float32, torch.float64)


class CompiledStep:
    """One look at the inputs `x` [n, P, d] by nets with weights `W` [L, k, m, d].

    Parameters
    ----------
    W, x : Tensor
        Weights and inputs.
    q, varrho : int, float
        Power and cut of the activation.
    block : int
        About how many pre-activations each thread holds at a time.
    """

    def __init__(self, W: Tensor, x: Tensor, q: int, varrho: float, block: int) -> None:
        L, k, _, d = self.shape = W.shape
        check_shape("x", x, ("n", "P", d))
        n, P, _ = x.shape
        self.patches = x.reshape(-1, d).contiguous().numpy()
        number = self.patches.dtype.type
        self.zero, self.q, self.varrho = number(0), q, number(varrho)
        self.which, self.first = filled(self.patches, P)
        self.weights = _panels(W.reshape(-1, d))
        panels, _, width = self.weights.shape
        self.threads = min(threads(), n)
        self.blocks = -(-n // (self.threads * max(1, block // (P * panels * width))))
        rows = -(-n // (self.blocks * self.threads)) * P  # of a thread, at most
        self.slopes = W.new_empty(self.threads, panels * (rows + ROWS) * width).numpy()
        self.sums = W.new_zeros(self.threads, *self.weights.shape)
        self.F = W.new_empty(n, L, k)

    def outputs(self) -> Tensor:
        """Return the outputs [n, L, k]."""
        self._each(self._forward)
        return self.F

    def gradient(self, output_grad: Callable[[slice, Tensor], Tensor]) -> Tensor:
        """Return the gradient [L, k, m, d]; ``push(rows, F)`` turns outputs [b, L, k] into their own gradient.

        Each thread calls `push` for its own rows, and waits for no other.
        """

        def forward_backward(thread: int, start: int, stop: int) -> None:
            self._forward(thread, start, stop)
            self._backward(thread, start, stop, output_grad(slice(start, stop), self.F[start:stop]))

        self._each(forward_backward)
        return self._total()

    def learn(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the outputs [n, L, k], and the gradient [L, k, m, d] of the mean cross-entropy of the labels `y`."""
        labels, share = y.numpy(), type(self.zero)(1 / len(y))

        def forward_backward(thread: int, start: int, stop: int) -> None:
            learn(
                self.zero, self.patches, self.which, self.first, start, stop, self.slopes[thread],
                self.F.view(len(self.F), -1).numpy(), self.weights.numpy(), self.shape[2], self.q, self.varrho,
                labels, self.shape[1], share, self.sums[thread].numpy(),
            )  # fmt: skip

        self._each(forward_backward)
        return self.F, self._total()

    def _each(self, work: Callable[[int, int, int], None]) -> None:
        """Call ``work(thread, start, stop)`` for the blocks of all threads; this thread takes the first part itself."""
        n, inference = len(self.F), torch.is_inference_mode_enabled()

        def part(thread: int) -> None:
            cuts = [n * (thread * self.blocks + i) // (self.threads * self.blocks) for i in range(self.blocks + 1)]
            with torch.inference_mode(inference):  # a new thread does not know
                for start, stop in pairwise(cuts):
                    if start < stop:
                        work(thread, start, stop)

        if self.threads == 1:
            part(0)
            return
        with ThreadPoolExecutor(self.threads - 1) as team:
            others = [team.submit(part, thread) for thread in range(1, self.threads)]
            part(0)
            for other in others:
                other.result()

    def _total(self) -> Tensor:
        """Return the gradient [L, k, m, d] from those of the threads."""
        L, k, m, d = self.shape
        total = self.sums[0]
        for other in self.sums[1:]:  # faster than torch's sum over a first axis
            total += other
        return total.transpose(1, 2).reshape(-1, d)[: L * k * m].reshape(self.shape)

    def _forward(self, thread: int, start: int, stop: int) -> None:
        forward(
            self.zero, self.patches, self.which, self.first, start, stop, self.slopes[thread],
            self.F.view(len(self.F), -1).numpy(), self.weights.numpy(), self.shape[2], self.q, self.varrho,
        )  # fmt: skip

    def _backward(self, thread: int, start: int, stop: int, dF: Tensor) -> None:
        backward(
            self.zero, self.patches, self.which, self.first, start, stop, self.slopes[thread],
            dF.reshape(len(dF), -1).contiguous().numpy(), self.shape[2], self.sums[thread].numpy(),
        )  # fmt: skip


def _panels(W: Tensor) -> Tensor:
    """Return the rows of W [c, d] as columns of panels [., d, width], filled up with zeros."""
    width = PANEL_BYTES // W.element_size()
    panels = -(-len(W) // width)
    whole = torch.cat([W, W.new_zeros(panels * width - len(W), W.shape[1])])
    return whole.view(panels, width, -1).transpose(1, 2).contiguous()
