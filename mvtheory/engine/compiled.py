"""Outputs and gradients of all nets on all inputs by compiled code, on one or more threads of the CPU.

Written by hand, since a library multiplies all inputs by all weights before anything else is done with the products,
so that they leave the caches in between; here they are used while they are there.

Each thread owns a part of the inputs and a gradient of its own, and goes through its part in blocks. The parts and the
order of all sums follow from the number of threads, so that the same machine gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar, copy_context
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mvtheory._check import check_choice, check_labels, check_shape
from mvtheory._tensors import check_tensor, once_per_tensor
from mvtheory.engine.jit import Lazy

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

__all__ = ["CompiledStep", "Gate", "check_output_grad", "panels_of", "single_threaded_torch", "threads", "too_narrow"]

tiles = Lazy("mvtheory.engine.tiles")

#: How many threads compiled code may use, where torch itself keeps to one; None where both may use as many as torch.
_THREADS: ContextVar[int | None] = ContextVar("threads", default=None)


def threads() -> int:
    """Return how many threads compiled code may use."""
    return _THREADS.get() or torch.get_num_threads()


@contextmanager
def single_threaded_torch() -> Iterator[None]:
    """Let torch keep to one thread in a ``with`` block that leaves the heavy work to compiled code.

    The threads of torch wait by spinning: what little they did would cost the compiled code a core. Python threads
    beside this one, and those that start meanwhile, keep their numbers.
    """
    token = _THREADS.set(threads())
    try:
        with _one_thread():
            yield
    finally:
        _THREADS.reset(token)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch keep to one thread in this Python thread alone, which :func:`torch.set_num_threads` does not."""
    torch.get_num_threads()  # the first call in a thread sets the number, and would undo what comes next
    with _openmp().limit(limits=1):
        yield


@cache
def _openmp() -> ThreadpoolController:
    from threadpoolctl import ThreadpoolController  # which sets environment variables when it is imported

    return ThreadpoolController().select(user_api="openmp")


def too_narrow() -> str | None:
    """Return what keeps compiled code from multiplying on this processor, or None."""
    return None if tiles.WIDE else "on a processor without vectors of 256 bits (AVX2 and FMA)"


def check_output_grad(name: str, dF: Tensor, F: Tensor) -> Tensor:
    """Return `dF`, a gradient with respect to the outputs `F` [b, L, k]."""
    check_shape(name, check_tensor(name, dF), tuple(F.shape))
    check_choice(f"{name}.dtype (that of the outputs)", dF.dtype, (F.dtype,))
    return dF.detach()


class Gate(NamedTuple):
    """What compiled code needs to know of the on/off rule, see :class:`mvtheory.distillation.OnOff`.

    Attributes
    ----------
    on : Tensor of bool, shape [n, L, k]
        Whether the teacher of each net has a class on.
    cut, slack, weight : float
        Those of the rule, and its weight.
    """

    on: Tensor
    cut: float
    slack: float
    weight: float


