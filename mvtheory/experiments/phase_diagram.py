"""Where the theory shows: the error of single nets over activation and initial scale, in the noise-free reduction."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from itertools import product

import numpy as np
import torch
from torch import Tensor

from mvtheory._check import check_int, check_number
from mvtheory.experiments.nets import Draw
from mvtheory.experiments.settings import TASK, Setting
from mvtheory.measurement import error_rate
from mvtheory.model import PatchNets, SReLU
from mvtheory.persistence.store import cached
from mvtheory.reduced.reduction import reduce_to_own_views
from mvtheory.training import Schedule, train

__all__ = ["PhaseStudy", "reduced"]

CLEAN = Setting(
    task=replace(TASK, noise_signal=0.0, noise_background=0.0), multi=500, single=0, test_single=1000, test_multi=200
)

STOP = 0.1  # the loss at which a net has learned its training set


@dataclass(frozen=True)
class PhaseStudy:
    """A grid of powers, cuts and initial scales.

    The noise-free reduction with the own-class products runs at every point: see
    :func:`mvtheory.reduced.reduction.own_products`.

    Attributes
    ----------
    q : tuple of int
        Powers of the activation.
    scale : tuple of float
        Initial scales, as multiples of the cut: sigma_0 / varrho.
    varrho : tuple of float
        Cuts.
    nets : int
        Nets at each point.
    draw : int
        The data draw.
    steps : int
        Most steps of a net.
    setting : Setting
        Data without noise.
    """

    q: tuple[int, ...] = (2, 3, 4)
    scale: tuple[float, ...] = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
    varrho: tuple[float, ...] = (0.75, 1.5, 3.0, 6.0, 12.0)
    nets: int = 4
    draw: int = 51
    steps: int = 800
    setting: Setting = field(default=CLEAN)

    def __post_init__(self) -> None:
        for q in self.q:
            check_int("q", q, low=1)
        for name in ("scale", "varrho"):
            for value in getattr(self, name):
                check_number(name, value, low=0, open_low=True)
        check_int("nets", self.nets, low=1)
        check_int("draw", self.draw, low=1)
        check_int("steps", self.steps, low=1)

    def run(self) -> tuple[np.ndarray, np.ndarray, float]:
        """Train at every point, or read what an earlier run left on disk.

        Returns
        -------
        error, untrained : array, shape [len(q), len(varrho), len(scale)]
            Mean error on single-view inputs, and share of nets whose loss was still above 0.1 at the
            last step.
        seconds : float
            What it took.
        """
        tensors, meta = cached({"study": "phase", **asdict(self)}, lambda: (self._compute(), {}))
        return tensors["error"].numpy(), tensors["untrained"].numpy(), meta["seconds"]

    def _compute(self) -> dict[str, Tensor]:
        shape = (len(self.q), len(self.varrho), len(self.scale))
        points = [self._point(q, v, u) for q, v, u in product(self.q, self.varrho, self.scale)]
        error, untrained = (torch.tensor(column).view(shape) for column in zip(*points, strict=True))
        return {"error": error, "untrained": untrained}

    def _point(self, q: int, varrho: float, scale: float) -> tuple[float, float]:
        setting = replace(self.setting, activation=SReLU(q, varrho), sigma_0=scale * varrho)
        _, errors, losses = reduced(Draw(self.draw, setting), range(self.nets), self.steps)
        return float(errors.mean()), float((losses >= STOP).mean())


def reduced(draw: Draw, nets: range, steps: int = 800) -> tuple[PatchNets, np.ndarray, np.ndarray]:
    """Train nets of a draw in the reduction to the views of their own class, without noise.

    Parameters
    ----------
    draw : Draw
        The data; its noise is left out.
    nets : range
        Numbers of the nets.
    steps : int, >= 1
        Most steps.

    Returns
    -------
    nets : OwnViewNets
        The trained nets.
    errors, losses : array, shape [L]
        Error on single-view test inputs, and loss on the training set.
    """
    start = draw.init(nets[0], len(nets))
    views = draw.task.views
    small, data, _ = reduce_to_own_views(start, draw.train, views)
    # Time runs slower for larger cuts, in proportion; so may the largest step.
    schedule = Schedule(steps=steps, stop_loss=STOP, eta=400.0 * draw.setting.activation.varrho, max_change=0.3)
    run = train(small, data, schedule=schedule)
    F = run.nets(reduce_to_own_views(start, draw.test_single, views)[1].x)
    return run.nets, error_rate(F, draw.test_single.y), run.history.loss[-1].numpy()
