"""What the experiments with fixed features share: the labels of their results, and the estimates read from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import xarray as xr
from torch import Tensor

from mvtheory._check import check_choice, check_int
from mvtheory.experiments.base import Experiment, labelled, select
from mvtheory.measurement import Estimate, difference_over_draws, over_draws

__all__ = ["KINDS", "STRATA", "FeatureStudy", "by_width", "difference", "error"]

#: Kinds of features: gradients of a net at its initialisation, and random neurons.
KINDS = ("tangent", "ReLU")

#: Kinds of test inputs.
STRATA = ("multi-view", "single-view")

# The axes of what is found at one width, by name. Averages and the wide student are one model, without an axis.
_AXES = {
    **dict.fromkeys(("single", "growing ensemble", "distilled", "self-distilled"), "stratum model"),
    **dict.fromkeys(("ensemble", "trained average", "wide student"), "stratum"),
    **dict.fromkeys(("bias", "variance", "share"), ""),
    "ridge": "fit",
    **dict.fromkeys(("visibility", "wrong by view"), "model class view"),
}
_FITS = ("single", "distilled", "self-distilled", "trained average", "wide student")


@dataclass(frozen=True)
class FeatureStudy(Experiment):
    """Models with fixed features at several widths, by all methods: see :func:`mvtheory.linear.comparison.compare`.

    The dataset of a run holds errors by method, with the axes ``width``, ``stratum`` and, except for averages and the
    wide student, ``model``: the ``"growing ensemble"`` averages the first 1, 2, ... models, the ``"ensemble"`` all of
    them. Further, on single-view inputs and by width, squared ``"bias"`` and ``"variance"``, and the ``"share"`` of the
    labels in the span of the features; the ``"ridge"`` of each ``fit``; and the number of test ``"points"`` of each
    stratum.

    Attributes
    ----------
    kind : {"tangent", "ReLU"}
        Features.
    widths : tuple of int, >= 1
        What the number of features grows with.
    nets : int, >= 2
        Models L in the ensemble.
    """

    kind: str = "tangent"
    widths: tuple[int, ...] = (1,)
    nets: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("kind", self.kind, KINDS)
        check_int("nets", self.nets, low=2)
        check_int("number of widths", len(self.widths), low=1)
        for width in self.widths:
            check_int("widths", width, low=1)

    def _labelled(self, found: Sequence[Mapping[str, Tensor]], points: int) -> xr.Dataset:
        """Label what was found at each width, on so many test inputs of each stratum."""
        variables: dict[str, tuple[str, Any]] = {"points": ("", points)}
        for name in found[0]:
            values = torch.stack([at_width[name] for at_width in found])
            one_model = _AXES[name] == "stratum"
            variables[name] = (f"width {_AXES[name]}", values[..., 0] if one_model else values)
        return labelled(variables, width=self.widths, stratum=STRATA, fit=_FITS)


def by_width(data: xr.Dataset, name: str) -> list[Estimate]:
    """Return a quantity at each width, in the mean over data sets.

    Parameters
    ----------
    data : xarray.Dataset
        What a :class:`FeatureStudy` found.
    name : {"bias", "variance", "share"}
        The quantity.

    Returns
    -------
    list of Estimate
    """
    check_choice("name", name, ("bias", "variance", "share"))
    return [over_draws(values, points=None) for values in select(data, name).T]


def error(data: xr.Dataset, method: str, width: int, stratum: str = "single-view") -> Estimate:
    """Return the error of the models of a method; an average counts all of its models.

    Parameters
    ----------
    data : xarray.Dataset
        What a :class:`FeatureStudy` found.
    method : str
        One of :data:`mvtheory.linear.comparison.METHODS`.
    width : int
        One of the study's widths.
    stratum : {"single-view", "multi-view"}
        Test inputs.

    Returns
    -------
    Estimate
    """
    errors = select(data, method, width=width, stratum=stratum)
    return over_draws(errors, points=int(data["points"][0]), nets=_models(data))


def difference(data: xr.Dataset, first: str, second: str, width: int) -> Estimate:
    """Return the error of one method minus that of another on single-view inputs, paired by data set.

    Parameters
    ----------
    data : xarray.Dataset
        What a :class:`FeatureStudy` found.
    first, second : str
        Two of :data:`mvtheory.linear.comparison.METHODS`.
    width : int
        One of the study's widths.

    Returns
    -------
    Estimate
    """
    a, b = (select(data, method, width=width, stratum="single-view") for method in (first, second))
    return difference_over_draws(a, b, points=int(data["points"][0]), nets=_models(data))


def _models(data: xr.Dataset) -> int:
    return data.sizes["draw"] * data.sizes["model"]
