"""The experiments of the book: two settings, a few data draws, every net trained once.

A *draw* is one random frame, one training set and one pair of test sets. All nets
of a draw see the same data. What a draw's nets learned is kept on disk
(:func:`mvtheory.persistence.store.cached`), so that chapters share it.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as nnf
from jaxtyping import Float, Int
from torch import Tensor

from mvtheory._check import check_choice, check_int
from mvtheory.data import MultiView, Sample
from mvtheory.distillation import Distillation, OnOff, Rule
from mvtheory.ensemble import AverageCrossEntropy, average, predict_lottery
from mvtheory.measurement import Estimate, error_rate, over_draws
from mvtheory.model import PatchNets, SReLU
from mvtheory.persistence.store import LockedError, StoreError, cached
from mvtheory.run import History, Run
from mvtheory.training import Objective, Schedule, train

__all__ = [
    "DRAWS",
    "FULL",
    "NET_SETTING",
    "STUDENT_SETTING",
    "TASK",
    "Draw",
    "Nets",
    "Setting",
    "distilled_students",
    "each_draw",
    "expected_uncovered",
    "lottery_control_variate",
    "singles",
    "summary",
    "trained_average",
]

T = TypeVar("T")

#: The multi-view distribution of the book, with weak views loud enough for students.
TASK = MultiView(
    k=10, P=22, d=64, C_p=2, C_weak=1, s=5.0, weak=(0.3, 0.3), rho=0.01, Gamma=0.15, noise_signal=0.1,
    noise_background=0.35,
)  # fmt: skip

#: Whether the environment variable ``MVTHEORY_FULL`` is 1: five times the draws.
FULL = check_choice("environment variable MVTHEORY_FULL", os.environ.get("MVTHEORY_FULL", "0"), ("0", "1")) == "1"

#: The data draws that the book reports. The settings were chosen on others, with numbers up to 810.
DRAWS = tuple(range(901, 951 if FULL else 911))


@dataclass(frozen=True)
class Setting:
    """Everything that the results depend on, besides the draw.

    Parameters
    ----------
    task : MultiView
        The distribution.
    multi, single : int
        Training inputs of each kind.
    activation : SReLU
        Power and cut.
    m : int
        Neurons per class.
    sigma_0 : float
        Standard deviation of the initial weights.
    members : int
        Nets of a draw that form an ensemble.
    ensembles : int
        Disjoint ensembles of a draw.
    pupils : int
        Further nets of a draw: trained like the members, then taught.
    averaged : int
        Nets whose average is trained jointly.
    schedule : Schedule
        Training on labels.
    lessons : Schedule
        Training on labels and teacher.
    weight : float
        Weight of the distillation rule.
    test_single, test_multi : int
        Test inputs of each kind.
    """

    task: MultiView = TASK
    multi: int = 798
    single: int = 2
    activation: SReLU = SReLU(q=3, varrho=12.0)
    m: int = 8
    sigma_0: float = 0.06
    members: int = 10
    ensembles: int = 1
    students: int = 2
    averaged: int = 5
    schedule: Schedule = Schedule(steps=800, stop_loss=0.1, eta=12000.0, max_change=0.3)
    distillation_schedule: Schedule = Schedule(steps=450, stop_loss=0.03, eta=4000.0, max_change=0.2)
    weight: float = 4.0
    test_single: int = 2000
    test_multi: int = 1000

    @property
    def nets(self) -> int:
        """Nets of a draw that learn from labels alone: all members, then the pupils."""
        return self.members * self.ensembles + self.students

    def rule(self, L: int) -> OnOff:
        """Return the on/off rule for a teacher that is an average of `L` nets.

        The murmur of a class is its output in the middle of the inputs that hold none of its views, as there are
        :math:`(1 - s/k)^M` in expectation.
        """
        blank = (1 - self.task.s / self.task.k) ** self.task.M
        return replace(OnOff.for_average(L), baseline_quantile=blank / 2)


#: Where students find what they lack.
STUDENT_SETTING = Setting()

#: Where single nets keep one view: a higher power, fainter weak views, noise to memorise single-view inputs by, finer
#: steps, and an end only when the last class of every net is loud.
NET_SETTING = replace(
    STUDENT_SETTING,
    task=replace(TASK, weak=(0.2, 0.2), Gamma=0.29, noise_signal=0.05, noise_background=0.57),
    multi=498,
    ensembles=2,
    students=0,
    activation=SReLU(q=4, varrho=12.0),
    sigma_0=0.3,
    schedule=Schedule(steps=1600, stop_loss=0.01, eta=30000.0, max_change=0.2),
)


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
    setting: Setting = STUDENT_SETTING

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
        data = self.task.sample(self.setting.multi, self.setting.single, seed=self.seed + 1, balanced=True)
        return data[torch.randperm(len(data), generator=torch.Generator().manual_seed(self.seed + 4))]

    @cached_property
    def test_single(self) -> Sample:
        """Single-view test inputs, as many of each class and kept view."""
        return self.task.sample(0, self.setting.test_single, seed=self.seed + 2, balanced=True)

    @cached_property
    def test_multi(self) -> Sample:
        """Multi-view test inputs, as many of each class."""
        return self.task.sample(self.setting.test_multi, seed=self.seed + 3, balanced=True)

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
        Outputs on ``"train"``, ``"single"`` and ``"multi"`` (the two test sets).
    y : dict of str to Tensor, shape [n]
        The labels of these inputs.
    history : History
        Of their training.
    seconds : float
        What it took.
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
    def ensembles(self) -> list[Nets]:
        """The disjoint ensembles of the draw."""
        L = self.draw.setting.members
        return [self[L * group : L * (group + 1)] for group in range(self.draw.setting.ensembles)]

    @property
    def members(self) -> Nets:
        """The nets that form the first ensemble."""
        return self.ensembles[0]

    @property
    def students(self) -> Nets:
        """The nets that will be taught."""
        return self[self.draw.setting.nets - self.draw.setting.students :]

    def labels(self, where: str) -> Tensor:
        """Labels of ``"train"``, ``"single"`` or ``"multi"``."""
        return self.y[check_choice("where", where, self.y)]

    def errors(self, where: str) -> np.ndarray:
        """Error of each net, shape [L]."""
        y = self.labels(where)
        return error_rate(self.outputs[where], y)

    def average_error(self, where: str) -> float:
        """Error of the average of the nets' outputs."""
        y = self.labels(where)
        return float(error_rate(average(self.outputs[where]), y))


