"""Pairs of photographs: what nets of any kind err on, and what follows from it.

The independent repetitions are splits, each with pictures of its own, and a *draw* is the number of a split. All nets
of a split see the same pairs. What is measured of a method is laid out as by
:class:`~mvtheory.experiments.digit_images.DigitStudy`, so that the same functions read it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor

from mvtheory._check import check_int
from mvtheory.ensemble import average
from mvtheory.experiments.base import Experiment, Measurement
from mvtheory.experiments.digit_images import CONTRAST, reliance, single_view_error
from mvtheory.images.planted import Halves, Split
from mvtheory.measurement import Estimate, error_rate, over_draws

__all__ = [
    "SPLITS", "PairNets", "PairStudents", "beside_teachers", "errors_by_class", "errors_on", "excess_removed", "factor",
    "mean_by_size", "mean_error", "of_nets", "of_students", "one_half", "over_splits", "without_denormals",
]  # fmt: skip

#: The splits that the book reports. The settings were chosen on the splits 1, 2 and 3.
SPLITS = tuple(range(201, 211))

#: What is measured of splits, given results and the keyword `contrast`.
Quantity = Callable[..., Float[Tensor, " splits"]]


@dataclass(frozen=True)
class PairNets(Experiment):
    """Nets on pairs of photographs.

    By the name of the method, :meth:`run` returns its errors on the test pairs of which one picture is replaced, axes
    ``contrast``, ``half`` (the one that is kept), the nets of the method if there are several, and ``class``; under
    ``"training <method>"`` and ``"two-view <method>"`` those on the training pairs and on the test pairs. The methods
    are at least ``single``, its ``ensemble``, and ``reference``: nets that saw each half alone, so that they know both
    views. ``by size`` is the mean error of the averages of L single nets, over all ways to choose them, axes ``size``
    and ``half``.

    Attributes
    ----------
    draws : tuple of int
        Numbers of the splits.
    nets, references : int
        Single nets, and reference nets, of each split.
    """

    draws: tuple[int, ...] = SPLITS
    nets: int = 10
    references: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_int("nets", self.nets, 2, 12)
        check_int("references", self.references, 1, 100)

    @property
    @abstractmethod
    def contrast(self) -> float:
        """Strength of the picture that replaces a half."""


@dataclass(frozen=True)
class PairStudents(Experiment):
    """Students of the nets of some splits, laid out as :class:`PairNets`, with the axis ``student``.

    Student i begins as single net i, whom the labels have taught, or at random where the setting says so; the teacher
    of a self-distilled one is another net.

    Attributes
    ----------
    draws : tuple of int
        Numbers of the splits.
    students : int
        Students of a kind on each split.
    """

    draws: tuple[int, ...] = SPLITS[:5]
    students: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_int("students", self.students, 1, self.teachers.nets // 2)

    @property
    @abstractmethod
    def teachers(self) -> PairNets:
        """The single nets, who teach."""


@contextmanager
def without_denormals() -> Iterator[None]:
    """Let numbers below 1e-38 be zero on this thread: large outputs leave many, with which processors are slow."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def errors_on(
    name: str, nets: Callable[[Tensor], Tensor], split: Split, axis: str = ""
) -> dict[str, tuple[str, np.ndarray]]:
    """Return the errors of the nets, or of their average where they have no axis, class by class.

    Parameters
    ----------
    name : str
        The method.
    nets : callable
        Returns outputs [L, n, k] for inputs.
    split : Split
        The inputs.
    axis : str
        The name of the nets' axis.

    Returns
    -------
    dict of str to (str, array)
        Laid out as :class:`FashionNets` says, for :func:`mvtheory.experiments.base.labelled`.
    """

    def on(part: Halves) -> Float[np.ndarray, "*nets 8"]:
        F = nets(part.x)
        return errors_by_class(F if axis else average(F), part.y)

    halves = np.stack([on(split.left), on(split.right)])[None]
    return {
        name: (f"contrast half {axis} class", halves),
        f"training {name}": (f"{axis} class", on(split.train)),
        f"two-view {name}": (f"{axis} class", on(split.two_view)),
    }


