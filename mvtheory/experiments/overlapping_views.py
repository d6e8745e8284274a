"""A dial from two views a class to one: nets on views that overlap more and more."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mvtheory._check import check_choice, check_int, check_number
from mvtheory.controls.overlap import Overlapping
from mvtheory.ensemble import average
from mvtheory.experiments.nets import Draw
from mvtheory.experiments.without_views import STRUCTURE_DRAWS, check_draws
from mvtheory.measurement import Estimate, difference_over_draws, error_rate
from mvtheory.model import PatchNets, SReLU
from mvtheory.persistence.store import cached
from mvtheory.training import Schedule, train

__all__ = ["DialResults", "DialStudy", "winners"]

Tensors = dict[str, Tensor]

# Weak views are faint, so that in training nothing but its own two views moves a winner.
TWO_TO_ONE = Overlapping(k=6, P=12, d=40, s=4.0, weak=(0.2, 0.2), Gamma=0.2, noise_background=0.3)


@dataclass(frozen=True)
class DialStudy:
    """Nets on views that overlap more and more, from two views a class to one.

    Attributes
    ----------
    task : Overlapping
        The data; `overlaps` take the place of its overlap, `strengths` that of its Gamma in test inputs.
    overlaps : tuple of float
        Positions of the dial.
    strengths : tuple of float
        Strengths Gamma of other classes' views in single-view test inputs.
    n, test, nets : int
        Training inputs, test inputs of each strength, nets.
    m, sigma_0, activation
        Neurons of a class, standard deviation of the initial weights, activation.
    schedule : Schedule
        Passed to `train`.
    draws : tuple of int
        Numbers of the data draws.
    """

    task: Overlapping = TWO_TO_ONE
    overlaps: tuple[float, ...] = (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.75, 1.0)
    strengths: tuple[float, ...] = (0.2, 0.3, 0.4)
    n: int = 200
    test: int = 1000
    nets: int = 10
    m: int = 10
    sigma_0: float = 0.3
    activation: SReLU = SReLU(q=4, varrho=12.0)
    schedule: Schedule = Schedule(steps=800, stop_loss=0.1, eta=30000.0)
    draws: tuple[int, ...] = STRUCTURE_DRAWS

    def __post_init__(self) -> None:
        check_draws(self.draws)
        check_int("nets", self.nets, low=2)
        check_int("n", self.n, low=1)
        check_int("test", self.test, low=1)
        for overlap in self.overlaps:
            check_number("overlaps", overlap, low=0, high=1)
        if list(self.overlaps) != sorted(set(self.overlaps)) or len(self.overlaps) < 2:
            raise ValueError(f"overlaps must be at least 2 numbers, each larger than the last; got {self.overlaps}")
        for strength in self.strengths:
            check_number("strengths", strength, low=0)

    def run(self) -> DialResults:
        """Train and test at every position, or read what an earlier run left on disk."""
        tensors, meta = cached({"study": "dial", "what": repr(self)}, lambda: (self._compute(), {}))
        return DialResults(self, tensors, meta["seconds"])

    def _compute(self) -> Tensors:
        rows = [[self._point(number, overlap) for overlap in self.overlaps] for number in self.draws]
        return {name: torch.stack([torch.stack([p[name] for p in row]) for row in rows]) for name in rows[0][0]}

    def _point(self, number: int, overlap: float) -> Tensors:
        seed = Draw(number).seed
        task = replace(self.task, frame_seed=seed, overlap=overlap)
        start = PatchNets.init(
            self.nets, k=task.k, m=self.m, d=task.d, sigma_0=self.sigma_0, seed=seed + 100, activation=self.activation
        )
        nets = train(start, task.sample(self.n, seed=seed + 1), schedule=self.schedule).nets
        single, ensemble = [], []
        for Gamma in self.strengths:
            test = replace(task, Gamma=Gamma).sample(0, self.test, seed=seed + 2, balanced=True)
            F = nets(test.x)
            single.append(torch.as_tensor(error_rate(F, test.y)))
            ensemble.append(torch.as_tensor(error_rate(average(F), test.y))[None])
        return {"single": torch.stack(single), "ensemble": torch.stack(ensemble), "winner": winners(nets, task)}


@dataclass(frozen=True)
class DialResults:
    """What `DialStudy.run` measured.

    Attributes
    ----------
    study : DialStudy
    tensors : dict of str to Tensor
        Errors on single-view inputs, ``"single"``, shape [draws, overlaps, strengths, nets], and ``"ensemble"``, with
        one net; ``"winner"``, shape [draws, overlaps, nets, k, 2], see `winners`.
    seconds : float
        Wall time of the run.
    """

    study: DialStudy
    tensors: Tensors
    seconds: float

    def gains(self, strength: float) -> Float[Tensor, "draws overlaps"]:
        """Error of single nets minus that of their ensemble, at one strength Gamma of other classes' views."""
        place = self.study.strengths.index(check_choice("strength", strength, self.study.strengths))
        single, ensemble = (self.tensors[name][:, :, place].mean(-1) for name in ("single", "ensemble"))
        return single - ensemble

    def gain(self, overlap: float, strength: float) -> Estimate:
        """Mean of `gains` at one position of the dial, with its interval."""
        place = self.study.overlaps.index(check_choice("overlap", overlap, self.study.overlaps))
        row = self.study.strengths.index(check_choice("strength", strength, self.study.strengths))
        single, ensemble = (self.tensors[name][:, place, row] for name in ("single", "ensemble"))
        nets = self.study.nets * len(self.study.draws)
        return difference_over_draws(single, ensemble, points=self.study.test, nets=nets)

    def halves(self, strength: float) -> Float[np.ndarray, " draws"]:
        """Overlap at which each draw's gain first falls to half of its first value, with straight lines between."""
        return np.array([_crossing(self.study.overlaps, row) for row in self.gains(strength).tolist()])

    def ratios(self) -> Float[Tensor, "draws overlaps nets k"]:
        """Overlap of each winner with the view that it sees less, divided by that with the other."""
        winner = self.tensors["winner"]
        return winner.amin(-1) / winner.amax(-1)


def winners(nets: PatchNets, task: Overlapping) -> Float[Tensor, "L k 2"]:
    """Return the overlaps, with both views of its class, of the neuron that has the largest one."""
    own = torch.einsum("lkrd,kvd->lkrv", nets.W, task.views)
    best = own.amax(-1).argmax(-1)[..., None, None].expand(-1, -1, 1, 2)
    return own.gather(2, best)[:, :, 0]


def _crossing(x: tuple[float, ...], row: list[float]) -> float:
    """Return where a polygon first falls to half of its first height; its end if it never does."""
    half = row[0] / 2
    for (a, high), (b, low) in zip(zip(x, row, strict=True), zip(x[1:], row[1:], strict=False), strict=False):
        if low <= half < high:
            return a + (b - a) * (high - half) / (high - low)
    return x[-1]
