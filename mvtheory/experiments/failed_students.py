"""Students on digits that go wrong, each by one mistake; and nets that share a trained start."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import xarray as xr
from torch import nn

from mvtheory._check import check_int
from mvtheory.experiments.base import Experiment, check_draws, labelled
from mvtheory.experiments.ordinary_nets import deep_net, digit_split, fit, outputs_of

__all__ = ["MISTAKES", "FailedStudents"]

#: What is done wrong to a student: changes to how it is trained, and to the width of its layers.
MISTAKES: Mapping[str, Mapping[str, float]] = {
    "none": {},
    "no factor T²": {"weight": 9.0 / 16},
    "T = 1": {"T": 1.0},
    "few steps": {"steps": 50},
    "narrow": {"width": 10},
}


@dataclass(frozen=True)
class FailedStudents(Experiment):
    """Students of the average of nets on digits, and nets that go on from one trained net.

    :meth:`run` returns outputs on the test images: ``"nets"`` of the ensemble and, with a ``"shared start"``, nets that
    go on from the first of them with new last layers, axes ``seed``, ``input`` and ``class``; students by `MISTAKES`,
    axes ``student``, ``input`` and ``class``; and the ``"label"`` of each image.

    Attributes
    ----------
    draws : tuple of int
        Numbers of the splits of the images; one is enough.
    seeds, students : int
        Nets of the ensemble, and students of a kind.
    n : int
        Training images.
    """

    draws: tuple[int, ...] = (71,)
    seeds: int = 10
    students: int = 4
    n: int = 300

    def __post_init__(self) -> None:
        check_draws(self.draws, least=1)
        check_int("seeds", self.seeds, low=2)
        check_int("students", self.students, low=1)

    def on(self, number: int) -> xr.Dataset:
        """Return outputs and labels on the split of this number."""
        x, x_test, y, y_test = digit_split(number, self.n)
        nets = [fit(deep_net(seed), x, y) for seed in range(self.seeds)]
        teacher = outputs_of(nets, x).mean(0)
        found = {}
        for name, changes in MISTAKES.items():
            steps, T, weight = int(changes.get("steps", 400)), changes.get("T", 4.0), changes.get("weight", 9.0)
            starts = [deep_net(100 + i, int(changes.get("width", 32))) for i in range(self.students)]
            found[name] = outputs_of([fit(net, x, y, teacher, steps, T, weight) for net in starts], x_test)
        shared = [fit(_new_head(nets[0], seed), x, y) for seed in range(self.seeds)]
        return labelled(
            {name: ("student input class", outputs) for name, outputs in found.items()}
            | {"nets": ("seed input class", outputs_of(nets, x_test))}
            | {"shared start": ("seed input class", outputs_of(shared, x_test)), "label": ("input", y_test)}
        )


def _new_head(net: nn.Module, seed: int) -> nn.Module:
    """Return a copy of a net whose last layer is at its initialisation."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(300 + seed)
        *body, last = copy.deepcopy(net).children()
        assert isinstance(last, nn.Linear)
        return nn.Sequential(*body, nn.Linear(last.in_features, last.out_features))
