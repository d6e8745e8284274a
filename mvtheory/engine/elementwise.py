"""The work between the two matrix products of a training step: the activation, its slope, and gradients times slopes.

Written by hand, since torch takes a pass through memory for each operation; see :mod:`mvtheory.engine.loops`.
"""

from __future__ import annotations

import math

from torch import Tensor

from mvtheory.engine.choice import obstacle, use_compiled
from mvtheory.engine.jit import Lazy

__all__ = ["against_labels", "log_softmax", "own_gradient", "own_outputs", "pool", "weigh"]

loops = Lazy("mvtheory.engine.loops")


def log_softmax(F: Tensor) -> Tensor:
    """Return the logarithm of the softmax over the last axis, a short one: torch is far faster over the first."""
    return F.movedim(-1, 0).log_softmax(0).movedim(0, -1)


def against_labels(F: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logarithms of the probabilities of the labels y [n], given outputs F [n, L, k], and what is wrong."""
    label = y[:, None, None].expand(*F.shape[:2], 1)
    # To compare with the largest of the others takes a fraction of the time of finding where the largest is.
    wrong = F.scatter(-1, label, -math.inf).amax(-1, keepdim=True) >= F.gather(-1, label)
    return log_softmax(F).gather(-1, label)[..., 0], wrong[..., 0]


def pool(z: Tensor, q: int, varrho: float) -> Tensor:
    """Return the smoothed ReLU of z [b, P, g, m] summed over patches and neurons, [b, g]; z becomes its slope."""
    outputs = z.new_empty(z.shape[0], z.shape[2])
    flat = z.view(*z.shape[:2], -1).numpy()
    loops.pool(flat, outputs.numpy(), z.shape[3], q, flat.dtype.type(varrho))
    return outputs


def weigh(slope: Tensor, dF: Tensor) -> None:
    """Multiply the slopes [b, P, g, m] in place by the gradient dF [b, g] of the outputs."""
    if use_compiled(obstacle(slope, dF)):
        loops.weigh(slope.view(*slope.shape[:2], -1).numpy(), dF.contiguous().numpy(), slope.shape[3])
    else:
        slope.mul_(dF[:, None, :, None])


def own_outputs(W: Tensor, present: tuple[Tensor, ...], n: int, q: int, varrho: float) -> tuple[Tensor, Tensor]:
    """Return the outputs [n, k, L] and slopes [e, L, m] of nets W [k, M, L, m] that see their own views alone.

    `present` holds row, class, view, strength and number of patches of each view that is present, [e] each.
    """
    k, M, L, m = W.shape
    F, slope = W.new_zeros(n, k, L), W.new_empty(len(present[0]), L * m)
    flat = W.view(k, M, -1).numpy()
    loops.own_outputs(flat, *_arrays(present), F.numpy(), slope.numpy(), m, q, flat.dtype.type(varrho))
    return F, slope.view(-1, L, m)


def own_gradient(slope: Tensor, dF: Tensor, present: tuple[Tensor, ...], k: int, M: int) -> Tensor:
    """Return the gradient [k, M, L, m] from the slopes [e, L, m] and the gradient dF [n, L, k] of the outputs."""
    e, L, m = slope.shape
    row, i, view, z, count = present
    if use_compiled(obstacle(slope, dF)):
        gradient, flat = slope.new_zeros(k, M, L * m), slope.view(e, L * m)
        loops.own_gradient(flat.numpy(), dF.contiguous().numpy(), *_arrays(present), gradient.numpy(), m)
    else:
        slope = slope * (dF.transpose(1, 2)[row, i] * (z * count)[:, None])[..., None]
        gradient = slope.new_zeros(k * M, L, m).index_add_(0, i * M + view, slope)
    return gradient.view(k, M, L, m)


def _arrays(present: tuple[Tensor, ...]) -> list:
    return [column.contiguous().numpy() for column in present]