def singles(draw: Draw, *, wait: bool = True) -> Nets:
    """Train the members of all ensembles and the pupils of a draw on the labels: single nets that differ by seed.

    Parameters
    ----------
    draw : Draw
        Data and setting.
    wait : bool
        See :func:`mvtheory.persistence.store.cached`; the same below.

    Returns
    -------
    Nets
        Members first, then pupils.
    """
    s = draw.setting
    return _kept(draw, "singles", lambda: draw.init(0, s.nets), lambda: None, s.schedule, wait)


def distilled_students(draw: Draw, teacher: str, rule: Rule | None = None, *, wait: bool = True) -> Nets:
    """Teach the pupils of a draw: each goes on from what it learned from the labels.

    Parameters
    ----------
    draw : Draw
        Data and setting.
    teacher : {"ensemble", "single"}
        All learn from the average of the members, or pupil i from member i.
    rule : Rule, optional
        How a student is compared with its teacher; by default the on/off rule, which asks of
        both kinds of teacher the same: does one of its nets say on?

    Returns
    -------
    Nets
    """
    check_choice("teacher", teacher, ("ensemble", "single"))
    s = draw.setting
    rule = rule or s.rule(s.members if teacher == "ensemble" else 1)
    base = singles(draw, wait=wait)

    def lesson() -> Distillation:
        G = base.members.outputs["train"]
        G = average(G).expand(s.students, -1, -1) if teacher == "ensemble" else G[: s.students]
        return Distillation(draw.train.y, G, rule, s.weight)

    name = f"students of {teacher} by {rule}"
    return _kept(draw, name, lambda: base.students.nets, lesson, s.distillation_schedule, wait)


def trained_average(draw: Draw, *, wait: bool = True) -> Nets:
    """Train the average of the first ``averaged`` nets of a draw, jointly, on the labels.

    Parameters
    ----------
    draw : Draw
        Data and setting.
    wait : bool
        As in `singles`.

    Returns
    -------
    Nets
    """
    s = draw.setting
    objective = lambda: AverageCrossEntropy(draw.train.y)  # noqa: E731
    return _kept(draw, "trained average", lambda: draw.init(0, s.averaged), objective, s.schedule, wait)


def lottery_control_variate(draw: Draw, groups: Iterable[Iterable[int]]) -> float:
    r"""Return what chance adds to the error of groups of nets: a control variate, with expectation zero.

    The lottery names the view that each net will keep before it is trained. It says on which share of the
    single-view test inputs all nets of a group will lack the kept view, and, from other initialisations, how large
    this share is on average. The difference, a mean over `groups`, is luck: a measured error minus its luck has the
    same expectation and varies less.

    Parameters
    ----------
    draw : Draw
        The data.
    groups : iterable of iterables of int
        Numbers of the nets of each group; all groups are of one size.

    Returns
    -------
    float
        In [-1, 1].
    """
    named, test, rows = predicted_views(draw)[0], draw.test_single, [list(group) for group in groups]
    for group in rows:
        check_choice("size of a group (that of the first)", len(group), (len(rows[0]),))
    blind = named[:, test.y] != test.kept  # [nets, n]
    drawn = [float(blind[group].all(0).double().mean()) for group in rows]
    return sum(drawn) / len(drawn) - expected_uncovered(draw, len(rows[0]))


