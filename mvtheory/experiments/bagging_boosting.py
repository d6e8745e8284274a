"""Claims about bagging, boosting and the book's nets: which of variance, margins and coverage explains their gains."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from mvtheory.classical.decomposition import variance_curve
from mvtheory.experiments.base import Measurement, select
from mvtheory.experiments.classical_study import CLASSICAL_DRAWS, PLACES, ClassicalStudy, NetVotes
from mvtheory.experiments.ensembling import factor
from mvtheory.experiments.settings import SETTING, Setting
from mvtheory.measurement import Estimate, difference_over_draws, over_draws

__all__ = [
    "ESTIMATORS",
    "error_table",
    "excess_factor",
    "method_error",
    "method_gain",
    "rounds_to_fit",
]

#: The level of the margins whose rise is measured: a tenth of the training inputs lie below.
LOW_MARGIN = 0.1


def method_error(data: xr.Dataset, method: str, where: str) -> Estimate:
    """Return the error of a classical method.

    Parameters
    ----------
    data : xarray.Dataset
        What `ClassicalStudy` measured.
    method : str
        One of the names in `METHODS`.
    where : {"train", "multi-view", "single-view"}
        On which inputs.

    Returns
    -------
    Estimate
    """
    errors = select(data, "error", method=method, where=where)
    return over_draws(errors, points=_inputs(data, where))


def method_gain(data: xr.Dataset, single: str, ensemble: str, where: str) -> Estimate:
    """Return the error of one classical method minus that of another, paired by data set; arguments as above."""
    first, second = (select(data, "error", method=method, where=where) for method in (single, ensemble))
    return difference_over_draws(first, second, points=_inputs(data, where))


def error_table(data: xr.Dataset, nets: xr.Dataset) -> dict[str, dict[str, Estimate]]:
    """Return the errors of all classical methods, of single nets and of their average.

    Parameters
    ----------
    data, nets : xarray.Dataset
        What `ClassicalStudy` and `NetVotes` measured.

    Returns
    -------
    dict of str to dict of str to Estimate
        By method and by where: ``"train"``, ``"multi-view"``, ``"single-view"``.
    """
    table = {name: {where: method_error(data, name, where) for where in PLACES} for name in data["method"].values}
    count = nets.sizes["draw"] * nets.sizes["net"]
    for name, variable in {"net": "error", "average of nets": "error of average"}.items():
        table[name] = {
            where: over_draws(select(nets, variable, where=where), points=_inputs(nets, where), nets=count)
            for where in PLACES
        }
    return table


def rounds_to_fit(data: xr.Dataset) -> Int[np.ndarray, " draws"]:
    """Return the round in which boosted small trees lose their last training error, from 1.

    Raises
    ------
    ValueError
        If on some data set they never do.
    """
    fitted = select(data, "boost error", where="train") == 0
    if not fitted.any(-1).all():
        raise ValueError(f"rounds must be enough to fit every training set; got {fitted.shape[-1]}")
    return fitted.argmax(-1) + 1


def excess_factor(errors: Float[np.ndarray, " sizes"], largest: int) -> float:
    """Return the factor by which one more member multiplies the error, minus the factor by variance.

    Parameters
    ----------
    errors : array, shape [sizes]
        Errors of averages of 1, 2, ... members. The account by variance is matched to the first and the last.
    largest : int, in [2, sizes]
        The factors are those up to averages of so many members.

    Returns
    -------
    float
    """
    return factor(errors[:largest]) - factor(variance_curve(errors)[:largest])


def bagging(draws: Sequence[int] = CLASSICAL_DRAWS, setting: Setting = SETTING) -> Measurement:
    """Measure the fall of the squared loss of bagged trees, over the fall predicted from other training sets."""
    data = _study(draws, setting)
    loss = select(data, "loss by size", trees="bagged trees", test="multi-view")  # [draws, B]
    B, lost = loss.shape[1], select(data, "other sets", term="lost")
    fall = (loss[:, 0] - loss[:, -1]) / (lost * (1 - 1 / B))
    return Measurement(over_draws(fall, points=None, nets=loss.size), data.seconds)


def stable(draws: Sequence[int] = CLASSICAL_DRAWS, setting: Setting = SETTING) -> Measurement:
    """Measure the error of a linear model on single-view inputs minus that of bagged ones."""
    data = _study(draws, setting)
    return Measurement(method_gain(data, "linear", "bagged linear", "single-view"), data.seconds)


def margin(draws: Sequence[int] = CLASSICAL_DRAWS, setting: Setting = SETTING) -> Measurement:
    """Measure how much the lowest margins of boosted trees rise after the last training error."""
    data = _study(draws, setting)
    low = select(data, "boost margins", level=LOW_MARGIN)  # [draws, rounds]
    rise = low[:, -1] - _when_fitted(data, low)
    return Measurement(over_draws(rise, points=None), data.seconds)


def boosting(draws: Sequence[int] = CLASSICAL_DRAWS, setting: Setting = SETTING) -> Measurement:
    """Measure how much the test error of boosted trees falls after the last training error."""
    data = _study(draws, setting)
    error = select(data, "boost error", where="multi-view")  # [draws, rounds]
    fall = _when_fitted(data, error) - error[:, -1]
    return Measurement(over_draws(fall, points=None), data.seconds)


def tree_excess(draws: Sequence[int] = CLASSICAL_DRAWS, setting: Setting = SETTING) -> Measurement:
    """Measure the factor by which one more bagged tree multiplies the error, minus the factor by variance."""
    data = _study(draws, setting)
    errors = select(data, "error by size", trees="bagged trees", test="multi-view")  # [draws, B]
    return Measurement(_excess(errors, setting.members), data.seconds)


def vote_margins(draws: Sequence[int] = CLASSICAL_DRAWS, setting: Setting = SETTING) -> Measurement:
    """Measure what averaging all members adds to the margins of the votes in training."""
    nets = NetVotes(draws=tuple(draws), setting=setting).run()
    alone, together = (select(nets, "margin", votes=count) for count in (1, setting.members))
    points, count = _inputs(nets, "train"), setting.members * len(alone)
    return Measurement(difference_over_draws(together, alone, points=points, nets=count), _training(nets))


def kept_share(draws: Sequence[int] = CLASSICAL_DRAWS, setting: Setting = SETTING) -> Measurement:
    """Measure the share of the nets' squared loss on single-view inputs that no average can remove."""
    nets = NetVotes(draws=tuple(draws), setting=setting).run()
    split = select(nets, "split")  # [draws, 2]: kept, lost
    kept = split[:, 0] / split.sum(-1)
    return Measurement(over_draws(kept, points=None, nets=setting.members * len(kept)), _training(nets))


