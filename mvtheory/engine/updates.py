"""The rows of a training step, and what it does with their gradient: re-scaled descent, or an optimiser of torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Optimizer", "Rescaled", "batches", "put", "take"]


def batches(n: int, size: int | None, seed: int) -> Iterator[Tensor]:
    """Yield the rows of each step: all `n`, or `size` of them in random orders, the same for all nets."""
    rng = torch.Generator().manual_seed(int(seed))
    while True:
        yield from (torch.arange(n),) if size is None else torch.randperm(n, generator=rng).split(size)


# Mostly all nets are alive, and weights are large: nothing is copied then.
def take(table: Tensor, rows: Tensor) -> Tensor:
    """Return some rows of `table`, given their numbers in order."""
    return table if len(rows) == len(table) else table[rows]


def put(old: Tensor, rows: Tensor, value: Tensor) -> Tensor:
    """Return what `old` is with other values in some rows, given their numbers in order."""
    if len(rows) == len(old):
        return value
    copy = old.clone()
    copy[rows] = value
    return copy


@dataclass(frozen=True)
class Rescaled:
    """Gradient descent in re-scaled time: steps of at most `eta` that change no neuron by more than `max_change`."""

    eta: float
    max_change: float

    def __call__(
        self, W: Tensor, alive: Tensor, gradient: Tensor, joint: bool
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Return the next weights of all nets, the learning rates, and what the next call has to know.

        `W` is [L, k, m, d]. Of the nets that go on, `alive` [a] holds the numbers, and `gradient` [a, k, m, d]; with
        `joint` all of them have the same learning rate.
        """
        now = take(W, alive)
        ratio = now.norm(dim=-1) / gradient.norm(dim=-1)
        ratio = ratio.nan_to_num(nan=math.inf)  # 0 / 0: a neuron of zeros stays, whatever the step
        eta = (self.max_change * ratio.flatten(1).amin(1)).clamp(max=self.eta)
        eta = eta.min().expand_as(eta) if joint else eta
        return put(W, alive, now - eta[:, None, None, None] * gradient), eta, {}


class Optimizer:
    """For comparison: ``"sgd"`` or ``"adam"`` of `torch.optim` at the constant learning rate `eta`.

    It starts from the weights `W`, and from what an earlier call had to remember.
    """

    def __init__(self, name: str, eta: float, W: Tensor, memory: Mapping[str, Tensor]) -> None:
        kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
        self.W, self.eta = W.clone(), eta
        self.optimizer = kinds[name]([self.W], lr=eta)
        if memory:
            self.optimizer.state[self.W] = {key: value.clone() for key, value in memory.items()}

    def __call__(
        self, W: Tensor, alive: Tensor, gradient: Tensor, joint: bool
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Return the same as :class:`Rescaled` does; all nets must go on."""
        self.W.grad = gradient
        self.optimizer.step()
        memory = {key: v.clone() for key, v in self.optimizer.state[self.W].items() if isinstance(v, Tensor)}
        return self.W.clone(), W.new_full((len(alive),), self.eta), memory
