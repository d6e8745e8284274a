r"""The noise-free reduction: nets and data in the coordinates of the views.

Without noise an input is a list of strengths, and the response of a neuron depends on its inner products
with the k M views alone. `reduce_to_all_views` keeps these k m (k M) numbers of a net in place of k m d,
which is exact. Inputs have views and strengths in common, so that a training step evaluates each neuron
once per distinct pair of view and strength.

Which view a class learns is decided by the products of its neurons with its *own* views.
`reduce_to_own_views` keeps these k m M numbers alone, so that the cost of a training step depends on the
number of views present, whatever k. It is an approximation: what neurons learn about the views of other
classes is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import TypeVar

import torch
import torch.nn.functional as nnf
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from mvtheory._check import check_finite, check_shape
from mvtheory.data import MultiView, Sample
from mvtheory.engine import elementwise as _fused
from mvtheory.model import PatchNets

__all__ = ["OwnViewNets", "Strengths", "ViewNets", "draw_strengths", "reduce_to_all_views", "reduce_to_own_views"]

T = TypeVar("T")


def _once(work: Callable[[Tensor], T]) -> Callable[[Tensor], T]:
    """Cache the result of `work` for each tensor, until the tensor is modified in place."""
    done = WeakTensorKeyDictionary()  # an entry lives as long as its tensor

    @wraps(work)
    def of(x: Tensor) -> T:
        if x.is_inference():  # inference tensors have no version counter
            return work(x)
        version, result = done.get(x, (None, None))
        if version != x._version:
            result = work(x)
            done[x] = x._version, result
        return result

    return of


@dataclass(frozen=True)
class Strengths:
    """Inputs as strengths of views.

    Attributes
    ----------
    x : Tensor, shape [n, k, M, 2]
        Strength z_p of a patch of each view, and the number of such patches; 0 where the view is absent.
    y : Tensor of int, shape [n]
        Labels.
    """

    x: Float[Tensor, "n k M 2"]
    y: Int[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.y)

    def to(self, device: torch.device | str) -> Strengths:
        """Return the inputs on another device."""
        return Strengths(self.x.to(device), self.y.to(device))


@dataclass(frozen=True)
class ViewNets(PatchNets):
    """L nets in the coordinates of the views.

    Parameters
    ----------
    W : Tensor, shape [L, k, m, k M + 1]
        The products <w_{i,r}, v_{j,l}>, and the norm of the component orthogonal to all views.
    activation : SReLU
        The activation, shared by all nets.
    """

    def check_inputs(self, name: str, x: Tensor, n: int | str = "n") -> None:
        """Raise an error that names `x` unless it holds strengths of all views: [n, k, M, 2]."""
        k, products = self.W.shape[1], self.W.shape[3] - 1
        check_shape(name, x, (n, k, products // k, 2))
        check_finite(name, x)

    def __call__(self, x: Float[Tensor, "n k M 2"]) -> Float[Tensor, "L n k"]:
        """Return the outputs F of all nets on the strengths `x`."""
        return self._outputs(x)

    def compiled(self, x: Tensor) -> bool:
        """Return False: there are no matrix products over patches."""
        return False

    def forward_blocks(self, x: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Yield one block: all rows, their outputs [n, L, k], and the slopes [e, L k, m] at each view and strength."""
        seen = _seen(x)
        L, k, m, _ = self.W.shape
        z = self.W.permute(3, 0, 1, 2)[seen.view] * seen.z[:, None, None, None]
        values, slope = self.activation.pooled(z.view(-1, 1, L * k, m))
        F = nnf.embedding_bag(seen.place, values, seen.starts, mode="sum", per_sample_weights=seen.count)
        yield slice(0, len(x)), F.view(-1, L, k), slope[:, 0]

    def gradient(self, x: Tensor, output_grad: Callable[[slice, Tensor], Tensor]) -> Float[Tensor, "L k m _"]:
        """Return the gradient [L, k, m, k M + 1], see :meth:`PatchNets.gradient`."""
        seen = _seen(x)
        rows, F, slope = next(self.forward_blocks(x))
        total = nnf.embedding_bag(
            seen.row[seen.back],
            output_grad(rows, F).flatten(1),
            seen.seats,
            mode="sum",
            per_sample_weights=seen.count[seen.back],
        )
        slope *= (total * seen.z[:, None])[..., None]
        L, k, m, products = self.W.shape
        to_view = slope.new_zeros(products, L * k, m).index_add_(0, seen.view, slope)
        return to_view.view(products, L, k, m).permute(1, 2, 3, 0)


@dataclass(frozen=True)
class _Seen:
    """The distinct pairs (`view`, `z`) of all inputs, and the index `place` of the pair of each view that is present.

    The views present are sorted by input, `row`; those of input n begin at ``starts[n]``. The permutation `back` sorts
    them by pair; those of pair e begin at ``seats[e]``.
    """

    view: Tensor
    z: Tensor
    place: Tensor
    count: Tensor
    row: Tensor
    starts: Tensor
    back: Tensor
    seats: Tensor