class CompiledStep:
    """Outputs and gradients of nets with weights `W` on inputs `x`.

    Parameters
    ----------
    W : Tensor, shape [L, k, m, d]
        Weights.
    x : Tensor, shape [n, P, d]
        Inputs.
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
        if W.sum().isfinite():  # patches of zeros add nothing then
            self.which, self.first = _nonzero_patches(x)
        else:
            self.which, self.first = np.arange(n * P), np.arange(0, n * P + 1, P)
        self.weights = panels_of(W.reshape(-1, d))
        panels, _, width = self.weights.shape
        self.threads = min(threads(), n)
        self.blocks = -(-n // (self.threads * max(1, block // (P * panels * width))))
        rows = -(-n // (self.blocks * self.threads)) * P  # of a thread, at most
        self.slopes = W.new_empty(self.threads, panels * (rows + tiles.ROWS) * width).numpy()
        self.sums = W.new_zeros(self.threads, *self.weights.shape)
        self.F = W.new_empty(n, L, k)

    def outputs(self) -> Tensor:
        """Return the outputs [n, L, k]."""
        self._each(self._forward)
        return self.F

    def gradient(self, output_grad: Callable[[slice, Tensor], Tensor]) -> Tensor:
        """Return the gradient [L, k, m, d]; ``output_grad(rows, F)`` returns that of the outputs F [b, L, k] of `rows`.

        Each thread calls `output_grad` for its own rows, and waits for no other.
        """

        def forward_backward(thread: int, start: int, stop: int) -> None:
            self._forward(thread, start, stop)
            F = self.F[start:stop]
            dF = check_output_grad("output_grad(rows, F)", output_grad(slice(start, stop), F), F)
            self._backward(thread, start, stop, dF)

        self._each(forward_backward)
        return self._total()

    def label_gradient(self, y: Tensor, joint: bool = False, gate: Gate | None = None) -> tuple[Tensor, Tensor]:
        """Return the outputs [n, L, k] and the gradient [L, k, m, d] of the mean loss.

        The loss is the cross-entropy of the labels `y`, of each net or of the average of all if `joint`, plus the
        penalty of a `gate` if there is one.
        """
        check_shape("y", y, (len(self.F),))
        labels = check_labels("y", y, self.shape[1]).contiguous().numpy()
        number = type(self.zero)
        share, on, limits = number(1 / len(labels)), np.empty((0, 0), bool), np.zeros(3, number)
        if gate is not None:
            check_shape("gate.on", check_tensor("gate.on", gate.on, (torch.bool,)), tuple(self.F.shape))
            on = gate.on.contiguous().view(len(labels), -1).numpy()
            limits = np.array([gate.cut, gate.slack, gate.weight], number)

        def forward_backward(thread: int, start: int, stop: int) -> None:
            tiles.forward_backward(
                self.zero, self.patches, self.which, self.first, start, stop, self.slopes[thread],
                self.F.view(len(self.F), -1).numpy(), self.weights.numpy(), self.shape[2], self.q, self.varrho,
                labels, self.shape[1], share, joint, on, limits, self.sums[thread].numpy(),
            )  # fmt: skip

        self._each(forward_backward)
        return self.F, self._total()

    def _each(self, work: Callable[[int, int, int], None]) -> None:
        """Call ``work(thread, start, stop)`` for the blocks of all threads; this thread takes the first part itself."""
        n, inference = len(self.F), torch.is_inference_mode_enabled()

        def part(thread: int) -> BaseException | None:
            cuts = [n * (thread * self.blocks + i) // (self.threads * self.blocks) for i in range(self.blocks + 1)]
            alone = _one_thread() if thread and _THREADS.get() else nullcontext()
            try:
                with alone, torch.inference_mode(inference):  # a new thread knows of neither
                    for start, stop in pairwise(cuts):
                        if start < stop:
                            work(thread, start, stop)
            except BaseException as error:
                return error
            return None

        if self.threads == 1:
            results = [part(0)]
        else:
            with ThreadPoolExecutor(self.threads - 1) as team:
                others = [team.submit(copy_context().run, part, thread) for thread in range(1, self.threads)]
                results = [part(0), *(other.result() for other in others)]
        errors = [error for error in results if error]
        for other in errors[1:]:
            errors[0].add_note(f"Another thread failed, too: {other!r}")
        if errors:
            raise errors[0]

    def _total(self) -> Tensor:
        """Return the gradient [L, k, m, d] from those of the threads."""
        L, k, m, d = self.shape
        total = self.sums[0]
        for other in self.sums[1:]:  # faster than torch's sum over a first axis
            total += other
        return total.transpose(1, 2).reshape(-1, d)[: L * k * m].reshape(self.shape)

    def _forward(self, thread: int, start: int, stop: int) -> None:
        tiles.forward(
            self.zero, self.patches, self.which, self.first, start, stop, self.slopes[thread],
            self.F.view(len(self.F), -1).numpy(), self.weights.numpy(), self.shape[2], self.q, self.varrho,
        )  # fmt: skip

    def _backward(self, thread: int, start: int, stop: int, dF: Tensor) -> None:
        tiles.backward(
            self.zero, self.patches, self.which, self.first, start, stop, self.slopes[thread],
            dF.reshape(len(dF), -1).contiguous().numpy(), self.shape[2], self.sums[thread].numpy(),
        )  # fmt: skip


@once_per_tensor
def _nonzero_patches(x: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return the patches of x [n, P, d] that hold anything but zeros, and where each input begins among them."""
    return tiles.nonzero_patches(x.reshape(-1, x.shape[-1]).contiguous().numpy(), x.shape[1])


def panels_of(W: Tensor) -> Tensor:
    """Return the rows of W [c, d] as columns of panels [., d, width], filled up with zeros."""
    width = tiles.PANEL_BYTES // W.element_size()
    panels = -(-len(W) // width)
    whole = torch.cat([W, W.new_zeros(panels * width - len(W), W.shape[1])])
    return whole.view(panels, width, -1).transpose(1, 2).contiguous()
