"""From lazy to feature learning: what ensembles and teachers are worth along the scale of the outputs."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from mvtheory._check import check_choice, check_int, check_number
from mvtheory.data import MultiView
from mvtheory.distillation import Distillation, OnOff
from mvtheory.ensemble import AverageCrossEntropy, average
from mvtheory.experiments.base import DRAWS, FULL
from mvtheory.experiments.nets import Draw
from mvtheory.experiments.random_features import STRATA, Tensors, _on_one_thread, _stack
from mvtheory.experiments.settings import Setting
from mvtheory.linear.linearization import Lazy, crossover, scaled_outputs, sharpness, train_linearized
from mvtheory.measurement import Estimate, difference_over_draws, error_rate, over_draws
from mvtheory.model import PatchNets, SReLU
from mvtheory.persistence.store import cached
from mvtheory.training import CrossEntropy, Objective, Schedule, train

__all__ = ["NARROW", "LazyResults", "LazyStudy"]

#: Narrow nets on a smaller task: narrow, so that fixed features leave something to learn; small, so that many scales
#: can be trained.
NARROW = Setting(
    task=MultiView(
        k=8, P=16, d=40, s=4.0, weak=(0.4, 0.4), Gamma=0.2, noise_signal=0.1, noise_background=0.3,
    ),
    multi=299,
    single=1,
    activation=SReLU(q=3, varrho=4.0),
    m=3,
    sigma_0=0.02,
    members=5,
    students=3,
    averaged=5,
    schedule=Schedule(steps=200, stop_loss=0, eta=2000.0),
    distillation_schedule=Schedule(steps=150, stop_loss=0, eta=2000.0, max_change=0.1),
    weight=4.0,
    test_single=800,
    test_multi=400,
)  # fmt: skip


@dataclass(frozen=True)
class LazyStudy:
    r"""The book's nets, ensembles, trained averages and students at several scales of the outputs.

    At :math:`\alpha = 1` these are the nets of the book, on a smaller task. Everything else is the same at every scale:
    data, initial weights, numbers of steps, rule and weight of the teacher. The learning rate of a schedule is that
    at :math:`\alpha = 1`. It grows as :math:`\alpha^{2 (q-1)/q}`, as the tangent kernel of trained nets falls, up to
    `relative_step` over the sharpness at the initialisation.

    Attributes
    ----------
    setting : Setting
        Data, nets and schedules.
    alphas : tuple of float
        Scales, increasing.
    relative_step : float, in (0, 4)
        Largest learning rate times the sharpness at the initialisation.
    margin : float
        See :func:`mvtheory.linear.linearization.crossover`; at 5 the cross-entropy is about 0.05.
    draws : tuple of int
        Numbers of the data draws. What is set here was chosen on the draws 101 to 103.
    """

    setting: Setting = NARROW
    alphas: tuple[float, ...] = (1.0, 1e2, 1e4, 1e5, 1e6, 1e7, 1e8)
    relative_step: float = 3.9
    margin: float = 5.0
    draws: tuple[int, ...] = DRAWS if FULL else DRAWS[:5]

    def __post_init__(self) -> None:
        for draw in self.draws:
            check_int("draws", draw, low=1)
        for alpha in self.alphas:
            check_number("alphas", alpha, low=0, open_low=True)
        if len(self.alphas) < 2 or sorted(set(self.alphas)) != list(self.alphas):
            raise ValueError(f"alphas must be at least 2 increasing numbers; got {self.alphas}")
        check_number("relative_step", self.relative_step, low=0, high=4, open_low=True, open_high=True)

    def run(self) -> LazyResults:
        """Train and test everything, or read what an earlier run left on disk."""
        tensors, meta = cached({"study": "lazy", **asdict(self)}, lambda: _on_one_thread(self._compute))
        return LazyResults(self, tensors, meta["seconds"])

    def _compute(self) -> Tensors:
        return _stack([self._on(Draw(number, self.setting)) for number in self.draws])

    def _on(self, draw: Draw) -> Tensors:
        """Return the measurements on one draw, [alphas, ...], those of its tangent models and of crossed lessons."""
        s, x = self.setting, draw.train.x
        start = draw.init(0, s.members + s.students)
        fastest = self.relative_step / float(sharpness(start, x).max())
        tangent = train_linearized(start, x, CrossEntropy(draw.train.y), fastest, s.schedule.steps)
        limit = [tangent(test.x) for test in (draw.test_multi, draw.test_single)]
        scales = [_Scale(alpha, draw, start, fastest) for alpha in self.alphas]
        found = _stack([scale.measure(limit[1]) for scale in scales])
        learned, lazy = scales[0], scales[-1]
        return found | {
            "tangent": _errors([F[: s.members] for F in limit], draw),
            "lazy taught by learned": lazy.taught(learned.ensemble),
            "learned taught by lazy": learned.taught(lazy.ensemble),
            "crossover": torch.tensor(crossover(start, self.margin)),
        }


@dataclass(frozen=True)
class _Scale:
    """All nets of a draw at one scale."""

    alpha: float
    draw: Draw
    start: PatchNets
    fastest: float

    @cached_property
    def alone(self) -> tuple[PatchNets, Tensor]:
        """Members and pupils trained on the labels, and their final loss."""
        schedule = self.draw.setting.schedule
        return self._trained(self.start, slice(None), CrossEntropy(self.draw.train.y), schedule)

    @cached_property
    def ensemble(self) -> Tensor:
        """Average output of the members on the training inputs."""
        members = slice(0, self.draw.setting.members)
        return average(scaled_outputs(self.alone[0][members], self.start[members], self.alpha, self.draw.train.x))

    def taught(self, G: Tensor) -> Float[Tensor, "tests pupils"]:
        """Errors of the pupils after lessons from an ensemble with the outputs G on the training inputs."""
        s, students = self.draw.setting, slice(self.draw.setting.members, None)
        rule = OnOff.for_average(s.members)
        lesson = Distillation(self.draw.train.y, G.expand(s.students, -1, -1), rule, s.weight)
        nets, _ = self._trained(self.alone[0][students], students, lesson, s.distillation_schedule)
        return _errors(self._tested(nets, students), self.draw)

    def measure(self, limit: Tensor) -> Tensors:
        """Return what `LazyResults` holds, given the outputs of the tangent models on single-view inputs."""
        draw, start, s = self.draw, self.start, self.draw.setting
        members, students = slice(0, s.members), slice(s.members, None)
        nets, loss = self.alone
        F = self._tested(nets, slice(None))
        joint, _ = self._trained(start[members], members, AverageCrossEntropy(draw.train.y), s.schedule)
        return {
            "single": _errors([one[members] for one in F], draw),
            "ensemble": _errors([average(one[members])[None] for one in F], draw),
            "trained average": _errors([average(one)[None] for one in self._tested(joint, members)], draw),
            "pupils": _errors([one[students] for one in F], draw),
            "distilled": self.taught(self.ensemble),
            "loss": loss,
            "movement": (nets.W - start.W).flatten(1).norm(dim=1) / start.W.flatten(1).norm(dim=1),
            "distance": (F[1] - limit).flatten(1).norm(dim=1) / limit.flatten(1).norm(dim=1),
        }

    def _trained(
        self, nets: PatchNets, rows: slice, base: Objective, schedule: Schedule
    ) -> tuple[PatchNets, Float[Tensor, " L"]]:
        """Train nets that started as `start[rows]`; return them, and their final loss in units of `base`."""
        q = self.draw.setting.activation.q
        eta = min(schedule.eta * self.alpha ** (2 * (q - 1) / q), self.fastest)
        # The average of L nets passes an L-th of its slope to each: the step makes up for it.
        schedule = replace(schedule, eta=eta * (len(nets) if base.joint else 1))
        objective = Lazy(base, self.start[rows](self.draw.train.x), self.alpha)
        run = train(nets, self.draw.train, objective, schedule)
        return run.nets, run.history.loss[-1] * self.alpha**2

    def _tested(self, nets: PatchNets, rows: slice) -> list[Tensor]:
        tests = (self.draw.test_multi, self.draw.test_single)
        return [scaled_outputs(nets, self.start[rows], self.alpha, test.x) for test in tests]


@dataclass(frozen=True)
class LazyResults:
    r"""What `LazyStudy.run` measured.

    Attributes
    ----------
    study : LazyStudy
    tensors : dict of str to Tensor
        Test errors, shape [draws, alphas, 2, nets], of ``"single"`` nets, their ``"ensemble"``, the ``"trained
        average"``, ``"pupils"`` before and ``"distilled"`` nets after the lesson. For each single net and pupil, shape
        [draws, alphas, nets]: final ``"loss"``, ``"movement"`` of the weights in units of their initial length, and
        ``"distance"`` of the outputs on single-view inputs to the tangent model's, in units of its length. Errors,
        shape [draws, 2, nets], of the ``"tangent"`` models, and of pupils of one end of the scales after lessons from
        the ensemble of the other: ``"lazy taught by learned"`` and ``"learned taught by lazy"``. The forecast of
        :func:`mvtheory.linear.linearization.crossover`, [draws].
    seconds : float
        Wall time of the run.
    """

    study: LazyStudy
    tensors: Tensors
    seconds: float

    def errors(self, method: str, alpha: float, stratum: str = "single-view") -> Float[Tensor, "draws nets"]:
        """Test errors of the nets of one method, at one scale, on one kind of input."""
        methods = ("single", "ensemble", "trained average", "pupils", "distilled")
        row = STRATA.index(check_choice("stratum", stratum, STRATA))
        return self.tensors[check_choice("method", method, methods)][:, self._place(alpha), row]

    def error(self, method: str, alpha: float, stratum: str = "single-view") -> Estimate:
        """Mean of `errors` with its interval; an average counts all of its nets."""
        errors = self.errors(method, alpha, stratum)
        return over_draws(errors, points=self._points(stratum), nets=self._nets(method) * len(errors))

    def tangent(self, stratum: str = "single-view") -> Estimate:
        """Mean error of the tangent models."""
        errors = self.tensors["tangent"][:, STRATA.index(check_choice("stratum", stratum, STRATA))]
        return over_draws(errors, points=self._points(stratum))

    def difference(self, first: str, second: str, alpha: float) -> Estimate:
        """Mean error of one method minus that of another on single-view inputs, paired by data draw."""
        a, b = (self.errors(method, alpha) for method in (first, second))
        nets = len(a) * max(self._nets(first), self._nets(second))
        return difference_over_draws(a, b, points=self._points("single-view"), nets=nets)

    def crossed(self, students: str) -> Estimate:
        """Gain of pupils of one end, ``"lazy"`` or ``"learned"``, on single-view inputs, taught by the other end."""
        place = {"learned": 0, "lazy": -1}[check_choice("pupils", students, ("learned", "lazy"))]
        teacher = {"learned": "lazy", "lazy": "learned"}[students]
        before = self.errors("pupils", self.study.alphas[place])
        after = self.tensors[f"{students} taught by {teacher}"][:, 1]
        return difference_over_draws(before, after, points=self._points("single-view"), nets=before.numel())

    def measured(self, name: str, alpha: float) -> Estimate:
        """Mean ``"loss"``, ``"movement"`` or ``"distance"`` of a net."""
        check_choice("name", name, ("loss", "movement", "distance"))
        return over_draws(self.tensors[name][:, self._place(alpha)], points=None)

    def fall(self, first: str, second: str) -> Estimate:
        """Difference of two methods at the smallest scale minus that at the largest."""
        ends = self.study.alphas[0], self.study.alphas[-1]
        low, high = ((self.errors(first, a).mean(1) - self.errors(second, a).mean(1))[:, None] for a in ends)
        nets = len(low) * max(self._nets(first), self._nets(second))
        # Each side is a difference of shares, in [-1, 1], and so no share itself.
        return difference_over_draws(low, high, points=None, nets=nets)

    def dissolves(self) -> Float[Tensor, " draws"]:
        r"""Return, by draw, the logarithm to base 10 of the scale at which half of a teacher's worth is gone.

        The gain of students at the smallest scale is the whole; between two scales the gain is taken to be linear in
        :math:`\log \alpha`. Where half of it is left at the largest scale, that scale is returned.
        """
        students, taught = (self.tensors[name][:, :, 1].mean(-1) for name in ("pupils", "distilled"))
        logs = [math.log10(alpha) for alpha in self.study.alphas]
        return torch.stack([_half(logs, gain / gain[0]) for gain in students - taught])

    def _place(self, alpha: float) -> int:
        return self.study.alphas.index(check_choice("alpha", alpha, self.study.alphas))

    def _nets(self, method: str) -> int:
        s = self.study.setting
        sizes = {"ensemble": s.members, "trained average": s.members, "single": s.members}
        return sizes.get(method, s.students)

    def _points(self, stratum: str) -> int:
        s = self.study.setting
        return s.test_single if stratum == "single-view" else s.test_multi


def _half(logs: list[float], share: Float[Tensor, " alphas"]) -> Tensor:
    """Return where the shares, which begin at 1, first fall to a half."""
    for place in range(1, len(logs)):
        before, after = float(share[place - 1]), float(share[place])
        if after < 0.5:
            part = (before - 0.5) / (before - after)
            return torch.tensor(logs[place - 1] + part * (logs[place] - logs[place - 1]))
    return torch.tensor(logs[-1])


def _errors(outputs: list[Tensor], draw: Draw) -> Float[Tensor, "tests nets"]:
    tests = (draw.test_multi, draw.test_single)
    return torch.stack([torch.as_tensor(error_rate(F, test.y)) for F, test in zip(outputs, tests, strict=True)])
