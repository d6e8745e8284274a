"""A contrast to trained nets on multi-view data: features that stay fixed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mvtheory._check import check_choice, check_int
from mvtheory.experiments.base import DRAWS, FULL
from mvtheory.experiments.nets import Draw
from mvtheory.experiments.settings import STUDENT_SETTING, Setting
from mvtheory.linear.comparison import METHODS, compare
from mvtheory.linear.feature_maps import gaussian_weights, relu_features, tangent_features, view_feature_norm
from mvtheory.linear.ridge import every_fifth
from mvtheory.measurement import Estimate, difference_over_draws, over_draws
from mvtheory.persistence.store import cached

__all__ = ["KINDS", "STRATA", "FeatureResults", "FeatureStudy"]

KINDS = ("tangent", "ReLU")

STRATA = ("multi-view", "single-view")

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class FeatureStudy:
    """Models with fixed features on multi-view data, by all methods: see :func:`mvtheory.linear.comparison.compare`.

    Their features are the tangent features of the patch networks, or random ReLU features of patches. They learn from
    the training sets that the book's nets learn from.

    Attributes
    ----------
    setting : Setting
        Data, activation and initial weights; `widths` take the place of its width.
    test : int
        Test inputs of each kind, at most those of the setting.
    nets : int, >= 2
        Models L in the ensemble.
    widths, relu_widths : tuple of int
        Neurons of a class, m, for tangent features; number R of random ReLU features.
    draws : tuple of int
        Numbers of the data draws, the independent repetitions. The widths were chosen on others.
    """

    setting: Setting = STUDENT_SETTING
    test: int = 500
    nets: int = 10
    widths: tuple[int, ...] = (1, 2)
    relu_widths: tuple[int, ...] = (20, 40, 80, 160, 320)
    draws: tuple[int, ...] = DRAWS if FULL else DRAWS[:5]

    def __post_init__(self) -> None:
        _check_draws(self.draws)
        check_int("nets", self.nets, low=2)
        check_int("test", self.test, low=1, high=min(self.setting.test_single, self.setting.test_multi))
        for name in ("widths", "relu_widths"):
            for width in getattr(self, name):
                check_int(name, width, low=1)

    def run(self) -> FeatureResults:
        """Fit and test everything, or read what an earlier run left on disk."""
        key = {"study": "features", **asdict(self)}
        tensors, meta = cached(key, lambda: _on_one_thread(self._compute))
        widths = {"tangent": self.widths, "ReLU": self.relu_widths}
        return FeatureResults(widths, self.nets, self.test, tensors, meta["seconds"])

    def _compute(self) -> Tensors:
        draws = [Draw(number, self.setting) for number in self.draws]
        tangent = _stack([_stack([self._tangent(draw, m) for m in self.widths]) for draw in draws])
        relu = _stack([_stack([self._relu(draw, R) for R in self.relu_widths]) for draw in draws])
        parts = {"tangent": tangent, "ReLU": relu}
        return {f"{kind} {name}": value for kind, part in parts.items() for name, value in part.items()}

    def _tangent(self, draw: Draw, m: int) -> Tensors:
        start = Draw(draw.number, replace(self.setting, m=m)).init(0, self.nets)
        found, outputs = self._compare(draw, lambda x: tangent_features(start, x).contiguous())
        wrong = _wrong_by_view(outputs["single"][1], draw.test_single[: self.test])
        return found | {"visibility": view_feature_norm(start, draw.task.views), "wrong by view": wrong}

    def _relu(self, draw: Draw, R: int) -> Tensors:
        w = gaussian_weights(self.nets, R, draw.task.d, seed=draw.seed + 10_000)
        return self._compare(draw, lambda x: relu_features(w, x))[0]

    def _compare(self, draw: Draw, features: Callable[[Tensor], Tensor]) -> tuple[Tensors, dict[str, list[Tensor]]]:
        tests = [(sample.x[: self.test], sample.y[: self.test]) for sample in (draw.test_multi, draw.test_single)]
        return compare(features, draw.train.x, draw.train.y, tests, k=draw.task.k, held=every_fifth(len(draw.train)))


@dataclass(frozen=True)
class FeatureResults:
    """What a study of fixed features measured.

    Attributes
    ----------
    widths : dict of str to tuple of int
        By kind of features, the widths.
    nets, test : int
        Models in the ensemble, and test inputs of each kind, on every draw.
    tensors : dict of str to Tensor
        By kind and method, such as ``"tangent single"``, the errors, shape [draws, widths, 2, nets]; the ``"growing
        ensemble"`` averages the first 1, 2, ... models, the ``"ensemble"`` all of them. Further, on single-view inputs,
        squared ``"bias"`` and ``"variance"``, and the ``"share"`` of the labels in the span of the features, shape
        [draws, widths]; the ``"ridge"`` of single models, distilled, self-distilled ones, trained average and wide
        student, shape [draws, widths, 5]. With multi-view data ``"visibility"`` of each own view and ``"wrong by
        view"``, the error of single models on the single-view inputs that keep it, shape [draws, widths, nets, k, M].
    seconds : float
        Wall time of the run.
    """

    widths: dict[str, tuple[int, ...]]
    nets: int
    test: int
    tensors: Tensors
    seconds: float

    def values(self, name: str, width: int, kind: str = "tangent") -> Tensor:
        """Return what `tensors` hold of one kind of features at one width, [draws, ...]."""
        place = self._place(width, kind)
        names = [key.removeprefix(f"{kind} ") for key in self.tensors if key.startswith(f"{kind} ")]
        return self.tensors[f"{kind} {check_choice('name', name, names)}"][:, place]

    def errors(
        self, method: str, width: int, stratum: str = "single-view", kind: str = "tangent"
    ) -> Float[Tensor, "draws nets"]:
        """Test errors of the models of one method, at one width, on one kind of input."""
        row = STRATA.index(check_choice("stratum", stratum, STRATA))
        return self.values(check_choice("method", method, METHODS), width, kind)[:, row]

    def error(self, method: str, width: int, stratum: str = "single-view", kind: str = "tangent") -> Estimate:
        """Mean of `errors` with its interval; an ensemble counts all of its models."""
        errors = self.errors(method, width, stratum, kind)
        return over_draws(errors, points=self.test, nets=self.nets * len(errors))

    def difference(
        self, first: str, second: str, width: int, stratum: str = "single-view", kind: str = "tangent"
    ) -> Estimate:
        """Mean error of one method minus that of another, paired by data draw."""
        a, b = (self.errors(method, width, stratum, kind) for method in (first, second))
        return difference_over_draws(a, b, points=self.test, nets=self.nets * len(a))

    def by_visibility(self, width: int, groups: int = 4) -> list[Estimate]:
        """Error of single models on single-view inputs, by how well they see the kept view.

        First where its visibility is 0, then for the rest in equal groups, least visible first.
        """
        seen, wrong = (self.values(name, width).flatten(1).contiguous() for name in ("visibility", "wrong by view"))
        edges = seen[seen > 0].quantile(torch.linspace(0, 1, groups + 1)[1:-1])
        group = torch.where(seen > 0, torch.bucketize(seen, edges) + 1, 0)
        group[wrong.isnan()] = -1  # a small test set may keep some view nowhere
        rows = [[w[g == number] for w, g in zip(wrong, group, strict=True)] for number in range(groups + 1)]
        nets = self.nets * len(seen)
        return [over_draws(row, points=self.test // (groups + 1), nets=nets) for row in rows]

    def _place(self, width: int, kind: str) -> int:
        widths = self.widths[check_choice("kind", kind, self.widths)]
        return widths.index(check_choice("width", width, widths))


def _wrong_by_view(F: Float[Tensor, "L n k"], single: Sample) -> Float[Tensor, "L k M"]:
    """Return the error on the single-view inputs that keep a view, for each view."""
    _, k, M = single.strength.shape
    wrong = (F.argmax(-1) != single.y).double()
    kept = torch.nn.functional.one_hot(single.y * M + single.kept, k * M).double()
    return (wrong @ kept / kept.sum(0)).view(len(F), k, M)


def _on_one_thread(compute: Callable[[], Tensors]) -> tuple[Tensors, dict[str, Any]]:
    """Run `compute` so that sums have one order, whatever the machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return compute(), {}
    finally:
        torch.set_num_threads(threads)


def _stack(parts: list[Tensors]) -> Tensors:
    return {name: torch.stack([part[name] for part in parts]) for name in parts[0]}


def _check_draws(draws: tuple[int, ...]) -> None:
    for draw in draws:
        check_int("draws", draw, low=1)
    if len(draws) < 2 or len(set(draws)) < len(draws):
        raise ValueError(f"draws must be at least 2 different seeds; got {draws}")
