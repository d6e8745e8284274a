"""Ensembles and students on data without multi-view structure, and beside them a control with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from torch import Tensor

from mvtheory._check import check_choice, check_int, check_number
from mvtheory.controls.no_views import GaussianMixture, OneView, TeacherLabels, flip_labels
from mvtheory.data import MultiView, Sample
from mvtheory.decision.subsets import average_errors
from mvtheory.distillation import Distillation, OnOff, Temperature
from mvtheory.ensemble import AverageCrossEntropy, average
from mvtheory.experiments.base import FULL, Experiment, labelled, select
from mvtheory.experiments.nets import Draw
from mvtheory.measurement import Estimate, difference_over_draws, error_rate, over_draws
from mvtheory.model import PatchNets, SReLU
from mvtheory.training import CrossEntropy, Schedule, train

__all__ = [
    "METHODS",
    "MIXTURE",
    "STRUCTURE_DRAWS",
    "STUDIES",
    "VIEWS",
    "StructureStudy",
    "error",
    "errors",
    "gain",
    "share",
]

Task = MultiView | GaussianMixture | TeacherLabels

#: The data sets of these studies. What is set here was chosen on others: 701 to 705, 801 and 802.
STRUCTURE_DRAWS = tuple(range(721, 746 if FULL else 726))

#: What is measured beside the ``"single"`` nets.
METHODS = ("ensemble", "trained average", "distilled", "self-distilled")

#: One direction per class in a single patch, at a distance at which the best rule errs.
MIXTURE = GaussianMixture(k=10, P=1, d=40, separation=0.6)

#: A small multi-view problem, with weak views strong enough for students.
VIEWS = MultiView(k=6, P=12, d=40, s=4.0, weak=(0.4, 0.4), Gamma=0.2, noise_background=0.3)

_DIAGNOSED = 1500  # test inputs on which all averages of nets are tested
_SOFT = Temperature()  # the whole of a teacher's outputs


@dataclass(frozen=True, kw_only=True)
class StructureStudy(Experiment):
    """Nets that differ by seed on one kind of data: single, averaged, trained jointly, and as students.

    Each net is in turn the student of the average of all others (*distilled*) and of the net after it
    (*self-distilled*). It goes on from what it learned from the labels. Both kinds of students have the same rule,
    weight and steps.

    Attributes
    ----------
    task : MultiView, OneView, GaussianMixture or TeacherLabels
        The data; each data set has its own frame.
    strata : tuple of {"multi-view", "single-view"}
        Kinds of test inputs. Data without views have ``"multi-view"`` ones only.
    n, test, nets : int
        Training inputs, test inputs of a kind, nets.
    flipped : float, in [0, 1)
        Share of the training labels that are wrong. Test labels are true.
    m, sigma_0, activation
        Neurons of a class, standard deviation of the initial weights, activation.
    schedule, distillation_schedule : Schedule
        Training on labels; training on labels and teacher.
    rule : OnOff or Temperature
        How students are compared with a single teacher. An average of L nets has an L-th of the threshold.
    weight : float
        Weight of the rule beside the labels.
    draws : tuple of int
        Numbers of the data sets.
    """

    task: Task
    strata: tuple[str, ...] = ("multi-view",)
    n: int = 500
    test: int = 4000
    nets: int = 10
    flipped: float = 0.0
    m: int = 10
    sigma_0: float = 0.05
    activation: SReLU = SReLU(q=3, varrho=4.0)
    schedule: Schedule = Schedule(steps=400, eta=1e6, warn=False)  # training errors are a result
    distillation_schedule: Schedule = Schedule(steps=100, stop_loss=0, eta=1e5, max_change=0.1)
    rule: OnOff | Temperature = _SOFT
    weight: float = 4.0
    draws: tuple[int, ...] = STRUCTURE_DRAWS

    def __post_init__(self) -> None:
        super().__post_init__()
        check_int("nets", self.nets, low=3, high=12)
        check_int("n", self.n, low=1)
        check_int("test", self.test, low=2)
        check_number("flipped", self.flipped, low=0, high=1, open_high=True)
        possible = ("multi-view", "single-view") if isinstance(self.task, MultiView) else ("multi-view",)
        for stratum in self.strata:
            check_choice("strata", stratum, possible)

    def on(self, number: int) -> xr.Dataset:
        """Train all nets on one data set, and test them.

        Parameters
        ----------
        number : int, >= 1
            Number of the data set.

        Returns
        -------
        xarray.Dataset
            Test errors by ``stratum``, a variable for each method: for ``single`` nets, ``distilled`` and
            ``self-distilled`` ones also by ``net``; on a mixture also for the ``best rule``. ``inputs``: test inputs of
            each kind. ``training``: errors of single nets, against the labels that they were shown. On 1500 inputs of
            the first kind: ``error by size``, of averages of 1, 2, ... nets; ``corrected`` and ``resolved`` of
            :func:`mvtheory.diagnose.diagnose`, NaN where no net errs, and on how many inputs some net errs or two nets
            disagree, ``corrected inputs`` and ``resolved inputs``.
        """
        seed = Draw(number).seed
        task = replace(self.task, frame_seed=seed)
        data = task.sample(self.n, seed=seed + 1)
        y = flip_labels(data.y, task.k, self.flipped, seed=seed + 4)
        nets, training = self._nets(task, data, y, seed)
        tests = [_test(task, stratum, self.test, seed + 2 + place) for place, stratum in enumerate(self.strata)]
        by_method = [dict(_errors(nets, test, task)) for test in tests]
        variables: dict[str, tuple[str, Any]] = {
            name: ("stratum net" if np.ndim(found) else "stratum", [part[name] for part in by_method])
            for name, found in by_method[0].items()
        }
        first = tests[0][:_DIAGNOSED]
        variables |= {"inputs": ("stratum", [len(test) for test in tests]), "training": ("net", training)}
        variables |= _diagnosed(nets["single"](first.x), first.y)
        return labelled(variables, stratum=self.strata, size=range(1, self.nets + 1))

    def _nets(self, task: Task, data: Sample, y: Tensor, seed: int) -> tuple[dict[str, PatchNets], Tensor]:
        """Train all nets of a data set; return them and the training errors of the single ones."""
        start = PatchNets.init(
            self.nets, k=task.k, m=self.m, d=task.d, sigma_0=self.sigma_0, seed=seed + 100, activation=self.activation
        )
        base = train(start, data, CrossEntropy(y), self.schedule)
        F = base.nets(data.x)
        others = (F.sum(0) - F) / (self.nets - 1)

        def distilled(G: Tensor, averaged: int) -> PatchNets:
            objective = Distillation(y, G, self._rule(averaged), self.weight)
            return train(base.nets, data, objective, self.distillation_schedule).nets

        nets = {
            "single": base.nets,
            "trained average": train(start, data, AverageCrossEntropy(y), self.schedule).nets,
            "distilled": distilled(others, self.nets - 1),
            "self-distilled": distilled(F.roll(-1, 0), 1),
        }
        return nets, base.history.error[-1].double()

    def _rule(self, averaged: int) -> OnOff | Temperature:
        """Return the rule for a teacher that is an average of so many nets."""
        rule = self.rule
        return replace(rule, threshold=rule.threshold / averaged) if isinstance(rule, OnOff) else rule


def errors(
    data: xr.Dataset, method: str, stratum: str | None = None
) -> Float[np.ndarray, "draws nets"] | Float[np.ndarray, " draws"]:
    """Return the test errors of one method on each data set.

    Parameters
    ----------
    data : xarray.Dataset
        What `StructureStudy` measured.
    method : str
        ``"single"``, one of `METHODS`, or on a mixture ``"best rule"``.
    stratum : {"multi-view", "single-view"}, optional
        On which kind of input; by default the first of the study.

    Returns
    -------
    array, shape [draws, nets], or [draws] where all nets make one model
    """
    check_choice("method", method, ("single", *METHODS, "best rule"))
    return select(data, method, stratum=stratum or str(data["stratum"].values[0]))


def error(data: xr.Dataset, method: str, stratum: str | None = None) -> Estimate:
    """Return the mean test error of one method; arguments as in `errors`."""
    return over_draws(errors(data, method, stratum), points=int(data["inputs"].min()), nets=_nets(data))


def gain(data: xr.Dataset, method: str, stratum: str | None = None) -> Estimate:
    """Return the error of single nets minus that of a method, paired by data set; arguments as in `errors`."""
    single, other = (errors(data, name, stratum) for name in ("single", method))
    return difference_over_draws(single, other, points=int(data["inputs"].min()), nets=_nets(data))


def share(data: xr.Dataset, what: str) -> Estimate:
    """Return how single nets share their errors on the first kind of inputs, a mean over data sets.

    Parameters
    ----------
    data : xarray.Dataset
        What `StructureStudy` measured.
    what : {"corrected", "resolved"}
        Share of a net's errors on which another net is right; share of the disagreements of two nets that their average
        resolves correctly.

    Returns
    -------
    Estimate

    Raises
    ------
    ValueError
        If on some data set no net errs, or no two nets disagree: the share is undefined then.
    """
    check_choice("what", what, ("corrected", "resolved"))
    points = int(data[f"{what} inputs"].min())
    if points == 0:
        raise ValueError(
            f"data must have errors and disagreements on every data set; got a data set without {what!r} inputs"
        )
    return over_draws(select(data, what), points=points, nets=_nets(data))


_ON_VIEWS = StructureStudy(
    task=VIEWS,
    strata=("single-view", "multi-view"),
    n=300,
    test=2000,
    sigma_0=0.06,
    activation=SReLU(q=3, varrho=12.0),
    schedule=Schedule(steps=1500, stop_loss=0.1, eta=12000.0, max_change=0.3),
    distillation_schedule=Schedule(steps=150, stop_loss=0.01, eta=4000.0),
    rule=OnOff(),
    weight=1.5,
)

#: The training problems of the chapter: two on views, by the on/off rule, and three without any, by a temperature.
STUDIES = {
    "two views": _ON_VIEWS,
    "one view": replace(_ON_VIEWS, task=OneView(**asdict(VIEWS))),
    "mixture": StructureStudy(task=MIXTURE, n=400),
    "teacher": StructureStudy(task=TeacherLabels()),
    "noise": StructureStudy(task=MIXTURE, n=400, flipped=0.2),
}


def _nets(data: xr.Dataset) -> int:
    return data.sizes["draw"] * data.sizes["net"]


def _test(task: Task, stratum: str, n: int, seed: int) -> Sample:
    """Return test inputs of one kind; with views, as many of each class and kept view."""
    if not isinstance(task, MultiView):
        return task.sample(n, seed=seed)
    multi, single = (n, 0) if stratum == "multi-view" else (0, n)
    return task.sample(multi, single, seed=seed, balanced=True)


def _errors(nets: dict[str, PatchNets], test: Sample, task: Task) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the test errors by method: of each net, or of one model that all nets make."""
    for name, stack in nets.items():
        F = stack(test.x)
        if name != "trained average":
            yield name, error_rate(F, test.y)
        if name in ("single", "trained average"):
            yield name.replace("single", "ensemble"), error_rate(average(F), test.y)
    if isinstance(task, GaussianMixture):
        # With equal classes and round noise, the nearest mean is the best rule there is.
        yield "best rule", error_rate(test.x.sum(1) @ task.views[:, 0].T, test.y)


def _diagnosed(F: Float[Tensor, "L n k"], y: Int[Tensor, " n"]) -> dict[str, tuple[str, Any]]:
    """Return the error by number of nets, how mistakes are shared, and on how many inputs; NaN where no net errs."""
    found = average_errors(F.double().numpy(), y.numpy())
    missed = found.errs
    return {
        "error by size": ("size", torch.tensor(found.by_size.mean(1))),
        "corrected": ("", torch.tensor(found.corrected)),
        "corrected inputs": ("", torch.tensor(missed.any(0).sum())),
        "resolved": ("", torch.tensor(found.resolved_share)),
        "resolved inputs": ("", torch.tensor((missed.any(0) & (~missed).any(0)).sum())),
    }
