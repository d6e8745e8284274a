r"""Training with many classes, using the sparsity of the outputs.

In the reduction to own views most outputs are exactly zero, since an input contains views of a few classes alone. The
cross-entropy depends on the zero outputs through their number,

.. math:: -\log p_y = \log\Big(\#\{j \text{ absent}\} + \sum_{j \text{ present}} e^{F_j}\Big) - F_y,

so that the cost of a training step is proportional to the number of views present, and depends on k through the number
of inputs alone. A view that many inputs have at the same strength is evaluated once. The training path is that of
:func:`mvtheory.training.train`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mvtheory._check import check_choice, check_finite, check_int, check_labels, check_shape
from mvtheory.engine.sparse import answers
from mvtheory.model import SReLU
from mvtheory.reduced.reduction import OwnViewNets, Strengths
from mvtheory.training import Diverged, Schedule

__all__ = ["ReducedRun", "train_reduced"]


@dataclass(frozen=True)
class ReducedRun:
    """The result of `train_reduced`.

    Attributes
    ----------
    nets : OwnViewNets
        The trained nets.
    loss, error : Tensor, shape [L]
        Mean loss and error rate on the training set, at the last step.
    steps : Tensor of int, shape [L]
        Number of steps of each net.
    """

    nets: OwnViewNets
    loss: Float[Tensor, " L"]
    error: Float[Tensor, " L"]
    steps: Int[Tensor, " L"]


def train_reduced(nets: OwnViewNets, data: Strengths, schedule: Schedule = Schedule()) -> ReducedRun:
    """Train nets in the reduction to own views on the labels, independently of each other.

    Parameters
    ----------
    nets : OwnViewNets
        L nets at their initialisation, with q >= 2, on the CPU.
    data : Strengths
        The training set.
    schedule : Schedule
        Re-scaled gradient descent: see :func:`mvtheory.training.train`.

    Returns
    -------
    ReducedRun

    Raises
    ------
    Diverged
        If a loss is not finite.
    """
    check_choice("schedule.optimizer", schedule.optimizer, ("gd",))
    check_int("nets.activation.q", nets.activation.q, low=2)
    L, k, m, M = nets.W.shape
    check_shape("data.x", data.x, (len(data), k, M, 2))
    check_finite("data.x", data.x)
    check_labels("data.y", data.y, k)
    present, alive = _Present.of(data), torch.arange(L)
    W = nets.W.permute(1, 3, 0, 2).reshape(k * M, L, m).contiguous()  # neurons of a view are contiguous
    loss, error, steps = torch.zeros(L), torch.zeros(L), torch.zeros(L, dtype=torch.int64)
    for step in range(schedule.steps + 1):
        w = W[:, alive].contiguous()
        loss[alive], error[alive], gradient = present.loss_and_gradient(w, nets.activation)
        steps[alive] = step
        if not loss.isfinite().all():
            raise Diverged(f"the loss is not finite at step {step}; a smaller eta may help")
        going = (loss[alive] >= schedule.stop_loss) | (error[alive] > 0)
        if step == schedule.steps or not going.any():
            break
        length, change = (a.view(k, M, -1, m).square().sum(1).sqrt() for a in (w, gradient))  # [k, alive, m]
        ratio = (length / change).nan_to_num(nan=float("inf")).amin((0, 2))  # 0 / 0: a neuron of zeros stays
        eta = (schedule.max_change * ratio).clamp(max=schedule.eta)
        W[:, alive[going]] -= (eta[:, None] * gradient)[:, going]
        alive = alive[going]
    back = W.view(k, M, L, m).permute(2, 0, 3, 1).contiguous()
    return ReducedRun(replace(nets, W=back), loss, error, steps)


@dataclass(frozen=True)
class _Present:
    """The views present in the inputs, row by row, as entries of a table of distinct views, strengths and counts."""

    start: np.ndarray  # [n + 1] row i has the entries start[i] to start[i + 1]
    entry: np.ndarray  # [e] index into the table
    own: np.ndarray  # [e] whether it is a view of the label
    view: Tensor  # [kinds]
    z: Tensor  # [kinds]
    count: Tensor  # [kinds]
    k: int
    M: int

    @classmethod
    def of(cls, data: Strengths) -> _Present:
        n, k, M, _ = data.x.shape
        flat = data.x.view(n, k * M, 2)
        row, view = flat[..., 1].nonzero(as_tuple=True)
        z, count = flat[row, view].unbind(-1)
        start = torch.zeros(n + 1, dtype=torch.int64)
        start[1:] = torch.bincount(row, minlength=n).cumsum(0)
        kinds, entry = torch.stack([view.double(), z.double(), count.double()], 1).unique(dim=0, return_inverse=True)
        own = view // M == data.y[row]
        strength, patches = kinds[:, 1:].to(z).T
        return cls(start.numpy(), entry.numpy(), own.numpy(), kinds[:, 0].long(), strength, patches, k, M)

    def loss_and_gradient(self, w: Tensor, activation: SReLU) -> tuple[Tensor, Tensor, Tensor]:
        """Return loss and error rate of each net [L], and the gradient; w is [k M, L, m]."""
        value, slope = activation.pooled((w[self.view] * self.z[:, None, None])[:, None])
        output_grad = torch.zeros_like(value)  # [kinds, L]
        value *= self.count[:, None]
        told = answers(
            value.numpy(), output_grad.numpy(), self.start, self.entry, self.own, (self.view // self.M).numpy(), self.k
        )
        slope = slope[:, 0] * (output_grad * (self.z * self.count)[:, None])[..., None]
        loss, wrong = torch.from_numpy(told).to(w.dtype)
        return loss, wrong, torch.zeros_like(w).index_add_(0, self.view, slope)
