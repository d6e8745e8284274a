"""Bagging and boosting on the data of the book's nets: trees, linear models and nets with fixed features."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from sklearn.base import ClassifierMixin
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits
from torch import Tensor

from mvtheory._check import check_choice, check_int, check_number
from mvtheory.classical.decomposition import (
    brier_score,
    decompose_brier,
    decompose_over_training_sets,
    error_with_shared_ties,
    margin_bound,
    margins,
    score_by_size,
    staged_votes,
)
from mvtheory.classical.learners import TangentClassifier, tree_features
from mvtheory.data import Sample
from mvtheory.experiments.base import DRAWS, FULL
from mvtheory.experiments.nets import Draw
from mvtheory.experiments.settings import NET_SETTING, Setting
from mvtheory.measurement import Estimate, difference_over_draws, over_draws
from mvtheory.persistence.store import cached

__all__ = ["METHODS", "PLACES", "ClassicalResults", "ClassicalStudy"]

PLACES = ("train", "multi", "single")

#: Methods by the rows that they learn from: features in the given axes, along the views, or the patches themselves.
METHODS = {
    "given": (
        "tree", "bagged trees", "stump", "boosted stumps", "small tree", "boosted small trees",
        "linear", "bagged linear",
    ),
    "views": ("seeing tree", "bagged seeing trees"),
    "patches": ("fixed", "bagged fixed", "boosted fixed", "many fixed", "boosted many fixed"),
}  # fmt: skip

LEVELS = np.linspace(0, 1, 41)  # of the quantiles of margins that are kept

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class ClassicalStudy:
    """Single learners, bagged and boosted, on the training sets of the book's nets.

    Attributes
    ----------
    setting : Setting
        The data.
    test : int
        Test inputs of each kind, at most those of the setting.
    bags : int, even and >= 4
        Members of a bagged ensemble.
    sets : int, >= 2
        Further training sets of a draw, each for half as many bags: what they say about bagging is the prediction.
    rounds : int, >= 1
        Rounds of boosting.
    depth : int, >= 1
        Depth of the small trees that are boosted; a stump has depth 1.
    fixed : int, >= 2
        Members of ensembles with fixed features, rounds if they are boosted.
    ridge : float, > 0
        Of `TangentClassifier`, which has one neuron a class.
    draws : tuple of int
        Numbers of the data draws. What is set here was chosen on draws 301 to 303.
    """

    setting: Setting = NET_SETTING
    test: int = 500
    bags: int = 20
    sets: int = 3
    rounds: int = 100
    depth: int = 3
    fixed: int = 10
    ridge: float = 0.002
    draws: tuple[int, ...] = DRAWS[:30] if FULL else DRAWS[:6]

    def __post_init__(self) -> None:
        check_int("test", self.test, low=1, high=min(self.setting.test_single, self.setting.test_multi))
        check_int("bags", self.bags, low=4)
        check_int("bags % 2", self.bags % 2, low=0, high=0)
        for name, low in {"sets": 2, "rounds": 1, "depth": 1, "fixed": 2}.items():
            check_int(name, getattr(self, name), low=low)
        check_number("ridge", self.ridge, low=0, open_low=True)
        for draw in self.draws:
            check_int("draws", draw, low=1)
        check_int("number of draws", len(set(self.draws)), low=2)

    def run(self) -> ClassicalResults:
        """Fit and test everything, or read what an earlier run left on disk."""
        tensors, meta = cached({"study": "classical", **asdict(self)}, lambda: (self._compute(), {}))
        return ClassicalResults(self, tensors, meta["seconds"])

    def _compute(self) -> Tensors:
        with threadpool_limits(1):  # so that sums have one order, whatever the machine
            parts = [self._on(Draw(number, self.setting)) for number in self.draws]
        return {name: torch.as_tensor(np.stack([part[name] for part in parts])) for name in parts[0]}

    def _on(self, draw: Draw) -> dict[str, np.ndarray]:
        """Return everything of one draw."""
        samples = (draw.train, draw.test_multi[: self.test], draw.test_single[: self.test])
        y = [sample.y.numpy() for sample in samples]
        found: dict[str, np.ndarray] = {}
        errors = []
        for kind, methods in METHODS.items():
            X = [_rows(sample, kind, draw) for sample in samples]
            for name in methods:
                model = self._model(name, draw).fit(X[0], y[0])
                errors.append(
                    [error_with_shared_ties(_scores(model, rows), labels) for rows, labels in zip(X, y, strict=True)]
                )
                if name.startswith("bagged"):
                    found |= self._bagging(name, model, X, y)
                if name == "boosted small trees":
                    found |= self._boosting(model, X, y)
        return found | {"errors": np.array(errors), "sets": self._sets(draw, y[1])}

    def _model(self, name: str, draw: Draw) -> ClassifierMixin:
        """Return the learner of a row of the table, not fitted."""
        seed, width = draw.seed % 2**31, self.setting.task.P
        act = self.setting.activation
        net = TangentClassifier(
            width, m=1, ridge=self.ridge, q=act.q, varrho=act.varrho, sigma_0=self.setting.sigma_0, random_state=seed
        )
        alike = TangentClassifier(**net.get_params() | {"seed": seed + 100})  # the features of the draw's first net
        base: dict[str, Any] = {
            "tree": DecisionTreeClassifier(random_state=seed),
            "stump": DecisionTreeClassifier(max_depth=1, random_state=seed),
            "small tree": DecisionTreeClassifier(max_depth=self.depth, random_state=seed),
            "linear": LogisticRegression(max_iter=500),
            "fixed": alike,
        }
        base["seeing tree"] = base["tree"]
        if name in base:
            return base[name]
        if name == "many fixed":  # the same data for all, features anew
            return BaggingClassifier(net, self.fixed, bootstrap=False, random_state=seed)
        rounds = self.fixed if "fixed" in name else self.rounds
        if name == "boosted many fixed":
            return AdaBoostClassifier(net, n_estimators=rounds, random_state=seed)
        member = base[name.split(" ", 1)[1].removesuffix("s")]
        if name.startswith("bagged"):
            return BaggingClassifier(member, self.fixed if "fixed" in name else self.bags, random_state=seed)
        return AdaBoostClassifier(member, n_estimators=rounds, random_state=seed)

    def _bagging(self, name: str, model: BaggingClassifier, X: list, y: list) -> dict[str, np.ndarray]:
        """Return how the loss of one member splits on the two kinds of test input; for trees, errors by size."""
        found = {}
        for place in (1, 2):
            p = np.stack([member.predict_proba(X[place]) for member in model.estimators_])
            where = f"{name} {PLACES[place]}"
            found[f"{where} split"] = np.array(decompose_brier(p, y[place]))
            if "tree" in name:
                found[f"{where} error"] = score_by_size(p, y[place], range(1, len(p) + 1), choices=20)
                found[f"{where} loss"] = score_by_size(p, y[place], range(1, len(p) + 1), brier_score, choices=20)
        return found

    def _boosting(self, model: AdaBoostClassifier, X: list, y: list) -> dict[str, np.ndarray]:
        """Return errors and margins by round; the last one stands for rounds that were not needed."""
        votes = [staged_votes(model, rows) for rows in X]
        done, k = votes[0].shape[0], votes[0].shape[-1]
        rounds = (model.estimator_errors_[:done], model.estimator_weights_[:done])
        found = {
            "boost margins": np.quantile(margins(votes[0], y[0]), LEVELS, -1).T,
            "boost below": (margins(votes[0], y[0], "average") <= 0).mean(-1),
            "boost bound": margin_bound(*rounds, k, 0),
            "boost errors": np.array(
                [[error_with_shared_ties(G, labels) for G in v] for v, labels in zip(votes, y, strict=True)]
            ).T,
        }
        return {
            name: np.concatenate([value, np.repeat(value[-1:], self.rounds - done, 0)]) for name, value in found.items()
        }

    def _sets(self, draw: Draw, y: np.ndarray) -> np.ndarray:
        """Split the loss of bagged trees on multi-view inputs over several training sets."""
        half, ask = self.bags // 2, tree_features(draw.test_multi[: self.test])
        members = []
        for place in range(1, self.sets + 1):
            data = draw.task.sample(self.setting.multi, self.setting.single, seed=draw.seed + 10 + place)
            model = BaggingClassifier(DecisionTreeClassifier(), half, random_state=draw.seed % 2**31 + place)
            model.fit(tree_features(data), data.y.numpy())
            members.append([member.predict_proba(ask) for member in model.estimators_])
        return np.array(decompose_over_training_sets(np.array(members), y))


@dataclass(frozen=True)
class ClassicalResults:
    """What `ClassicalStudy.run` measured.

    Attributes
    ----------
    study : ClassicalStudy
    tensors : dict of str to Tensor
        ``"errors"``, shape [draws, methods, 3]. Of bagged methods, such as ``"bagged trees multi"``: the ``split``
        (kept, lost) of a member's loss; of trees the ``error`` and the ``loss`` by size. ``"sets"``: squared bias,
        variance over training sets and within one, from other training sets. Of boosted small trees, by round:
        ``"boost errors"`` in the three places, quantiles of ``"boost margins"`` at 41 levels from 0 to 1, the share
        of training inputs ``"boost below"`` an average rival and its ``"boost bound"``.
    seconds : float
        Wall time of the run.
    """

    study: ClassicalStudy
    tensors: Tensors
    seconds: float

    def errors(self, method: str, where: str) -> Float[Tensor, " draws"]:
        """Errors of a method, on ``"train"``, ``"multi"`` or ``"single"``; ties are settled at random."""
        names = list(_names())
        row = names.index(check_choice("method", method, names))
        return self.tensors["errors"][:, row, PLACES.index(check_choice("where", where, PLACES))]

    def error(self, method: str, where: str) -> Estimate:
        """Mean of `errors` with its interval."""
        return over_draws(self.errors(method, where)[:, None], points=self._points(where))

    def gain(self, single: str, ensemble: str, where: str) -> Estimate:
        """Error of one method minus that of another, paired by draw."""
        first, second = (self.errors(method, where)[:, None] for method in (single, ensemble))
        return difference_over_draws(first, second, points=self._points(where))

    def _points(self, where: str) -> int:
        return self.study.setting.multi + self.study.setting.single if where == "train" else self.study.test


def _names() -> Iterator[str]:
    for methods in METHODS.values():
        yield from methods


def _rows(sample: Sample, kind: str, draw: Draw) -> np.ndarray:
    """Return inputs as rows of numbers."""
    if kind == "patches":
        return sample.x.flatten(1).numpy()
    return tree_features(sample, draw.task.views.flatten(0, 1) if kind == "views" else None)


def _scores(model: Any, X: np.ndarray) -> np.ndarray:
    """Return the votes or probabilities by which a model answers."""
    if isinstance(model, AdaBoostClassifier):
        return staged_votes(model, X)[-1]
    return model.predict_proba(X)
