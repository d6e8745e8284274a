r"""From lazy to feature learning: a family of models with a single parameter.

A net F with initial weights :math:`w_0` is trained through the centred, scaled outputs

.. math:: F_\alpha(w) = \alpha\,(F(w) - F(w_0))

on the loss divided by :math:`\alpha^2` (L. Chizat, E. Oyallon, F. Bach, *On Lazy Training in Differentiable
Programming*, NeurIPS 2019). In one step of gradient descent the weights then move by :math:`-\eta / \alpha` times the
Jacobian of F, transposed, times the slope of the loss, and the outputs by :math:`-\eta` times the tangent kernel times
this slope, whatever :math:`\alpha` is. So a large :math:`\alpha` leaves the speed of the outputs as it is, and the
weights where they are.
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
    r"""An objective, applied to the centred and scaled outputs, and divided by :math:`\alpha^2`.

    The trainer that is given it sees the raw outputs. So its training error is not that of the scaled ones, and nets
    should not be stopped by it: use ``stop_loss=0``. Rounding errors of F grow by the scale: in single precision the
    outputs must change by more than a thousandth or so of what they were.

    Parameters
    ----------
    base : Objective
        What the scaled outputs are trained for.
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
        loss, slope = self.base(self.alpha * centred, rows, nets)
        return loss / self.alpha**2, slope / self.alpha  # the inner derivative gives one alpha back


def scaled_outputs(
    nets: PatchNets, start: PatchNets, alpha: float, x: Float[Tensor, "n P d"]
) -> Float[Tensor, "L n k"]:
    r"""Return :math:`\alpha\,(F(w) - F(w_0))` on the inputs `x`."""
    check_shape("start.W", start.W, tuple(nets.W.shape))
    return check_number("alpha", alpha, low=0, open_low=True) * (nets(x) - start(x))


def sharpness(nets: PatchNets, x: Float[Tensor, "n P d"]) -> Float[Tensor, " L"]:
    r"""Return the largest eigenvalue of :math:`\Phi_i^\top \Phi_i / n` over all classes i, for each net.

    The second derivative of a loss in the weights of a tangent model is at most this times the second derivative in
    the outputs, which is at most 1/2 for the cross-entropy. Gradient descent is stable below 2 over the product.
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
        What the tangent model is trained for.
    eta : float, > 0
        Learning rate of each step.
    steps : int, >= 1
        Number of steps.
    """
    check_number("eta", eta, low=0, open_low=True)
    features = tangent_features(start, x).contiguous()
    L, k, n, f = features.shape
    delta, rows, nets = x.new_zeros(L, k, f, 1), torch.arange(n), torch.arange(L)
    for _ in range(check_int("steps", steps, low=1)):
        F = (features @ delta)[..., 0].permute(2, 0, 1)  # [n, L, k]
        slope = objective(F, rows, nets)[1] / n
        delta = delta - eta * (features.mT @ slope.permute(1, 2, 0)[..., None])
    return TangentNets(start, delta.view_as(start.W))


def crossover(nets: PatchNets, margin: float | int) -> float:
    r"""Return the scale at which the weights of a class must move by their own length: predicted from sizes alone.

    An output of :math:`\alpha \Lambda^q / (q \varrho^{q-1})` reaches `margin` where :math:`\Lambda = (q \varrho^{q-1}
    \,\mathrm{margin} / \alpha)^{1/q}`. The weights of a class have the length :math:`\|w_i\|`, about :math:`\sigma_0
    \sqrt{m d}`. The two are equal at

    .. math:: \alpha_* = q\, \varrho^{q-1}\, \mathrm{margin} / \|w_i\|^q.

    Parameters
    ----------
    nets : PatchNets
        Nets at their initialisation; their root-mean-square length is used.
    margin : float, > 0
        The output that training asks of a view at strength 1.
    """
    q = check_int("nets.activation.q", getattr(nets.activation, "q", None), low=1)
    varrho = check_number("nets.activation.varrho", getattr(nets.activation, "varrho", None), low=0, open_low=True)
    length = float(nets.W.square().sum((2, 3)).mean()) ** 0.5
    return q * varrho ** (q - 1) * check_number("margin", margin, low=0, open_low=True) / length**q
