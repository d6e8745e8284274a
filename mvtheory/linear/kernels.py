r"""Kernels of infinitely wide patch networks, in closed form.

For a Gaussian w ~ N(0, I) the arc-cosine kernels are (Y. Cho, L. Saul, *Kernel Methods for Deep Learning*, NeurIPS
2009)

.. math:: \kappa_n(x, x') = 2\, \mathbb E\big[[\langle w, x \rangle]_+^n [\langle w, x' \rangle]_+^n\big]
          = \tfrac1\pi \|x\|^n \|x'\|^n J_n(\theta),

with :math:`\theta` the angle between x and x'. The kernel of a net that sums over patches is the sum of such kernels
over all pairs of patches.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mvtheory._check import check_choice, check_finite, check_int, check_shape
from mvtheory.linear.ridge import RIDGES

__all__ = ["arc_cosine", "kernel_ridge", "patch_kernel"]


def arc_cosine(x: Float[Tensor, "a d"], y: Float[Tensor, "b d"], order: int) -> Float[Tensor, "a b"]:
    r"""Return :math:`\kappa_n(x_a, y_b)` for all pairs of vectors.

    Parameters
    ----------
    x, y : Tensor, shapes [a, d] and [b, d]
    order : {0, 1, 2, 3}
        The power n: 0 for the slope of the ReLU, 1 for the ReLU, 2 for its square, 3 for its cube.
    """
    check_choice("order", order, (0, 1, 2, 3))
    check_shape("y", y, ("b", check_shape("x", x, ("a", "d"))["d"]))
    lengths = x.norm(dim=1)[:, None] * y.norm(dim=1)
    cos = (x @ y.T / lengths.clamp(min=torch.finfo(x.dtype).tiny)).clamp(-1, 1)
    theta, sin = cos.acos(), (1 - cos**2).sqrt()
    J = {
        0: torch.pi - theta,
        1: sin + (torch.pi - theta) * cos,
        2: 3 * sin * cos + (torch.pi - theta) * (1 + 2 * cos**2),
        3: sin * (4 + 11 * cos**2) + (torch.pi - theta) * (9 + 6 * cos**2) * cos,
    }[order]
    return lengths**order * J / torch.pi


def patch_kernel(
    x: Float[Tensor, "n P d"], y: Float[Tensor, "j P2 d"], order: int, *, tangent: bool = False
) -> Float[Tensor, "n j"]:
    r"""Return the limit of a kernel of patch features as the number of neurons grows.

    - ``order=1``: random ReLU features, :math:`\frac1R \sum_r \phi_r(X) \phi_r(X') \to \frac12 \sum_{p,p'}
      \kappa_1(x_p, x'_{p'})`, where :math:`\phi_r(X) = \sum_p \mathrm{ReLU}(\langle w_r, x_p \rangle)`.
    - ``order=q-1, tangent=True``: tangent features below the cut, :math:`\frac1m \sum_r \langle \varphi_r(X),
      \varphi_r(X') \rangle (\varrho / \sigma_0)^{2(q-1)} \to \frac12 \sum_{p,p'} \langle x_p, x'_{p'} \rangle\,
      \kappa_{q-1}(x_p, x'_{p'})`.

    Parameters
    ----------
    x, y : Tensor, shapes [n, P, d] and [j, P2, d]
        Inputs.
    order : {0, 1, 2, 3}
        Order of the arc-cosine kernel.
    tangent : bool
        Whether to weight each pair of patches by its inner product.
    """
    d = check_shape("x", x, ("n", "P", "d"))["d"]
    sizes = check_shape("y", y, ("j", "P2", d))
    for name, value in {"x": x, "y": y}.items():
        check_finite(name, value)
    patches = y.reshape(-1, d)
    rows = []
    for one in x:  # one input at a time: all pairs of patches may not fit into memory
        pairs = arc_cosine(one, patches, order)
        pairs = pairs * (one @ patches.T) if tangent else pairs
        rows.append(pairs.view(-1, sizes["j"], sizes["P2"]).sum((0, 2)) / 2)
    return torch.stack(rows)


def kernel_ridge(
    kernel: Float[Tensor, "n n"],
    targets: Float[Tensor, "n c"],
    held: Bool[Tensor, " n"],
    ridges: Sequence[float] = RIDGES,
) -> tuple[Float[Tensor, "n c"], float]:
    """Fit kernel ridge regression, with the ridge chosen on held-out inputs.

    Parameters
    ----------
    kernel : Tensor, shape [n, n]
        Kernel of the training inputs.
    targets : Tensor, shape [n, c]
    held : Tensor of bool, shape [n]
        As in :func:`mvtheory.linear.ridge.choose_ridge`.
    ridges : sequence of float, > 0
        Candidates, in units of the mean of the kernel's diagonal.

    Returns
    -------
    alpha : Tensor, shape [n, c]
        Coefficients: the prediction is the kernel between new and training inputs, times alpha.
    ridge : float
        The ridge that was chosen.
    """
    check_shape("kernel", kernel, (len(targets), len(targets)))
    check_int("number of held-out inputs", int(held.sum()), low=1, high=len(targets) - 1)

    def solve(rows: Tensor, ridge: float) -> Tensor:
        part = kernel[rows][:, rows]
        shift = ridge * part.diagonal().mean() * torch.eye(len(part), dtype=part.dtype)
        return torch.linalg.solve(part + shift, targets[rows])

    between = kernel[held][:, ~held]
    losses = [float((between @ solve(~held, ridge) - targets[held]).square().mean()) for ridge in ridges]
    ridge = ridges[losses.index(min(losses))]
    return solve(torch.ones_like(held), ridge), ridge
