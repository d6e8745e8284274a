"""Where the theory shows: the error of single nets over activation and initial scale, in the noise-free reduction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import xarray as xr

from mvtheory._check import check_int, check_number
from mvtheory.experiments.base import Experiment, check_draws, labelled
from mvtheory.experiments.nets import Draw
from mvtheory.experiments.problem import NOISE_FREE, Problem
from mvtheory.experiments.settings import Setting
from mvtheory.model import SReLU
from mvtheory.training import train

__all__ = ["PhaseDiagram"]


@dataclass(frozen=True)
class PhaseDiagram(Experiment):
    """A grid of powers, cuts and initial scales, with nets in the noise-free reduction at every point.

    The dataset has the variables ``error``, the mean error of the nets on single-view inputs, and ``untrained``, the
    share of nets whose loss was still above 0.1 at the last step, over the axes ``q``, ``varrho`` and ``scale``.

    Attributes
    ----------
    draws : tuple of int
        Numbers of the data sets; one is enough, since neighbouring points show how much a number varies.
    q : tuple of int
        Powers of the activation.
    scale : tuple of float
        Initial scales, as multiples of the cut: sigma_0 / varrho.
    varrho : tuple of float
        Cuts.
    nets : int
        Nets at each point.
    steps : int
        Largest number of steps of a net.
    setting : Setting
        Data without noise.
    """

    draws: tuple[int, ...] = (51,)
    q: tuple[int, ...] = (2, 3, 4)
    scale: tuple[float, ...] = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
    varrho: tuple[float, ...] = (1.5, 3.0, 6.0, 12.0, 24.0)
    nets: int = 4
    steps: int = 800
    setting: Setting = NOISE_FREE

    def __post_init__(self) -> None:
        check_draws(self.draws, least=1)
        for q in self.q:
            check_int("q", q, low=1)
        for name in ("scale", "varrho"):
            for value in getattr(self, name):
                check_number(name, value, low=0, open_low=True)
        check_int("nets", self.nets, low=1)
        check_int("steps", self.steps, low=1)

    def on(self, number: int) -> xr.Dataset:
        """Return error and share of untrained nets at every point, on one data set."""
        shape = (len(self.q), len(self.varrho), len(self.scale))
        points = [self._point(number, *point) for point in product(self.q, self.varrho, self.scale)]
        error, untrained = (np.reshape(column, shape) for column in zip(*points, strict=True))
        axes = "q varrho scale"
        variables = {"error": (axes, error), "untrained": (axes, untrained)}
        return labelled(variables, q=self.q, varrho=self.varrho, scale=self.scale)

    def _point(self, number: int, q: int, varrho: float, scale: float) -> tuple[float, float]:
        setting = replace(self.setting, activation=SReLU(q, varrho), sigma_0=scale * varrho)
        problem = Problem.reduced(Draw(number, setting), self.nets)
        run = train(problem.nets, problem.data, schedule=replace(problem.schedule, steps=self.steps))
        untrained = run.history.loss[-1] >= problem.schedule.stop_loss
        return float(replace(problem, nets=run.nets).errors.mean()), float(untrained.double().mean())
