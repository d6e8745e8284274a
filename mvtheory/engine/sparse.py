"""Loss and errors of nets of which most outputs are zero, compiled: one pass over the views that inputs carry."""

from __future__ import annotations

import numba
import numpy as np

__all__ = ["answers"]


@numba.njit(cache=True, error_model="numpy")
def answers(value, output_grad, start, entry, own, kind_class, k):  # type: ignore[no-untyped-def]
    """Return mean loss and share of wrong answers [2, L]; add to `push` the gradient with respect to `value`."""
    n, L = len(start) - 1, value.shape[1]
    most = (start[1:] - start[:-1]).max()
    F, group, mine = np.empty(most, value.dtype), np.empty(most, np.int64), np.empty(most, np.bool_)
    zero, share, told = value.dtype.type(0), value.dtype.type(1 / n), np.zeros((2, L))
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
            answer, rival = zero, zero if classes < k else -value.dtype.type(np.inf)
            for c in range(classes):
                if mine[c]:
                    answer = F[c]
                elif F[c] > rival:
                    rival = F[c]
            top = max(answer, rival)
            mass = value.dtype.type(k - classes) * np.exp(-top)
            for c in range(classes):
                F[c] = np.exp(F[c] - top)
                mass += F[c]
            told[0, net] += np.log(mass) + top - answer
            told[1, net] += rival >= answer
            scale = share / mass
            for c in range(classes):
                F[c] = F[c] * scale - (share if mine[c] else zero)
            for e in range(views):
                output_grad[entries[e], net] += F[group[e]]
    return told / n
