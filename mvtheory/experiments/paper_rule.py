"""From how many classes on does the paper's rule teach? Students without noise, in all products."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from mvtheory._check import check_int, check_number
from mvtheory.distillation import Distillation, OneSided, OnOff, Rule
from mvtheory.ensemble import average
from mvtheory.experiments.base import DRAWS, FULL
from mvtheory.experiments.nets import Draw
from mvtheory.experiments.settings import STUDENT_SETTING, Setting
from mvtheory.persistence.store import cached
from mvtheory.reduced.reduction import ViewNets, reduce_to_all_views
from mvtheory.training import Schedule, train

__all__ = ["ClassesStudy", "lost_view_first"]


#: The book's students, with weak views as loud as the theory allows, views of one strength, and no noise.
CLEAN = replace(
    STUDENT_SETTING,
    task=replace(STUDENT_SETTING.task, main=(1.0, 1.0), weak=(0.4, 0.4), noise_signal=0.0, noise_background=0.0),
    single=0,
    members=4,
    students=2,
    test_multi=1000,
    distillation_schedule=Schedule(steps=600, stop_loss=0.01, eta=20000.0, max_change=0.3),
)


@dataclass(frozen=True)
class ClassesStudy:
    """Students of an ensemble and of a single net, by two rules, at several numbers of classes.

    Attributes
    ----------
    k : tuple of int
        Numbers of classes.
    inputs : int
        Training inputs per class.
    weight : float
        Weight of the rules.
    draws : tuple of int
        Numbers of the data draws. What is set here was chosen on others.
    setting : Setting
        The setting at ten classes: nets, data and their strengths.
    """

    k: tuple[int, ...] = (10, 20, 40, 80) if FULL else (10, 20, 40)
    inputs: int = 20
    weight: float = 20.0
    draws: tuple[int, ...] = DRAWS[: 10 if FULL else 5]
    setting: Setting = field(default=CLEAN)

    def __post_init__(self) -> None:
        for name, least in (("k", 2), ("draws", 1)):
            for value in getattr(self, name):
                check_int(name, value, low=least)
        check_int("inputs", self.inputs, low=1)
        check_number("weight", self.weight, low=0, open_low=True)

    def rules(self, teachers: int) -> dict[str, Rule]:
        """Return the rules by name, for a teacher that is an average of so many nets."""
        return {"two-sided": OnOff.for_average(teachers), "paper": OneSided()}

    def run(self) -> tuple[dict[str, Tensor], float]:
        """Train everything, or read what an earlier run left on disk.

        Returns
        -------
        measured : dict of str to Tensor, shape [len(k), draws, ...]
            For each rule and teacher, such as ``"paper, ensemble"``, the ``error`` of its pupils on single-view inputs
            and the share of pairs (input, class) in which they say on though the teacher is off (``alone``); for each
            teacher the share of inputs on which none of the nets that a pupil learned from, itself included, is
            right (``lost``); and the share of lost views that come ``first``, see `lost_view_first`. Single teachers
            teach at the most classes only: there, the first axis has one entry.
        seconds : float
            What it took.
        """
        tensors, meta = cached({"study": "classes", **asdict(self)}, lambda: (self._compute(), {}))
        return tensors, meta["seconds"]

    def _compute(self) -> dict[str, Tensor]:
        rows = [[self._measure(k, number) for number in self.draws] for k in self.k]
        columns = {name: [row for row in rows if name in row[0]] for name in rows[-1][0]}
        return {
            name: torch.stack([torch.stack([cell[name] for cell in row]) for row in c]) for name, c in columns.items()
        }

    def at(self, k: int, number: int) -> Draw:
        """Return a draw at `k` classes."""
        task = self.setting.task
        room = task.M * (task.C_p + (k - 1) * (task.C_weak or task.C_p))
        sized = replace(task, k=k, d=k * task.M, P=room)
        test = max(self.setting.test_single, 20 * k)
        return Draw(number, replace(self.setting, task=sized, multi=self.inputs * k, test_single=test))

    def _measure(self, k: int, number: int) -> dict[str, Tensor]:
        """Return what is measured at `k` classes on one draw."""
        draw, s = self.at(k, number), self.setting
        views, faster = draw.task.views, k / 10  # a class is in one of k inputs, so time runs slower
        nets, data, axes = reduce_to_all_views(draw.init(0, s.members + s.students), draw.train, views)
        labels = replace(s.schedule, eta=faster * s.schedule.eta)
        nets = train(nets, data, schedule=labels).nets
        test, multi = (
            reduce_to_all_views(draw.init(0, 1), sample, views)[1] for sample in (draw.test_single, draw.test_multi)
        )
        wrong = nets(test.x).argmax(-1) != test.y
        F, fresh, students = nets(data.x), nets(multi.x), nets[s.members :]
        own = wrong[s.members :]
        found = {"first": lost_view_first(students, axes, draw)}
        teachers = {
            "ensemble": (average(F[: s.members]).expand(s.students, -1, -1), average(fresh[: s.members]), s.members)
        }
        if k == self.k[-1]:
            teachers["single"] = (F[: s.students], fresh[: s.students], 1)
        lost = {"ensemble": own & wrong[: s.members].all(0), "single": own & wrong[: s.students]}
        lesson = replace(s.distillation_schedule, eta=faster * s.distillation_schedule.eta)
        for teacher, (G, on_fresh, count) in teachers.items():
            off = (on_fresh < OnOff.for_average(count).threshold).expand(s.students, -1, -1)
            found[f"lost, {teacher}"] = lost[teacher].double().mean(-1)
            for name, rule in self.rules(count).items():
                taught = train(students, data, Distillation(data.y, G, rule, self.weight), lesson).nets
                alone = ((taught(multi.x) >= OnOff.cut) & off).double().sum((1, 2)) / off.sum((1, 2))
                found[f"error, {name}, {teacher}"] = (taught(test.x).argmax(-1) != test.y).double().mean(-1)
                found[f"alone, {name}, {teacher}"] = alone
        return found


def lost_view_first(nets: ViewNets, views: Float[Tensor, "k M d"], draw: Draw) -> Float[Tensor, " L"]:
    r"""Return the share of classes in which the lost view would win the race of a one-sided lesson, for each net.

    A rule that only pushes up is obeyed by any way to say on. The lost view of class j is there for the
    asking in a share s/k of the inputs, with the strength of weak views; the main views of another class i,
    a *shortcut*, in 1/k of them, of which :math:`1 - (1 - s/k)^M` are inputs with the teacher on for j. As
    in the race of the labels, what has the larger :math:`S \Lambda^{q-2}` at the start arrives first.

    Parameters
    ----------
    nets : ViewNets
        Nets that have learned from labels.
    views : Tensor, shape [k, M, d]
        The views in their coordinates.
    draw : Draw
        The data, for s, k and the strengths.

    Returns
    -------
    Tensor, shape [L]
    """
    task, q = draw.task, nets.activation.q
    of_weak = task.C_weak or task.C_p
    weak = task.s / task.k * of_weak * (sum(task.weak) / 2 / of_weak) ** q
    main = (1 - (1 - task.s / task.k) ** task.M) / task.k * task.C_p * (sum(task.main) / 2 / task.C_p) ** q
    overlap = nets.products(views).amax(2).clamp(min=0)  # [L, k, k, M], of a class's neurons with every view
    own = overlap.diagonal(dim1=1, dim2=2).amin(1)  # [L, k], the view that was lost
    foreign = overlap.masked_fill(torch.eye(task.k, dtype=torch.bool)[None, :, :, None], 0).amax((2, 3))
    return (weak * own ** (q - 2) > main * foreign ** (q - 2)).double().mean(-1)
