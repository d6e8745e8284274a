"""The work between a trainer's two matrix products, compiled: one pass over the pre-activations on the CPU."""

from __future__ import annotations

import numba
import numpy as np
from torch import Tensor

__all__ = ["log_softmax", "own_gradient", "own_outputs", "pool", "weigh"]


def log_softmax(F: Tensor) -> Tensor:
    """Return the logarithm of the softmax over the last axis, a short one: torch is far faster over the first."""
    return F.movedim(-1, 0).log_softmax(0).movedim(0, -1)


def pool(z: Tensor, q: int, varrho: float) -> Tensor:
    """Return the smoothed ReLU of z [b, P, g, m] summed over patches and neurons, [b, g]; z becomes its slope."""
    outputs = z.new_empty(z.shape[0], z.shape[2])
    flat = z.view(*z.shape[:2], -1).numpy()
    _pool(flat, outputs.numpy(), z.shape[3], q, flat.dtype.type(varrho))
    return outputs


def weigh(slope: Tensor, dF: Tensor) -> None:
    """Multiply the slopes [b, P, g, m] in place by the gradient [b, g] of the outputs, on any device."""
    if slope.device.type != "cpu":
        slope.mul_(dF[:, None, :, None])
        return
    _weigh(slope.view(*slope.shape[:2], -1).numpy(), dF.contiguous().numpy(), slope.shape[3])


def own_outputs(W: Tensor, present: tuple[Tensor, ...], n: int, q: int, varrho: float) -> tuple[Tensor, Tensor]:
    """Return the outputs [n, k, L] and slopes [e, L, m] of nets W [k, M, L, m] that see their own views alone.

    `present` holds row, class, view, strength and number of patches of each view that is present, [e] each.
    """
    k, M, L, m = W.shape
    F, slope = W.new_zeros(n, k, L), W.new_empty(len(present[0]), L * m)
    row, own, view, z, patches = (column.contiguous().numpy() for column in present)
    flat = W.view(k, M, -1).numpy()
    _own_outputs(flat, row, own, view, z, patches, F.numpy(), slope.numpy(), m, q, flat.dtype.type(varrho))
    return F, slope.view(-1, L, m)


def own_gradient(slope: Tensor, dF: Tensor, present: tuple[Tensor, ...], views: tuple[int, int]) -> Tensor:
    """Return the gradient [k, M, L, m] from the slopes [e, L, m] and the gradient [n, L, k] of the outputs."""
    e, L, m = slope.shape
    gradient = slope.new_zeros(*views, L * m)
    row, own, view, z, patches = (column.contiguous().numpy() for column in present)
    _own_gradient(slope.view(e, L * m).numpy(), dF.numpy(), row, own, view, z, patches, gradient.numpy(), m)
    return gradient.view(*views, L, m)


@numba.njit(cache=True)
def _own_outputs(W, row, own, view, z, patches, F, slope, m, q, varrho):  # type: ignore[no-untyped-def]
    count = W.shape[2]
    zero, one = W.dtype.type(0), W.dtype.type(1)
    scale, share = one / varrho, varrho / W.dtype.type(q)
    u, value = np.empty(count, W.dtype), np.empty(count, W.dtype)
    for e in range(len(row)):
        w, s = W[own[e], view[e]], slope[e]
        for c in range(count):
            t = w[c] * z[e]
            u[c] = min(max(t, zero), varrho) * scale
            value[c] = zero if t <= varrho else t - varrho  # NaN stays NaN
            s[c] = one if t > zero else zero
        for _ in range(q - 1):
            for c in range(count):
                s[c] *= u[c]
        for c in range(count):
            value[c] += share * u[c] * s[c]
        for g in range(count // m):
            F[row[e], own[e], g] += patches[e] * value[g * m : (g + 1) * m].sum()


@numba.njit(cache=True)
def _own_gradient(slope, dF, row, own, view, z, patches, gradient, m):  # type: ignore[no-untyped-def]
    for e in range(len(row)):
        g, s = gradient[own[e], view[e]], slope[e]
        for net in range(dF.shape[1]):
            factor = dF[row[e], net, own[e]] * z[e] * patches[e]
            for c in range(net * m, (net + 1) * m):
                g[c] += s[c] * factor


@numba.njit(cache=True)
def _pool(z, outputs, m, q, varrho):  # type: ignore[no-untyped-def]
    b, P, count = z.shape
    zero, one = z.dtype.type(0), z.dtype.type(1)
    scale, share = one / varrho, one / z.dtype.type(q)
    u, total = np.empty(count, z.dtype), np.empty(count, z.dtype)
    for i in range(b):
        total[:] = zero
        for p in range(P):
            row = z[i, p]
            for c in range(count):
                u[c] = min(max(row[c], zero), varrho) * scale
                total[c] += zero if row[c] <= varrho else row[c] - varrho  # NaN stays NaN
            for c in range(count):
                row[c] = one if row[c] > zero else zero
            for _ in range(q - 1):
                for c in range(count):
                    row[c] *= u[c]
            for c in range(count):
                total[c] += varrho * u[c] * row[c] * share
        for g in range(count // m):
            outputs[i, g] = total[g * m : (g + 1) * m].sum()


@numba.njit(cache=True)
def _weigh(slope, dF, m):  # type: ignore[no-untyped-def]
    b, P, count = slope.shape
    factor = np.empty(count, slope.dtype)
    for i in range(b):
        for c in range(count):
            factor[c] = dF[i, c // m]
        for p in range(P):
            for c in range(count):
                slope[i, p, c] *= factor[c]
