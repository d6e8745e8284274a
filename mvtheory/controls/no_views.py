"""Data without multi-view structure: Gaussian mixtures, one view per class, labels of a random net, label noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mvtheory._check import check_int, check_labels, check_number, check_seed
from mvtheory._tensors import check_tensor
from mvtheory.data import MultiView, Sample, orthonormal_frame
from mvtheory.model import PatchNets, SReLU

__all__ = ["GaussianMixture", "OneView", "TeacherLabels", "flip_labels"]


@dataclass(frozen=True)
class GaussianMixture:
    """One direction per class, the same in every patch.

    Each patch of an input of class y is ``separation * mu_y + xi_p``, with mu_1 ... mu_k
    orthonormal and xi_p Gaussian. There is only one feature per class, so that nets that
    differ by seed cannot learn different ones.

    Parameters
    ----------
    k : int, >= 2
        Number of classes.
    P : int, >= 1
        Patches per input.
    d : int, >= k
        Dimension of a patch.
    separation : float, >= 0
        Length of the class mean.
    noise : float, >= 0
        Root-mean-square norm of the noise of a patch.
    frame_seed : int, >= 0
        Seed of the class means.

    Examples
    --------
    >>> GaussianMixture(k=3, P=2, d=8).sample(5, seed=0).x.shape
    torch.Size([5, 2, 8])
    """

    k: int = 10
    P: int = 20
    d: int = 200
    separation: float = 0.2
    noise: float = 1.0
    frame_seed: int = 0

    def __post_init__(self) -> None:
        check_int("k", self.k, low=2)
        check_int("P", self.P, low=1)
        check_int("d (k orthonormal means need room)", self.d, low=self.k)
        check_number("separation", self.separation, low=0)
        check_number("noise", self.noise, low=0)
        check_seed("frame_seed", self.frame_seed)

    @cached_property
    def views(self) -> Float[Tensor, "k 1 d"]:
        """The class means: one direction per class."""
        return orthonormal_frame(self.k, self.d, seed=self.frame_seed)[:, None]

    def sample(self, n_multi_view: int, n_single_view: int = 0, *, seed: int) -> Sample:
        """Draw `n_multi_view` inputs.

        Parameters
        ----------
        n_multi_view : int, >= 1
            Number of inputs.
        n_single_view : int, 0
            For the interface of :class:`~mvtheory.data.MultiView`; there are no single-view inputs.
        seed : int, >= 0
            The same seed gives the same inputs, to the last bit.

        Returns
        -------
        Sample
            With ``M = 1``; `strength` is the separation times P, `kept` is -1 and every
            patch has the direction of the label.
        """
        check_int("n_single_view (a Gaussian mixture has no single-view inputs)", n_single_view, low=0, high=0)
        n = check_int("n_multi_view", n_multi_view, low=1)
        rng = torch.Generator().manual_seed(check_seed("seed", seed))
        y = torch.randint(self.k, (n,), generator=rng)
        x = torch.randn(n, self.P, self.d, generator=rng, dtype=torch.float32) * (self.noise / self.d**0.5)
        x += self.separation * self.views[y]
        strength = torch.zeros(n, self.k, 1, dtype=torch.float32)
        strength[torch.arange(n), y, 0] = self.separation * self.P
        return Sample(x, y, strength, torch.full((n,), -1), y[:, None].expand(n, self.P).clone())


class OneView(MultiView):
    """Multi-view data in whose multi-view inputs only the first view of each class is present.

    Nets trained on such inputs cannot learn different views. Single-view inputs are those of `MultiView`: their view
    may be any, including those absent from the multi-view inputs.

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

    The net T is a patch network with weights from N(0, I). The offsets b make all classes equally frequent.

    Parameters
    ----------
    k : int, >= 2
        Number of classes.
    P : int, >= 1
        Patches per input, all of them from N(0, I).
    d : int, >= 1
        Dimension of a patch.
    m : int, >= 1
        Neurons per class of the labelling net T.
    activation : SReLU
        Activation of T; by default the plain ReLU.
    frame_seed : int, >= 0
        Seed of the weights of T.

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
        check_seed("frame_seed", self.frame_seed)

    @cached_property
    def teacher(self) -> PatchNets:
        """The labelling net T, a stack of one."""
        return PatchNets.init(
            1, k=self.k, m=self.m, d=self.d, sigma_0=1.0, seed=self.frame_seed, activation=self.activation
        )

    @cached_property
    def offsets(self) -> Float[Tensor, " k"]:
        """The offsets b, fitted to a separate sample of 20000 inputs: classes that are too frequent are lowered."""
        rng = torch.Generator().manual_seed(2**40 + int(self.frame_seed))  # independent of the weights
        F = self._scores(self._inputs(20_000, rng))
        b = F.new_zeros(self.k)
        for step in range(200):
            share = torch.bincount((F + b).argmax(-1), minlength=self.k) / len(F)
            b -= F.std() * (share - 1 / self.k) / (1 + step / 20)
        return b

    def sample(self, n_multi_view: int, n_single_view: int = 0, *, seed: int) -> Sample:
        """Draw `n_multi_view` inputs.

        Parameters
        ----------
        n_multi_view : int, >= 1
            Number of inputs.
        n_single_view : int, 0
            For the interface of :class:`~mvtheory.data.MultiView`; there are no single-view inputs.
        seed : int, >= 0
            The same seed gives the same inputs, to the last bit.

        Returns
        -------
        Sample
            With ``M = 1`` and no views: `strength` is 0, `kept` and `patch_view` are -1.
        """
        check_int("n_single_view (labels of a net have no single-view inputs)", n_single_view, low=0, high=0)
        n = check_int("n_multi_view", n_multi_view, low=1)
        x = self._inputs(n, torch.Generator().manual_seed(check_seed("seed", seed)))
        y = (self._scores(x) + self.offsets).argmax(-1)
        strength = torch.zeros(n, self.k, 1, dtype=torch.float32)
        return Sample(x, y, strength, torch.full((n,), -1), torch.full((n, self.P), -1))

    def _inputs(self, n: int, rng: torch.Generator) -> Tensor:
        return torch.randn(n, self.P, self.d, generator=rng, dtype=torch.float32)

    def _scores(self, x: Tensor) -> Tensor:
        return self.teacher(x)[0]


def flip_labels(y: Int[Tensor, " n"], k: int, share: float | int, *, seed: int) -> Int[Tensor, " n"]:
    """Return labels with symmetric noise: a fraction is replaced by another class, uniformly.

    Parameters
    ----------
    y : Tensor of int, shape [n]
        True labels.
    k : int, >= 2
        Number of classes.
    share : float, in [0, 1]
        Fraction of the labels to replace; their number is rounded.
    seed : int, >= 0
        Determines which labels are replaced, and by what.

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
    y = check_labels("y", check_tensor("y", y), k)
    check_number("share", share, low=0, high=1)
    rng = torch.Generator().manual_seed(check_seed("seed", seed))
    rows = torch.randperm(len(y), generator=rng)[: round(share * len(y))]
    flipped = y.clone()
    flipped[rows] = (y[rows] + torch.randint(1, k, (len(rows),), generator=rng)) % k
    return flipped
