"""Multi-view data: the distribution of the theory.

A *task* is a frozen description of a distribution. ``task.sample(n_multi_view, n_single_view,
seed=...)`` draws from it and returns a :class:`Sample`: the inputs of the nets,
with the ground truth of the theory beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mvtheory._check import check_bool, check_choice, check_int, check_number, check_seed

__all__ = ["FRAMES", "MultiView", "Sample", "orthonormal_frame"]

FRAMES = ("random", "axes")


@dataclass(frozen=True)
class Sample:
    r"""`n` inputs of `P` patches, with the ground truth beside them.

    Attributes
    ----------
    x : Tensor, shape [n, P, d]
        The patches.
    y : Tensor of int, shape [n]
        The labels, in 0 ... k-1.
    strength : Tensor, shape [n, k, M]
        Total strength :math:`\sum_p z_p` of each view; 0 where it is absent.
    kept : Tensor of int, shape [n]
        The view that a single-view input kept; -1 for multi-view inputs.
    patch_view : Tensor of int, shape [n, P]
        Index ``j * M + l`` of the view in a patch; -1 for background.
    """

    x: Float[Tensor, "n P d"]
    y: Int[Tensor, " n"]
    strength: Float[Tensor, "n k M"]
    kept: Int[Tensor, " n"]
    patch_view: Int[Tensor, "n P"]

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, rows: slice | Tensor | list[int]) -> Sample:
        """Return the inputs picked by a slice, an index tensor or a mask."""
        return Sample(self.x[rows], self.y[rows], self.strength[rows], self.kept[rows], self.patch_view[rows])

    def to(self, device: torch.device | str) -> Sample:
        """Return the inputs on another device."""
        return Sample(**{name: tensor.to(device) for name, tensor in vars(self).items()})

    @property
    def single_view(self) -> Bool[Tensor, " n"]:
        """Mask of the single-view inputs."""
        return self.kept >= 0

    @property
    def present(self) -> Bool[Tensor, "n k M"]:
        """Mask of the views that are present in an input."""
        return self.strength > 0


@dataclass(frozen=True)
class MultiView:
    """The multi-view distribution (our reading of the definition in [1]_).

    Every class has `M` views, orthonormal directions of R^d. An input of class
    y contains all views of y and each other view with probability ``s / k``;
    each of them fills `C_p` patches of its own. In multi-view inputs all views of
    y are strong. In single-view inputs one of them is strong and the others are
    (almost) absent.

    Parameters
    ----------
    k : int, >= 2
        Number of classes.
    M : int, >= 2
        Views per class.
    P : int, >= M * C_p
        Patches per input, enough for the views that are present at once. ``M * C_p + (k - 1) * M * C_weak`` are
        enough for all. Where ``s / k`` is small, fewer are: some standard deviations above the mean number.
    d : int, >= k * M
        Dimension of a patch.
    C_p : int, >= 1
        Patches per view of the label; its strength is divided equally among them.
    C_weak : int, in [1, C_p], optional
        Patches per view of another class; default `C_p`. With fewer, such a view has
        the same total strength in fewer patches, and the others are background.
    s : float, in [0, k]
        Expected number of classes whose l-th view is present, for each l.
    main : (float, float), 0 <= low <= high
        Range of the total strength of the label's views.
    weak : (float, float), 0 <= low <= high
        Range of the total strength of other classes' views, multi-view inputs.
    rho : float, >= 0
        Total strength of the label's other views in single-view inputs.
    Gamma : float, >= 0
        Total strength of other classes' views in single-view inputs.
    gamma : float, >= 0
        Feature noise: every patch contains every view with a coefficient uniform
        in [0, gamma].
    noise_signal, noise_background : float, >= 0
        Root-mean-square norm of the Gaussian noise xi_p of patches with a view,
        and of the others.
    frame : {"random", "axes"}
        Views along a random orthonormal frame, or along coordinate axes.
    frame_seed : int, >= 0
        Seed of the random frame.

    References
    ----------
    .. [1] Z. Allen-Zhu, Y. Li, "Towards Understanding Ensemble, Knowledge
       Distillation and Self-Distillation in Deep Learning", ICLR 2023.

    Examples
    --------
    >>> task = MultiView(k=3, P=6, d=12, s=1)
    >>> train = task.sample(n_multi_view=8, n_single_view=2, seed=0)
    >>> train.x.shape, int(train.single_view.sum())
    (torch.Size([10, 6, 12]), 2)
    """

    k: int = 10
    M: int = 2
    P: int = 20
    d: int = 200
    C_p: int = 1
    C_weak: int | None = None
    s: float = 4.0
    main: tuple[float, float] = (1.0, 1.1)
    weak: tuple[float, float] = (0.3, 0.4)
    rho: float = 0.01
    Gamma: float = 0.3
    gamma: float = 0.0
    noise_signal: float = 0.1
    noise_background: float = 1.0
    frame: str = "random"
    frame_seed: int = 0

    def __post_init__(self) -> None:
        check_int("k", self.k, low=2)
        check_int("M", self.M, low=2)
        check_int("C_p", self.C_p, low=1)
        check_int("d (k * M orthonormal views need room)", self.d, low=self.k * self.M)
        if self.C_weak is not None:
            check_int("C_weak", self.C_weak, low=1, high=self.C_p)
        check_int("P (the patches of a class's M views need room)", self.P, low=self.M * self.C_p)
        check_number("s", self.s, low=0, high=self.k)
        for name in ("main", "weak"):
            low, high = _check_pair(name, getattr(self, name))
            check_number(f"{name}[0]", low, low=0)
            check_number(f"{name}[1]", high, low=low)
        for name in ("rho", "Gamma", "gamma", "noise_signal", "noise_background"):
            check_number(name, getattr(self, name), low=0)
        check_choice("frame", self.frame, FRAMES)
        check_seed("frame_seed", self.frame_seed)

    @property
    def _weak_patches(self) -> int:
        return self.C_p if self.C_weak is None else self.C_weak

    @cached_property
    def views(self) -> Float[Tensor, "k M d"]:
        """The views v_{i,l}, orthonormal."""
        total = self.k * self.M
        if self.frame == "axes":
            return torch.eye(self.d, dtype=torch.float32)[:total].reshape(self.k, self.M, self.d)
        return orthonormal_frame(total, self.d, seed=self.frame_seed).reshape(self.k, self.M, self.d)

    def sample(self, n_multi_view: int, n_single_view: int = 0, *, seed: int, balanced: bool = False) -> Sample:
        """Draw `n_multi_view` multi-view and `n_single_view` single-view inputs.

        Parameters
        ----------
        n_multi_view, n_single_view : int, >= 0
            Number of inputs of each kind; at least one in total.
        seed : int, >= 0
            The same seed gives the same inputs, to the last bit.
        balanced : bool
            Stratified sampling: equal numbers (up to one) of each label, and of each kept
            view within a label, instead of random ones. Labels of single-view inputs go on where those of multi-view
            inputs end; which labels and kept views come first is random.

        Returns
        -------
        Sample
            Multi-view inputs first.

        Raises
        ------
        ValueError
            If the views of an input need more than `P` patches.
        """
        y, kept, strength, rng = self._truth(n_multi_view, n_single_view, seed, balanced)
        patch_view = self._place(y, strength > 0, rng)
        return Sample(self._patches(y, strength, patch_view, rng), y, strength, kept, patch_view)

    def strengths(
        self, n_multi_view: int, n_single_view: int = 0, *, seed: int, balanced: bool = False
    ) -> tuple[Int[Tensor, " n"], Int[Tensor, " n"], Float[Tensor, "n k M"]]:
        """Draw the labels, kept views and strengths that `sample` draws, without the patches.

        For many classes, whose patches do not fit into memory while their strengths do.

        Parameters
        ----------
        n_multi_view, n_single_view, seed, balanced
            See `sample`.

        Returns
        -------
        y, kept, strength : Tensor
            Those of the :class:`Sample` with the same arguments, to the last bit.
        """
        return self._truth(n_multi_view, n_single_view, seed, balanced)[:3]

    def _truth(
        self, n_multi_view: int, n_single_view: int, seed: int, balanced: bool
    ) -> tuple[Tensor, Tensor, Tensor, torch.Generator]:
        """Return labels, kept views, strengths, and the generator for the patches."""
        check_int("n_multi_view", n_multi_view, low=0)
        check_int("n_single_view", n_single_view, low=0)
        n = check_int("n_multi_view + n_single_view", n_multi_view + n_single_view, low=1)
        check_bool("balanced", balanced)
        rng = torch.Generator().manual_seed(check_seed("seed", seed))
        kept = torch.full((n,), -1)
        if balanced:
            first = torch.randint(self.M, (self.k,), generator=rng)
            y = torch.randperm(self.k, generator=rng)[torch.arange(n) % self.k]
            kept[n_multi_view:] = (first[y[n_multi_view:]] + torch.arange(n_single_view) // self.k) % self.M
        else:
            y = torch.randint(self.k, (n,), generator=rng)
            kept[n_multi_view:] = torch.randint(self.M, (n_single_view,), generator=rng)
        return y, kept, self._strengths(y, kept, rng), rng

    def _strengths(self, y: Tensor, kept: Tensor, rng: torch.Generator) -> Tensor:
        """Total strength of every view, shape [n, k, M]; 0 where absent."""
        n, shape = len(y), (len(y), self.k, self.M)
        present = torch.rand(shape, generator=rng, dtype=torch.float32) < self.s / self.k
        weak = _uniform(shape, self.weak, rng)
        main = _uniform((n, self.M), self.main, rng)
        single = kept >= 0
        weak[single] = self.Gamma
        lost = single[:, None] & (torch.arange(self.M) != kept[:, None])
        strength = torch.where(present, weak, 0.0)
        strength[torch.arange(n), y] = torch.where(lost, self.rho, main)
        return strength

    def _place(self, y: Tensor, present: Tensor, rng: torch.Generator) -> Tensor:
        """Assign patches to each view that is present, at random positions."""
        n = len(present)
        count = torch.full(present.shape, self._weak_patches)
        count[torch.arange(n), y] = self.C_p
        count = (count * present).flatten(1)
        needed = int(count.sum(1).max())
        check_int(f"P (an input holds views that fill {needed} patches)", self.P, low=needed)
        order = torch.rand(n, self.P, generator=rng, dtype=torch.float32).argsort(1)
        patch_view = torch.full((n, self.P), -1)
        filled = torch.arange(self.P) < count.sum(1, keepdim=True)
        patch_view[filled] = torch.arange(count.shape[1]).repeat(n).repeat_interleave(count.flatten())
        return torch.empty_like(patch_view).scatter_(1, order, patch_view)

    def _patches(self, y: Tensor, strength: Tensor, patch_view: Tensor, rng: torch.Generator) -> Tensor:
        """Return the patches z_p v + sum_v' alpha_{p,v'} v' + xi_p."""
        n, carries = len(strength), patch_view >= 0
        noise = torch.tensor([self.noise_background, self.noise_signal], dtype=torch.float32)
        scale = noise[carries.long()] / self.d**0.5
        x = torch.randn(n, self.P, self.d, generator=rng, dtype=torch.float32) * scale[..., None]
        views = self.views.flatten(0, 1)
        if self.gamma > 0:
            alpha = _uniform((n, self.P, len(views)), (0.0, self.gamma), rng)
            x += alpha @ views
        rows, patches = carries.nonzero(as_tuple=True)
        view = patch_view[rows, patches]
        share = torch.where(patch_view // self.M == y[:, None], self.C_p, self._weak_patches)
        z = strength.flatten(1)[rows, view] / share[rows, patches]
        x.view(-1, self.d).index_add_(0, rows * self.P + patches, z[:, None] * views[view])
        return x


def orthonormal_frame(count: int, d: int, *, seed: int) -> Float[Tensor, "count d"]:
    """Draw orthonormal directions, uniformly distributed (Haar).

    Parameters
    ----------
    count : int, in [1, d]
        Number of directions.
    d : int, >= 1
        Dimension of the space.
    seed : int, >= 0
        The same seed gives the same directions.

    Returns
    -------
    Tensor, shape [count, d]
    """
    check_int("count", count, low=1, high=check_int("d", d, low=1))
    rng = torch.Generator().manual_seed(check_seed("seed", seed))
    gauss = torch.randn(d, count, generator=rng, dtype=torch.float64)
    q, r = torch.linalg.qr(gauss)
    # QR fixes the signs by a convention; with the signs of r, q is uniform.
    return (q * torch.sign(torch.diagonal(r))).T.float()


def _check_pair(name: str, value: tuple[float, float]) -> tuple[float, float]:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise TypeError(f"{name} must be a pair (low, high); got {value!r}")
    return value[0], value[1]


def _uniform(shape: tuple[int, ...], bounds: tuple[float, float], rng: torch.Generator) -> Tensor:
    low, high = bounds
    return low + (high - low) * torch.rand(shape, generator=rng, dtype=torch.float32)
