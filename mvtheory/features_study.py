"""A contrast to trained nets on multi-view data: features that stay fixed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mvtheory._check import check_choice, check_int, check_number
from mvtheory.data import Sample
from mvtheory.ensemble import average
from mvtheory.features import TangentNets, TangentRidge, one_hot, tangent_features, visibility
from mvtheory.measurement import Estimate, difference_over_draws, error_rate, over_draws
from mvtheory.store import cached
from mvtheory.study import SETTING, Draw, Setting

__all__ = ["STRATA", "FeatureResults", "FeatureStudy"]

STRATA = ("multi-view", "single-view")

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class FeatureStudy:
    """Tangent models of the patch networks: single, ensemble, trained average, students.

    They learn from the training sets that the book's nets learn from. Each model is in
    turn the student of the average of all others (*distilled*) and of the model after it
    (*self-distilled*). The *wide student* has the features of all models and learns from
    their average.

    Attributes
    ----------
    setting : Setting
        Data, activation and initial weights; `widths` take the place of its width.
    test : int
        Test inputs of each kind, at most those of the setting.
    nets : int, >= 2
        Models L in the ensemble.
    widths : tuple of int
        Neurons of a class, m.
    ridge : float, > 0
        See `TangentRidge`. Chosen, like the widths, on draws that are not among `draws`.
    draws : tuple of int
        Numbers of the data draws, the independent repetitions.
    """

    setting: Setting = SETTING
    test: int = 500
    nets: int = 10
    widths: tuple[int, ...] = (1, 2, 4)
    ridge: float = 1.0
    draws: tuple[int, ...] = (12, 13, 14, 15, 16)

    def __post_init__(self) -> None:
        _check_draws(self.draws)
        check_int("nets", self.nets, low=2)
        check_int("test", self.test, low=1, high=min(self.setting.test_single, self.setting.test_multi))
        for width in self.widths:
            check_int("widths", width, low=1)
        check_number("ridge", self.ridge, low=0, open_low=True)

    def run(self) -> FeatureResults:
        """Fit and test everything, or read what an earlier run left on disk."""
        tensors, meta = cached({"study": "features", **asdict(self)}, lambda: _on_one_thread(self._compute))
        return FeatureResults(self, tensors, meta["seconds"])

    def _compute(self) -> Tensors:
        draws = (Draw(number, self.setting) for number in self.draws)
        return _stack([_stack([self._fit(draw, m) for m in self.widths]) for draw in draws])

    def _fit(self, draw: Draw, m: int) -> Tensors:
        """Return errors [2, nets] by method, and what each model saw of each view."""
        start = Draw(draw.number, replace(self.setting, m=m)).init(0, self.nets)
        ridge = TangentRidge(start, draw.train.x, ridge=self.ridge)
        labels = one_hot(draw.train.y, draw.task.k)
        fitted = ridge.fit(labels)
        taught = fitted(draw.train.x)
        others = (taught.sum(0) - taught) / (len(taught) - 1)
        fits = {
            "single": fitted,
            "trained average": ridge.fit_average(labels),
            "distilled": ridge.fit(others),
            "self-distilled": ridge.fit(taught.roll(-1, 0)),
            "wide student": ridge.fit_average(average(taught)[None]),
        }
        tests = [sample[: self.test] for sample in (draw.test_multi, draw.test_single)]
        on_test = [_outputs(list(fits.values()), sample.x) for sample in tests]
        errors = {}
        for place, method in enumerate(fits):
            outputs = [F[place] for F in on_test]
            if method == "single":
                number = torch.arange(1, self.nets + 1)[:, None, None]
                errors["growing ensemble"] = _errors([F.cumsum(0) / number for F in outputs], tests)
                errors["ensemble"] = errors["growing ensemble"][:, -1:]
                errors["wrong by view"] = _wrong_by_view(outputs[1], tests[1])
            if method in ("trained average", "wide student"):
                outputs = [average(F)[None] for F in outputs]
            errors[method] = _errors(outputs, tests)
        return errors | {"visibility": visibility(start, draw.task.views)}


@dataclass(frozen=True)
class FeatureResults:
    """What `FeatureStudy.run` measured.

    Attributes
    ----------
    study : FeatureStudy
    tensors : dict of str to Tensor
        By method the errors, shape [draws, widths, 2, nets]; the ``"growing ensemble"`` averages
        the first 1, 2, ... models, the ``"ensemble"`` all of them; ``"visibility"``, shape
        [draws, widths, nets, k, M], of each own view; ``"wrong by view"``, of the same
        shape, the error of single models on the single-view inputs that keep that view.
    seconds : float
        Wall time of the run.
    """

    study: FeatureStudy
    tensors: Tensors
    seconds: float

    def errors(self, method: str, width: int, stratum: str = "single-view") -> Float[Tensor, "draws nets"]:
        """Test errors of the models of one method, at one width, on one kind of input."""
        place = self.study.widths.index(check_choice("width", width, self.study.widths))
        row = STRATA.index(check_choice("stratum", stratum, STRATA))
        methods = [name for name in self.tensors if name not in ("visibility", "wrong by view")]
        return self.tensors[check_choice("method", method, methods)][:, place, row]

    def error(self, method: str, width: int, stratum: str = "single-view") -> Estimate:
        """Mean of `errors` with its interval; an ensemble counts all of its models."""
        return over_draws(self.errors(method, width, stratum), points=self.study.test, nets=self._nets)

    def difference(self, first: str, second: str, width: int, stratum: str = "single-view") -> Estimate:
        """Mean error of one method minus that of another, paired by data draw."""
        a, b = (self.errors(method, width, stratum) for method in (first, second))
        return difference_over_draws(a, b, points=self.study.test, nets=self._nets)

    def by_visibility(self, width: int, groups: int = 4) -> list[Estimate]:
        """Error of single models on single-view inputs, by how well they see the kept view.

        First where its visibility is 0, then for the rest in equal groups, least visible first.
        """
        place = self.study.widths.index(check_choice("width", width, self.study.widths))
        seen = self.tensors["visibility"][:, place].flatten(1).contiguous()
        wrong = self.tensors["wrong by view"][:, place].flatten(1)
        edges = seen[seen > 0].quantile(torch.linspace(0, 1, groups + 1)[1:-1])
        group = torch.where(seen > 0, torch.bucketize(seen, edges) + 1, 0)
        group[wrong.isnan()] = -1  # a small test set may keep some view nowhere
        rows = [[w[g == number] for w, g in zip(wrong, group, strict=True)] for number in range(groups + 1)]
        return [over_draws(row, points=self.study.test // (groups + 1), nets=self._nets) for row in rows]

    @property
    def _nets(self) -> int:
        return self.study.nets * len(self.study.draws)


def _outputs(fits: list[TangentNets], x: Float[Tensor, "n P d"]) -> Float[Tensor, "fits L n k"]:
    """Return the outputs of several models in the same features, which are computed once."""
    start = fits[0].start
    delta = torch.stack([fit.delta.flatten(2) for fit in fits], -1)
    nets = (tangent_features(start[net : net + 1], x)[0] @ delta[net] for net in range(len(start)))
    return torch.stack([F.permute(2, 1, 0) for F in nets], 1)


def _errors(outputs: list[Tensor], tests: list[Sample]) -> Float[Tensor, "tests nets"]:
    return torch.stack([torch.as_tensor(error_rate(F, test.y)) for F, test in zip(outputs, tests, strict=True)])


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
