"""Bagging and boosting on the data of the book's nets, and the nets themselves in the same terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from sklearn.base import ClassifierMixin
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from mvtheory._check import check_int, check_number
from mvtheory.classical.decomposition import (
    brier_score,
    cantelli_bound,
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
from mvtheory.experiments.base import DRAWS, FULL, Experiment, labelled
from mvtheory.experiments.nets import Draw, Nets, singles
from mvtheory.experiments.settings import SETTING, Setting

__all__ = ["CLASSICAL_DRAWS", "METHODS", "PLACES", "ClassicalStudy", "NetVotes"]

#: Data sets of the classical methods: the first of the book's. What is set here was chosen on 301 to 303.
CLASSICAL_DRAWS = DRAWS[:30] if FULL else DRAWS[:6]

#: Where errors are measured: on the training set, on multi-view and on single-view test inputs.
PLACES = ("train", "multi-view", "single-view")

#: Methods by the rows that they learn from: features in the given axes, along the views, or the patches themselves.
METHODS = {
    "given": (
        "tree", "bagged trees", "stump", "boosted stumps", "small tree", "boosted small trees",
        "linear", "bagged linear",
    ),
    "views": ("seeing tree", "bagged seeing trees"),
    "patches": ("fixed", "bagged fixed", "boosted fixed", "many fixed", "boosted many fixed"),
}  # fmt: skip

_BAGGED = tuple(name for names in METHODS.values() for name in names if name.startswith("bagged"))
_TREES = tuple(name for name in _BAGGED if "tree" in name)
_Variables = dict[str, tuple[str, Any]]  # by name, axes and values
_LEVELS = np.linspace(0, 1, 41)  # of the quantiles of margins that are kept


@dataclass(frozen=True)
class ClassicalStudy(Experiment):
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
        Further training sets of a data set, each for half as many bags: what they say about bagging is the prediction.
    rounds : int, >= 1
        Rounds of boosting.
    depth : int, >= 1
        Depth of the small trees that are boosted; a stump has depth 1.
    fixed : int, >= 2
        Members of ensembles with fixed features, rounds if they are boosted.
    ridge : float, > 0
        Of `TangentClassifier`, which has one neuron a class.
    draws : tuple of int
        Numbers of the data sets.
    """

    setting: Setting = SETTING
    test: int = 500
    bags: int = 20
    sets: int = 3
    rounds: int = 100
    depth: int = 5
    fixed: int = 10
    ridge: float = 0.002
    draws: tuple[int, ...] = CLASSICAL_DRAWS

    def __post_init__(self) -> None:
        super().__post_init__()
        check_int("test", self.test, low=1, high=min(self.setting.test_single_view, self.setting.test_multi_view))
        check_int("bags", self.bags, low=4)
        check_int("bags % 2", self.bags % 2, low=0, high=0)
        for name, low in {"sets": 2, "rounds": 1, "depth": 1, "fixed": 2}.items():
            check_int(name, getattr(self, name), low=low)
        check_number("ridge", self.ridge, low=0, open_low=True)

    def on(self, number: int) -> xr.Dataset:
        """Fit all methods to one training set, and say how they err and why.

        Parameters
        ----------
        number : int, >= 1
            Number of the data set.

        Returns
        -------
        xarray.Dataset
            ``error``, by ``method`` and ``where`` (ties are decided by chance), and the ``inputs`` that it was measured
            on. On the two kinds of test inputs (``test``), what an average keeps and loses of the squared loss of one
            member, ``split`` (by ``bagged`` method and ``part``), and ``error by size`` and ``loss by size`` of bagged
            ``trees``. ``other sets``: terms of the squared loss of bagged trees, from other training sets. Of boosted
            small trees by ``round``: ``boost error``, quantiles of the margins in training (``boost margins``, at 41
            levels from 0 to 1), the share of training inputs with a margin over the average rival of at most 0 (``boost
            below``), and its bound (``boost bound``).
        """
        draw = Draw(number, self.setting)
        samples = (draw.train, draw.test_multi_view[: self.test], draw.test_single_view[: self.test])
        y = [sample.y.numpy() for sample in samples]
        models, rows = {}, {}
        for kind, methods in METHODS.items():
            X = [_rows(sample, kind, draw) for sample in samples]
            for name in methods:
                models[name], rows[name] = self._model(name, draw).fit(X[0], y[0]), X
        errors = [
            [error_with_shared_ties(_scores(model, X), labels) for X, labels in zip(rows[name], y, strict=True)]
            for name, model in models.items()
        ]
        variables = {
            "error": ("method where", errors),
            "inputs": ("where", [len(labels) for labels in y]),
            "other sets": ("term", self._other_sets(draw, y[1])),
            **self._bagging(models, rows, y),
            **self._boosting(models["boosted small trees"], rows["boosted small trees"], y),
        }
        return labelled(
            variables,
            method=list(models),
            where=PLACES,
            bagged=_BAGGED,
            trees=_TREES,
            test=PLACES[1:],
            part=("kept", "lost"),
            size=range(1, self.bags + 1),
            term=("bias", "shared", "lost"),
            round=range(1, self.rounds + 1),
            level=_LEVELS.tolist(),
        )

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

    def _bagging(self, models: dict[str, Any], rows: dict[str, list[np.ndarray]], y: list[np.ndarray]) -> _Variables:
        """Return how one member's loss splits on both kinds of test inputs, and scores of averages of trees by size."""
        splits, errors, losses = [], [], []
        for name in _BAGGED:
            p = [np.stack([member.predict_proba(X) for member in models[name].estimators_]) for X in rows[name][1:]]
            tests = list(zip(p, y[1:], strict=True))
            splits.append([decompose_brier(*test) for test in tests])
            if name in _TREES:
                sizes = range(1, self.bags + 1)
                errors.append([score_by_size(*test, sizes, choices=20) for test in tests])
                losses.append([score_by_size(*test, sizes, brier_score, choices=20) for test in tests])
        return {
            "split": ("bagged test part", splits),
            "error by size": ("trees test size", errors),
            "loss by size": ("trees test size", losses),
        }

    def _boosting(self, model: AdaBoostClassifier, X: list[np.ndarray], y: list[np.ndarray]) -> _Variables:
        """Return errors and margins by round; the last one stands for rounds that were not needed."""
        votes = [staged_votes(model, rows) for rows in X]
        done, k = votes[0].shape[0], votes[0].shape[-1]
        rounds = (model.estimator_errors_[:done], model.estimator_weights_[:done])
        errors = [[error_with_shared_ties(G, labels) for G in v] for v, labels in zip(votes, y, strict=True)]
        found = {
            "boost error": ("round where", np.array(errors).T),
            "boost margins": ("round level", np.quantile(margins(votes[0], y[0]), _LEVELS, -1).T),
            "boost below": ("round", (margins(votes[0], y[0], "average") <= 0).mean(-1)),
            "boost bound": ("round", margin_bound(*rounds, k, 0)),
        }
        fill = self.rounds - done
        return {
            name: (axes, np.concatenate([value, np.repeat(value[-1:], fill, 0)]))
            for name, (axes, value) in found.items()
        }

    def _other_sets(self, draw: Draw, y: np.ndarray) -> tuple[float, float, float]:
        """Split the loss of bagged trees on multi-view inputs over several other training sets."""
        half, test = self.bags // 2, tree_features(draw.test_multi_view[: self.test])
        members = []
        for place in range(1, self.sets + 1):
            data = draw.task.sample(self.setting.n_multi_view, self.setting.n_single_view, seed=draw.seed + 10 + place)
            model = BaggingClassifier(DecisionTreeClassifier(), half, random_state=draw.seed % 2**31 + place)
            model.fit(tree_features(data), data.y.numpy())
            members.append([member.predict_proba(test) for member in model.estimators_])
        return decompose_over_training_sets(np.array(members), y)


