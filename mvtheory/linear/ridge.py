r"""Linear models on fixed features: ridge regression, its regulariser from held-out inputs, and gradient descent.

A *problem* has features :math:`\Phi`, shape [n, f], and targets T, shape [n, c]. Its weights minimise

.. math:: \|\Phi \delta - T\|^2 + \lambda \bar K \|\delta\|^2, \qquad \bar K = \tfrac1n \|\Phi\|^2.

Measured in units of :math:`\bar K`, the mean squared length of the features of an input, the ridge
:math:`\lambda` means the same at any scale of the features. Problems come stacked: L models of B problems
each, with features [L, B, n, f] and targets [L, B, n, c], or [1, B, n, c] if all models share them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mvtheory._check import check_finite, check_int, check_number, check_shape

__all__ = ["RIDGES", "Ridge", "choose_ridge", "every_fifth", "gradient_descent", "share_in_span", "side_by_side"]

#: The ridges that held-out inputs choose from.
RIDGES = tuple(10.0**power for power in (-3, -2.5, -2, -1.5, -1, -0.5, 0, 0.5))


class Ridge:
    """Ridge regression on fixed features: set up once, then solved for any targets and any ridge.

    It solves the f equations of the weights or the n equations of the kernel, whichever are fewer.

    Parameters
    ----------
    features : Tensor, shape [L, B, n, f]
    """

    def __init__(self, features: Float[Tensor, "L B n f"]) -> None:
        check_shape("features", features, ("L", "B", "n", "f"))
        check_finite("features", features)
        self.features = features
        n, f = features.shape[2:]
        self._primal = f <= n
        self._gram = [phi.mT @ phi if self._primal else phi @ phi.mT for phi in features]
        # The trace of either matrix is the squared length of all features. Without features the weights are 0.
        traces = torch.stack([gram.diagonal(dim1=-2, dim2=-1).sum(-1) for gram in self._gram])
        self.scale = (traces / n).clamp(min=torch.finfo(features.dtype).tiny)

    def solve(self, targets: Float[Tensor, "_ B n c"], ridge: float) -> Float[Tensor, "L B f c"]:
        """Return the weights of all problems.

        Parameters
        ----------
        targets : Tensor, shape [L, B, n, c] or [1, B, n, c]
        ridge : float, > 0
            In units of the mean squared length of the features of an input.
        """
        ridge = check_number("ridge", ridge, low=0, open_low=True)
        L, B, n, _ = self.features.shape
        check_shape("targets", targets, (1 if len(targets) == 1 else L, B, n, "c"))
        check_finite("targets", targets)
        stacks = zip(self.features, self._gram, self.scale, targets.expand(L, -1, -1, -1), strict=True)
        return torch.stack([self._solve(*stack, ridge) for stack in stacks])

    def _solve(self, phi: Tensor, gram: Tensor, scale: Tensor, targets: Tensor, ridge: float) -> Tensor:
        unit = scale[:, None, None]
        shifted = gram / unit
        shifted.diagonal(dim1=-2, dim2=-1).add_(ridge)
        factor = torch.linalg.cholesky(shifted)
        if self._primal:
            return torch.cholesky_solve(phi.mT @ targets / unit, factor)
        return phi.mT @ torch.cholesky_solve(targets / unit, factor)


def side_by_side(features: Float[Tensor, "L B n f"]) -> Float[Tensor, "1 B n Lf"]:
    r"""Return the features of all models as those of one, :math:`(\Phi^{(1)}, \dots, \Phi^{(L)}) / \sqrt L`.

    The average of L linear models is one linear model on them. Its ridge regression is the *trained average*:
    the misfit of the average plus the mean penalty of the models.
    """
    L, B, n, f = features.shape
    return (features / L**0.5).permute(1, 2, 0, 3).reshape(1, B, n, L * f)


def every_fifth(n: int) -> Bool[Tensor, " n"]:
    """Mark every fifth of `n` inputs, from the first one on: those that are held out."""
    return torch.arange(check_int("n", n, low=5)) % 5 == 0


def choose_ridge(
    features: Float[Tensor, "L B n f"],
    targets: Sequence[Float[Tensor, "_ B n c"]],
    labels: Float[Tensor, "1 B n c"],
    held: Bool[Tensor, " n"],
    ridges: Sequence[float] = RIDGES,
) -> list[float]:
    """Return the ridge at which models fitted to the other inputs come closest to the labels of the held-out ones.

    Parameters
    ----------
    features : Tensor, shape [L, B, n, f]
    targets : sequence of Tensors, shape [L, B, n, c] or [1, B, n, c]
        What the models are fitted to, where `held` is False.
    labels : Tensor, shape [1, B, n, c]
        What their outputs are compared with, in mean squared distance over all models, where `held` is True.
    held : Tensor of bool, shape [n]
        The inputs that are held out: at least one, and not all.
    ridges : sequence of float, > 0
        To choose from.

    Returns
    -------
    list of float
        One ridge for each of the `targets`.
    """
    L, _, n, _ = features.shape
    check_shape("held", held, (n,))
    check_int("number of held-out inputs", int(held.sum()), low=1, high=n - 1)
    if not targets or not ridges:
        raise ValueError(f"targets and ridges must not be empty; got {len(targets)} and {len(ridges)}")
    seen = torch.cat([target[:, :, ~held].expand(L, -1, -1, -1) for target in targets], -1)
    problem, asked, truth = Ridge(features[:, :, ~held]), features[:, :, held], labels[:, :, held]
    misfit = []
    for ridge in ridges:
        answers = (asked @ problem.solve(seen, ridge)).split([target.shape[-1] for target in targets], -1)
        misfit.append([float((answer - truth).square().mean()) for answer in answers])
    return [ridges[min(range(len(ridges)), key=column.__getitem__)] for column in zip(*misfit, strict=True)]


def gradient_descent(
    features: Float[Tensor, "L B n f"], targets: Float[Tensor, "_ B n c"], ridge: float, steps: int
) -> tuple[Float[Tensor, "L B f c"], float]:
    r"""Minimise the objective of ridge regression by gradient descent from zero weights.

    With s the largest eigenvalue of :math:`\Phi^\top \Phi`, a step of length :math:`1 / (s + \lambda \bar K)`
    shrinks the distance to the solution at least by the factor :math:`s / (s + \lambda \bar K)`.

    Parameters
    ----------
    features, targets, ridge
        As in `Ridge`.
    steps : int, >= 1

    Returns
    -------
    weights : Tensor, shape [L, B, f, c]
    bound : float
        No distance to a solution is more than this share of the solution's length.
    """
    check_int("steps", steps, low=1)
    strength = check_number("ridge", ridge, low=0, open_low=True) * Ridge(features).scale[..., None, None]
    gram, right = features.mT @ features, features.mT @ targets
    top = torch.linalg.matrix_norm(gram, 2)[..., None, None]
    weights = torch.zeros_like(right)
    for _ in range(steps):
        weights = weights - (gram @ weights + strength * weights - right) / (top + strength)
    return weights, float((top / (top + strength)).max()) ** steps


def share_in_span(features: Float[Tensor, "L B n f"], targets: Float[Tensor, "_ B n c"]) -> Float[Tensor, " L"]:
    r"""Return the share of the targets' squared length that lies in the span of the features of each model.

    Features of rank r span a share r/n of n chance numbers. So what is left over is counted n/(n - r) times, as in an
    adjusted :math:`R^2`: chance then has the expected share 0.

    Parameters
    ----------
    features : Tensor, shape [L, B, n, f]
        With fewer features than inputs.
    targets : Tensor, shape [L, B, n, c] or [1, B, n, c]
    """
    n, f = features.shape[2:]
    check_int("f (fewer features than inputs)", f, low=1, high=n - 1)
    phi, whole = features.double(), targets.double()
    size, axes = torch.linalg.eigh(phi.mT @ phi)
    real = size > 1e-9 * size[..., -1:].clamp(min=torch.finfo(size.dtype).tiny)
    inside = (axes.mT @ (phi.mT @ whole)).square().sum(-1) * real / size.where(real, torch.ones_like(size))
    left = whole.square().sum((2, 3)) - inside.sum(-1)
    rest = (left * n / (n - real.sum(-1))).sum(-1) / whole.square().sum((1, 2, 3))
    return (1 - rest).to(features.dtype)
