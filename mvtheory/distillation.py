"""Knowledge distillation and self-distillation: one student, three rules.

A *rule* compares a student's outputs F with its teacher's outputs G and returns,
per input and net, a penalty and its gradient with respect to F. The student's loss
is the cross-entropy of the labels plus the weighted penalty. In distillation the
teacher is an ensemble, in self-distillation a single net.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mvtheory._check import check_finite, check_int, check_labels, check_number, check_shape, check_type
from mvtheory._tensors import FLOATS, check_tensor
from mvtheory.engine.compiled import Gate
from mvtheory.engine.elementwise import log_softmax
from mvtheory.training import COMPILED, CrossEntropy

__all__ = ["Distillation", "OnOff", "OneSided", "Rule", "Temperature"]


@runtime_checkable
class Rule(Protocol):
    """How a student's outputs are compared with a teacher's."""

    def prepare_teacher(self, G: Float[Tensor, "*L n k"]) -> Float[Tensor, "*L n k"]:
        """Return the teacher's outputs on all training inputs as the rule uses them; called once, before training.

        A rule derived from this class uses them as they are, unless it says otherwise.
        """
        return G

    def __call__(
        self, F: Float[Tensor, "b L k"], G: Float[Tensor, "b L k"]
    ) -> tuple[Float[Tensor, "b L"], Float[Tensor, "b L k"]]:
        """Return the penalty and its gradient (or the direction used in its place) with respect to F."""
        ...


@dataclass(frozen=True)
class OnOff:
    r"""The two-sided truncated rule: the teacher's outputs are reduced to on or off.

    A class is on where :math:`G_j \ge` `threshold`; there the student's output is raised
    to :math:`F_j \ge c`. Elsewhere the class is off, and the student's output is lowered
    to :math:`F_j \le` `slack` c. Outputs that satisfy their bound have no gradient.

    .. math:: \sum_{j \text{ on}} \tfrac12 [1 - F_j / c]_+^2
              + \sum_{j \text{ off}} h\big([F_j / c - \text{slack}]_+\big)

    with the Huber function h, :math:`h(a) = a^2 / 2` up to 1 and :math:`a - 1/2` beyond:
    the gradient of a class that is off is at most 1 / c.

    Parameters
    ----------
    threshold : float, > 0
        Smallest teacher output that counts as on. In the average of L nets, one net that
        has learned a view contributes 1/L of its output: see :meth:`for_average`.
    cut : float, > 0
        The level c to which outputs that are on are raised.
    baseline_quantile : float, in [0, 1)
        The teacher's output of each class is measured from this quantile over the training inputs, its baseline: a
        net that has memorised a rare input responds a little to every input, through the noise. 0 is the minimum.
    slack : float, in [0, 1)
        Fraction of c up to which an output is off. At 0 the student unlearns the views
        that its teacher has not learned; near 1 its outputs may stay just below c on all
        inputs and differ by what it has memorised alone.
    """

    threshold: float = 0.3
    cut: float = 0.5
    slack: float = 0.5
    baseline_quantile: float = 0.125

    def __post_init__(self) -> None:
        check_number("threshold", self.threshold, low=0, open_low=True)
        check_number("baseline_quantile", self.baseline_quantile, low=0, high=1, open_high=True)
        check_number("cut", self.cut, low=0, open_low=True)
        check_number("slack", self.slack, low=0, high=1, open_high=True)

    @classmethod
    def for_average(cls, L: int) -> OnOff:
        """Return the rule for a teacher that averages `L` nets: a class is on if one of them has it on.

        Parameters
        ----------
        L : int, >= 1
            Nets in the average.

        Returns
        -------
        OnOff
            With the default threshold divided by L.
        """
        check_int("L", L, low=1)
        return cls(threshold=cls.threshold / L)

    def prepare_teacher(self, G: Tensor) -> Tensor:
        """Return the outputs minus the baseline of their class, see :class:`Rule`."""
        return G - G.kthvalue(1 + int(self.baseline_quantile * G.shape[-2]), dim=-2, keepdim=True).values

    def __call__(self, F: Tensor, G: Tensor) -> tuple[Tensor, Tensor]:
        """Return penalty and gradient, see :class:`Rule`."""
        on = self.threshold <= G
        up = (1 - F / self.cut).clamp(min=0) * on
        over = (F / self.cut - self.slack).clamp(min=0) * ~on
        down = over.clamp(max=1)
        penalty = (up**2 / 2 + down * (over - down / 2)).sum(-1)
        return penalty, (down - up) / self.cut


@dataclass(frozen=True)
class OneSided(Rule):
    r"""The paper's truncated rule (our reading of it): it only raises outputs.

    With :math:`p^\tau_i(F) = \mathrm{softmax}_i(\min\{F_i / c, 1\} / \tau)`, the
    student moves along :math:`-\sum_i (p^\tau_i(F) - p^\tau_i(G))^-
    \nabla \log p^\tau_i(F)`, where :math:`a^- = \min\{a, 0\}`. The paper has
    :math:`c = 1 / \tau^2`, for outputs that grow with the number of classes. Here
    outputs stay of order one, so the cut is a number of its own.

    Parameters
    ----------
    tau : float, > 0
        The temperature: a class at the cut has :math:`e^{1 / \tau}` times the probability of one at 0.
    cut : float, > 0
        The level c at which outputs are truncated.
    """

    tau: float = 0.1
    cut: float = 0.3

    def __post_init__(self) -> None:
        check_number("tau", self.tau, low=0, open_low=True)
        check_number("cut", self.cut, low=0, open_low=True)

    def __call__(self, F: Tensor, G: Tensor) -> tuple[Tensor, Tensor]:
        """Return penalty and gradient, see :class:`Rule`."""
        p, target = self.probabilities(F), self.probabilities(G)
        a = (p - target).clamp(max=0)
        below = (self.cut > F).to(F.dtype)
        return (a**2).sum(-1) / 2, below / (self.cut * self.tau) * (a - p * a.sum(-1, keepdim=True))

    def probabilities(self, F: Tensor) -> Tensor:
        """Return the truncated soft labels p^tau(F); the last axis is the class."""
        return log_softmax((F / self.cut).clamp(max=1) / self.tau).exp()


@dataclass(frozen=True)
class Temperature(Rule):
    r"""Hinton's rule: :math:`T^2\, \mathrm{KL}(\mathrm{softmax}(G/T) \| \mathrm{softmax}(F/T))`.

    Parameters
    ----------
    T : float, > 0
        The temperature.
    """

    T: float = 4.0

    def __post_init__(self) -> None:
        check_number("T", self.T, low=0, open_low=True)

    def __call__(self, F: Tensor, G: Tensor) -> tuple[Tensor, Tensor]:
        """Return penalty and gradient, see :class:`Rule`."""
        log_p, log_target = log_softmax(F / self.T), log_softmax(G / self.T)
        target = log_target.exp()
        penalty = self.T**2 * (target * (log_target - log_p)).sum(-1)
        return penalty, self.T * (log_p.exp() - target)


@dataclass(frozen=True)
class Distillation:
    """The objective of a student: cross-entropy of the labels plus `weight` times the penalty of a rule.

    Parameters
    ----------
    y : Tensor of int, shape [n]
        Labels.
    G : Tensor, shape [L, n, k]
        Outputs of each student's teacher on the training inputs; the rule's ``prepare_teacher``
        is applied to them once. Use ``expand`` to give all students the same teacher.
    rule : Rule
        How F is compared with G.
    weight : float, >= 0
        Weight of the penalty.
    """

    y: Int[Tensor, " n"]
    G: Float[Tensor, "L n k"]
    rule: Rule = OnOff()
    weight: float = 1.0
    joint: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        y, G = check_labels("y", check_tensor("y", self.y)), check_tensor("G", self.G, FLOATS).detach()
        k = check_shape("G", G, ("L", len(y), "k"))["k"]
        check_labels("y", y, k)
        check_finite("G", G)
        check_number("weight", self.weight, low=0)
        check_type("rule", self.rule, Rule)
        object.__setattr__(self, "y", y)
        object.__setattr__(self, "G", self.rule.prepare_teacher(G))

    def __call__(self, F: Tensor, rows: Tensor, nets: Tensor) -> tuple[Tensor, Tensor]:
        """Return loss and gradient, see :class:`mvtheory.training.Objective`."""
        loss, dF = CrossEntropy(self.y)(F, rows, nets)
        penalty, output_grad = self.rule(F, self._teachers(rows, nets).to(F.dtype))
        return loss + self.weight * penalty, torch.add(dF, output_grad, alpha=self.weight)

    def _teachers(self, rows: Tensor, nets: Tensor) -> Float[Tensor, "b L k"]:
        return self.G[nets[:, None], rows].transpose(0, 1)

    def _gate(self, rows: Tensor, nets: Tensor) -> dict[str, Gate] | None:
        """Return what compiled code is told, see :data:`mvtheory.training.COMPILED`."""
        if type(self.rule) is not OnOff:
            return None
        on = self.rule.threshold <= self._teachers(rows, nets)
        return {"gate": Gate(on, self.rule.cut, self.rule.slack, self.weight)}


COMPILED[Distillation] = Distillation._gate
