"""Knowledge distillation and self-distillation: one student, three rules.

A *rule* compares a student's outputs F with its teacher's outputs G and returns,
per input and net, a penalty and the direction in which F moves. A student learns
from the labels and from its rule; distillation and self-distillation differ only
in who the teacher is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mvtheory._check import check_finite, check_int, check_labels, check_number, check_shape
from mvtheory.engine.elementwise import log_softmax
from mvtheory.training import CrossEntropy

__all__ = ["Distillation", "OnOff", "OneSided", "Rule", "Temperature"]


@runtime_checkable
class Rule(Protocol):
    """How a student's outputs are compared with a teacher's."""

    def prepare_teacher(self, G: Float[Tensor, "*L n k"]) -> Float[Tensor, "*L n k"]:
        """Return what the rule takes in of a teacher's outputs on all training inputs, once before the lesson."""
        ...

    def __call__(
        self, F: Float[Tensor, "b L k"], G: Float[Tensor, "b L k"]
    ) -> tuple[Float[Tensor, "b L"], Float[Tensor, "b L k"]]:
        """Return the penalty, and its (pseudo-)gradient with respect to F."""
        ...


@dataclass(frozen=True)
class OnOff:
    r"""The two-sided truncated rule: class j is on, or off, and no more is said.

    Where the teacher says on, :math:`G_j \ge` `threshold`, the student is pushed up
    to :math:`F_j \ge c`; where it says off, down to :math:`F_j \le` `slack` c.
    In between and beyond nothing pushes.

    .. math:: \tfrac12 \sum_j \mathbb 1_{\rm on} [1 - F_j / c]_+^2
              + \mathbb 1_{\rm off} \min([F_j / c - \text{slack}]_+, 1)^2

    (linear instead of constant beyond 1: the push down is at most 1 per class).

    Parameters
    ----------
    threshold : float, > 0
        From which output on the teacher counts as on. One member of an ensemble of L that
        holds a view contributes 1/L of its output: see :meth:`for_average`.
    cut : float, > 0
        The level c above which the student counts as on.
    baseline_quantile : float, in [0, 1)
        The teacher's output of each class is measured from this quantile over the training inputs, its baseline: a
        net that has memorised a rare input responds a little to every input, through the noise. 0 is the minimum.
    slack : float, in [0, 1)
        Share of c that is still off. With 0 a student is made to unlearn what its
        teacher does not know; near 1 it may stay just below c on all inputs, and tell
        them apart by the little that it learns by heart.
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
        """Return the same rule for a teacher that is the average of `L` nets: one that says on is enough.

        Parameters
        ----------
        L : int, >= 1
            Nets in the average.

        Returns
        -------
        OnOff
            With an L-th of the threshold.
        """
        check_int("L", L, low=1)
        return cls(threshold=cls.threshold / L)

    def prepare_teacher(self, G: Tensor) -> Tensor:
        """Return the outputs above the murmur of their class, see :class:`Rule`."""
        return G - G.kthvalue(1 + int(self.baseline_quantile * G.shape[-2]), dim=-2, keepdim=True).values

    def __call__(self, F: Tensor, G: Tensor) -> tuple[Tensor, Tensor]:
        """Return penalty and push, see :class:`Rule`."""
        on = self.threshold <= G
        up = (1 - F / self.cut).clamp(min=0) * on
        over = (F / self.cut - self.slack).clamp(min=0) * ~on
        down = over.clamp(max=1)
        penalty = (up**2 / 2 + down * (over - down / 2)).sum(-1)
        return penalty, (down - up) / self.cut


@dataclass(frozen=True)
class OneSided:
    r"""The paper's truncated rule (our reading of it): it only pushes up.

    With :math:`p^\tau_i(F) = \mathrm{softmax}_i(\min\{F_i / c, 1\} / \tau)`, the
    student moves along :math:`-\sum_i (p^\tau_i(F) - p^\tau_i(G))^-
    \nabla \log p^\tau_i(F)`, where :math:`a^- = \min\{a, 0\}`. The paper has
    :math:`c = 1 / \tau^2`, for outputs that grow with the number of classes. Here
    outputs stay of order one, so the cut is a number of its own.

    Parameters
    ----------
    tau : float, > 0
        The temperature: a class that is on outweighs one that is off by :math:`e^{1 / \tau}`.
    cut : float, > 0
        Outputs above c count as one.
    """

    tau: float = 0.1
    cut: float = 0.3

    def __post_init__(self) -> None:
        check_number("tau", self.tau, low=0, open_low=True)
        check_number("cut", self.cut, low=0, open_low=True)

    def prepare_teacher(self, G: Tensor) -> Tensor:
        """Return `G`, see :class:`Rule`."""
        return G

    def __call__(self, F: Tensor, G: Tensor) -> tuple[Tensor, Tensor]:
        """Return penalty and push, see :class:`Rule`."""
        p, target = self.probabilities(F), self.probabilities(G)
        a = (p - target).clamp(max=0)
        below = (self.cut > F).to(F.dtype)
        return (a**2).sum(-1) / 2, below / (self.cut * self.tau) * (a - p * a.sum(-1, keepdim=True))

    def probabilities(self, F: Tensor) -> Tensor:
        """Return the truncated soft labels p^tau(F); the last axis is the class."""
        return log_softmax((F / self.cut).clamp(max=1) / self.tau).exp()


@dataclass(frozen=True)
class Temperature:
    r"""Hinton's rule: :math:`T^2\, \mathrm{KL}(\mathrm{softmax}(G/T) \| \mathrm{softmax}(F/T))`.

    Parameters
    ----------
    T : float, > 0
        The temperature.
    """

    T: float = 4.0

    def __post_init__(self) -> None:
        check_number("T", self.T, low=0, open_low=True)

    def prepare_teacher(self, G: Tensor) -> Tensor:
        """Return `G`, see :class:`Rule`."""
        return G

    def __call__(self, F: Tensor, G: Tensor) -> tuple[Tensor, Tensor]:
        """Return penalty and push, see :class:`Rule`."""
        log_p, log_target = log_softmax(F / self.T), log_softmax(G / self.T)
        target = log_target.exp()
        penalty = self.T**2 * (target * (log_target - log_p)).sum(-1)
        return penalty, self.T * (log_p.exp() - target)


@dataclass(frozen=True)
class Distillation:
    """Cross-entropy of the labels plus `weight` times a rule: an objective.

    Parameters
    ----------
    y : Tensor of int, shape [n]
        Labels.
    G : Tensor, shape [L, n, k]
        Each student's teacher on the training inputs; the rule's ``listen`` is applied
        to it once. Use ``expand`` to give all students the same.
    rule : Rule
        How F is compared with G.
    weight : float, >= 0
        Weight of the rule beside the labels.
    """

    y: Int[Tensor, " n"]
    G: Float[Tensor, "L n k"]
    rule: Rule = OnOff()
    weight: float = 1.0
    joint: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        check_shape("G", self.G, ("L", len(self.y), "k"))
        check_finite("G", self.G)
        check_labels("y", self.y, self.G.shape[-1])
        check_number("weight", self.weight, low=0)
        object.__setattr__(self, "G", self.rule.prepare_teacher(self.G))

    def __call__(self, F: Tensor, rows: Tensor, nets: Tensor) -> tuple[Tensor, Tensor]:
        """Return loss and gradient, see :class:`mvtheory.training.Objective`."""
        loss, dF = CrossEntropy(self.y)(F, rows, nets)
        G = self.G[nets[:, None], rows].transpose(0, 1)
        penalty, output_grad = self.rule(F, G)
        return loss + self.weight * penalty, torch.add(dF, output_grad, alpha=self.weight)
