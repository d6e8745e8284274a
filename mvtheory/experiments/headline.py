"""The five errors that the theory is about, for the index and the README: each as its claim measures it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mvtheory.experiments import measure
from mvtheory.experiments.ensembling import trained_average_error
from mvtheory.experiments.predictions import CLAIMS
from mvtheory.measurement import Estimate

__all__ = ["headline"]

_CLAIMS = {"single": "single", "ensemble": "ensemble", "distilled": "distill", "self-distilled": "self-distill"}


def headline(**options: Any) -> Mapping[str, tuple[Estimate, tuple[float, float]]]:
    """Measure the errors on single-view test inputs of all kinds of nets.

    Parameters
    ----------
    **options
        What all estimators take, ``draws`` and ``setting``; by default the data sets and the setting of each claim.

    Returns
    -------
    dict of str to (Estimate, (float, float))
        By the names of :data:`mvtheory.plotting.COLOURS`, the measured error and the range that the theory allows. The
        trained average should err like a single net.
    """
    claims = {name: measure(id, **options) for name, id in _CLAIMS.items()}
    measured = {name: (claim.measured, claim.predicted) for name, claim in claims.items() if claim.measured}
    return measured | {"trained average": (trained_average_error(**options), CLAIMS["single"].predicted)}
