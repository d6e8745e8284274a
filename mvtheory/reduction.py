r"""The noise-free reduction: nets and data in the coordinates of the views.

Without noise an input is a list of strengths, and all that a neuron does with it goes through its
products with the k M views. So a net is k m (k M) numbers in place of k m d: `all_products`, exact.

The race inside a class is about the products with the class's *own* views. With these alone a net is
k m M numbers, and a training step costs what the views that are present cost, whatever k: `own_products`,
an approximation. It leaves out what neurons learn about views of other classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mvtheory._check import check_finite, check_shape
from mvtheory.data import MultiView, Sample
from mvtheory.model import PatchNets

__all__ = ["OwnViewNets", "Strengths", "all_products", "draw_strengths", "own_products"]


@dataclass(frozen=True)
class Strengths:
    """Inputs as strengths of views.

    Attributes
    ----------
    x : Tensor, shape [n, k, M, 2]
        Strength z_p of each patch of a view, and the number of such patches; 0 where it is absent.
    y : Tensor of int, shape [n]
        Labels.
    """

    x: Float[Tensor, "n k M 2"]
    y: Int[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class OwnViewNets(PatchNets):
    r"""L nets whose neurons see the views of their own class alone.

    .. math:: F_i(X) = \sum_{r \le m} \sum_{\ell \le M} \sum_{p \text{ of } v_{i,\ell}}
              \widetilde{\mathrm{ReLU}}(w_{i,r,\ell}\, z_p)

    Parameters
    ----------
    W : Tensor, shape [L, k, m, M]
        The products <w_{i,r}, v_{i,l}>.
    activation : SReLU
        The activation, shared by all nets.
    """

    def check_inputs(self, name: str, x: Tensor, n: int | str = "n") -> None:
        """Raise an error that names `x` unless it holds strengths of all views: [n, k, M, 2]."""
        check_shape(name, x, (n, self.W.shape[1], self.W.shape[3], 2))
        check_finite(name, x)

    def __call__(self, x: Float[Tensor, "n k M 2"]) -> Float[Tensor, "L n k"]:
        """Return the outputs F of all nets on the strengths `x`."""
        return self._outputs(x)

    def forward_blocks(self, x: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Yield one block: all rows, their outputs [n, L, k], and the slopes [e, L, m] of the views present."""
        row, i, view, z, count = _present(x)
        L, k = self.W.shape[:2]
        own = self.W.permute(1, 3, 0, 2)[i, view]  # [e, L, m]
        outputs, slope = self.activation.pooled((own * z[:, None, None])[:, None])
        F = x.new_zeros(len(x) * k, L).index_add_(0, row * k + i, outputs * count[:, None])
        yield slice(0, len(x)), F.view(len(x), k, L).transpose(1, 2), slope[:, 0]

    def add_gradient(self, gradient: Tensor, x: Tensor, slope: Tensor, dF: Tensor) -> None:
        """Add to `gradient` [L, k, m, M] what the inputs `x` add, given dF [n, L, k]; overwrites `slope`."""
        row, i, view, z, count = _present(x)
        L, k, m, M = self.W.shape
        slope *= (dF.transpose(1, 2)[row, i] * (z * count)[:, None])[..., None]
        total = x.new_zeros(k * M, L, m).index_add_(0, i * M + view, slope)
        gradient += total.view(k, M, L, m).permute(2, 0, 3, 1)


def own_products(
    nets: PatchNets, data: Sample, views: Float[Tensor, "k M d"]
) -> tuple[OwnViewNets, Strengths, Float[Tensor, "k M M"]]:
    """Reduce nets to the products with the views of their own class, and inputs to strengths.

    The noise of `data` is left out.

    Parameters
    ----------
    nets : PatchNets
        The nets.
    data : Sample
        The inputs.
    views : Tensor, shape [k, M, d]
        The views, orthonormal.

    Returns
    -------
    nets : OwnViewNets
    data : Strengths
    views : Tensor, shape [k, M, M]
        The views in their own coordinates.
    """
    k, M, _ = views.shape
    check_shape("views", views, (nets.W.shape[1], "M", nets.W.shape[-1]))
    check_shape("data.strength", data.strength, ("n", k, M))
    W = torch.einsum("lkrd,kvd->lkrv", nets.W, views).contiguous()
    carried = data.patch_view.clamp(min=0)
    filled = (data.patch_view >= 0).to(data.strength.dtype)
    count = filled.new_zeros(len(data), k * M).scatter_add_(1, carried, filled).view(-1, k, M)
    x = torch.stack([data.strength / count.clamp(min=1), count], -1)
    return OwnViewNets(W, nets.activation), Strengths(x, data.y), torch.eye(M).to(W).expand(k, M, M)


def draw_strengths(
    task: MultiView, multi: int, single: int = 0, *, seed: int, balanced: bool = False
) -> tuple[Strengths, Int[Tensor, " n"]]:
    """Draw what `own_products` makes of a sample, without the sample: for more classes than patches fit into memory.

    Parameters
    ----------
    task : MultiView
        The distribution; its noise, and its frame, are left out.
    multi, single, seed, balanced
        See :meth:`mvtheory.data.MultiView.sample`.

    Returns
    -------
    data : Strengths
        The same numbers as from the sample with these arguments.
    kept : Tensor of int, shape [n]
        The view that a single-view input kept; -1 for multi-view inputs.
    """
    y, kept, strength = task.strengths(multi, single, seed=seed, balanced=balanced)
    patches = torch.full((task.k, task.M), float(task.C_p if task.C_weak is None else task.C_weak))
    count = (strength > 0) * patches
    own = torch.arange(len(y)), y
    count[own] = (strength[own] > 0) * float(task.C_p)
    return Strengths(torch.stack([strength / count.clamp(min=1), count], -1), y), kept


def all_products(
    nets: PatchNets, data: Sample, views: Float[Tensor, "k M d"]
) -> tuple[PatchNets, Sample, Float[Tensor, "k M _"]]:
    """Reduce nets and inputs to their products with all views, and one coordinate for the rest.

    The rest of a neuron, orthogonal to all views, becomes its length; that of an input, its noise, is
    left out. Where there is none, training takes the very same path.

    Parameters
    ----------
    nets : PatchNets
        The nets.
    data : Sample
        The inputs.
    views : Tensor, shape [k, M, d]
        The views, orthonormal.

    Returns
    -------
    nets : PatchNets
        With W of shape [L, k, m, k M + 1].
    data : Sample
        With x of shape [n, P, k M + 1].
    views : Tensor, shape [k, M, k M + 1]
        The views in these coordinates.
    """
    k, M, d = views.shape
    check_shape("views", views, (nets.W.shape[1], "M", nets.W.shape[-1]))
    check_shape("data.x", data.x, ("n", "P", d))
    basis = views.flatten(0, 1).T  # [d, k M]
    along = nets.W @ basis
    rest = (nets.W - along @ basis.T).norm(dim=-1, keepdim=True)
    x = data.x @ basis
    x = torch.cat([x, x.new_zeros(*x.shape[:2], 1)], -1)
    reduced = Sample(x, data.y, data.strength, data.kept, data.patch_view)
    own = torch.eye(k * M, k * M + 1).to(along).view(k, M, -1)
    return PatchNets(torch.cat([along, rest], -1), nets.activation), reduced, own


def _present(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Input, class, view, strength of a patch and number of patches of each view that is present."""
    row, i, view = x[..., 1].nonzero(as_tuple=True)
    z, count = x[row, i, view].unbind(-1)
    return row, i, view, z, count
