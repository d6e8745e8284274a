"""Claims about data without views: what ensembles and students gain on them, and where the gain ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import xarray as xr

from mvtheory.experiments.base import Measurement
from mvtheory.experiments.overlapping_views import dial_end, dial_half, dial_ratio
from mvtheory.experiments.without_views import STRUCTURE_DRAWS, STUDIES, errors, gain, share
from mvtheory.measurement import difference_over_draws

__all__ = ["CASES", "ESTIMATORS", "WAYS", "Case"]


class Case(NamedTuple):
    """Nets that are trained on one kind of data and tested on one kind of inputs.

    Attributes
    ----------
    name : str
        What figures and tables call it.
    study : str
        Name of the training problem in `STUDIES`.
    stratum : {"multi-view", "single-view"}
        Kind of test inputs.
    """

    name: str
    study: str
    stratum: str


#: The cases whose gains are claims, by the ids of their ensembles' claims.
CASES = {
    "structure": Case("Gaussian mixture", "mixture", "multi-view"),
    "structure-teacher": Case("labels of a net", "teacher", "multi-view"),
    "structure-single-view": Case("one view shown", "one view", "single-view"),
    "structure-never-missing": Case("no view missing", "two views", "multi-view"),
    "structure-noise": Case("wrong labels", "noise", "multi-view"),
    "structure-control": Case("control: two views", "two views", "single-view"),
}

#: The methods whose gains are claims, by what their ids add to that of the case.
WAYS = {"": "ensemble", "-distill": "distilled", "-self": "self-distilled"}


def case_gain(id: str, method: str, draws: Sequence[int] = STRUCTURE_DRAWS) -> Measurement:
    """Measure the error of single nets minus that of a method, in one of the cases."""
    data = _run(CASES[id].study, draws)
    return Measurement(gain(data, method, CASES[id].stratum), data.seconds)


def resolved(study: str, draws: Sequence[int] = STRUCTURE_DRAWS) -> Measurement:
    """Measure the share of the disagreements of two nets that their average resolves correctly."""
    data = _run(study, draws)
    return Measurement(share(data, "resolved"), data.seconds)


def noise_average(draws: Sequence[int] = STRUCTURE_DRAWS) -> Measurement:
    """Measure the error of the trained average minus that of the ensemble, where labels are wrong."""
    data = _run("noise", draws)
    joint, apart = (errors(data, method) for method in ("trained average", "ensemble"))
    points, nets = int(data["inputs"].min()), 2 * data["single"].size
    return Measurement(difference_over_draws(joint, apart, points=points, nets=nets), data.seconds)


def _run(study: str, draws: Sequence[int]) -> xr.Dataset:
    return replace(STUDIES[study], draws=tuple(draws)).run()


#: The estimators of the chapter's claims, by id.
ESTIMATORS: Mapping[str, Callable[..., Measurement]] = {
    **{id + way: partial(case_gain, id, method) for id in CASES for way, method in WAYS.items()},
    "structure-settled": partial(resolved, "teacher"),
    "structure-noise-settled": partial(resolved, "noise"),
    "structure-control-settled": partial(resolved, "two views"),
    "structure-noise-average": noise_average,
    "structure-dial-ratio": dial_ratio,
    "structure-dial-half": partial(dial_half, 0.4),
    "structure-dial-half-faint": partial(dial_half, 0.2),
    "structure-dial-end": dial_end,
}
