"""Claims about the diagnosis: where it must find that an ensemble pays and where not; and models in common use.

The digits have one split here, since the unit of the intervals of :func:`mvtheory.diagnose.diagnose` is the test input.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import xarray as xr

from mvtheory._check import check_int
from mvtheory.diagnose import Diagnosis, diagnose
from mvtheory.experiments.base import DRAWS, Experiment, Measurement, check_draws, labelled, select
from mvtheory.experiments.nets import Draw, each_draw, singles
from mvtheory.experiments.ordinary_nets import deep_net, digit_split, fit, outputs_of
from mvtheory.experiments.settings import SETTING, Setting
from mvtheory.experiments.without_views import MIXTURE
from mvtheory.measurement import over_draws
from mvtheory.model import PatchNets, SReLU
from mvtheory.training import Schedule, train

__all__ = ["ESTIMATORS", "DigitModels", "MixtureNets", "digit_split", "mixture_diagnoses", "views_diagnoses"]


@dataclass(frozen=True)
class MixtureNets(Experiment):
    """Nets on a mixture of Gaussians, each data set with its own frame: there is no view to miss.

    :meth:`run` returns their ``"output"``, axes ``net``, ``input`` and ``class``, and the ``"label"`` of each input.

    Attributes
    ----------
    draws : tuple of int
        Numbers of the data sets.
    n, test, nets : int
        Training inputs, test inputs, nets that differ by seed.
    m, sigma_0, activation
        Neurons of a class, standard deviation of the initial weights, activation.
    schedule : Schedule
        Training on labels.
    """

    draws: tuple[int, ...] = (71, 72, 73, 74, 75)
    n: int = 500
    test: int = 4000
    nets: int = 6
    m: int = 8
    sigma_0: float = 0.06
    activation: SReLU = SReLU(q=3, varrho=12.0)
    schedule: Schedule = Schedule(steps=300, eta=1e6)

    def on(self, number: int) -> xr.Dataset:
        """Return outputs and labels on the data set of this number."""
        seed = Draw(number).seed
        task = replace(MIXTURE, frame_seed=seed)
        data, test = task.sample(self.n, seed=seed + 1), task.sample(self.test, seed=seed + 2)
        start = PatchNets.init(
            self.nets, k=task.k, m=self.m, d=task.d, sigma_0=self.sigma_0, seed=seed + 100, activation=self.activation
        )
        nets = train(start, data, schedule=self.schedule).nets
        return labelled({"output": ("net input class", nets(test.x)), "label": ("input", test.y)})


_MIXTURE_NETS = MixtureNets()


@dataclass(frozen=True)
class DigitModels(Experiment):
    """Models of scikit-learn and PyTorch on digits, several seeds of each, and students of the PyTorch ones.

    :meth:`run` returns the outputs on the test images by the name of the model, axes ``seed``, ``input`` and ``class``;
    those of the ``"students of the ensemble"`` and the ``"students of one net"``, which have the axis ``student``; and
    the ``"label"`` of each image.

    Attributes
    ----------
    draws : tuple of int
        Numbers of the splits of the images; one is enough.
    seeds, students : int
        Models of a kind, students of a kind.
    n : int
        Training images.
    """

    draws: tuple[int, ...] = (71,)
    seeds: int = 10
    students: int = 4
    n: int = 300

    def __post_init__(self) -> None:
        check_draws(self.draws, least=1)
        check_int("seeds", self.seeds, low=2)
        check_int("students", self.students, low=1, high=self.seeds)

    def on(self, number: int) -> xr.Dataset:
        """Return outputs and labels on the split of this number."""
        x, x_test, y, y_test = digit_split(number, self.n)
        outputs = {
            name: [model(seed).fit(x, y).predict_proba(x_test) for seed in range(self.seeds)]
            for name, model in _models().items()
        }
        nets = [fit(deep_net(seed), x, y) for seed in range(self.seeds)]
        F, count = outputs_of(nets, x), range(self.students)
        students = {
            "students of the ensemble": [fit(deep_net(100 + i), x, y, F.mean(0), steps=400) for i in count],
            "students of one net": [fit(deep_net(200 + i), x, y, F[i], steps=400) for i in count],
        }
        return labelled(
            {name: ("seed input class", np.stack(found)) for name, found in outputs.items()}
            | {"deep nets": ("seed input class", outputs_of(nets, x_test))}
            | {name: ("student input class", outputs_of(found, x_test)) for name, found in students.items()}
            | {"label": ("input", y_test)}
        )


def _models() -> dict[str, Callable[[int], Any]]:
    """Return models of scikit-learn by name, each as a function of its seed."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.tree import DecisionTreeClassifier

    return {
        "decision trees": lambda seed: DecisionTreeClassifier(
            max_features="sqrt", min_samples_leaf=3, random_state=seed
        ),
        "shallow nets": lambda seed: MLPClassifier((32,), solver="lbfgs", max_iter=1000, random_state=seed),
        "logistic regression": lambda seed: LogisticRegression(max_iter=1000, random_state=seed),
    }


@lru_cache(maxsize=2)
def views_diagnoses(draws: tuple[int, ...], setting: Setting) -> tuple[Diagnosis, ...]:
    """Diagnose the nets of each data set on its single-view inputs."""
    base = each_draw(singles, draws, setting)
    return tuple(diagnose(nets.outputs["single-view"], nets.labels("single-view")) for nets in base)


def mixture_diagnoses(data: xr.Dataset) -> list[Diagnosis]:
    """Diagnose the nets of each data set of :class:`MixtureNets`."""
    return [diagnose(F, y) for F, y in zip(select(data, "output"), select(data, "label"), strict=True)]


def views(draws: Sequence[int] = DRAWS, setting: Setting = SETTING) -> Measurement:
    """Measure the share of a net's errors on single-view inputs that the average of the members removes."""
    found, base = views_diagnoses(tuple(draws), setting), each_draw(singles, draws, setting)
    points = min(int(d.errors[0].value * d.n) for d in found)
    bounds = -math.inf, 1  # an average may err more often than one net
    estimate = over_draws(_removed(draws, found), points=points, bounds=bounds, nets=setting.members * len(found))
    return Measurement(estimate, sum(nets.seconds for nets in base))


def mixture(draws: Sequence[int] = _MIXTURE_NETS.draws, setting: MixtureNets = _MIXTURE_NETS) -> Measurement:
    """Measure the share of a net's errors on a mixture without views that the average removes."""
    data = replace(setting, draws=tuple(draws)).run()
    removed = _removed(draws, mixture_diagnoses(data))
    return Measurement(over_draws(removed, points=None, nets=setting.nets * len(removed)), data.attrs["seconds"])


def _removed(draws: Sequence[int], found: Sequence[Diagnosis]) -> list[list[float]]:
    """Return the share of the errors that averaging removes on each data set."""
    shares = []
    for draw, diagnosis in zip(draws, found, strict=True):
        if diagnosis.removed is None:
            raise ValueError(f"draws must be data sets on which some net errs; got {draw}")
        shares.append([diagnosis.removed.value])
    return shares


#: The estimators of the chapter's claims, by id.
ESTIMATORS: Mapping[str, Callable[..., Measurement]] = {"practice-views": views, "practice-mixture": mixture}