def expected_uncovered(draw: Draw, L: int) -> float:
    r"""Return the share of single-view test inputs that `L` nets of a draw all lack, in expectation over their seeds.

    With fair lots it is :math:`(1 - 1/M)^L`; a training set that shows one view a little more strongly lifts it.
    Where a view wins with probability :math:`\pi`, all lack it with probability :math:`(1 - \pi)^L`. A power of
    an estimated :math:`\pi` is too large on average. So we ask instead how likely it is that `L` of the 400 other
    initialisations, drawn without replacement, all lack the view: this has the right expectation.

    Parameters
    ----------
    draw : Draw
        The data.
    L : int, >= 1
        Nets; at most 400.

    Returns
    -------
    float
        In [0, 1].
    """
    check_int("L", L, low=1, high=_OTHERS)
    lacking = _OTHERS - predicted_views(draw)[1]  # initialisations without the view, [k, M]
    among = torch.arange(L, dtype=torch.float64)  # already drawn
    return float(((lacking[..., None] - among) / (_OTHERS - among)).prod(-1).mean())


#: Initialisations, besides those of the nets, that say how often the lottery names each view.
_OTHERS = 400


@lru_cache(maxsize=64)
def predicted_views(draw: Draw) -> tuple[Int[Tensor, "L k"], Int[Tensor, "k M"]]:
    """Return the views named for the nets of a draw, and how many of the other initialisations name each view."""
    s = draw.setting
    views, others = draw.task.views, draw.init(100_000, _OTHERS)
    named = predict_lottery(draw.init(0, s.nets), views, draw.train)
    return named, nnf.one_hot(predict_lottery(others, views, draw.train), s.task.M).sum(0)


def each_draw(
    study: Callable[..., T], draws: Iterable[int] = DRAWS, setting: Setting = STUDENT_SETTING, *args: Any
) -> list[T]:
    """Run `study` on every draw; draws that another process has in hand come last.

    So chapters that are executed at the same time share the work instead of waiting.

    Parameters
    ----------
    study : callable
        `singles`, `students` or `trained_average`.
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
        data = {"train": draw.train, "single": draw.test_single, "multi": draw.test_multi}
        outputs = {f"output {where}": run.nets(sample.x) for where, sample in data.items()}
        labels = {f"label {where}": sample.y for where, sample in data.items()}  # to draw inputs anew takes longer
        history = {f"history {field}": value for field, value in vars(run.history).items()}
        return {"W": run.nets.W, **outputs, **labels, **history}, {}

    key = {"study": name, "draw": draw.number, "setting": asdict(draw.setting), "schedule": asdict(schedule)}
    tensors, meta = cached(key, compute, wait=wait, checkpoint=True)
    part = lambda prefix: {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}  # noqa: E731
    run = Run(PatchNets(tensors["W"], draw.setting.activation), History(**part("history ")))
    return Nets(draw, run.nets, part("output "), part("label "), run.history, meta["seconds"])


def summary(
    draws: Iterable[int] = DRAWS, sharp: Setting = NET_SETTING, distillation_schedule: Setting = STUDENT_SETTING
) -> dict[str, Estimate]:
    """Measure the errors on single-view test inputs that the theory is about.

    Parameters
    ----------
    draws : iterable of int
        Numbers of the draws.
    sharp, lessons : Setting
        The setting of nets and averages, and that of students.

    Returns
    -------
    dict of str to Estimate
        Of a single net, the ensemble, a distilled and a self-distilled net, and the trained average.
    """
    draws = list(draws)
    taught = {
        kind: each_draw(distilled_students, draws, distillation_schedule, kind) for kind in ("ensemble", "single")
    }
    base = each_draw(singles, draws, sharp)
    joint = each_draw(trained_average, draws, sharp)

    def estimate(errors: list[Any], nets: int | None = None) -> Estimate:
        return over_draws(errors, points=sharp.test_single, nets=nets)

    averages = [[nets.average_error("single")] for nets in joint]
    return {
        "single": estimate([nets.errors("single") for nets in base]),
        "ensemble": estimate(
            [[ensemble.average_error("single") for ensemble in nets.ensembles] for nets in base],
            len(draws) * sharp.ensembles * sharp.members,
        ),
        "distilled": estimate([nets.errors("single") for nets in taught["ensemble"]]),
        "self-distilled": estimate([nets.errors("single") for nets in taught["single"]]),
        "trained average": estimate(averages, len(draws) * sharp.averaged),
    }
