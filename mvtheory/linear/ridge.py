r"""Linear models on fixed features: ridge regression, the ridge from held-out inputs, and gradient descent.

A *problem* has features :math:`\Phi`, shape [n, f], and targets T, shape [n, c]. Its weights minimise

.. math:: \|\Phi \delta - T\|^2 + \lambda \bar K \|\delta\|^2, \qquad \bar K = \tfrac1n \|\Phi\|^2.

In units of :math:`\bar K`, the mean squared norm of the features of an input, the ridge :math:`\lambda` is
independent of the scale of the features. Problems are stacked: L models of B problems each, with features
[L, B, n, f] and targets [L, B, n, c], or [1, B, n, c] if all models share them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mvtheory._check import check_finite, check_int, check_number, check_shape

__all__ = ["RIDGES", "Ridge", "choose_ridge", "every_fifth", "gradient_descent", "share_in_span", "side_by_side"]

#: Default candidates of `choose_ridge`.
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
        # The trace of either matrix is the squared norm of all features. If all are 0, so are the weights.
        traces = torch.stack([gram.diagonal(dim1=-2, dim2=-1).sum(-1) for gram in self._gram])
        self.scale = (traces / n).clamp(min=torch.finfo(features.dtype).tiny)

    def solve(self, targets: Float[Tensor, "_ B n c"], ridge: float) -> Float[Tensor, "L B f c"]:
        """Return the weights of all problems.

        Parameters
        ----------
        targets : Tensor, shape [L, B, n, c] or [1, B, n, c]
        ridge : float, > 0
            In units of the mean squared norm of the features of an input.
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
    r"""Concatenate the features of all models, :math:`(\Phi^{(1)}, \dots, \Phi^{(L)}) / \sqrt L`.

    The average of L linear models is one linear model on these features. Its ridge regression is the *trained
    average*: the squared error of the average plus the mean penalty of the models.
    """
    L, B, n, f = features.shape
    return (features / L**0.5).permute(1, 2, 0, 3).reshape(1, B, n, L * f)


def every_fifth(n: int) -> Bool[Tensor, " n"]:
    """Return a mask of every fifth of `n` inputs, starting with the first, to be held out."""
    return torch.arange(check_int("n", n, low=5)) % 5 == 0


def choose_ridge(
    features: Float[Tensor, "L B n f"],
    targets: Sequence[Float[Tensor, "_ B n c"]],
    labels: Float[Tensor, "1 B n c"],
    held: Bool[Tensor, " n"],
    ridges: Sequence[float] = RIDGES,
) -> list[float]:
    """Return the ridges with the smallest squared error on held-out inputs, for models fitted to the other inputs.

    Parameters
    ----------
    features : Tensor, shape [L, B, n, f]
    targets : sequence of Tensors, shape [L, B, n, c] or [1, B, n, c]
        Targets of the models, used where `held` is False.
    labels : Tensor, shape [1, B, n, c]
        Used where `held` is True: the mean squared error of all models is that of predicting the labels.
    held : Tensor of bool, shape [n]
        The held-out inputs: at least one, and not all.
    ridges : sequence of float, > 0
        Candidates.

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
    fitted = torch.cat([target[:, :, ~held].expand(L, -1, -1, -1) for target in targets], -1)
    problem, test, truth = Ridge(features[:, :, ~held]), features[:, :, held], labels[:, :, held]
    losses = []
    for ridge in ridges:
        outputs = (test @ problem.solve(fitted, ridge)).split([target.shape[-1] for target in targets], -1)
        losses.append([float((output - truth).square().mean()) for output in outputs])
    return [ridges[min(range(len(ridges)), key=column.__getitem__)] for column in zip(*losses, strict=True)]


def gradient_descent(
    features: Float[Tensor, "L B n f"], targets: Float[Tensor, "_ B n c"], ridge: float, steps: int
) -> tuple[Float[Tensor, "L B f c"], float]:
    r"""Minimise the objective of ridge regression by gradient descent from zero weights.

    With s the largest eigenvalue of :math:`\Phi^\top \Phi`, a step of length :math:`1 / (s + \lambda \bar K)`
    reduces the distance to the solution at least by the factor :math:`s / (s + \lambda \bar K)`.

    Parameters
    ----------
    features, targets, ridge
        As in `Ridge`.
    steps : int, >= 1

    Returns
    -------
    weights : Tensor, shape [L, B, f, c]
    bound : float
        Upper bound on the distance to the solution, relative to the norm of the solution.
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
    r"""Return the fraction of the targets' squared norm in the span of each model's features, adjusted for chance.

    Features of rank r span an expected fraction r/n of n random numbers. The remainder is therefore multiplied by
    n/(n - r), as in an adjusted :math:`R^2`, so that random targets have the expected value 0.

    Parameters
    ----------
    features : Tensor, shape [L, B, n, f]
        Fewer features than inputs.
    targets : Tensor, shape [L, B, n, c] or [1, B, n, c]
    """
    n, f = features.shape[2:]
    check_int("f (fewer features than inputs)", f, low=1, high=n - 1)
    phi, t = features.double(), targets.double()
    values, axes = torch.linalg.eigh(phi.mT @ phi)
    positive = values > 1e-9 * values[..., -1:].clamp(min=torch.finfo(values.dtype).tiny)
    inside = (axes.mT @ (phi.mT @ t)).square().sum(-1) * positive / values.where(positive, torch.ones_like(values))
    outside = t.square().sum((2, 3)) - inside.sum(-1)
    rest = (outside * n / (n - positive.sum(-1))).sum(-1) / t.square().sum((1, 2, 3))
    return (1 - rest).to(features.dtype)