def net_excess(draws: Sequence[int] = CLASSICAL_DRAWS, setting: Setting = SETTING) -> Measurement:
    """Measure the factor by which one more net multiplies the error, minus the factor by variance."""
    nets = NetVotes(draws=tuple(draws), setting=setting).run()
    return Measurement(_excess(select(nets, "error by size"), setting.members), _training(nets))


def seeing_tree(draws: Sequence[int] = CLASSICAL_DRAWS, setting: Setting = SETTING) -> Measurement:
    """Measure the error on single-view inputs of a tree that sees the views."""
    data = _study(draws, setting)
    return Measurement(method_error(data, "seeing tree", "single-view"), data.seconds)


def _study(draws: Sequence[int], setting: Setting) -> xr.Dataset:
    test = min(ClassicalStudy.test, setting.test_single_view, setting.test_multi_view)
    return ClassicalStudy(draws=tuple(draws), setting=setting, test=test).run()


def _excess(errors: Float[np.ndarray, "draws sizes"], largest: int) -> Estimate:
    return over_draws([[excess_factor(e, largest)] for e in errors], points=None, nets=errors.size)


def _when_fitted(data: xr.Dataset, values: Float[np.ndarray, "draws rounds"]) -> Float[np.ndarray, " draws"]:
    return values[np.arange(len(values)), rounds_to_fit(data) - 1]


def _inputs(data: xr.Dataset, where: str) -> int:
    return int(select(data, "inputs", where=where).min())


def _training(nets: xr.Dataset) -> float:
    return float(nets["training"].sum())


#: The estimators of the chapter's claims, by id.
ESTIMATORS: Mapping[str, Callable[..., Measurement]] = {
    "classical-bagging": bagging,
    "classical-stable": stable,
    "classical-margin": margin,
    "classical-boosting": boosting,
    "classical-votes": vote_margins,
    "classical-bias": kept_share,
    "classical-trees": tree_excess,
    "classical": net_excess,
    "classical-lottery": seeing_tree,
}
