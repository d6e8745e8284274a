"""Cross-entropy of nets of which most outputs are zero, at the cost of those that are not.

Written by hand, since a library's cross-entropy wants all outputs in memory, the zeros too.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mvtheory.engine.choice import obstacle, use_compiled
from mvtheory.engine.jit import Lazy

__all__ = ["sparse_cross_entropy"]

loops = Lazy("mvtheory.engine.loops")


def sparse_cross_entropy(
    value: Tensor, start: Tensor, entry: Tensor, own: Tensor, kind_class: Tensor, k: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return loss and error of each net, and the gradient of the loss.

    Parameters
    ----------
    value : Tensor, shape [kinds, L]
        What a view of each kind, if an input carries it, adds to the output of its class.
    start : Tensor of int, shape [n + 1]
        Input i carries the entries ``start[i]`` to ``start[i + 1] - 1``, those of a class one after the other.
    entry : Tensor of int, shape [e]
        The kind of each entry.
    own : Tensor of bool, shape [e]
        Whether the entry is a view of the input's label.
    kind_class : Tensor of int, shape [kinds]
        The class of each kind.
    k : int
        Number of classes; an input's output is 0 for those of which it carries no view.

    Returns
    -------
    loss, error : Tensor, shape [L]
        Mean cross-entropy, and share of inputs for which another class has the largest output.
    output_grad : Tensor, shape [kinds, L]
        Gradient of the loss with respect to `value`.
    """
    if not use_compiled(obstacle(value)):
        return _by_torch(value, start, entry, own, kind_class, k)
    output_grad = torch.zeros_like(value)
    arrays = (array.numpy() for array in (value, output_grad, start, entry, own, kind_class))
    loss, error = torch.from_numpy(loops.sparse_cross_entropy(*arrays, k)).to(value.dtype)
    return loss, error, output_grad


def _by_torch(
    value: Tensor, start: Tensor, entry: Tensor, own: Tensor, kind_class: Tensor, k: int
) -> tuple[Tensor, Tensor, Tensor]:
    (_, L), n = value.shape, len(start) - 1
    row = torch.arange(n, device=value.device).repeat_interleave(start.diff())
    pairs, pair = (row * k + kind_class[entry]).unique(return_inverse=True)  # each (input, class) that has an output
    row, mine = pairs // k, torch.zeros_like(pairs, dtype=torch.bool).index_put((pair,), own)
    F = value.new_zeros(len(pairs), L).index_add_(0, pair, value[entry])
    zeros = (k - row.bincount(minlength=n))[:, None]  # outputs that are zero
    label = value.new_zeros(n, L).index_add_(0, row[mine], F[mine])
    rival = torch.where(zeros > 0, 0.0, -torch.inf).to(value).repeat(1, L)
    rival.scatter_reduce_(0, row[~mine, None].expand(-1, L), F[~mine], "amax")
    top = torch.maximum(label, rival)
    p = (F - top[row]).exp()
    mass = (zeros * (-top.clamp(min=0)).exp()).index_add(0, row, p)
    loss, error = (mass.log() + top - label).mean(0), (rival >= label).to(value.dtype).mean(0)
    dF = (p / mass[row] - mine[:, None].to(value)) / n
    return loss, error, torch.zeros_like(value).index_add_(0, entry, dF[pair])
