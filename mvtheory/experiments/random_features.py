"""A contrast to trained nets: claims about models with fixed features, on multi-view data and on digits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor

from mvtheory._check import check_int
from mvtheory.data import Sample
from mvtheory.experiments import digit_features
from mvtheory.experiments.base import DRAWS, FULL, Measurement, select
from mvtheory.experiments.digit_images import SPLITS
from mvtheory.experiments.fixed_features import FeatureStudy, difference
from mvtheory.experiments.nets import Draw
from mvtheory.experiments.settings import SETTING, Setting
from mvtheory.linear.comparison import compare
from mvtheory.linear.feature_maps import gaussian_weights, relu_features, tangent_features, view_feature_norm
from mvtheory.linear.ridge import every_fifth
from mvtheory.measurement import Estimate, over_draws, wrong

__all__ = ["ESTIMATORS", "NARROW", "STUDIES", "MultiViewFeatures", "error_by_visibility"]

Outputs = dict[str, list[Tensor]]


@dataclass(frozen=True)
class MultiViewFeatures(FeatureStudy):
    """Models with fixed features on multi-view data: the training sets that the book's nets learn from.

    The features are the tangent features of the patch networks, with `widths` neurons m of a class, or random ReLU
    features of patches, with `widths` their number R. Tangent features also give the ``"visibility"`` of each own view,
    and ``"wrong by view"``, the error of single models on the single-view inputs that keep it.

    Attributes
    ----------
    setting : Setting
        Data, activation and initial weights; `widths` take the place of its width.
    test : int
        Test inputs of each kind, at most those of the setting.
    draws : tuple of int
        Numbers of the data sets. The widths were chosen on others.
    """

    draws: tuple[int, ...] = DRAWS if FULL else DRAWS[:5]
    setting: Setting = SETTING
    test: int = 500

    def __post_init__(self) -> None:
        super().__post_init__()
        check_int("test", self.test, low=1, high=min(self.setting.test_single_view, self.setting.test_multi_view))

    def on(self, number: int) -> xr.Dataset:
        """Return what all methods reach on the data set of this number."""
        draw, at = Draw(number, self.setting), {"tangent": self._tangent, "ReLU": self._relu}[self.kind]
        return self._labelled([at(draw, width) for width in self.widths], points=self.test)

    def _tangent(self, draw: Draw, m: int) -> dict[str, Tensor]:
        start = Draw(draw.number, replace(self.setting, m=m)).init(0, self.nets)
        found, outputs = self._compare(draw, lambda x: tangent_features(start, x).contiguous())
        missed = _wrong_by_view(outputs["single"][1], draw.test_single_view[: self.test])
        return found | {"visibility": view_feature_norm(start, draw.task.views), "wrong by view": missed}

    def _relu(self, draw: Draw, R: int) -> dict[str, Tensor]:
        w = gaussian_weights(self.nets, R, draw.task.d, seed=draw.seed + 10_000)
        return self._compare(draw, lambda x: relu_features(w, x))[0]

    def _compare(self, draw: Draw, features: Callable[[Tensor], Tensor]) -> tuple[dict[str, Tensor], Outputs]:
        tests = [
            (sample.x[: self.test], sample.y[: self.test]) for sample in (draw.test_multi_view, draw.test_single_view)
        ]
        return compare(features, draw.train.x, draw.train.y, tests, k=draw.task.k, held=every_fifth(len(draw.train)))


#: The widths that the claims are about, by kind of features: single models err about as often as a single net. They
#: were chosen on data set 3001.
NARROW: Mapping[str, int] = {"tangent": 2, "ReLU": 80}

#: The experiments of the book, by kind of features.
STUDIES: Mapping[str, MultiViewFeatures] = {
    "tangent": MultiViewFeatures(kind="tangent", widths=(1, 2)),
    "ReLU": MultiViewFeatures(kind="ReLU", widths=(20, 40, 80, 160, 320)),
}


def error_by_visibility(data: xr.Dataset, width: int, groups: int = 4) -> list[Estimate]:
    """Return the error of single models on single-view inputs, by how well they see the kept view.

    Parameters
    ----------
    data : xarray.Dataset
        What was found with tangent features.
    width : int
        One of the study's widths.
    groups : int, >= 1
        Groups of equal size.

    Returns
    -------
    list of Estimate
        First where the visibility is 0, then for each group of the rest, least visible first.
    """
    check_int("groups", groups, low=1)
    parts = (select(data, name, width=width) for name in ("visibility", "wrong by view"))
    seen, missed = (torch.from_numpy(part).flatten(1).contiguous() for part in parts)
    edges = seen[seen > 0].quantile(torch.linspace(0, 1, groups + 1)[1:-1])
    group = torch.where(seen > 0, torch.bucketize(seen, edges) + 1, 0)
    group[missed.isnan()] = -1  # a small test set may keep some view nowhere
    rows = [[w[g == number] for w, g in zip(missed, group, strict=True)] for number in range(groups + 1)]
    nets, points = data.sizes["draw"] * data.sizes["model"], int(data["points"][0]) // (groups + 1)
    return [over_draws(row, points=points, nets=nets) for row in rows]


def _wrong_by_view(F: Float[Tensor, "L n k"], single: Sample) -> Float[Tensor, "L k M"]:
    """Return the error on the single-view inputs that keep a view, for each view."""
    _, k, M = single.strength.shape
    missed = torch.from_numpy(wrong(F, single.y)).double()
    kept = torch.nn.functional.one_hot(single.y * M + single.kept, k * M).double()
    return (missed @ kept / kept.sum(0)).view(len(F), k, M)


def _on_views(
    kind: str, first: str, second: str, draws: Sequence[int] = STUDIES["ReLU"].draws, setting: Setting = SETTING
) -> Measurement:
    """Measure the error of one method minus that of another on multi-view data."""
    return _difference(replace(STUDIES[kind], draws=tuple(draws), setting=setting), first, second, NARROW[kind])


def _on_digits(kind: str, first: str, second: str, draws: Sequence[int] = SPLITS) -> Measurement:
    """Measure the error of one method minus that of another on digits; `draws` are the splits of the images."""
    study = replace(digit_features.STUDIES[kind], draws=tuple(draws))
    return _difference(study, first, second, study.widths[0])


def _difference(study: FeatureStudy, first: str, second: str, width: int) -> Measurement:
    data = study.run()
    return Measurement(difference(data, first, second, width), data.attrs["seconds"])


_METHODS = {
    "rf-ensemble": ("single", "ensemble"),
    "rf-train-average": ("trained average", "ensemble"),
    "rf-distill": ("distilled", "single"),
}
_CASES: Mapping[str, Callable[..., Measurement]] = {
    "": partial(_on_views, "tangent"),
    "-relu": partial(_on_views, "ReLU"),
    "-digits": partial(_on_digits, "tangent"),
    "-relu-digits": partial(_on_digits, "ReLU"),
}

#: The estimators of the chapter's claims, by id.
ESTIMATORS: Mapping[str, Callable[..., Measurement]] = {
    claim + case: partial(measure, *methods) for case, measure in _CASES.items() for claim, methods in _METHODS.items()
}
