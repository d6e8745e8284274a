"""A dial from two views a class to one: nets on views that overlap more and more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor

from mvtheory._check import check_int, check_number
from mvtheory.controls.overlap import Overlapping, overlap_at, resting_ratio
from mvtheory.ensemble import average
from mvtheory.experiments.base import Experiment, Measurement, labelled, select
from mvtheory.experiments.nets import Draw
from mvtheory.experiments.without_views import STRUCTURE_DRAWS
from mvtheory.measurement import Estimate, difference_over_draws, error_rate, over_draws
from mvtheory.model import PatchNets, SReLU
from mvtheory.training import Schedule, train

__all__ = [
    "DialStudy",
    "dial_end",
    "dial_gain",
    "dial_gains",
    "dial_half",
    "dial_ratio",
    "half_overlaps",
    "median_ratios",
    "winners",
]

#: Weak views are so weak that in training nothing but its own two views moves a winner.
TWO_TO_ONE = Overlapping(k=6, P=12, d=40, s=4.0, weak=(0.2, 0.2), Gamma=0.2, noise_background=0.3)


@dataclass(frozen=True, kw_only=True)
class DialStudy(Experiment):
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
        Numbers of the data sets.
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
        super().__post_init__()
        check_int("nets", self.nets, low=2)
        check_int("n", self.n, low=1)
        check_int("test", self.test, low=1)
        for overlap in self.overlaps:
            check_number("overlaps", overlap, low=0, high=1)
        if list(self.overlaps) != sorted(set(self.overlaps)) or len(self.overlaps) < 2:
            raise ValueError(f"overlaps must be at least 2 numbers, each larger than the last; got {self.overlaps}")
        for strength in self.strengths:
            check_number("strengths", strength, low=0)

    def on(self, number: int) -> xr.Dataset:
        """Train nets at every position of the dial, and test them.

        Parameters
        ----------
        number : int, >= 1
            Number of the data set: the same frame, inputs and seeds at every position.

        Returns
        -------
        xarray.Dataset
            Errors on single-view inputs by ``overlap`` and ``strength``, ``single`` (also by ``net``) and ``ensemble``;
            ``inputs``, their number; ``winner``, see `winners`, by ``overlap``, ``net``, ``class`` and ``view``.
        """
        single, ensemble, winner = zip(*(self._errors(number, overlap) for overlap in self.overlaps), strict=True)
        variables = {
            "single": ("overlap strength net", np.array(single)),
            "ensemble": ("overlap strength", np.array(ensemble)),
            "winner": ("overlap net class view", torch.stack(winner)),
            "inputs": ("", self.test),
        }
        return labelled(variables, overlap=self.overlaps, strength=self.strengths)

    def _errors(self, number: int, overlap: float) -> tuple[list[np.ndarray], list[np.ndarray], Tensor]:
        """Return errors of nets and of their ensemble by strength, and the winners, at one position of the dial."""
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
            single.append(error_rate(F, test.y))
            ensemble.append(error_rate(average(F), test.y))
        return single, ensemble, winners(nets, task)


def winners(nets: PatchNets, task: Overlapping) -> Float[Tensor, "L k 2"]:
    """Return the overlaps, with both views of its class, of the neuron that has the largest one."""
    own = torch.einsum("lkrd,kvd->lkrv", nets.W, task.views)
    best = own.amax(-1).argmax(-1)[..., None, None].expand(-1, -1, 1, 2)
    return own.gather(2, best)[:, :, 0]


def dial_gains(data: xr.Dataset, strength: float) -> Float[np.ndarray, "draws overlaps"]:
    """Return the error of single nets minus that of their ensemble, on each data set.

    Parameters
    ----------
    data : xarray.Dataset
        What `DialStudy` measured.
    strength : float
        Strength Gamma of other classes' views; one of the study's.

    Returns
    -------
    array, shape [draws, overlaps]
    """
    single, ensemble = (torch.from_numpy(select(data, name, strength=strength)) for name in ("single", "ensemble"))
    return (single.mean(-1) - ensemble).numpy()


def dial_gain(data: xr.Dataset, overlap: float, strength: float) -> Estimate:
    """Return the mean of `dial_gains` at one position of the dial, with its interval."""
    single, ensemble = (select(data, name, overlap=overlap, strength=strength) for name in ("single", "ensemble"))
    return difference_over_draws(single, ensemble, points=int(data["inputs"].min()), nets=single.size)


def half_overlaps(data: xr.Dataset, strength: float) -> Float[np.ndarray, " draws"]:
    """Return the overlap at which each data set's gain first falls to half of its first value.

    Between positions of the dial the gain is taken as linear. If it never falls so far, it is the last position.
    """
    return np.array([_crossing(data["overlap"].values, row) for row in dial_gains(data, strength)])


def median_ratios(data: xr.Dataset) -> Float[np.ndarray, "draws overlaps"]:
    """Return the ratio of the median winner: its overlap with the view that it sees less, over that with the other."""
    winner = select(data, "winner")
    ratios = winner.min(-1) / winner.max(-1)
    return np.quantile(ratios.reshape(*ratios.shape[:2], -1), 0.5, axis=-1, method="lower")


def dial_ratio(draws: Sequence[int] = STRUCTURE_DRAWS) -> Measurement:
    """Measure the ratio of the median winner at overlap 0.4, minus that of the formula."""
    study = DialStudy(draws=tuple(draws))
    data = study.run()
    ratios = median_ratios(data)[:, study.overlaps.index(0.4)]
    return _by_draw(study, data, ratios - resting_ratio(0.4, study.activation.q))


def dial_half(strength: float, draws: Sequence[int] = STRUCTURE_DRAWS) -> Measurement:
    """Measure the overlap at which half of the gain is gone, minus that of the formula."""
    study = DialStudy(draws=tuple(draws))
    data = study.run()
    formula = overlap_at(strength / (sum(study.task.main) / 2), study.activation.q)
    return _by_draw(study, data, half_overlaps(data, strength) - formula)


def dial_end(draws: Sequence[int] = STRUCTURE_DRAWS) -> Measurement:
    """Measure the gain of an ensemble where the two views are one."""
    data = DialStudy(draws=tuple(draws)).run()
    return Measurement(dial_gain(data, 1.0, 0.4), data.seconds)


def _by_draw(study: DialStudy, data: xr.Dataset, values: Float[np.ndarray, " draws"]) -> Measurement:
    """Return the measurement of one number a data set."""
    return Measurement(over_draws(values, points=None, nets=study.nets * len(values)), data.seconds)


def _crossing(x: Float[np.ndarray, " n"], row: Float[np.ndarray, " n"]) -> float:
    """Return where a polygon first falls to half of its first height; its end if it never does."""
    half = row[0] / 2
    for a, b, high, low in zip(x, x[1:], row, row[1:], strict=False):
        if low <= half < high:
            return float(a + (b - a) * (high - half) / (high - low))
    return float(x[-1])