def errors_by_class(F: Float[Tensor, "*nets n k"], y: Tensor) -> Float[np.ndarray, "*nets k"]:
    """Return the error of each net on each class.

    Parameters
    ----------
    F : Tensor, shape [..., n, k]
        Outputs.
    y : Tensor of int, shape [n]
        Labels; every class is among them.

    Returns
    -------
    array, shape [..., k]
    """
    return np.stack([error_rate(F[..., y == c, :], y[y == c]) for c in range(F.shape[-1])], -1)


def mean_by_size(nets: Callable[[Tensor], Tensor], split: Split) -> Float[np.ndarray, "size half"]:
    """Return the mean error of the averages of 1, 2, ... nets, over all choices of that many; `nets` give [L, n, k]."""
    outputs = [(nets(part.x), part.y) for part in (split.left, split.right)]
    count = len(outputs[0][0])
    means = np.zeros((count, 2))
    for L in range(1, count + 1):
        chosen = [list(members) for members in combinations(range(count), L)]
        for half, (F, y) in enumerate(outputs):
            means[L - 1, half] = np.mean([float(error_rate(F[members].mean(0), y)) for members in chosen])
    return means


def mean_error(data: xr.Dataset, method: str, contrast: float = CONTRAST) -> Float[Tensor, " splits"]:
    """Return a method's error on single-view inputs, the mean over its nets."""
    return single_view_error(data, method, contrast).reshape(len(data.draw), -1).mean(1)


def excess_removed(data: xr.Dataset, method: str, contrast: float = CONTRAST) -> Float[Tensor, " splits"]:
    """Return the share of single nets' excess error that a method removes.

    Parameters
    ----------
    data : xarray.Dataset
        What :class:`FashionNets` measured.
    method : str
        One of its methods.
    contrast : float
        Of the picture in place of the lost one.

    Returns
    -------
    Tensor, shape [splits]
        The excess is measured from the error of nets that know both views.
    """
    single, other, reference = (mean_error(data, name, contrast) for name in ("single", method, "reference"))
    return (single - other) / (single - reference)


def factor(data: xr.Dataset, largest: int = 4, contrast: float = CONTRAST) -> Float[Tensor, " splits"]:
    """Return the mean factor on the excess error by each further net, from one net to `largest`.

    Parameters
    ----------
    data : xarray.Dataset
        What :class:`FashionNets` measured.
    largest : int
        Nets in the largest average.
    contrast : float
        Of the picture in place of the lost one.

    Returns
    -------
    Tensor, shape [splits]
        One half where every view is lost by every second net.
    """
    sizes = torch.from_numpy(data["by size"].sel(size=[1, largest]).values).mean(-1)
    excess = sizes - mean_error(data, "reference", contrast)[:, None]
    return (excess[:, 1] / excess[:, 0]) ** (1 / (largest - 1))


def over_splits(values: Float[Tensor, " splits"], nets: int) -> Estimate:
    """Return the mean over splits with its interval; `nets` nets of each split were used."""
    return over_draws(values, points=None, nets=nets * len(values))


def of_nets(of: Quantity, draws: Sequence[int] = SPLITS, *, setting: PairNets) -> Measurement:
    """Measure a quantity of the nets of each split."""
    data = replace(setting, draws=tuple(draws)).run()
    return Measurement(over_splits(of(data, contrast=setting.contrast), setting.nets), data.attrs["seconds"])


def one_half(method: str, draws: Sequence[int] = SPLITS, *, setting: PairNets) -> Measurement:
    """Measure the share of (net, class) that rely on one half."""
    data = replace(setting, draws=tuple(draws)).run()
    return Measurement(reliance(data, method, setting.contrast), data.attrs["seconds"])


def of_students(of: Quantity, draws: Sequence[int] = SPLITS[:5], *, setting: PairStudents) -> Measurement:
    """Measure a quantity of the students of each split, beside its nets."""
    data = replace(setting, draws=tuple(draws)).run()
    values = of(beside_teachers(data, setting.teachers.run()), contrast=setting.teachers.contrast)
    return Measurement(over_splits(values, setting.teachers.nets + setting.students), data.attrs["seconds"])


def beside_teachers(students: xr.Dataset, nets: xr.Dataset) -> xr.Dataset:
    """Return what was measured of students with what was measured of the nets of their splits."""
    return students.merge(nets.sel(draw=students.draw), compat="override", combine_attrs="override")
