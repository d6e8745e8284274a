"""Ensembles and students on data without multi-view structure, and beside them a control with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from mvtheory._check import check_choice, check_int, check_number
from mvtheory.controls.no_views import GaussianMixture, OneView, TeacherLabels, flip_labels
from mvtheory.data import MultiView, Sample
from mvtheory.diagnose import diagnose
from mvtheory.distillation import Distillation, OnOff, Temperature
from mvtheory.ensemble import AverageCrossEntropy, average
from mvtheory.experiments.base import FULL
from mvtheory.experiments.nets import Draw
from mvtheory.experiments.settings import STUDENT_SETTING
from mvtheory.measurement import Estimate, difference_over_draws, error_rate, over_draws
from mvtheory.model import PatchNets, SReLU
from mvtheory.persistence.store import cached
from mvtheory.training import CrossEntropy, Schedule, train

__all__ = [
    "METHODS",
    "MIXTURE",
    "STRUCTURE_DRAWS",
    "STUDIES",
    "VIEWS",
    "StructureResults",
    "StructureStudy",
]

ASKED = 1500  # test inputs on which all averages of nets are looked at
Tensors = dict[str, Tensor]
Task = MultiView | GaussianMixture | TeacherLabels

#: The data draws of these studies. What is set here was chosen on others: 701 to 705, 801 and 802.
STRUCTURE_DRAWS = tuple(range(721, 746 if FULL else 726))

#: What is measured beside the ``"single"`` nets.
METHODS = ("ensemble", "trained average", "distilled", "self-distilled")

SOFT = Temperature()  # the whole of a teacher's outputs

#: One direction per class in a single patch, at a distance at which the best rule errs.
MIXTURE = GaussianMixture(k=10, P=1, d=40, separation=0.6)

#: A small multi-view problem, with weak views that students hear.
VIEWS = MultiView(k=6, P=12, d=40, s=4.0, weak=(0.4, 0.4), Gamma=0.2, noise_background=0.3)


def check_draws(draws: tuple[int, ...]) -> None:
    """Raise an error unless `draws` are numbers of at least two different draws."""
    for draw in draws:
        check_int("draws", draw, low=1)
    if len(draws) < 2 or len(set(draws)) < len(draws):
        raise ValueError(f"draws must be at least 2 different seeds; got {draws}")


@dataclass(frozen=True)
class StructureStudy:
    """Nets that differ by seed on one kind of data: single, averaged, trained jointly, and as students.

    Each net is in turn the student of the average of all others (*distilled*) and of the net after it
    (*self-distilled*). It goes on from what it learned from the labels. Both kinds of students have the same rule,
    weight and steps.

    Attributes
    ----------
    task : MultiView, OneView, GaussianMixture or TeacherLabels
        The data; each draw has its own frame.
    strata : tuple of {"multi-view", "single-view"}
        Kinds of test inputs. Data without views have ``"multi-view"`` ones only.
    n, test, nets : int
        Training inputs, test inputs of a kind, nets.
    flipped : float, in [0, 1)
        Share of the training labels that are wrong. Test labels are true.
    m, sigma_0, activation
        Neurons of a class, standard deviation of the initial weights, activation.
    schedule, lesson : Schedule
        Training on labels; training on labels and teacher.
    rule : OnOff or Temperature
        How students are compared with a single teacher. An average of L nets has an L-th of the threshold.
    weight : float
        Weight of the rule beside the labels.
    draws : tuple of int
        Numbers of the data draws.
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
    schedule: Schedule = Schedule(steps=400, eta=1e6)
    lesson: Schedule = Schedule(steps=100, stop_loss=0, eta=1e5, max_change=0.1)
    rule: OnOff | Temperature = SOFT
    weight: float = 4.0
    draws: tuple[int, ...] = STRUCTURE_DRAWS

    def __post_init__(self) -> None:
        check_draws(self.draws)
        check_int("nets", self.nets, low=3, high=12)
        check_int("n", self.n, low=1)
        check_int("test", self.test, low=2)
        check_number("flipped", self.flipped, low=0, high=1, open_high=True)
        possible = ("multi-view", "single-view") if isinstance(self.task, MultiView) else ("multi-view",)
        for stratum in self.strata:
            check_choice("strata", stratum, possible)

    def run(self) -> StructureResults:
        """Train and test everything, or read what an earlier run left on disk."""
        tensors, meta = cached({"study": "structure", "what": repr(self)}, lambda: (self._compute(), {}))
        return StructureResults(self, tensors, meta["seconds"])

    def _compute(self) -> Tensors:
        parts = [self._draw(number) for number in self.draws]
        return {name: torch.stack([part[name] for part in parts]) for name in parts[0]}

    def _draw(self, number: int) -> Tensors:
        """Return errors [methods' nets] by stratum and method, and what `diagnose` finds among the single nets."""
        seed = Draw(number).seed
        task = replace(self.task, frame_seed=seed)
        data = task.sample(self.n, seed=seed + 1)
        y = flip_labels(data.y, task.k, self.flipped, seed=seed + 4)
        nets, training_error = self._nets(task, data, y, seed)
        found: Tensors = {"training": training_error}
        for place, stratum in enumerate(self.strata):
            test = _test(task, stratum, self.test, seed + 2 + place)
            single = nets["single"](test.x)
            outputs = {name: stack(test.x) for name, stack in nets.items()}
            outputs |= {"ensemble": average(single)[None]}
            outputs |= {"trained average": average(outputs["trained average"])[None]}
            if isinstance(task, GaussianMixture):
                # With equal classes and round noise, the nearest mean is the best rule there is.
                outputs["best rule"] = (test.x.sum(1) @ task.views[:, 0].T)[None]
            found |= {f"{stratum} {name}": torch.as_tensor(error_rate(F, test.y)) for name, F in outputs.items()}
            if place == 0:
                found |= _diagnosed(single[:, :ASKED], test.y[:ASKED])
        return found

    def _nets(self, task: Task, data: Sample, y: Tensor, seed: int) -> tuple[dict[str, PatchNets], Tensor]:
        """Train all nets of a draw; return them and the training errors of the single ones."""
        start = PatchNets.init(
            self.nets, k=task.k, m=self.m, d=task.d, sigma_0=self.sigma_0, seed=seed + 100, activation=self.activation
        )
        base = train(start, data, CrossEntropy(y), self.schedule)
        F = base.nets(data.x)
        others = (F.sum(0) - F) / (self.nets - 1)

        def taught(G: Tensor, averaged: int) -> PatchNets:
            lesson = Distillation(y, G, self._rule(averaged), self.weight)
            return train(base.nets, data, lesson, self.lesson).nets

        nets = {
            "single": base.nets,
            "trained average": train(start, data, AverageCrossEntropy(y), self.schedule).nets,
            "distilled": taught(others, self.nets - 1),
            "self-distilled": taught(F.roll(-1, 0), 1),
        }
        return nets, base.history.error[-1].double()

    def _rule(self, averaged: int) -> OnOff | Temperature:
        """Return the rule for a teacher that is an average of so many nets."""
        rule = self.rule
        return replace(rule, threshold=rule.threshold / averaged) if isinstance(rule, OnOff) else rule


