r"""Random features: nets linearised at their initialisation, and random neurons.

Near its initialisation a net is a linear model in the gradients of its outputs,
:math:`\varphi_{i,r}(X) = \nabla_{w_{i,r}} F_i(X) = \sum_p
\widetilde{\mathrm{ReLU}}'(\langle w_{i,r}, x_p \rangle)\, x_p`, with the weights at
their initial values. These are the features of the finite-width neural tangent
kernel. They are random and fixed; only the linear map on them is learned, in closed
form by ridge regression.

Random ReLU features of patches are the outputs of random neurons.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as nnf
from jaxtyping import Float, Int
from torch import Tensor

from mvtheory._check import check_finite, check_int, check_labels, check_number, check_seed, check_shape
from mvtheory._tensors import check_tensor, check_views
from mvtheory.linear.ridge import Ridge, side_by_side
from mvtheory.model import PatchNets

__all__ = [
    "TangentNets",
    "TangentRidge",
    "gaussian_weights",
    "one_hot",
    "relu_features",
    "tangent_features",
    "view_feature_norm",
]


def tangent_features(nets: PatchNets, x: Float[Tensor, "n P d"]) -> Float[Tensor, "L k n f"]:
    r"""Return the gradient of each output F_i with respect to its own neurons' weights.

    Parameters
    ----------
    nets : PatchNets
        L nets at their initialisation.
    x : Tensor, shape [n, P, d]
        Inputs, of the dtype of the weights.

    Returns
    -------
    Tensor, shape [L, k, n, m d]
        For each net, class and input: :math:`\varphi_{i,1}(X), \dots, \varphi_{i,m}(X)`,
        concatenated. The gradient with respect to other classes' neurons is 0.
    """
    L, k, m, d = nets.W.shape
    check_shape("x", x, ("n", "P", d))
    check_finite("x", x)
    n, P, _ = x.shape
    features = x.new_empty(n, L * k * m, d)
    for rows, _, slope in nets.forward_blocks(x):
        torch.bmm(slope.view(-1, P, L * k * m).transpose(1, 2), x[rows], out=features[rows])
    return features.view(n, L, k, m * d).permute(1, 2, 0, 3)


@dataclass(frozen=True)
class TangentNets:
    r"""L linear models in the tangent features of L nets.

    .. math:: F_i(X) = \sum_{r \le m} \langle \delta_{i,r}, \varphi_{i,r}(X) \rangle
              = \sum_{r \le m} \sum_{p \le P}
              \widetilde{\mathrm{ReLU}}'(\langle w_{i,r}, x_p \rangle)\, \langle \delta_{i,r}, x_p \rangle

    Parameters
    ----------
    start : PatchNets
        The nets at their initialisation, which define the features.
    delta : Tensor, shape [L, k, m, d]
        The learned weights.
    """

    start: PatchNets
    delta: Float[Tensor, "L k m d"]

    def __post_init__(self) -> None:
        check_shape("delta", self.delta, tuple(self.start.W.shape))

    def __len__(self) -> int:
        return len(self.delta)

    def __call__(self, x: Float[Tensor, "n P d"]) -> Float[Tensor, "L n k"]:
        """Return the outputs of all models on the inputs `x`."""
        delta = self.delta.flatten(2)[..., None]
        # One net at a time: the features of all nets may not fit into memory.
        features = (tangent_features(self.start[net : net + 1], x)[0] for net in range(len(self)))
        return torch.stack([(phi @ weights)[..., 0].T for phi, weights in zip(features, delta, strict=True)])


class TangentRidge:
    r"""Ridge regression in tangent features: set up once, then solved for any targets.

    On training inputs :math:`X_1, \dots, X_n` and targets t, each net and class
    minimises

    .. math:: \sum_a \big(F_i(X_a) - t_{a,i}\big)^2 + \lambda\, \bar K_i \,\|\delta_i\|^2,
              \qquad \bar K_i = \frac1n \sum_a \|\varphi_i(X_a)\|^2.

    The solution is linear in the targets, see :class:`mvtheory.linear.ridge.Ridge`. In units of
    :math:`\bar K_i`, the ridge :math:`\lambda` is independent of the scale of the initial
    weights.

    Parameters
    ----------
    nets : PatchNets
        L nets at their initialisation.
    x : Tensor, shape [n, P, d]
        Training inputs, of the dtype of the weights. Memory grows as L k n m d.
    ridge : float, > 0
        The ridge :math:`\lambda`.
    """

    def __init__(self, nets: PatchNets, x: Float[Tensor, "n P d"], *, ridge: float = 1.0) -> None:
        self.ridge = check_number("ridge", ridge, low=0, open_low=True)
        self.nets = nets
        self._apart = Ridge(tangent_features(nets, x).contiguous())

    def fit(self, targets: Float[Tensor, "#L n k"]) -> TangentNets:
        """Fit each model to its own targets.

        Parameters
        ----------
        targets : Tensor, shape [L, n, k] or [1, n, k]
            Such as one-hot labels or the outputs of a teacher; [1, n, k] are shared by all models.
        """
        L, k, n, _ = self._apart.features.shape
        check_shape("targets", targets, (1 if len(targets) == 1 else L, n, k))
        delta = self._apart.solve(targets.mT[..., None], self.ridge)
        return TangentNets(self.nets, delta.view_as(self.nets.W))

    def fit_average(self, targets: Float[Tensor, "1 n k"]) -> TangentNets:
        r"""Fit the average of all models jointly: one model with L times the features.

        This is ridge regression in the features :math:`(\varphi^{(1)}, \dots, \varphi^{(L)})
        / \sqrt L` of all nets, concatenated.

        Returns
        -------
        TangentNets
            The average of its L models is what has been fitted.
        """
        L, k, n, f = self._apart.features.shape
        check_shape("targets", targets, (1, n, k))
        joint = self._joint.solve(targets.mT[..., None], self.ridge)
        # The average divides by L, the concatenated features by its root.
        delta = joint.view(k, L, f).transpose(0, 1) * L**0.5
        return TangentNets(self.nets, delta.reshape(self.nets.W.shape))

    @cached_property
    def _joint(self) -> Ridge:
        return Ridge(side_by_side(self._apart.features))


def relu_features(w: Float[Tensor, "L R d"], x: Float[Tensor, "n P d"]) -> Float[Tensor, "L 1 n R"]:
    r"""Return random ReLU features of patches, :math:`\phi_r(X) = \sum_p \mathrm{ReLU}(\langle w_r, x_p \rangle)`.

    They are shared by all classes; only a linear read-out is learned.

    Parameters
    ----------
    w : Tensor, shape [L, R, d]
        Weights of the R features of L models, such as `gaussian_weights` draws.
    x : Tensor, shape [n, P, d]
        Inputs, of the dtype of the weights.
    """
    L, R, d = check_shape("w", w, ("L", "R", "d")).values()
    check_shape("x", x, ("n", "P", d))
    check_finite("x", x)
    blocks = [(part @ w.view(-1, d).T).relu().sum(1) for part in x.split(100)]
    return torch.cat(blocks).view(-1, L, R).transpose(0, 1)[:, None]


def gaussian_weights(L: int, R: int, d: int, *, seed: int) -> Float[Tensor, "L R d"]:
    """Draw the weights of R features of L models from N(0, I); model l depends on the seed ``seed + l`` alone."""
    for name, value in {"L": L, "R": R, "d": d}.items():
        check_int(name, value, low=1)
    first = check_seed("seed", seed, L)
    seeds = range(first, first + L)
    rngs = [torch.Generator().manual_seed(one) for one in seeds]
    return torch.stack([torch.randn(R, d, generator=rng, dtype=torch.float32) for rng in rngs])


def one_hot(y: Int[Tensor, " n"], k: int, dtype: torch.dtype = torch.float32) -> Float[Tensor, "1 n k"]:
    """Return labels as targets: 1 for the class of the input, 0 for the others."""
    check_int("k", k, low=2)
    return nnf.one_hot(check_labels("y", check_tensor("y", y), k), k).to(dtype)[None]


def view_feature_norm(nets: PatchNets, views: Float[Tensor, "k M d"]) -> Float[Tensor, "L k M"]:
    r"""Return how strongly the features of class i respond to each of its own views.

    This is the squared norm of the features of one patch with the view at strength 1,
    :math:`\|\varphi_i(v_{i,\ell})\|^2 = \sum_r \widetilde{\mathrm{ReLU}}'(\langle w_{i,r},
    v_{i,\ell} \rangle)^2`. At 0 the model's output does not depend on that view.

    Parameters
    ----------
    nets : PatchNets
        L nets at their initialisation.
    views : Tensor, shape [k, M, d]
        The views.
    """
    own = torch.einsum("lkrd,kvd->lkrv", nets.W, check_views("views", views, nets.W))
    return (nets.activation.value_and_slope(own)[1] ** 2).sum(2)
