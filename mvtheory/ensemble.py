"""Ensembles: the uniform average, its joint training, and the view lottery."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mvtheory._check import check_finite, check_int, check_labels, check_number, check_shape
from mvtheory._tensors import FLOATS, check_tensor, check_views
from mvtheory.data import Sample
from mvtheory.model import PatchNets
from mvtheory.training import COMPILED, CrossEntropy

__all__ = [
    "AverageCrossEntropy",
    "average",
    "groups",
    "learned_views",
    "main_strength",
    "predict_lottery",
    "view_outputs",
]


def average(F: Float[Tensor, "L n k"]) -> Float[Tensor, "n k"]:
    """Return the uniform average of the nets' outputs, G = (F_1 + ... + F_L) / L.

    Parameters
    ----------
    F : Tensor, shape [L, n, k]
        Outputs of L nets.

    Returns
    -------
    Tensor, shape [n, k]
    """
    check_shape("F", check_tensor("F", F, FLOATS), ("L", "n", "k"))
    return F.mean(0)


def groups(F: Float[Tensor, "L n k"], size: int) -> Float[Tensor, "g n k"]:
    """Return the averages of disjoint groups of `size` nets; a remainder of nets is not used.

    Parameters
    ----------
    F : Tensor, shape [L, n, k]
        Outputs of L nets.
    size : int, in [1, L]
        Nets per group.

    Returns
    -------
    Tensor, shape [L // size, n, k]
    """
    check_shape("F", check_tensor("F", F, FLOATS), ("L", "n", "k"))
    size = check_int("size", size, low=1, high=len(F))
    return torch.stack([chunk.mean(0) for chunk in F[: len(F) // size * size].split(size)])


@dataclass(frozen=True)
class AverageCrossEntropy(CrossEntropy):
    """The objective that trains the average of all nets as one model: its cross-entropy.

    Parameters
    ----------
    y : Tensor of int, shape [n]
        Labels.
    """

    joint: bool = field(default=True, init=False)

    def __call__(self, F: Tensor, rows: Tensor, nets: Tensor) -> tuple[Tensor, Tensor]:
        """Return loss and gradient, see :class:`mvtheory.training.Objective`."""
        loss, dF = super().__call__(F.mean(1, keepdim=True), rows, nets)
        return loss.expand(F.shape[:2]), (dF / F.shape[1]).expand_as(F)


COMPILED[AverageCrossEntropy] = lambda *_: {"joint": True}


def view_outputs(nets: PatchNets, views: Float[Tensor, "k M d"], z: float = 1.0) -> Float[Tensor, "L k M"]:
    """Return the output F_i on the single patch z v_{i,l}.

    Parameters
    ----------
    nets : PatchNets
        L nets of k classes.
    views : Tensor, shape [k, M, d]
        The views.
    z : float, > 0
        Strength of the patch.

    Returns
    -------
    Tensor, shape [L, k, M]
    """
    check_number("z", z, low=0, open_low=True)
    own = torch.einsum("lkrd,kvd->lkrv", nets.W, check_views("views", views, nets.W))
    return nets.activation.value_and_slope(z * own)[0].sum(2)


def learned_views(nets: PatchNets, views: Float[Tensor, "k M d"], share: float = 0.1) -> Bool[Tensor, "L k M"]:
    """Return which views each (net, class) has learned.

    A view counts as learned if the output of its class on a patch of the view, at
    strength 1, is more than `share` of the largest such output among the class's views.

    Parameters
    ----------
    nets : PatchNets
        L trained nets.
    views : Tensor, shape [k, M, d]
        The views.
    share : float, in (0, 1)
        Threshold relative to the largest output.

    Returns
    -------
    Tensor of bool, shape [L, k, M]
    """
    check_number("share", share, low=0, high=1, open_low=True, open_high=True)
    output = check_finite("outputs of nets on views", view_outputs(nets, views))
    return output > share * output.amax(-1, keepdim=True)


def main_strength(data: Sample, q: int) -> Float[Tensor, "k M"]:
    """Return S_{i,l} = E_train[1{y=i} sum_p z_p^q] over the multi-view training inputs.

    The strength of a view is taken to be in one patch (C_p = 1); more patches
    scale all S by the same factor, which leaves their ratios unchanged.

    Parameters
    ----------
    data : Sample
        The training set.
    q : int, >= 1
        The power of the activation.

    Returns
    -------
    Tensor, shape [k, M]
        0 for a class without multi-view inputs.
    """
    check_int("q", q, low=1)
    _, k, M = data.strength.shape
    rows = data.kept < 0
    y, z = check_labels("data.y", check_tensor("data.y", data.y), k)[rows], data.strength[rows]
    own = z[torch.arange(len(y)), y] ** q
    return z.new_zeros(k, M).index_add_(0, y, own) / max(1, len(y))


def predict_lottery(nets: PatchNets, views: Float[Tensor, "k M d"], data: Sample) -> Int[Tensor, "L k"]:
    r"""Predict the view that each (net, class) will learn, from the initialisation alone.

    View l wins where :math:`\Lambda_{i,l} S_{i,l}^{1/(q-2)}` is largest, with
    :math:`\Lambda_{i,l} = \max_r [\langle w_{i,r}, v_{i,l} \rangle]^+` at
    initialisation and S of :func:`main_strength`: the overlap grows as
    :math:`\dot\Lambda = c S \Lambda^{q-1}`, and the view whose solution diverges
    first wins.

    Parameters
    ----------
    nets : PatchNets
        Nets at their initialisation, with q >= 3.
    views : Tensor, shape [k, M, d]
        The views.
    data : Sample
        The training set, with at least one multi-view input of every class.

    Returns
    -------
    Tensor of int, shape [L, k]
        The first of several with the same score, such as 0 where no neuron overlaps with any of them.
    """
    q = check_int("nets.activation.q", getattr(nets.activation, "q", None), low=3)
    start = check_finite("overlaps of nets and views", nets.own_view_overlap(views))
    check_shape("data.strength", data.strength, ("n", *views.shape[:2]))
    strength = main_strength(data, q)
    absent = (strength == 0).all(-1).nonzero().flatten().tolist()
    if absent:
        raise ValueError(f"data must hold a multi-view input of every class; got none of {absent}")
    return (start * strength ** (1 / (q - 2))).argmax(-1)
