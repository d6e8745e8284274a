r"""Memorise or learn: single-view training inputs that teach the view which the race drops.

Such an input can be answered by the lost view, or by its own noise. Both are races: that of the view has
:math:`S = n/2` for `n` inputs of a class, half of which keep the lost view; that of an input's noise of length
:math:`\sigma_b` has :math:`S = \sigma_b^q`, and the largest of more Gaussian products to begin with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float

from mvtheory._check import check_int
from mvtheory.experiments.base import Experiment, Measurement, labelled, select
from mvtheory.experiments.nets import Draw
from mvtheory.experiments.problem import Problem, vary
from mvtheory.experiments.settings import SETTING, Setting
from mvtheory.measurement import over_draws

__all__ = ["ESTIMATORS", "INPUTS", "NOISES", "MemoriseOrLearn", "limit", "scaling"]

#: Lengths of the background noise, each the root of two times the one before.
NOISES = tuple(0.4 * math.sqrt(2) ** i for i in range(3))
#: Single-view training inputs of a class.
INPUTS = (2, 4, 8, 16, 32)
#: Data sets; what is set here was chosen on others.
MEMORY_DRAWS = tuple(range(5101, 5106))

#: The book's setting on half the classes, for its price: a step costs a quarter.
EIGHT = vary(
    SETTING,
    k=8,
    s=2.0,
    n_multi_view=320,
    test_single_view=512,
    members=4,
    students=0,
    schedule=replace(SETTING.schedule, stop_loss=0.01, warn=False),
)


@dataclass(frozen=True)
class MemoriseOrLearn(Experiment):
    """Single nets on training sets with more single-view inputs, and with more noise.

    The data set of a number holds the ``error`` of the nets on single-view inputs, axes ``noise`` and ``inputs``.

    Attributes
    ----------
    draws : tuple of int
        Numbers of the data sets.
    noises : tuple of float
        Lengths of the noise on background patches.
    inputs : tuple of int
        Single-view training inputs of a class.
    setting : Setting
        Everything else.
    """

    draws: tuple[int, ...] = MEMORY_DRAWS
    noises: tuple[float, ...] = NOISES
    inputs: tuple[int, ...] = INPUTS
    setting: Setting = EIGHT

    def on(self, number: int) -> xr.Dataset:
        """Train nets at each noise and number of inputs."""
        error = [[self._error(number, noise, n) for n in self.inputs] for noise in self.noises]
        return labelled({"error": ("noise inputs", error)}, noise=self.noises, inputs=self.inputs)

    def _error(self, number: int, noise: float, n: int) -> float:
        setting = vary(self.setting, noise_background=noise, n_single_view=n * self.setting.task.k)
        return float(Problem.full(Draw(number, setting), setting.members).trained().errors.mean())


@lru_cache(maxsize=16)
def limit(noise: float, setting: Setting = SETTING) -> float:
    r"""Return how many inputs of a class that keep its lost view are needed for the view to win over their noise.

    It is :math:`\sigma_b^q (g_P / g_m)^{q-2}`, with the mean of the largest of m Gaussians, :math:`g_m`, and of the
    largest of m for each background patch, :math:`g_P`.

    Parameters
    ----------
    noise : float, >= 0
        Length of the noise on background patches.
    setting : Setting
        For k, s, M, P, C_p, m and q.

    Returns
    -------
    float
    """
    task, rng = setting.task, torch.Generator().manual_seed(0)
    present = task.M * (1 + (task.k - 1) * task.s / task.k)  # views of an input, on average
    blank = check_int("background patches", round(task.P - present * task.C_p), low=1)
    draws = torch.randn(4000, setting.m, blank, generator=rng)
    g_m, g_P = draws[..., 0].amax(1).mean(), draws.flatten(1).amax(1).mean()
    q = setting.activation.q
    return float(noise**q * (g_P / g_m) ** (q - 2))


def scaling(error: Float[np.ndarray, "draws noises inputs"], factor: int) -> Float[np.ndarray, " draws"]:
    """Return by how much the error changes when the noise grows to the next length and the inputs by a factor.

    Parameters
    ----------
    error : array, shape [draws, noises, inputs]
        What `MemoriseOrLearn` measures, at numbers of inputs that double.
    factor : {1, 2, 4, 8}
        Of the inputs.

    Returns
    -------
    array, shape [draws]
        A mean over all pairs.
    """
    j = check_int("log2 of factor", round(math.log2(factor)), low=0, high=error.shape[2] - 1)
    return (error[:, 1:, j:] - error[:, :-1, : error.shape[2] - j]).mean((1, 2))


def by_fourth_power(draws: Sequence[int] = MEMORY_DRAWS, setting: Setting = EIGHT) -> Measurement:
    r"""Measure how the error changes when noise grows by the root of two, and inputs by its q-th power."""
    data = MemoriseOrLearn(tuple(draws), setting=setting).run()
    factor = round(math.sqrt(2) ** setting.activation.q)
    nets = data.error.size * setting.members
    gaps = scaling(select(data, "error"), factor)[:, None]
    return Measurement(over_draws(gaps, points=None, nets=nets, bounds=(-1, 1)), data.seconds)


#: The estimator of the claim, by id.
ESTIMATORS: Mapping[str, Callable[..., Measurement]] = {"memorise-scaling": by_fourth_power}
