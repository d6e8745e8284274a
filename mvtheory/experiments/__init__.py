"""What the book measures: settings, experiments, one estimator for each claim, and the table of all claims.

`predictions` is the table of claims: what is predicted. Each chapter has a module whose ``ESTIMATORS`` measure its
claims, such as `ensembling` for the error of an ensemble, or `bagging_boosting` for the chapter on classical ensembles:
see ``_MODULES``. They share `settings`, `nets`, `control_variate`, `base` and `notebook`. The other modules hold
experiments, which those of the chapters import.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from mvtheory._check import check_choice
from mvtheory.claims import Claim

__all__ = ["estimator", "measure"]

#: The module that measures the claims of a chapter; each has a dict ``ESTIMATORS``, by id.
_MODULES = {
    "02-single-model": "single_model",
    "03-ensembling": "ensembling",
    "04-distillation": "distilling",
    "05-self-distillation": "self_distilling",
    "06-random-features": "random_features",
    "07-lazy": "lazy_training",
    "08-classical": "bagging_boosting",
    "09-structure": "gains",
    "10-digits": "digit_images",
    "11-regime": "regime",
    "12-scale": "scale",
    "13-practice": "practice",
    "14-rules": "rule_map",
    "15-photographs": "fashion_pairs",
    "16-convolutions": "fashion_plain",
}


def measure(id: str, **options: Any) -> Claim:
    """Measure a claim of the book, as its chapter does.

    Parameters
    ----------
    id : str
        A key of :data:`mvtheory.experiments.predictions.CLAIMS`.
    **options
        What the claim's estimator takes: mostly ``draws``, the numbers of the data sets, and ``setting``. By default
        those of the book.

    Returns
    -------
    Claim
        With its measurement and verdict.

    Raises
    ------
    ValueError
        If there is no such claim, or the estimator does not take an option.

    Examples
    --------
    ``measure("single", draws=range(11, 16))`` trains nets on five other data sets.
    """
    from mvtheory.experiments.predictions import CLAIMS

    claim, function = CLAIMS[check_choice("id", id, CLAIMS)], estimator(id)
    for name in options:
        check_choice(f"options of {id!r}", name, inspect.signature(function).parameters)
    estimate, seconds, raw = function(**options)
    if "setting" in options:
        claim = replace(claim, setting=f"{claim.setting}, changed")
    return claim.measure(estimate, seconds=seconds, raw=raw)


def estimator(id: str) -> Callable[..., Any]:
    """Return the function that measures a claim: it gives a :class:`mvtheory.experiments.base.Measurement`.

    Parameters
    ----------
    id : str
        A key of :data:`mvtheory.experiments.predictions.CLAIMS`.

    Returns
    -------
    callable
    """
    from mvtheory.experiments.predictions import CLAIMS

    module = _MODULES[CLAIMS[check_choice("id", id, CLAIMS)].chapter]
    found: Mapping[str, Callable[..., Any]] = importlib.import_module(f"{__name__}.{module}").ESTIMATORS
    return found[id]
