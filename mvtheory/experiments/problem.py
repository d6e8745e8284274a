"""Nets with the data that they are trained and tested on: the full model, or the noise-free reduction to own views."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mvtheory._check import check_choice
from mvtheory.data import Sample
from mvtheory.ensemble import learned_views
from mvtheory.experiments.nets import Draw
from mvtheory.experiments.settings import TASK, Setting
from mvtheory.measurement import error_rate
from mvtheory.model import PatchNets
from mvtheory.reduced.reduction import Strengths, reduce_to_own_views
from mvtheory.training import Schedule, train

__all__ = ["NOISE_FREE", "Problem", "vary", "weaken_second_view"]

#: Multi-view training data without noise.
NOISE_FREE = Setting(
    task=replace(TASK, noise_signal=0.0, noise_background=0.0),
    n_multi_view=512,
    n_single_view=0,
    test_single_view=1024,
    test_multi_view=256,
)


def vary(setting: Setting, **changes: Any) -> Setting:
    """Return a setting with some of its fields, or of its task's, changed.

    Parameters
    ----------
    setting : Setting
        The setting; it is not changed.
    **changes
        New values of fields of the setting or of its task.

    Returns
    -------
    Setting

    Examples
    --------
    >>> vary(NOISE_FREE, s=2.5, sigma_0=0.1).task.s
    2.5
    """
    own = {field.name for field in fields(setting)} - {"task"}
    for name in changes:
        check_choice("changes", name, [*own, *(field.name for field in fields(setting.task))])
    task = replace(setting.task, **{name: value for name, value in changes.items() if name not in own})
    return replace(setting, task=task, **{name: value for name, value in changes.items() if name in own})


@dataclass(frozen=True)
class Problem:
    """Nets of a data set with what they are trained and tested on.

    Attributes
    ----------
    nets : PatchNets
        L nets at their initialisation, or trained.
    data, test : Sample or Strengths
        The training set, and single-view test inputs.
    kept : Tensor of int, shape [n]
        The view that each test input kept.
    views : Tensor, shape [k, M, d]
        The views, in the coordinates of the nets.
    schedule : Schedule
        How the nets are trained unless another schedule is given.
    """

    nets: PatchNets
    data: Sample | Strengths
    test: Sample | Strengths
    kept: Int[Tensor, " n"]
    views: Float[Tensor, "k M d"]
    schedule: Schedule

    @classmethod
    def full(cls, draw: Draw, nets: int) -> Problem:
        """Return the first `nets` nets of a data set in all dimensions, with the schedule of its setting."""
        test = draw.test_single_view
        return cls(draw.init(0, nets), draw.train, test, test.kept, draw.task.views, draw.setting.schedule)

    @classmethod
    def reduced(cls, draw: Draw, nets: int, data: Sample | None = None) -> Problem:
        """Return the first `nets` nets of a data set in the products with the views of their own class, without noise.

        Parameters
        ----------
        draw : Draw
            The data; their noise is left out.
        nets : int, >= 1
            Nets.
        data : Sample, optional
            Another training set with the same views.

        Returns
        -------
        Problem
            See :func:`mvtheory.reduced.reduction.reduce_to_own_views`.
        """
        start, views = draw.init(0, nets), draw.task.views
        small, strengths, axes = reduce_to_own_views(start, draw.train if data is None else data, views)
        test = reduce_to_own_views(start, draw.test_single_view, views)[1]
        # Time runs slower for larger cuts, in proportion; so may the largest step.
        eta = 400.0 * draw.setting.activation.varrho
        schedule = Schedule(steps=800, stop_loss=0.1, eta=eta, max_change=0.3, warn=False)
        return cls(small, strengths, test, draw.test_single_view.kept, axes, schedule)

    def trained(self, schedule: Schedule | None = None) -> Problem:
        """Return the same with the nets trained on the labels."""
        return replace(self, nets=train(self.nets, self.data, schedule=schedule or self.schedule).nets)

    @cached_property
    def outputs(self) -> Float[Tensor, "L n k"]:
        """Outputs on the test inputs."""
        return self.nets(self.test.x)

    @property
    def errors(self) -> Float[np.ndarray, " L"]:
        """Error of each net on the test inputs."""
        return error_rate(self.outputs, self.test.y)

    @property
    def training_errors(self) -> Float[np.ndarray, " L"]:
        """Error of each net on its training set."""
        return error_rate(self.nets(self.data.x), self.data.y)

    @property
    def share_with_all_views(self) -> float:
        """Share of (net, class) that have learned all views of the class, in [0, 1]."""
        return float(learned_views(self.nets, self.views).all(-1).double().mean())

    @property
    def learned_kept_view(self) -> Bool[Tensor, "L n"]:
        """Whether each net has learned the view that a test input kept."""
        return learned_views(self.nets, self.views)[:, self.test.y, self.kept]


def weaken_second_view(data: Sample, factor: float | int) -> Sample:
    """Return a training set in which the second view of each input's own class has `factor` of its strength.

    The strengths alone are changed, and not the patches: it is meant for the reduction.
    """
    strength = data.strength.clone()
    strength[range(len(data)), data.y, 1] *= factor
    return replace(data, strength=strength)
