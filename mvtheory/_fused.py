"""The work between a trainer's two matrix products, compiled: one pass over the pre-activations on the CPU."""

from __future__ import annotations

import numba
import numpy as np
from torch import Tensor


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
