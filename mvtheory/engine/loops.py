"""Loops over the pre-activations and outputs of a training step, compiled: what lies between its matrix products.

Written by hand, since a library's operations pass through memory once each, and here the arithmetic costs less than the
memory: one pass takes the place of about ten. Arguments are checked by those who call.
"""

from __future__ import annotations

import numpy as np

from mvtheory.engine.jit import njit

__all__ = ["own_gradient", "own_outputs", "pool", "sparse_cross_entropy", "weigh"]


@njit()
def own_outputs(W, row, own, view, z, patches, F, slope, m, q, varrho):  # type: ignore[no-untyped-def]
    """Add to F [n, k, L] the outputs of nets W [k, M, L m], and write the slopes [e, L m], of the views present [e]."""
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


@njit()
def own_gradient(slope, dF, row, own, view, z, patches, gradient, m):  # type: ignore[no-untyped-def]
    """Add to the gradient [k, M, L m] what the views present [e] add, given dF [n, L, k] of the outputs."""
    for e in range(len(row)):
        g, s = gradient[own[e], view[e]], slope[e]
        for net in range(dF.shape[1]):
            factor = dF[row[e], net, own[e]] * z[e] * patches[e]
            for c in range(net * m, (net + 1) * m):
                g[c] += s[c] * factor


@njit()
def pool(z, outputs, m, q, varrho):  # type: ignore[no-untyped-def]
    """Write the values of z [b, P, g m] summed over patches and neurons to `outputs` [b, g]; z becomes its slope."""
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


@njit()
def weigh(slope, dF, m):  # type: ignore[no-untyped-def]
    """Multiply the slopes [b, P, g m] in place by the gradient dF [b, g] of the outputs."""
    b, P, count = slope.shape
    factor = np.empty(count, slope.dtype)
    for i in range(b):
        for c in range(count):
            factor[c] = dF[i, c // m]
        for p in range(P):
            for c in range(count):
                slope[i, p, c] *= factor[c]


@njit(error_model="numpy")
def sparse_cross_entropy(value, output_grad, start, entry, own, kind_class, k):  # type: ignore[no-untyped-def]
    """Return mean loss and error [2, L]; add to `output_grad` the gradient with respect to `value` [kinds, L]."""
    n, L = len(start) - 1, value.shape[1]
    most = (start[1:] - start[:-1]).max()
    F, group, mine = np.empty(most, value.dtype), np.empty(most, np.int64), np.empty(most, np.bool_)
    zero, share, stats = value.dtype.type(0), value.dtype.type(1 / n), np.zeros((2, L))
    for i in range(n):
        entries, views, classes, last = entry[start[i] : start[i + 1]], start[i + 1] - start[i], 0, -1
        for e in range(views):  # the views of a class follow each other
            j = kind_class[entries[e]]
            classes, last = classes + (j != last), j
            group[e], mine[classes - 1] = classes - 1, own[start[i] + e]
        for net in range(L):
            F[:classes] = 0
            for e in range(views):
                F[group[e]] += value[entries[e], net]
            label, rival = zero, zero if classes < k else -value.dtype.type(np.inf)
            for c in range(classes):
                if mine[c]:
                    label = F[c]
                elif F[c] > rival:
                    rival = F[c]
            top = max(label, rival)
            mass = value.dtype.type(k - classes) * np.exp(-max(top, zero))  # only a top of no zeros is negative
            for c in range(classes):
                F[c] = np.exp(F[c] - top)
                mass += F[c]
            stats[0, net] += np.log(mass) + top - label
            stats[1, net] += rival >= label
            scale = share / mass
            for c in range(classes):
                F[c] = F[c] * scale - (share if mine[c] else zero)
            for e in range(views):
                output_grad[entries[e], net] += F[group[e]]
    return stats / n