@_once
def _seen(x: Float[Tensor, "n k M 2"]) -> _Seen:
    """Index the views present in the inputs `x`."""
    row, i, view, z, count = _present(x)
    strengths, which = z.unique(return_inverse=True)
    pairs, place = ((i * x.shape[2] + view) * len(strengths) + which).unique(return_inverse=True)
    starts = torch.searchsorted(row, torch.arange(len(x), device=x.device))
    back = place.argsort(stable=True)
    seats = torch.searchsorted(place[back], torch.arange(len(pairs), device=x.device))
    return _Seen(pairs // len(strengths), strengths[pairs % len(strengths)], place, count, row, starts, back, seats)


@dataclass(frozen=True)
class OwnViewNets(PatchNets):
    r"""L nets whose neurons respond to the views of their own class alone.

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

    def compiled(self, x: Tensor) -> bool:
        """Return False: there are no matrix products over patches."""
        return False

    def forward_blocks(self, x: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Yield one block: all rows, their outputs [n, L, k], and the slopes [e, L, m] of the views present."""
        yield slice(0, len(x)), *self._forward(x, _present(x))

    def gradient(self, x: Tensor, output_grad: Callable[[slice, Tensor], Tensor]) -> Float[Tensor, "L k m M"]:
        """Return the gradient, see :meth:`PatchNets.gradient`."""
        present = _present(x)
        F, slope = self._forward(x, present)
        dF = output_grad(slice(0, len(x)), F)
        row, i, view, z, count = present
        L, k, m, M = self.W.shape
        if x.device.type == "cpu":
            total = _fused.own_gradient(slope, dF, present, (k, M))
        else:
            slope *= (dF.transpose(1, 2)[row, i] * (z * count)[:, None])[..., None]
            total = x.new_zeros(k * M, L, m).index_add_(0, i * M + view, slope)
        return total.view(k, M, L, m).permute(2, 0, 3, 1)

    def _forward(self, x: Tensor, present: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        row, i, view, z, count = present
        L, k = self.W.shape[:2]
        W = self.W.permute(1, 3, 0, 2)
        if x.device.type == "cpu" and not self.W.requires_grad:
            F, slope = _fused.own_outputs(W.contiguous(), present, len(x), self.activation.q, self.activation.varrho)
            return F.transpose(1, 2), slope
        outputs, slope = self.activation.pooled((W[i, view] * z[:, None, None])[:, None])
        F = x.new_zeros(len(x) * k, L).index_add_(0, row * k + i, outputs * count[:, None])
        return F.view(len(x), k, L).transpose(1, 2), slope[:, 0]


def reduce_to_own_views(
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
    W = torch.einsum("lkrd,kvd->lkrv", nets.W, views).contiguous()
    return OwnViewNets(W, nets.activation), _strengths(data, k, M), torch.eye(M).to(W).expand(k, M, M)


def draw_strengths(
    task: MultiView, multi: int, single: int = 0, *, seed: int, balanced: bool = False
) -> tuple[Strengths, Int[Tensor, " n"]]:
    """Draw the strengths of a sample, without its patches: for numbers of classes whose patches do not fit into memory.

    Parameters
    ----------
    task : MultiView
        The distribution; its noise and its frame are left out.
    multi, single, seed, balanced
        See :meth:`mvtheory.data.MultiView.sample`.

    Returns
    -------
    data : Strengths
        Those of `reduce_to_own_views` for the sample with these arguments.
    kept : Tensor of int, shape [n]
        The view of a single-view input; -1 for multi-view inputs.
    """
    y, kept, strength = task.strengths(multi, single, seed=seed, balanced=balanced)
    patches = torch.full((task.k, task.M), float(task.C_p if task.C_weak is None else task.C_weak))
    count = (strength > 0) * patches
    own = torch.arange(len(y)), y
    count[own] = (strength[own] > 0) * float(task.C_p)
    return Strengths(torch.stack([strength / count.clamp(min=1), count], -1), y), kept


def reduce_to_all_views(
    nets: PatchNets, data: Sample, views: Float[Tensor, "k M d"]
) -> tuple[ViewNets, Strengths, Float[Tensor, "k M _"]]:
    """Reduce nets to the products with all views and the norm of the rest, and inputs to strengths.

    The rest of a neuron is its component orthogonal to all views. The noise of `data` is left out; without noise,
    training takes the same path as that of the full nets.

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
    nets : ViewNets
        Their `W` has the shape [L, k, m, k M + 1].
    data : Strengths
    views : Tensor, shape [k, M, k M + 1]
        The views in these coordinates.
    """
    k, M, _ = views.shape
    check_shape("views", views, (nets.W.shape[1], "M", nets.W.shape[-1]))
    basis = views.flatten(0, 1).T  # [d, k M]
    along = nets.W @ basis
    rest = (nets.W - along @ basis.T).norm(dim=-1, keepdim=True)
    own = torch.eye(k * M, k * M + 1).to(along).view(k, M, -1)
    return ViewNets(torch.cat([along, rest], -1), nets.activation), _strengths(data, k, M), own


def _strengths(data: Sample, k: int, M: int) -> Strengths:
    """Return the strength of a patch of each view, and the number of its patches, for each input."""
    check_shape("data.strength", data.strength, ("n", k, M))
    carried = data.patch_view.clamp(min=0)
    filled = (data.patch_view >= 0).to(data.strength.dtype)
    count = filled.new_zeros(len(data), k * M).scatter_add_(1, carried, filled).view(-1, k, M)
    return Strengths(torch.stack([data.strength / count.clamp(min=1), count], -1), data.y)


@_once
def _present(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return input, class, view, strength of a patch and number of patches of each view that is present."""
    row, i, view = x[..., 1].nonzero(as_tuple=True)
    z, count = x[row, i, view].unbind(-1)
    return row, i, view, z, count
