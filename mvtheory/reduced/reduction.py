r"""The noise-free reduction: nets and data in the coordinates of the views.

Without noise an input is a list of strengths, and all that a neuron does with it goes through its
products with the k M views. So a net is k m (k M) numbers in place of k m d: `reduce_to_all_views`, exact. Inputs
share views and strengths, so each neuron is computed once for each of them, and a step costs what differs.

Which views a class learns is decided by the products with the class's *own* views. With these alone a net is
k m M numbers, and a training step costs what the views that are present cost, whatever k: `reduce_to_own_views`,
an approximation. It leaves out what neurons learn about views of other classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as nnf
from jaxtyping import Float, Int
from torch import Tensor

from mvtheory._check import check_choice, check_finite, check_shape
from mvtheory._tensors import check_tensor, check_views, once_per_tensor
from mvtheory.data import MultiView, Sample
from mvtheory.engine.choice import use_compiled
from mvtheory.engine.compiled import check_output_grad
from mvtheory.engine.elementwise import own_gradient, own_outputs
from mvtheory.model import Activation, PatchNets, SReLU, activation_obstacle, pooled

__all__ = ["OwnViewNets", "Strengths", "ViewNets", "draw_strengths", "reduce_to_all_views", "reduce_to_own_views"]


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

    def to(self, device: torch.device | str) -> Strengths:
        """Return the inputs on another device."""
        return Strengths(self.x.to(device), self.y.to(device))


@dataclass(frozen=True)
class ViewNets(PatchNets):
    """L nets in the coordinates of the views.

    Parameters
    ----------
    W : Tensor, shape [L, k, m, k M + 1]
        The products <w_{i,r}, v_{j,l}>, and the length of what is orthogonal to all views.
    activation : Activation
        The activation, shared by all nets; 0 at 0, since views that are absent add nothing.
    """

    def check_inputs(self, name: str, x: Tensor, n: int | str = "n") -> None:
        """Raise an error that names `x` unless it holds strengths of all views: [n, k, M, 2]."""
        k, products = self.W.shape[1], self.W.shape[3] - 1
        check_shape(name, check_tensor(name, x), (n, k, products // k, 2))
        check_choice(f"{name}.dtype (that of the weights)", x.dtype, (self.W.dtype,))
        check_finite(name, x)

    def __call__(self, x: Float[Tensor, "n k M 2"]) -> Float[Tensor, "L n k"]:
        """Return the outputs F of all nets on the strengths `x`."""
        return self._outputs(x)

    def compiled(self, x: Tensor) -> bool:
        """There are no patches to multiply."""
        return False

    def forward_blocks(self, x: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Yield one block: all rows, their outputs [n, L, k], and the slopes [e, L k, m] at each view and strength."""
        seen = _seen(x)
        L, k, m, _ = self.W.shape
        z = self.W.permute(3, 0, 1, 2)[seen.view] * seen.z[:, None, None, None]
        values, slope = pooled(self.activation, z.view(-1, 1, L * k, m))
        F = nnf.embedding_bag(seen.place, values, seen.starts, mode="sum", per_sample_weights=seen.count)
        yield slice(0, len(x)), F.view(-1, L, k), slope[:, 0]

    def gradient(self, x: Tensor, output_grad: Callable[[slice, Tensor], Tensor]) -> Float[Tensor, "L k m _"]:
        """Return the gradient [L, k, m, k M + 1], see :meth:`PatchNets.gradient`."""
        seen = _seen(x)
        rows, F, slope = next(self.forward_blocks(x))
        dF = check_output_grad("output_grad(rows, F)", output_grad(rows, F), F)
        total = nnf.embedding_bag(
            seen.row[seen.back],
            dF.flatten(1),
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
    """What inputs show: `view` and `z` of each different pair, and the `place` among them of all that is present.

    What is present is sorted by input: `row`; that of input n begins at ``starts[n]``. In the order `back` it is
    sorted by place, and that of place e begins at ``seats[e]``.
    """

    view: Tensor
    z: Tensor
    place: Tensor
    count: Tensor
    row: Tensor
    starts: Tensor
    back: Tensor
    seats: Tensor


@once_per_tensor
def _seen(x: Float[Tensor, "n k M 2"]) -> _Seen:
    """Sort what the inputs `x` show."""
    row, i, view, z, count = _present(x)
    strengths, which = z.unique(return_inverse=True)
    pairs, place = ((i * x.shape[2] + view) * len(strengths) + which).unique(return_inverse=True)
    starts = torch.searchsorted(row, torch.arange(len(x), device=x.device))
    back = place.argsort(stable=True)
    seats = torch.searchsorted(place[back], torch.arange(len(pairs), device=x.device))
    return _Seen(pairs // len(strengths), strengths[pairs % len(strengths)], place, count, row, starts, back, seats)


@dataclass(frozen=True)
class OwnViewNets(PatchNets):
    r"""L nets whose neurons see the views of their own class alone.

    .. math:: F_i(X) = \sum_{r \le m} \sum_{\ell \le M} \sum_{p \text{ of } v_{i,\ell}}
              \widetilde{\mathrm{ReLU}}(w_{i,r,\ell}\, z_p)

    Parameters
    ----------
    W : Tensor, shape [L, k, m, M]
        The products <w_{i,r}, v_{i,l}>.
    activation : Activation
        The activation, shared by all nets; 0 at 0, since views that are absent add nothing.
    """

    def check_inputs(self, name: str, x: Tensor, n: int | str = "n") -> None:
        """Raise an error that names `x` unless it holds strengths of all views: [n, k, M, 2]."""
        self._check_strengths(name, x, n)
        check_finite(name, x)

    def _check_strengths(self, name: str, x: Tensor, n: int | str = "n") -> None:
        check_shape(name, check_tensor(name, x), (n, self.W.shape[1], self.W.shape[3], 2))
        check_choice(f"{name}.dtype (that of the weights)", x.dtype, (self.W.dtype,))

    def __call__(self, x: Float[Tensor, "n k M 2"]) -> Float[Tensor, "L n k"]:
        """Return the outputs F of all nets on the strengths `x`."""
        return self._outputs(x)

    def compiled(self, x: Tensor) -> bool:
        """There are no patches to multiply."""
        return False

    def forward_blocks(self, x: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Yield one block: all rows, their outputs [n, L, k], and the slopes [e, L, m] of the views present."""
        yield slice(0, len(x)), *self._forward(x, _present(x))

    def gradient(self, x: Tensor, output_grad: Callable[[slice, Tensor], Tensor]) -> Float[Tensor, "L k m M"]:
        """Return the gradient, see :meth:`PatchNets.gradient`."""
        present = _present(x)
        F, slope = self._forward(x, present)
        dF = check_output_grad("output_grad(rows, F)", output_grad(slice(0, len(x)), F), F)
        _, k, _, M = self.W.shape
        return own_gradient(slope, dF, present, k, M).permute(2, 0, 3, 1)

    def _forward(self, x: Tensor, present: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        self._check_strengths("x", x)
        row, i, view, z, count = present
        L, k = self.W.shape[:2]
        W, activation = self.W.permute(1, 3, 0, 2), self.activation
        if use_compiled(activation_obstacle(activation, W, x)):
            assert isinstance(activation, SReLU)
            F, slope = own_outputs(W.contiguous(), present, len(x), activation.q, activation.varrho)
            return F.transpose(1, 2), slope
        outputs, slope = pooled(activation, (W[i, view] * z[:, None, None])[:, None])
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
        The nets, with an activation that is 0 at 0.
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
    _check_zero(nets.activation, nets.W)
    views = _orthonormal(views, nets.W)
    k, M, _ = views.shape
    W = torch.einsum("lkrd,kvd->lkrv", nets.W, views).contiguous()
    return OwnViewNets(W, nets.activation), _strengths(data, k, M), torch.eye(M).to(W).expand(k, M, M)


def draw_strengths(
    task: MultiView, n_multi_view: int, n_single_view: int = 0, *, seed: int, balanced: bool = False
) -> tuple[Strengths, Int[Tensor, " n"]]:
    """Draw what `reduce_to_own_views` makes of a sample, without its patches, so that many classes fit into memory.

    Parameters
    ----------
    task : MultiView
        The distribution; its noise, and its frame, are left out.
    n_multi_view, n_single_view, seed, balanced
        See :meth:`mvtheory.data.MultiView.sample`.

    Returns
    -------
    data : Strengths
        The same numbers as from the sample with these arguments.
    kept : Tensor of int, shape [n]
        The view that a single-view input kept; -1 for multi-view inputs.
    """
    y, kept, strength = task.strengths(n_multi_view, n_single_view, seed=seed, balanced=balanced)
    weak = float(task.C_p if task.C_weak is None else task.C_weak)
    patches = torch.full((task.k, task.M), weak, dtype=torch.float32)
    count = (strength > 0) * patches
    own = torch.arange(len(y)), y
    count[own] = (strength[own] > 0) * float(task.C_p)
    return Strengths(torch.stack([strength / count.clamp(min=1), count], -1), y), kept


def reduce_to_all_views(
    nets: PatchNets, data: Sample, views: Float[Tensor, "k M d"]
) -> tuple[ViewNets, Strengths, Float[Tensor, "k M _"]]:
    """Reduce nets to the products with all views and one number for the rest, and inputs to strengths.

    The rest of a neuron, orthogonal to all views, becomes its length. The noise of `data` is left out;
    where there is none, training takes the very same path.

    Parameters
    ----------
    nets : PatchNets
        The nets, with an activation that is 0 at 0.
    data : Sample
        The inputs.
    views : Tensor, shape [k, M, d]
        The views, orthonormal.

    Returns
    -------
    nets : ViewNets
        With W of shape [L, k, m, k M + 1].
    data : Strengths
    views : Tensor, shape [k, M, k M + 1]
        The views in these coordinates.
    """
    _check_zero(nets.activation, nets.W)
    views = _orthonormal(views, nets.W)
    k, M, _ = views.shape
    basis = views.flatten(0, 1).T  # [d, k M]
    along = nets.W @ basis
    rest = (nets.W - along @ basis.T).norm(dim=-1, keepdim=True)
    own = torch.eye(k * M, k * M + 1).to(along).view(k, M, -1)
    return ViewNets(torch.cat([along, rest], -1), nets.activation), _strengths(data, k, M), own


def _orthonormal(views: Tensor, W: Tensor) -> Tensor:
    """Return the views after a check that each has length 1 and none overlaps with another.

    In other coordinates gradient descent takes another path: products with views would not move as the weights do.
    """
    checked, flat = check_views("views", views, W), views.flatten(0, 1).double()
    error = float((flat @ flat.T - torch.eye(len(flat)).to(flat)).abs().max())
    if error > 1e-5:
        raise ValueError(f"views must be orthonormal up to 1e-5; got inner products that are off by {error:.2g}")
    return checked


def _check_zero(activation: Activation, W: Tensor) -> None:
    """Raise an error unless patches that hold no view add nothing."""
    at_zero = float(activation.value_and_slope(W.new_zeros(1))[0])
    if at_zero != 0:
        raise ValueError(f"nets.activation must be 0 at 0 (patches without a view add nothing); got {at_zero:g}")


def _strengths(data: Sample, k: int, M: int) -> Strengths:
    """Return what inputs show: the strength of a patch of each view, and how many patches hold it."""
    check_shape("data.strength", data.strength, ("n", k, M))
    carried = data.patch_view.clamp(min=0)
    filled = (data.patch_view >= 0).to(data.strength.dtype)
    count = filled.new_zeros(len(data), k * M).scatter_add_(1, carried, filled).view(-1, k, M)
    return Strengths(torch.stack([data.strength / count.clamp(min=1), count], -1), data.y)


@once_per_tensor
def _present(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Input, class, view, strength of a patch and number of patches of each view that is present."""
    row, i, view = x[..., 1].nonzero(as_tuple=True)
    z, count = x[row, i, view].unbind(-1)
    return row, i, view, z, count
