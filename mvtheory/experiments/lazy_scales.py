"""From lazy to feature learning: nets, ensembles and students at several scales of the outputs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor

from mvtheory._check import check_number
from mvtheory.data import MultiView
from mvtheory.distillation import Distillation, OnOff
from mvtheory.ensemble import AverageCrossEntropy, average
from mvtheory.experiments.base import DRAWS, FULL, Experiment, labelled
from mvtheory.experiments.fixed_features import STRATA
from mvtheory.experiments.nets import Draw
from mvtheory.experiments.settings import Setting
from mvtheory.linear.linearization import Lazy, crossover, scaled_outputs, sharpness, train_linearized
from mvtheory.measurement import error_rate
from mvtheory.model import PatchNets, SReLU
from mvtheory.training import CrossEntropy, Objective, Schedule, train

__all__ = ["NARROW", "LazyStudy"]

#: Narrow nets on a smaller task: narrow, so that fixed features leave something to learn; small, so that many scales
#: can be trained.
NARROW = Setting(
    task=MultiView(
        k=8, P=16, d=40, s=4.0, weak=(0.4, 0.4), Gamma=0.2, noise_signal=0.1, noise_background=0.3,
    ),
    n_multi_view=299,
    n_single_view=1,
    activation=SReLU(q=3, varrho=4.0),
    m=3,
    sigma_0=0.02,
    members=5,
    students=3,
    schedule=Schedule(steps=200, stop_loss=0, eta=2000.0),
    distillation_schedule=Schedule(steps=150, stop_loss=0, eta=2000.0, max_change=0.1),
    weight=4.0,
    test_single_view=800,
    test_multi_view=400,
)  # fmt: skip


# The axes of what is measured at one scale, by name.
_AXES = {
    "single": "stratum member",
    **dict.fromkeys(("ensemble", "trained average"), "stratum"),
    **dict.fromkeys(("students", "distilled"), "stratum student"),
    **dict.fromkeys(("loss", "movement", "distance"), "net"),
}


@dataclass(frozen=True)
class LazyStudy(Experiment):
    r"""The book's nets, ensembles, trained averages and students at several scales of the outputs.

    At :math:`\alpha = 1` these are the nets of the book, on a smaller task. Everything else is the same at every scale:
    data, initial weights, numbers of steps, rule and weight of the teacher. The learning rate of a schedule is that
    at :math:`\alpha = 1`. It grows as :math:`\alpha^{2 (q-1)/q}`, as the tangent kernel of trained nets falls, up to
    `relative_step` over the sharpness at the initialisation.

    The dataset of a run holds errors with the axes ``alpha``, ``stratum`` and, except for averages, ``member`` or
    ``student``: of ``"single"`` nets, their ``"ensemble"``, the ``"trained average"``, ``"students"`` before and
    ``"distilled"`` ones after distillation. For each ``net``, members first, then students, before distillation: the
    final ``"loss"``, the ``"movement"`` of the weights in units of their initial length, and the ``"distance"`` of the
    outputs on single-view inputs to the tangent model's, in units of its length. Without scales: errors of the
    ``"tangent"`` models, and of students of one end of the scales after distillation from the ensemble of the other,
    ``"lazy distilled from learned"`` and ``"learned distilled from lazy"``; the ``"crossover"`` of
    :func:`mvtheory.linear.linearization.crossover`; and the number of test ``"points"`` of each stratum.

    Attributes
    ----------
    draws : tuple of int
        Numbers of the data sets. What is set here was chosen on the numbers 101 to 103.
    setting : Setting
        Data, nets and schedules.
    alphas : tuple of float
        Scales, increasing.
    relative_step : float, in (0, 4)
        Largest learning rate, in units of one over the sharpness.
    margin : float
        See :func:`mvtheory.linear.linearization.crossover`; at 5 the cross-entropy is about 0.05.
    """

    draws: tuple[int, ...] = DRAWS if FULL else DRAWS[:5]
    setting: Setting = NARROW
    alphas: tuple[float, ...] = (1.0, 1e2, 1e4, 1e5, 1e6, 1e7, 1e8)
    relative_step: float = 3.9
    margin: float = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for alpha in self.alphas:
            check_number("alphas", alpha, low=0, open_low=True)
        if len(self.alphas) < 2 or sorted(set(self.alphas)) != list(self.alphas):
            raise ValueError(f"alphas must be at least 2 increasing numbers; got {self.alphas}")
        check_number("relative_step", self.relative_step, low=0, high=4, open_low=True, open_high=True)

    def on(self, number: int) -> xr.Dataset:
        """Return the measurements at all scales on the data set of this number."""
        draw, s = Draw(number, self.setting), self.setting
        start = draw.init(0, s.members + s.students)
        fastest = self.relative_step / float(sharpness(start, draw.train.x).max())
        tangent = train_linearized(start, draw.train.x, CrossEntropy(draw.train.y), fastest, s.schedule.steps)
        limit = [tangent(test.x) for test in (draw.test_multi_view, draw.test_single_view)]
        scales = [_Scale(alpha, draw, start, fastest) for alpha in self.alphas]
        found = [scale.measure(limit[1]) for scale in scales]
        learned, lazy = scales[0], scales[-1]
        variables = {name: (f"alpha {axes}", torch.stack([at[name] for at in found])) for name, axes in _AXES.items()}
        variables |= {
            "tangent": ("stratum member", _errors([F[: s.members] for F in limit], draw)),
            "lazy distilled from learned": ("stratum student", lazy.distilled(learned.ensemble)),
            "learned distilled from lazy": ("stratum student", learned.distilled(lazy.ensemble)),
            "crossover": ("", torch.tensor(crossover(start, self.margin))),
            "points": ("stratum", torch.tensor([s.test_multi_view, s.test_single_view])),
        }
        return labelled(variables, alpha=self.alphas, stratum=STRATA)


@dataclass(frozen=True)
class _Scale:
    """All nets of a data set at one scale."""

    alpha: float
    draw: Draw
    start: PatchNets
    fastest: float

    @cached_property
    def on_labels(self) -> tuple[PatchNets, Float[Tensor, " L"]]:
        """Members and students trained on the labels, and their final loss."""
        schedule = self.draw.setting.schedule
        return self._trained(self.start, slice(None), CrossEntropy(self.draw.train.y), schedule)

    @cached_property
    def ensemble(self) -> Float[Tensor, "n k"]:
        """Average output of the members on the training inputs."""
        members = slice(0, self.draw.setting.members)
        return average(scaled_outputs(self.on_labels[0][members], self.start[members], self.alpha, self.draw.train.x))

    def distilled(self, G: Float[Tensor, "n k"]) -> Float[Tensor, "tests students"]:
        """Return the errors of the students after distillation from outputs G on the training inputs."""
        s, students = self.draw.setting, slice(self.draw.setting.members, None)
        rule = OnOff.for_average(s.members)
        objective = Distillation(self.draw.train.y, G.expand(s.students, -1, -1), rule, s.weight)
        nets, _ = self._trained(self.on_labels[0][students], students, objective, s.distillation_schedule)
        return _errors(self._tested(nets, students), self.draw)

    def measure(self, limit: Float[Tensor, "L n k"]) -> dict[str, Tensor]:
        """Return what is measured at this scale, given the outputs of the tangent models on single-view inputs."""
        draw, start, s = self.draw, self.start, self.draw.setting
        members, students = slice(0, s.members), slice(s.members, None)
        nets, loss = self.on_labels
        F = self._tested(nets, slice(None))
        joint, _ = self._trained(start[members], members, AverageCrossEntropy(draw.train.y), s.schedule)
        return {
            "single": _errors([one[members] for one in F], draw),
            "ensemble": _errors([average(one[members]) for one in F], draw),
            "trained average": _errors([average(one) for one in self._tested(joint, members)], draw),
            "students": _errors([one[students] for one in F], draw),
            "distilled": self.distilled(self.ensemble),
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
        # The average of L nets passes an L-th of its gradient to each: the step makes up for it.
        schedule = replace(schedule, eta=eta * (len(nets) if base.joint else 1))
        objective = Lazy(base, self.start[rows](self.draw.train.x), self.alpha)
        run = train(nets, self.draw.train, objective, schedule)
        return run.nets, run.history.loss[-1] * self.alpha**2

    def _tested(self, nets: PatchNets, rows: slice) -> list[Tensor]:
        tests = (self.draw.test_multi_view, self.draw.test_single_view)
        return [scaled_outputs(nets, self.start[rows], self.alpha, test.x) for test in tests]


def _errors(outputs: list[Tensor], draw: Draw) -> Float[Tensor, "tests ..."]:
    tests = (draw.test_multi_view, draw.test_single_view)
    return torch.stack([torch.as_tensor(error_rate(F, test.y)) for F, test in zip(outputs, tests, strict=True)])