@dataclass(frozen=True)
class StructureResults:
    """What `StructureStudy.run` measured.

    Attributes
    ----------
    study : StructureStudy
    tensors : dict of str to Tensor
        Under ``"<stratum> <method>"`` test errors, shape [draws, nets], or [draws, 1] where all nets make one model.
        For the first stratum, on 1500 of its inputs: ``"fall"``, shape [draws, nets], the error of averages of 1, 2,
        ... nets; ``"rescued"`` and ``"settled"`` of `mvtheory.diagnose.diagnose`, shape [draws, 1], NaN where nobody
        errs, and under ``"rescued inputs"`` and ``"settled inputs"`` on how many inputs some net errs, or two nets
        dispute. ``"training"``: errors of single nets, against the labels that they were shown.
    seconds : float
        Wall time of the run.
    """

    study: StructureStudy
    tensors: Tensors
    seconds: float

    def errors(self, method: str, stratum: str | None = None) -> Float[Tensor, "draws nets"]:
        """Test errors of one method on one kind of input, by default the first."""
        stratum = check_choice("stratum", stratum or self.study.strata[0], self.study.strata)
        known = ("single", *METHODS, "best rule")
        return self.tensors[f"{stratum} {check_choice('method', method, known)}"]

    def error(self, method: str, stratum: str | None = None) -> Estimate:
        """Mean error with its interval."""
        return over_draws(self.errors(method, stratum), points=self.study.test, nets=self._count)

    def gain(self, method: str, stratum: str | None = None) -> Estimate:
        """Error of single nets minus that of a method, paired by draw."""
        single, other = self.errors("single", stratum), self.errors(method, stratum)
        return difference_over_draws(single, other, points=self.study.test, nets=self._count)

    def found(self, what: str) -> Estimate:
        """Mean over draws of ``"rescued"`` or ``"settled"`` among single nets, on the first kind of input.

        Raises
        ------
        ValueError
            If on some draw no net errs, or no two nets dispute: then there is nothing to share.
        """
        check_choice("what", what, ("rescued", "settled"))
        points = int(self.tensors[f"{what} inputs"].min())
        if points == 0:
            raise ValueError(f"what must be a share of something on every draw; got {what!r}, a share of nothing")
        return over_draws(self.tensors[what].double().clamp(0, 1), points=points, nets=self._count)

    @property
    def _count(self) -> int:
        return self.study.nets * len(self.study.draws)


