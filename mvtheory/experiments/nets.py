"""The nets of the book: some data sets, every net trained once.

A *draw* is one data set: a random frame, a training set and a pair of test sets. All nets of a draw see the same data.
What they learned is kept on disk (:func:`mvtheory.persistence.store.cached`), so that chapters share it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mvtheory._check import check_choice, check_int
from mvtheory.data import MultiView, Sample
from mvtheory.distillation import Distillation, Rule
from mvtheory.ensemble import AverageCrossEntropy, average
from mvtheory.experiments.base import DRAWS
from mvtheory.experiments.settings import SETTING, STARTS, Setting
from mvtheory.measurement import error_rate, wrong
from mvtheory.model import PatchNets, SReLU
from mvtheory.persistence.store import LockedError, StoreError, cached
from mvtheory.run import History, Run
from mvtheory.training import Objective, Schedule, train

__all__ = ["Draw", "Nets", "distilled_students", "each_draw", "singles", "trained_averages"]

T = TypeVar("T")


@dataclass(frozen=True)
class Draw:
    """One frame, one training set and its test sets.

    Parameters
    ----------
    number : int, >= 1
        The number of the draw; all its seeds follow from it.
    setting : Setting
        The setting.
    """

    number: int
    setting: Setting = SETTING

    def __post_init__(self) -> None:
        check_int("number", self.number, low=1)

    @property
    def seed(self) -> int:
        """First seed of this draw; its nets use ``seed + 100``, ``seed + 101``, ..."""
        return 1_000_000 * self.number

    @cached_property
    def task(self) -> MultiView:
        """The distribution with this draw's frame."""
        return replace(self.setting.task, frame_seed=self.seed)

    @cached_property
    def train(self) -> Sample:
        """The training set: as many inputs of each class, single-view ones of different classes."""
        data = self.task.sample(
            self.setting.n_multi_view, self.setting.n_single_view, seed=self.seed + 1, balanced=True
        )
        return data[torch.randperm(len(data), generator=torch.Generator().manual_seed(self.seed + 4))]

    @cached_property
    def test_single_view(self) -> Sample:
        """Single-view test inputs, as many of each class and kept view."""
        return self.task.sample(0, self.setting.test_single_view, seed=self.seed + 2, balanced=True)

    @cached_property
    def test_multi_view(self) -> Sample:
        """Multi-view test inputs, as many of each class."""
        return self.task.sample(self.setting.test_multi_view, seed=self.seed + 3, balanced=True)

    def init(self, first: int, count: int, activation: SReLU | None = None) -> PatchNets:
        """Nets `first` ... ``first + count - 1`` of this draw at their initialisation."""
        s = self.setting
        return PatchNets.init(
            count,
            k=s.task.k,
            m=s.m,
            d=s.task.d,
            sigma_0=s.sigma_0,
            seed=self.seed + 100 + first,
            activation=activation or s.activation,
        )


@dataclass(frozen=True)
class Nets:
    """Trained nets of a draw, with their outputs on its data.

    Attributes
    ----------
    draw : Draw
        The data.
    nets : PatchNets
        The trained nets.
    outputs : dict of str to Tensor, shape [L, n, k]
        Outputs on ``"train"``, ``"single-view"`` and ``"multi-view"`` (the two test sets).
    y : dict of str to Tensor, shape [n]
        The labels of these inputs.
    history : History
        Of their training.
    seconds : float
        Wall time of their training.
    """

    draw: Draw
    nets: PatchNets
    outputs: dict[str, Float[Tensor, "L n k"]]
    y: dict[str, Int[Tensor, " _"]]
    history: History
    seconds: float

    def __getitem__(self, rows: slice) -> Nets:
        """Return some of the nets; the history stays whole."""
        outputs = {name: F[rows] for name, F in self.outputs.items()}
        return replace(self, nets=self.nets[rows], outputs=outputs)

    @property
    def students(self) -> Nets:
        """The nets that single teachers are distilled into, as the labels left them."""
        return self[: self.draw.setting.students]

    @property
    def teachers(self) -> Nets:
        """The single teachers of these students, in their order."""
        return self[self.draw.setting.students : 2 * self.draw.setting.students]

    def labels(self, where: str) -> Tensor:
        """Labels of ``"train"``, ``"single-view"`` or ``"multi-view"``."""
        return self.y[check_choice("where", where, self.y)]

    def wrong(self, where: str) -> np.ndarray:
        """Which inputs each net misclassifies, shape [L, n]."""
        y = self.labels(where)
        return wrong(self.outputs[where], y)

    def errors(self, where: str) -> np.ndarray:
        """Error of each net, shape [L]."""
        y = self.labels(where)
        return error_rate(self.outputs[where], y)

    def average_wrong(self, where: str) -> np.ndarray:
        """Which inputs the average of the nets' outputs misclassifies, shape [n]."""
        y = self.labels(where)
        return wrong(average(self.outputs[where]), y)

    def average_error(self, where: str) -> float:
        """Error of the average of the nets' outputs."""
        return float(self.average_wrong(where).mean())


