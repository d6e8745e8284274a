r"""Training nets of many classes in the reduction to own views.

There most outputs are exactly zero: an input carries views of a few classes only. The cross-entropy needs of the
other classes, the absent ones, only their number,

.. math:: -\log p_y = \log\Big(\#\text{absent} + \sum_{j \text{ present}} e^{F_j}\Big) - F_y,

so that a training step costs what the views that are present cost, and k enters through N alone. A view that many
inputs show at the same strength is computed once. The path is the one that :func:`mvtheory.training.train` takes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mvtheory._check import check_choice, check_int, check_labels, check_type
from mvtheory._tensors import TRAINED, check_tensor
from mvtheory.engine.sparse import sparse_cross_entropy
from mvtheory.model import Activation, SReLU, pooled
from mvtheory.reduced.reduction import OwnViewNets, Strengths
from mvtheory.training import Diverged, Schedule, warn_of_errors

__all__ = ["ReducedRun", "train_reduced"]


@dataclass(frozen=True)
class ReducedRun:
    """Where training ended.

    Attributes
    ----------
    nets : OwnViewNets
        The trained nets.
    loss, error : Tensor, shape [L]
        Mean loss and error on the training set, at the last step.
    steps : Tensor of int, shape [L]
        Steps that each net took.
    """

    nets: OwnViewNets
    loss: Float[Tensor, " L"]
    error: Float[Tensor, " L"]
    steps: Int[Tensor, " L"]


def train_reduced(nets: OwnViewNets, data: Strengths, schedule: Schedule = Schedule()) -> ReducedRun:
    """Train nets that see their own views on the labels, each for itself.

    Parameters
    ----------
    nets : OwnViewNets
        L nets at their initialisation; q >= 2 where the activation is :class:`~mvtheory.model.SReLU`.
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
        If a loss is no longer finite.

    Warns
    -----
    UserWarning
        If training errors are left at the last step: see :func:`mvtheory.training.train`.
    """
    check_type("nets", nets, OwnViewNets)
    check_tensor("nets.W", nets.W, TRAINED)
    check_type("schedule", schedule, Schedule)
    check_choice("schedule.optimizer", schedule.optimizer, ("gd",))
    if isinstance(nets.activation, SReLU):
        check_int("nets.activation.q", nets.activation.q, low=2)
    L, k, m, M = nets.W.shape
    nets.check_inputs("data.x", data.x, len(data))
    check_labels("data.y", check_tensor("data.y", data.y), k)
    present, alive = _Present.of(replace(data, x=data.x.detach())), torch.arange(L)
    # The weights along a view are next to each other.
    W = nets.W.detach().permute(1, 3, 0, 2).clone(memory_format=torch.contiguous_format).view(k * M, L, m)
    loss, error, steps = W.new_zeros(L), W.new_zeros(L), torch.zeros(L, dtype=torch.int64)
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
    warn_of_errors(error, schedule, stacklevel=3)
    back = W.view(k, M, L, m).permute(2, 0, 3, 1).contiguous()
    return ReducedRun(replace(nets, W=back), loss, error, steps)


@dataclass(frozen=True)
class _Present:
    """The views that inputs carry, row by row, and once each: a view, its strength and its number of patches."""

    start: Tensor  # [n + 1] row i carries entries start[i] to start[i + 1]
    entry: Tensor  # [e] the number of the kind
    own: Tensor  # [e] whether it is a view of the label
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
        return cls(start, entry, own, kinds[:, 0].long(), strength, patches, k, M)

    def loss_and_gradient(self, w: Tensor, activation: Activation) -> tuple[Tensor, Tensor, Tensor]:
        """Return loss and error of each net [L], and the gradient; w is [k M, L, m]."""
        value, slope = pooled(activation, (w[self.view] * self.z[:, None, None])[:, None])
        value *= self.count[:, None]
        loss, error, output_grad = sparse_cross_entropy(
            value, self.start, self.entry, self.own, self.view // self.M, self.k
        )
        slope = slope[:, 0] * (output_grad * (self.z * self.count)[:, None])[..., None]
        return loss, error, torch.zeros_like(w).index_add_(0, self.view, slope)