_ON_VIEWS = StructureStudy(
    VIEWS,
    ("single-view", "multi-view"),
    n=300,
    test=2000,
    sigma_0=STUDENT_SETTING.sigma_0,
    activation=STUDENT_SETTING.activation,
    schedule=Schedule(steps=1500, stop_loss=0.1, eta=12000.0, max_change=0.3),
    lesson=Schedule(steps=150, stop_loss=0.01, eta=4000.0),
    rule=OnOff(),
    weight=1.5,
)

# The five training problems of the chapter: two on views, by the on/off rule, and three without any, by a temperature.
STUDIES = {
    "two views": _ON_VIEWS,
    "one view": replace(_ON_VIEWS, task=OneView(**asdict(VIEWS))),
    "mixture": StructureStudy(MIXTURE, n=400),
    "teacher": StructureStudy(TeacherLabels()),
    "noise": StructureStudy(MIXTURE, n=400, flipped=0.2),
}


def _test(task: Task, stratum: str, n: int, seed: int) -> Sample:
    """Return test inputs of one kind; with views, as many of each class and kept view."""
    if not isinstance(task, MultiView):
        return task.sample(n, seed=seed)
    multi, single = (n, 0) if stratum == "multi-view" else (0, n)
    return task.sample(multi, single, seed=seed, balanced=True)


def _diagnosed(F: Tensor, y: Tensor) -> Tensors:
    """Return the error by number of nets, how mistakes are shared, and on how many inputs; NaN where nobody errs."""
    found, wrong = diagnose(F, y), F.argmax(-1) != y
    somebody, disputed = wrong.any(0), wrong.any(0) & ~wrong.all(0)
    value: Callable[[Estimate | None], float] = lambda e: float("nan") if e is None else e.value  # noqa: E731
    return {
        "fall": torch.tensor([e.value for e in found.errors]),
        "rescued": torch.tensor([value(found.corrected)]),
        "rescued inputs": somebody.sum(),
        "settled": torch.tensor([value(found.resolved)]),
        "settled inputs": disputed.sum(),
    }