def singles(draw: Draw, *, wait: bool = True) -> Nets:
    """Train the members of a data set's ensemble on the labels: single nets that differ by seed.

    Parameters
    ----------
    draw : Draw
        Data and setting.
    wait : bool
        See :func:`mvtheory.persistence.store.cached`; the same below.

    Returns
    -------
    Nets
    """
    s = draw.setting
    return _kept(draw, "singles", lambda: draw.init(0, s.members), lambda: None, s.schedule, wait)


def distilled_students(
    draw: Draw, teacher: str, rule: Rule | None = None, start: str | None = None, *, wait: bool = True
) -> Nets:
    """Distil teachers into the students of a data set.

    Parameters
    ----------
    draw : Draw
        Data and setting.
    teacher : {"ensemble", "single"}
        All students learn from the average of the members, or each from a member of its own.
    rule : Rule, optional
        How a student is compared with its teacher; by default the on/off rule, under which
        a class is on if one of the teacher's nets has it on.
    start : {"random", "labels"}, optional
        Where students begin: at an initialisation of their own, so that they learn from labels and teacher in one run,
        or where the labels have led them before (see ``Nets.students``). By default an ensemble's students begin at
        random, those of single nets after the labels.
    wait : bool
        As in `singles`.

    Returns
    -------
    Nets
    """
    check_choice("teacher", teacher, ("ensemble", "single"))
    start = check_choice("start", start or {"ensemble": "random", "single": "labels"}[teacher], STARTS)
    s = draw.setting
    if teacher == "single":
        check_int(
            "draw.setting.students (half of the members, to have a teacher each)", s.students, high=s.members // 2
        )
    base = singles(draw, wait=wait)
    rule = rule or s.rule(s.members if teacher == "ensemble" else 1, start)
    begin = lambda: draw.init(s.members, s.students) if start == "random" else base.students.nets  # noqa: E731
    all_same = average(base.outputs["train"]).expand(s.students, -1, -1)
    G = all_same if teacher == "ensemble" else base.teachers.outputs["train"]
    objective = lambda: Distillation(draw.train.y, G, rule, s.weight)  # noqa: E731
    name = f"students of {teacher} from {start} by {rule}"
    return _kept(draw, name, begin, objective, s.distillation_schedule, wait)


def trained_averages(draw: Draw, *, wait: bool = True) -> list[Nets]:
    """Train averages of nets jointly on the labels, each of as many nets as the ensemble.

    Parameters
    ----------
    draw : Draw
        Data and setting.
    wait : bool
        As in `singles`.

    Returns
    -------
    list of Nets
        One for each average; the nets of the first begin where the members do.
    """
    s = draw.setting
    objective = lambda: AverageCrossEntropy(draw.train.y)  # noqa: E731

    def one(number: int) -> Nets:
        begin = lambda: draw.init(1000 * number, s.members)  # noqa: E731
        return _kept(draw, f"trained average {number}", begin, objective, s.schedule, wait)

    return [one(number) for number in range(s.students)]


def each_draw(study: Callable[..., T], draws: Iterable[int] = DRAWS, setting: Setting = SETTING, *args: Any) -> list[T]:
    """Run `study` on every draw; draws that another process is computing come last.

    So chapters that are executed at the same time share the work instead of waiting.

    Parameters
    ----------
    study : callable
        `singles`, `distilled_students` or `trained_averages`.
    draws : iterable of int
        Numbers of the draws.
    setting : Setting
        The setting.
    *args
        Further arguments of `study`.

    Returns
    -------
    list
        One result a draw, in the order of `draws`.
    """
    order = [Draw(number, setting) for number in draws]
    done: dict[int, T] = {}
    for wait in (False, True):
        for draw in order:
            if draw.number not in done:
                try:
                    done[draw.number] = study(draw, *args, wait=wait)
                except LockedError:
                    continue
    return [done[draw.number] for draw in order]


def _kept(
    draw: Draw,
    name: str,
    nets: Callable[[], PatchNets],
    objective: Callable[[], Objective | None],
    schedule: Schedule,
    wait: bool,
) -> Nets:
    """Train, or read from disk what was trained before."""

    def compute(checkpoint: Path | None) -> tuple[dict[str, Tensor], dict[str, Any]]:
        task, views = (nets(), draw.train, objective(), schedule), draw.task.views
        try:
            run = train(*task, views=views, checkpoint=checkpoint)
        except (StoreError, OSError) as error:  # the checkpoint is damaged, or the disk full from the start
            warnings.warn(f"training without a checkpoint: {error}", stacklevel=2)
            run = train(*task, views=views)
        data = {"train": draw.train, "single-view": draw.test_single_view, "multi-view": draw.test_multi_view}
        outputs = {f"output {where}": run.nets(sample.x) for where, sample in data.items()}
        labels = {f"label {where}": sample.y for where, sample in data.items()}  # to draw inputs anew takes longer
        history = {f"history {field}": value for field, value in vars(run.history).items()}
        return {"W": run.nets.W, **outputs, **labels, **history}, {}

    key = {"nets": name, "draw": draw.number, "setting": draw.setting, "schedule": schedule}
    tensors, meta = cached(key, compute, wait=wait, checkpoint=True)
    part = lambda prefix: {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}  # noqa: E731
    run = Run(PatchNets(tensors["W"], draw.setting.activation), History(**part("history ")))
    return Nets(draw, run.nets, part("output "), part("label "), run.history, meta["seconds"])
