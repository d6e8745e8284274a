"""Claims from lazy to feature learning: what ensembles and teachers are worth along the scale of the outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor

from mvtheory._check import check_choice
from mvtheory.experiments.base import Measurement, select
from mvtheory.experiments.lazy_scales import NARROW, LazyStudy
from mvtheory.experiments.settings import Setting
from mvtheory.measurement import Estimate, difference_over_draws, over_draws

__all__ = [
    "ESTIMATORS",
    "difference",
    "error",
    "fall",
    "gain_from_other_end",
    "half_gain",
    "mean",
    "predicted_scale",
    "tangent_error",
]


def error(data: xr.Dataset, method: str, alpha: float, stratum: str = "single-view") -> Estimate:
    """Return the error of the nets of a method at one scale; an average counts all of its nets.

    Parameters
    ----------
    data : xarray.Dataset
        What a :class:`mvtheory.experiments.lazy_scales.LazyStudy` measured; the same below.
    method : {"single", "ensemble", "trained average", "students", "distilled"}
        Whose error.
    alpha : float
        One of the study's scales.
    stratum : {"single-view", "multi-view"}
        Test inputs.

    Returns
    -------
    Estimate
    """
    errors = select(data, method, alpha=alpha, stratum=stratum)
    return over_draws(errors, points=_points(data, stratum), nets=_nets(data, method))


def tangent_error(data: xr.Dataset) -> Estimate:
    """Return the error of the tangent models on single-view inputs."""
    return over_draws(select(data, "tangent", stratum="single-view"), points=_points(data))


def difference(data: xr.Dataset, first: str, second: str, alpha: float) -> Estimate:
    """Return the error of one method minus that of another on single-view inputs, paired by data set.

    Parameters
    ----------
    data, alpha
        See `error`.
    first, second : str
        Methods, see `error`.

    Returns
    -------
    Estimate
    """
    a, b = (select(data, method, alpha=alpha, stratum="single-view") for method in (first, second))
    return difference_over_draws(a, b, points=_points(data), nets=max(_nets(data, first), _nets(data, second)))


def gain_from_other_end(data: xr.Dataset, students: str) -> Estimate:
    """Return what students of one end of the scales gain, on single-view inputs, from the ensemble of the other end.

    Parameters
    ----------
    data
        See `error`.
    students : {"lazy", "learned"}
        The students are those of the largest or of the smallest scale.

    Returns
    -------
    Estimate
    """
    end, teacher = {"learned": (0, "lazy"), "lazy": (-1, "learned")}[
        check_choice("students", students, ("learned", "lazy"))
    ]
    before = select(data, "students", alpha=_scales(data)[end], stratum="single-view")
    after = select(data, f"{students} distilled from {teacher}", stratum="single-view")
    return difference_over_draws(before, after, points=_points(data), nets=before.size)


def mean(data: xr.Dataset, name: str, alpha: float) -> Estimate:
    """Return a quantity at one scale, in the mean over nets.

    Parameters
    ----------
    data, alpha
        See `error`.
    name : {"loss", "movement", "distance"}
        The quantity.

    Returns
    -------
    Estimate
    """
    check_choice("name", name, ("loss", "movement", "distance"))
    return over_draws(select(data, name, alpha=alpha), points=None)


def fall(data: xr.Dataset, first: str, second: str) -> Estimate:
    """Return the difference of two methods at the smallest scale minus that at the largest, see `difference`."""

    def gap(alpha: float) -> Float[np.ndarray, "draws 1"]:
        a, b = (select(data, method, alpha=alpha, stratum="single-view") for method in (first, second))
        return a.reshape(len(a), -1).mean(1, keepdims=True) - b.reshape(len(b), -1).mean(1, keepdims=True)

    scales, nets = _scales(data), max(_nets(data, first), _nets(data, second))
    # Each gap is a difference of shares, in [-1, 1], and so no share itself.
    return difference_over_draws(gap(scales[0]), gap(scales[-1]), points=None, nets=nets)


def half_gain(data: xr.Dataset) -> Float[Tensor, " draws"]:
    r"""Return, by data set, the logarithm to base 10 of the scale at which students have lost half of their gain.

    The gain of students at the smallest scale is the whole; between two scales the gain is taken to be linear in
    :math:`\log \alpha`. Where half of it is left at the largest scale, that scale is returned.

    Parameters
    ----------
    data
        See `error`.

    Returns
    -------
    Tensor, shape [draws]
    """
    methods = (select(data, method, stratum="single-view") for method in ("students", "distilled"))
    before, after = (torch.from_numpy(errors).mean(-1) for errors in methods)  # [draws, alphas]
    logs = [math.log10(alpha) for alpha in _scales(data)]
    return torch.stack([_half(logs, gain / gain[0]) for gain in before - after])


def predicted_scale(data: xr.Dataset) -> float:
    """Return the scale at which features should stop being learned: the geometric mean of the crossovers."""
    return 10 ** float(torch.from_numpy(select(data, "crossover")).log10().mean())


def _half(logs: list[float], share: Float[Tensor, " alphas"]) -> Tensor:
    """Return where the shares, which begin at 1, first fall to a half."""
    for place in range(1, len(logs)):
        before, after = float(share[place - 1]), float(share[place])
        if after < 0.5:
            part = (before - 0.5) / (before - after)
            return torch.tensor(logs[place - 1] + part * (logs[place] - logs[place - 1]))
    return torch.tensor(logs[-1])


def _scales(data: xr.Dataset) -> list[float]:
    return data["alpha"].values.tolist()


def _points(data: xr.Dataset, stratum: str = "single-view") -> int:
    return int(select(data, "points", stratum=stratum)[0])


def _nets(data: xr.Dataset, method: str) -> int:
    return data.sizes["draw"] * data.sizes["student" if "student" in data[method].dims else "member"]


def _limit(data: xr.Dataset) -> Estimate:
    """Return the distance of the laziest nets to their tangent models."""
    return mean(data, "distance", _scales(data)[-1])


def _rate(data: xr.Dataset) -> Estimate:
    """Return the power of ten that this distance loses per power of ten of the scale, between the two largest."""
    before, last = _scales(data)[-2:]
    far, near = (torch.from_numpy(select(data, "distance", alpha=alpha)) for alpha in (before, last))
    return over_draws((far / near).log10() / math.log10(last / before), points=None)


def _crossing(data: xr.Dataset) -> Estimate:
    """Return the powers of ten from the predicted scale to that at which students lose half of their gain."""
    beyond = half_gain(data) - torch.from_numpy(select(data, "crossover")).log10()
    return over_draws(beyond, points=None, nets=data.sizes["draw"] * data.sizes["net"])


def _measure(
    estimate: Callable[[xr.Dataset], Estimate],
    draws: Sequence[int] = LazyStudy().draws,
    setting: Setting = NARROW,
) -> Measurement:
    data = LazyStudy(draws=tuple(draws), setting=setting).run()
    return Measurement(estimate(data), data.attrs["seconds"])


#: The estimators of the chapter's claims, by id.
ESTIMATORS: Mapping[str, Callable[..., Measurement]] = {
    "lazy-limit": partial(_measure, _limit),
    "lazy-rate": partial(_measure, _rate),
    "lazy-dial": partial(_measure, partial(fall, first="students", second="distilled")),
    "lazy-average": partial(_measure, partial(fall, first="trained average", second="ensemble")),
    "lazy-teacher": partial(_measure, partial(gain_from_other_end, students="lazy")),
    "lazy-crossing": partial(_measure, _crossing),
}
