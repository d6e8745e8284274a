"""Which subsets of the nets are averaged, and the sums of their outputs on the classes that matter."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int

__all__ = ["chain_subsets", "every_subset", "gather", "neighbours", "widths"]

_STARTS = 16  # chains of an order


def widths(counts: Int[np.ndarray, " b"]) -> Int[np.ndarray, " b"]:
    """Return the number of candidates to which an input's are padded: at most a third more."""
    steps = np.array([1, 2, 3, *(2**power * part // 4 for power in range(2, 40) for part in (4, 5, 6, 7))])
    return steps[np.searchsorted(steps, counts)]


def gather(F: Float[np.ndarray, "L r k"], rivals: Bool[np.ndarray, "r k"], width: int) -> Float[np.ndarray, "L c r"]:
    """Return the outputs of each input's candidates; inputs with fewer of them repeat one."""
    order = np.argsort(~rivals, axis=-1, kind="stable")[:, :width]
    real = np.take_along_axis(rivals, order, -1)
    chosen = np.where(real, order, order[:, :1])
    chosen = np.pad(chosen, ((0, 0), (0, width - chosen.shape[1])), mode="edge")
    return np.ascontiguousarray(np.take_along_axis(F, chosen[None], -1).transpose(0, 2, 1))


def every_subset(
    own: Float[np.ndarray, "L r"], rivals: Float[np.ndarray, "L c r"]
) -> Iterator[tuple[int, list[int], np.ndarray, np.ndarray]]:
    """Yield every subset of the nets with its sums, each from the one without its last net."""

    def grow(members: list[int], own_sum: np.ndarray, rival_sum: np.ndarray) -> Iterator:
        yield 0, members, own_sum, rival_sum
        for net in range(members[-1] + 1, len(own)):
            yield from grow([*members, net], own_sum + own[net], rival_sum + rivals[net])

    for net in range(len(own)):
        yield from grow([net], own[net], rivals[net])


def chain_subsets(
    own: Float[np.ndarray, "L r"], rivals: Float[np.ndarray, "L c r"], orders: list[np.ndarray]
) -> Iterator[tuple[int, list[int], np.ndarray, np.ndarray]]:
    """Yield the subsets of the chains with their sums."""
    L = len(own)
    starts = np.unique(np.linspace(0, L, min(_STARTS, L), endpoint=False).astype(int))
    for group, order in enumerate(orders):
        for start in starts:
            chain = np.roll(order, -start).tolist()
            own_sum, rival_sum = own[chain[0]], rivals[chain[0]]
            yield group, chain[:1], own_sum, rival_sum
            for size, net in enumerate(chain[1:], 2):
                own_sum, rival_sum = own_sum + own[net], rival_sum + rivals[net]
                yield group, chain[:size], own_sum, rival_sum


def neighbours(orders: list[np.ndarray]) -> list[tuple[int, int]]:
    """Return neighbours in the orders, each pair once: every net is in about as many."""
    both = [(int(a), int(b)) for order in orders for a, b in zip(order, np.roll(order, 1), strict=True)]
    return sorted({(min(pair), max(pair)) for pair in both})
