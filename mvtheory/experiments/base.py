"""What all experiments share: data sets that are checked, one thread, results with labels that are kept on disk.

An experiment is a frozen dataclass: its fields say what is computed, and :meth:`Experiment.on` computes it for one data
set. :meth:`Experiment.run` does so for all, once, and returns an :class:`xarray.Dataset` whose first axis is ``draw``.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from threadpoolctl import threadpool_limits
from torch import Tensor

from mvtheory._check import check_choice, check_int
from mvtheory.measurement import Estimate
from mvtheory.persistence.store import cached

__all__ = [
    "DRAWS",
    "FULL",
    "STUDENT_DRAWS",
    "Experiment",
    "Measurement",
    "check_draws",
    "labelled",
    "one_thread",
    "select",
]

#: Whether the environment variable ``MVTHEORY_FULL`` is 1: five times the data sets.
FULL = check_choice("environment variable MVTHEORY_FULL", os.environ.get("MVTHEORY_FULL", "0"), ("0", "1")) == "1"

#: The data sets that the book reports. Its setting was chosen on others, with numbers from 3000 to 3999.
DRAWS = tuple(range(5001, 5081 if FULL else 5017))

#: Those of them that have students and jointly trained averages, which cost more.
STUDENT_DRAWS = DRAWS[: 25 if FULL else 5]


class Measurement(NamedTuple):
    """What an estimator of a claim returns.

    Attributes
    ----------
    estimate : Estimate
        The measured value with its interval.
    seconds : float
        Wall time of the training behind it.
    raw : Estimate, optional
        The value before adjustment, where the estimate was adjusted by a control variate.
    """

    estimate: Estimate
    seconds: float
    raw: Estimate | None = None


def check_draws(draws: Sequence[int], least: int = 2) -> None:
    """Raise an error unless `draws` are the numbers, from 1, of at least `least` different data sets."""
    for draw in draws:
        check_int("draws", draw, low=1)
    if len(draws) < least or len(set(draws)) < len(draws):
        raise ValueError(f"draws must be at least {least} different numbers of data sets; got {tuple(draws)}")


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch and all other libraries compute on one thread, so that sums have one order on every machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class Experiment(ABC):
    """Something that is measured on several data sets; subclasses are frozen dataclasses with a field `draws`."""

    def __post_init__(self) -> None:
        check_draws(self.draws)

    draws: tuple[int, ...] = DRAWS

    @abstractmethod
    def on(self, number: int) -> xr.Dataset:
        """Return what is measured on the data set of this number.

        All data sets must give the same variables, with the same dimensions and coordinates.
        """

    def run(self) -> xr.Dataset:
        """Measure on all data sets, or read what an earlier run left on disk.

        Returns
        -------
        xarray.Dataset
            With the first dimension ``draw``, and the wall time of the run in ``attrs["seconds"]``.
        """
        settings = {part.name: repr(getattr(self, part.name)) for part in fields(self)}
        tensors, meta = cached({"experiment": type(self).__name__, **settings}, self._compute)
        variables = {name: (meta["dims"][name], tensor.numpy()) for name, tensor in tensors.items()}
        return xr.Dataset(variables, coords=meta["coords"], attrs={"seconds": meta["seconds"]})

    def _compute(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        with one_thread():
            parts = [self.on(number) for number in self.draws]
        draws = xr.DataArray(list(self.draws), dims="draw", name="draw")
        data = xr.concat(parts, draws, data_vars="all", coords="minimal", compat="equals", join="exact")
        tensors = {str(name): torch.from_numpy(np.ascontiguousarray(values)) for name, values in data.data_vars.items()}
        dims = {str(name): list(values.dims) for name, values in data.data_vars.items()}
        return tensors, {
            "dims": dims,
            "coords": {str(name): values.values.tolist() for name, values in data.coords.items()},
        }


def labelled(variables: Mapping[str, tuple[str, Any]], **coords: Sequence[Any]) -> xr.Dataset:
    """Return arrays or tensors with names for their axes.

    Parameters
    ----------
    variables : dict of str to (str, array)
        By name, the axes' names, separated by spaces, and the values: ``{"error": ("stratum net", errors)}``.
    **coords : sequence
        Labels along an axis, by its name. Axes without labels are numbered.

    Returns
    -------
    xarray.Dataset

    Examples
    --------
    >>> data = labelled({"error": ("stratum net", torch.zeros(2, 5))}, stratum=["multi-view", "single-view"])
    >>> dict(data.sizes)
    {'stratum': 2, 'net': 5}
    """
    arrays = {name: (axes.split(), np.asarray(values)) for name, (axes, values) in variables.items()}
    return xr.Dataset(arrays, coords={name: list(labels) for name, labels in coords.items()})


def select(data: xr.Dataset, name: str, **labels: Any) -> np.ndarray:
    """Return a variable at some labels, its other axes in order.

    Parameters
    ----------
    data : xarray.Dataset
        What an experiment measured.
    name : str
        The variable.
    **labels
        For an axis by name, the label to pick.

    Returns
    -------
    array

    Raises
    ------
    ValueError
        If there is no such variable or label; the message names those that there are.

    Examples
    --------
    >>> data = labelled({"error": ("alpha net", torch.arange(6.0).view(2, 3))}, alpha=[1.0, 10.0])
    >>> select(data, "error", alpha=10.0)
    array([3., 4., 5.], dtype=float32)
    """
    values = data[check_choice("name", name, data.data_vars)]
    for axis, label in labels.items():
        check_choice(axis, label, data[check_choice("axis", axis, values.dims)].values.tolist())
    return values.sel(labels).values