@dataclass(frozen=True)
class NetVotes(Experiment):
    """The nets of the book's ensembles, by the terms of bagging and boosting: votes, squared loss, variance.

    Attributes
    ----------
    setting : Setting
        Nets and data.
    draws : tuple of int
        Numbers of the data sets.
    """

    setting: Setting = SETTING
    draws: tuple[int, ...] = CLASSICAL_DRAWS

    def on(self, number: int) -> xr.Dataset:
        """Read the nets of one data set, or train them, and describe their outputs on single-view inputs.

        Parameters
        ----------
        number : int, >= 1
            Number of the data set.

        Returns
        -------
        xarray.Dataset
            ``error`` by ``where`` and ``net``, ``error of average`` and ``inputs`` by ``where``; the mean ``margin`` of
            votes in training, by the number of nets that vote (``votes``). On single-view inputs: what an average of
            probabilities keeps and loses of the squared loss of one net (``split``, by ``part``), and the ``loss of
            average``; ``error by size`` of averages of probabilities, and the bound from mean and variance of the
            margins (``cantelli``). ``training``: the seconds that training took.
        """
        nets = singles(Draw(number, self.setting))
        y, L = nets.labels("single-view").numpy(), len(nets.nets)
        p = nets.outputs["single-view"].softmax(-1).double().numpy()
        F = nets.outputs["single-view"].double().numpy()
        sizes = range(1, L + 1)
        variables = {
            "error": ("where net", [nets.errors(where) for where in PLACES]),
            "error of average": ("where", [nets.average_error(where) for where in PLACES]),
            "inputs": ("where", [len(nets.labels(where)) for where in PLACES]),
            "margin": ("votes", [_vote_margin(nets, votes) for votes in (1, L)]),
            "split": ("part", decompose_brier(p, y)),
            "loss of average": ("", brier_score(p.mean(0), y)),
            "error by size": ("size", score_by_size(p, y, sizes)),
            "cantelli": ("size", cantelli_bound(F, y, sizes)),
            "training": ("", nets.seconds),
        }
        return labelled(variables, where=PLACES, votes=(1, L), part=("kept", "lost"), size=sizes)


def _vote_margin(nets: Nets, count: int) -> float:
    """Return the mean margin in training of votes of `count` nets, over disjoint groups."""
    L, _, k = nets.outputs["train"].shape
    answers = np.eye(k)[nets.outputs["train"].argmax(-1)]  # [L, n, k]
    votes = answers.reshape(L // count, count, *answers.shape[1:]).mean(1)
    return float(margins(votes, nets.labels("train").numpy()).mean())


def _rows(sample: Sample, kind: str, draw: Draw) -> np.ndarray:
    """Return inputs as rows of numbers."""
    if kind == "patches":
        return sample.x.flatten(1).numpy()
    return tree_features(sample, draw.task.views.flatten(0, 1) if kind == "views" else None)


def _scores(model: Any, X: np.ndarray) -> np.ndarray:
    """Return the votes or probabilities by which a model predicts."""
    if isinstance(model, AdaBoostClassifier):
        return staged_votes(model, X)[-1]
    return model.predict_proba(X)
