r"""Between lazy training and feature learning: one family of models with a single scale.

A net F with initial weights :math:`w_0` is trained through the centred, scaled outputs

.. math:: F_\alpha(w) = \alpha\,(F(w) - F(w_0))

on the loss divided by :math:`\alpha^2` (L. Chizat, E. Oyallon, F. Bach, *On Lazy Training in Differentiable
Programming*, NeurIPS 2019). A step of gradient descent changes the weights by :math:`-\eta / \alpha` times the
transposed Jacobian of F times the gradient of the loss in the outputs, and the outputs by :math:`-\eta` times the
tangent kernel times this gradient, whatever :math:`\alpha` is. A large :math:`\alpha` thus leaves the speed of the
outputs unchanged while the weights hardly move.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mvtheory._check import check_finite, check_int, check_number, check_shape
from mvtheory.linear.feature_maps import TangentNets, tangent_features
from mvtheory.model import PatchNets
from mvtheory.training import Objective

__all__ = ["Lazy", "crossover", "scaled_outputs", "sharpness", "train_linearized"]


@dataclass(frozen=True)
class Lazy:
    r"""An objective of the centred and scaled outputs, divided by :math:`\alpha^2`.

    The trainer computes the training error from the raw outputs, not from the scaled ones, so that it must not stop
    training: use ``stop_loss=0``. Rounding errors of F are multiplied by the scale: in single precision, outputs must
    change by more than about a thousandth of their initial values.

    Parameters
    ----------
    base : Objective
        The objective of the scaled outputs.
    F_0 : Tensor, shape [L, n, k]
        Outputs of the nets on the training inputs at their initialisation.
    alpha : float, > 0
        The scale.
    """

    base: Objective
    F_0: Float[Tensor, "L n k"]
    alpha: float

    def __post_init__(self) -> None:
        check_shape("F_0", self.F_0, ("L", len(self.base.y), "k"))
        check_finite("F_0", self.F_0)
        check_number("alpha", self.alpha, low=0, open_low=True)

    @property
    def y(self) -> Int[Tensor, " n"]:
        """Labels of the training inputs."""
        return self.base.y

    @property
    def joint(self) -> bool:
        """Whether the loss couples the nets."""
        return self.base.joint

    def __call__(self, F: Tensor, rows: Tensor, nets: Tensor) -> tuple[Tensor, Tensor]:
        """Return loss and gradient, see :class:`mvtheory.training.Objective`."""
        centred = F - self.F_0[nets][:, rows].transpose(0, 1)
        loss, gradient = self.base(self.alpha * centred, rows, nets)
        return loss / self.alpha**2, gradient / self.alpha  # one factor alpha from the chain rule


def scaled_outputs(
    nets: PatchNets, start: PatchNets, alpha: float, x: Float[Tensor, "n P d"]
) -> Float[Tensor, "L n k"]:
    r"""Return :math:`\alpha\,(F(w) - F(w_0))` on the inputs `x`."""
    check_shape("start.W", start.W, tuple(nets.W.shape))
    return check_number("alpha", alpha, low=0, open_low=True) * (nets(x) - start(x))


def sharpness(nets: PatchNets, x: Float[Tensor, "n P d"]) -> Float[Tensor, " L"]:
    r"""Return the largest eigenvalue of :math:`\Phi_i^\top \Phi_i / n` over all classes i, for each net.

    The second derivative of a loss in the weights of a tangent model is at most the sharpness times the second
    derivative in the outputs, which is at most 1/2 for the cross-entropy. Gradient descent is stable at learning rates
    below 2 over the product.
    """
    features = tangent_features(nets, x)
    return torch.linalg.matrix_norm(features.mT @ features, 2).amax(1) / len(x)


def train_linearized(
    start: PatchNets, x: Float[Tensor, "n P d"], objective: Objective, eta: float, steps: int
) -> TangentNets:
    r"""Train the tangent model by gradient descent from zero: the limit of :class:`Lazy` at large :math:`\alpha`.

    Parameters
    ----------
    start : PatchNets
        Nets at their initialisation.
    x : Tensor, shape [n, P, d]
        Training inputs.
    objective : Objective
        The objective of the tangent model.
    eta : float, > 0
        Learning rate.
    steps : int, >= 1
        Number of steps.
    """
    check_number("eta", eta, low=0, open_low=True)
    features = tangent_features(start, x).contiguous()
    L, k, n, f = features.shape
    delta, rows, nets = x.new_zeros(L, k, f, 1), torch.arange(n), torch.arange(L)
    for _ in range(check_int("steps", steps, low=1)):
        F = (features @ delta)[..., 0].permute(2, 0, 1)  # [n, L, k]
        gradient = objective(F, rows, nets)[1] / n
        delta = delta - eta * (features.mT @ gradient.permute(1, 2, 0)[..., None])
    return TangentNets(start, delta.view_as(start.W))


def crossover(nets: PatchNets, margin: float | int) -> float:
    r"""Estimate the scale at which the weights of a class must move by as much as their initial norm.

    An output of :math:`\alpha \Lambda^q / (q \varrho^{q-1})` reaches `margin` where :math:`\Lambda = (q \varrho^{q-1}
    \,\mathrm{margin} / \alpha)^{1/q}`. The weights of a class have the norm :math:`\|w_i\|`, about :math:`\sigma_0
    \sqrt{m d}`. The two are equal at

    .. math:: \alpha_* = q\, \varrho^{q-1}\, \mathrm{margin} / \|w_i\|^q.

    Parameters
    ----------
    nets : PatchNets
        Nets at their initialisation, whose root-mean-square norm is used.
    margin : float, > 0
        The output that training requires for a view at strength 1.
    """
    q, varrho = nets.activation.q, nets.activation.varrho
    norm = float(nets.W.square().sum((2, 3)).mean()) ** 0.5
    return q * varrho ** (q - 1) * check_number("margin", margin, low=0, open_low=True) / norm**q
