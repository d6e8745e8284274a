"""Data without multi-view structure: one view a class, labels of a random net, labels with noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mvtheory._check import check_int, check_labels, check_number
from mvtheory.data import MultiView, Sample
from mvtheory.model import PatchNets, SReLU

__all__ = ["OneView", "TeacherLabels", "flip_labels"]


class OneView(MultiView):
    """Each class shows its first view only: the multi-view inputs of `MultiView` without all other views.

    Nets that learn from such inputs cannot differ in the view that they keep. Single-view inputs are those of
    `MultiView`: they may keep any view, also one that was never shown.

    See Also
    --------
    mvtheory.data.MultiView : the parameters.

    Examples
    --------
    >>> task = OneView(k=3, P=6, d=12, s=1)
    >>> task.sample(50, seed=0).present[..., 1].any()
    tensor(False)
    """

    def _strengths(self, y: Tensor, kept: Tensor, rng: torch.Generator) -> Tensor:
        strength = super()._strengths(y, kept, rng)
        strength[kept < 0, :, 1:] = 0
        return strength


@dataclass(frozen=True)
class TeacherLabels:
    r"""Gaussian inputs, labelled by a fixed random net: :math:`y = \mathrm{argmax}_i (T_i(X) + b_i)`.

    The net T is a patch network with weights from N(0, I). The numbers b make all classes equally frequent.

    Parameters
    ----------
    k : int, >= 2
        Number of classes.
    P : int, >= 1
        Patches per input, all of them from N(0, I).
    d : int, >= 1
        Dimension of a patch.
    m : int, >= 1
        Neurons of a class, in the net that labels.
    activation : SReLU
        Its activation; by default the plain ReLU.
    frame_seed : int, >= 0
        Seed of its weights.

    Examples
    --------
    >>> TeacherLabels(k=3, P=2, d=8).sample(5, seed=0).x.shape
    torch.Size([5, 2, 8])
    """

    k: int = 4
    P: int = 1
    d: int = 10
    m: int = 2
    activation: SReLU = SReLU(q=1)
    frame_seed: int = 0

    def __post_init__(self) -> None:
        check_int("k", self.k, low=2)
        for name in ("P", "d", "m"):
            check_int(name, getattr(self, name), low=1)
        check_int("frame_seed", self.frame_seed, low=0)

    @cached_property
    def teacher(self) -> PatchNets:
        """The net that labels, a stack of one."""
        return PatchNets.init(
            1, k=self.k, m=self.m, d=self.d, sigma_0=1.0, seed=self.frame_seed, activation=self.activation
        )

    @cached_property
    def offsets(self) -> Float[Tensor, " k"]:
        """The numbers b, fitted to 20000 inputs of their own: a class that is too frequent is lowered."""
        rng = torch.Generator().manual_seed(2**40 + self.frame_seed)  # not the numbers that the weights are made of
        F = self._scores(self._inputs(20_000, rng))
        b = F.new_zeros(self.k)
        for step in range(200):
            share = torch.bincount((F + b).argmax(-1), minlength=self.k) / len(F)
            b -= F.std() * (share - 1 / self.k) / (1 + step / 20)
        return b

    def sample(self, multi: int, single: int = 0, *, seed: int) -> Sample:
        """Draw `multi` inputs. `single` must be 0: there is no view to lose.

        Parameters
        ----------
        multi : int, >= 1
            How many inputs.
        single : int, 0
            There for the interface of :class:`~mvtheory.data.MultiView`.
        seed : int, >= 0
            The same seed gives the same inputs, to the last bit.

        Returns
        -------
        Sample
            With ``M = 1`` and no view anywhere: `strength` is 0, `kept` and `patch_view` are -1.
        """
        check_int("single (labels of a net leave no view to lose)", single, low=0, high=0)
        n = check_int("multi", multi, low=1)
        check_int("seed", seed, low=0)
        x = self._inputs(n, torch.Generator().manual_seed(seed))
        y = (self._scores(x) + self.offsets).argmax(-1)
        return Sample(x, y, torch.zeros(n, self.k, 1), torch.full((n,), -1), torch.full((n, self.P), -1))

    def _inputs(self, n: int, rng: torch.Generator) -> Tensor:
        return torch.randn(n, self.P, self.d, generator=rng)

    def _scores(self, x: Tensor) -> Tensor:
        return self.teacher(x)[0]


def flip_labels(y: Int[Tensor, " n"], k: int, share: float | int, *, seed: int) -> Int[Tensor, " n"]:
    """Return labels of which a share is wrong: replaced by another class, uniformly.

    Parameters
    ----------
    y : Tensor of int, shape [n]
        True labels.
    k : int, >= 2
        Number of classes.
    share : float, in [0, 1]
        Share of the labels that are replaced; their number is rounded.
    seed : int, >= 0
        Which labels, and by what.

    Returns
    -------
    Tensor of int, shape [n]

    Examples
    --------
    >>> y = torch.zeros(10, dtype=torch.int64)
    >>> int((flip_labels(y, 3, 0.2, seed=0) != y).sum())
    2
    """
    check_int("k", k, low=2)
    check_labels("y", y, k)
    check_number("share", share, low=0, high=1)
    check_int("seed", seed, low=0)
    rng = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(y), generator=rng)[: round(share * len(y))]
    flipped = y.clone()
    flipped[rows] = (y[rows] + torch.randint(1, k, (len(rows),), generator=rng)) % k
    return flipped
