"""Claims about pairs of handwritten digits: which half a net relies on, and what averages and students gain.

Here the independent repetitions are splits of the images into training and test images, and a *draw* is the number of a
split. All nets of a split see the same pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from torch import Tensor

from mvtheory._check import check_choice, check_int
from mvtheory.distillation import Temperature
from mvtheory.experiments.base import Experiment, Measurement, labelled, select
from mvtheory.images.digits import CLASSES, SMALLEST_CLASS, DigitNets, Pairs, fit, single_view, split_pairs
from mvtheory.measurement import Estimate, error_rate, over_draws

__all__ = [
    "CONTRAST",
    "ESTIMATORS",
    "SPLITS",
    "DigitStudy",
    "gain_share",
    "gap",
    "opposite_share",
    "opposite_signs",
    "reliance",
    "removed",
    "single_view_error",
]

#: The splits that the book reports. The settings were chosen on the splits 1, 2 and 3.
SPLITS = (101, 102, 103, 104, 105)

#: The contrast of the image of another class at which the claims are measured.
CONTRAST = 0.3

# The axis along which the models of a method differ; the other methods give one model a split.
_AXES = {"single": "net", "shared": "net", "growing ensemble": "size", "distilled": "student",
         "self-distilled": "student"}  # fmt: skip


@dataclass(frozen=True)
class DigitStudy(Experiment):
    """Errors of all methods on pairs of digits, class by class.

    The methods are ``single``, its ``ensemble``, ``distilled``, ``self-distilled``, ``trained average``, and the
    control ``shared`` (both halves through the same filters). ``<name> ensemble`` is the average of all nets of that
    name. The models of ``growing ensemble`` are the averages of the first 1, 2, 3, ... single nets.

    By the name of the method, :meth:`run` returns its errors on the test pairs of which one image is replaced, axes
    ``contrast``, ``half`` (the one that is kept), the models of the method if there are several, and ``digit``. Under
    ``"training <method>"`` and ``"two-view <method>"`` are the errors on the training pairs and on the test pairs.

    Attributes
    ----------
    draws : tuple of int
        Numbers of the splits, the independent repetitions; no seed is used in two of them.
    nets, students : int
        Nets trained from labels, and students of either kind, on each split.
    per_class, channels, scale, steps, rate, temperature, weight
        See `split_pairs`, `DigitNets` and `fit`.
    student_steps : int
        Training steps of the students.
    contrasts : tuple of float
        Contrasts of the image of another class.
    """

    draws: tuple[int, ...] = SPLITS
    nets: int = 10
    students: int = 5
    per_class: int = 50
    channels: tuple[int, int] = (4, 8)
    scale: float = 0.1
    steps: int = 300
    rate: float = 0.1
    temperature: float = 8.0
    weight: float = 9.0
    student_steps: int = 600
    contrasts: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_int("nets", self.nets, 2, 100)
        check_int("students", self.students, 1, self.nets)

    @property
    def test_pairs(self) -> int:
        """Test pairs of each split."""
        return CLASSES * ((SMALLEST_CLASS - self.per_class) // 2)

    def on(self, number: int) -> xr.Dataset:
        """Return the errors on the split of this number, see :class:`DigitStudy`."""
        train, test = split_pairs(number, self.per_class)
        stacks = self.train(train, first_seed=1000 * number)
        replaced = [pairs for contrast in self.contrasts for pairs in single_view(test, contrast, seed=number)]
        errors = [_errors(stacks, pairs) for pairs in (train, test, *replaced)]
        variables: dict[str, tuple[str, np.ndarray]] = {}
        for method in errors[0]:
            training, two_view, *single = (of_inputs[method] for of_inputs in errors)
            models = f"{_AXES.get(method, '')} digit"
            variables[f"training {method}"] = models, training
            variables[f"two-view {method}"] = models, two_view
            by_half = np.stack(single).reshape(len(self.contrasts), 2, *training.shape)
            variables[method] = f"contrast half {models}", by_half
        return labelled(variables, contrast=self.contrasts, half=["left", "right"])

    def train(self, pairs: Pairs, first_seed: int) -> dict[str, DigitNets]:
        """Return the trained nets of each method; students have the seeds from ``first_seed + 500`` on."""
        seeds = range(first_seed, first_seed + self.nets)
        fresh = range(first_seed + 500, first_seed + 500 + self.students)

        def trained(seeds: Sequence[int], steps: int = self.steps, shared: bool = False, **how: Any) -> DigitNets:
            nets = DigitNets(seeds, channels=self.channels, scale=self.scale, shared=shared)
            return fit(nets, pairs, steps=steps, rate=self.rate, **how)

        single = trained(seeds)
        with torch.no_grad():
            outputs = single(pairs.images)
        rule = Temperature(self.temperature)
        student: dict[str, Any] = {"steps": self.student_steps, "rule": rule, "weight": self.weight}
        return {
            "single": single,
            "distilled": trained(fresh, teacher=outputs.mean(0, keepdim=True), **student),
            "self-distilled": trained(fresh, teacher=outputs[: self.students], **student),
            "trained average": trained(seeds, joint=True),
            "shared": trained(seeds, shared=True),
        }


_STUDY = DigitStudy()


@torch.no_grad()
def _errors(stacks: Mapping[str, DigitNets], pairs: Pairs) -> dict[str, Float[np.ndarray, "*models 10"]]:
    """Return the error of every method on each class."""
    outputs = {name: nets(pairs.images) for name, nets in stacks.items()}  # [nets, n, 10]
    averages = {f"{name} ensemble": F.mean(0) for name, F in outputs.items()}
    averages["ensemble"] = averages.pop("single ensemble")
    outputs["trained average"] = averages.pop("trained average ensemble")
    growing = outputs["single"].cumsum(0) / torch.arange(1, len(outputs["single"]) + 1)[:, None, None]
    outputs |= averages | {"growing ensemble": growing}
    return {method: _errors_by_class(F, pairs.y) for method, F in outputs.items()}


def _errors_by_class(F: Float[Tensor, "*models n 10"], y: Int[Tensor, " n"]) -> Float[np.ndarray, "*models 10"]:
    """Return the error on each class of inputs that are sorted by class, as many of each."""
    blocks = zip(F.chunk(CLASSES, -2), y.chunk(CLASSES), strict=True)
    return np.stack([error_rate(part, label) for part, label in blocks], -1)


def single_view_error(data: xr.Dataset, method: str, contrast: float = CONTRAST) -> Float[Tensor, "splits ..."]:
    """Return the error on the test pairs of which one image is replaced, the mean of both halves and all classes.

    Parameters
    ----------
    data : xarray.Dataset
        What :class:`DigitStudy` measured.
    method : str
        See :class:`DigitStudy`.
    contrast : float
        One of the study's contrasts.

    Returns
    -------
    Tensor, shape [splits, models], or [splits] of a method that gives one model
    """
    return torch.from_numpy(select(data, method, contrast=contrast)).mean((1, -1))


def gap(data: xr.Dataset, method: str, contrast: float = CONTRAST) -> Float[Tensor, "splits ... k"]:
    """Return the error without the left image minus the error without the right one, by class.

    It is 1 where a net classifies a class by the left half alone, -1 by the right half alone, and 0 where either half
    is enough.

    Parameters
    ----------
    data, method, contrast
        As in `single_view_error`.

    Returns
    -------
    Tensor, shape [splits, models, k], or [splits, k] of a method that gives one model
    """
    errors = torch.from_numpy(select(data, method, contrast=contrast))
    return errors[:, 1] - errors[:, 0]


def opposite_share(data: xr.Dataset, method: str, across: str, contrast: float = CONTRAST) -> Float[Tensor, " splits"]:
    """Return how often two nets on a class, or two classes in a net, rely on opposite halves.

    Parameters
    ----------
    data : xarray.Dataset
        What :class:`DigitStudy` measured.
    method : str
        A method with several nets. The sign of the gap says on which half a net relies; a gap of 0 counts as half an
        opposite.
    across : {"nets", "classes"}
    contrast : float
        As in `single_view_error`.

    Returns
    -------
    Tensor, shape [splits]
        In [0, 1].
    """
    axis = 1 + ["nets", "classes"].index(check_choice("across", across, ["nets", "classes"]))
    side = gap(data, method, contrast).sign()
    return opposite_signs(side, axis).mean(1)


def opposite_signs(side: Float[Tensor, ...], axis: int) -> Float[Tensor, ...]:
    """Return the share of pairs along an axis whose signs are opposite; a sign of 0 is half an opposite of all others.

    Parameters
    ----------
    side : Tensor
        Signs.
    axis : int
        Of at least two.

    Returns
    -------
    Tensor
        In [0, 1]; without the axis.
    """
    n = side.shape[axis]
    same = (side.sum(axis) ** 2 - (side**2).sum(axis)) / (n * (n - 1))  # mean product over pairs
    return (1 - same) / 2


def gain_share(data: xr.Dataset, method: str, contrast: float = CONTRAST) -> Float[Tensor, " splits"]:
    """Return how much of the ensemble's gain over single nets a method has on single-view inputs.

    Parameters
    ----------
    data : xarray.Dataset
        What :class:`DigitStudy` measured.
    method : str
        See :class:`DigitStudy`.
    contrast : float
        As in `single_view_error`.

    Returns
    -------
    Tensor, shape [splits]
        0 for none, 1 for all of it.
    """
    net, best, other = (
        single_view_error(data, name, contrast).reshape(len(data.draw), -1).mean(1)
        for name in ("single", "ensemble", method)
    )
    return (net - other) / (net - best)


def reliance(data: xr.Dataset, method: str, contrast: float = CONTRAST) -> Estimate:
    """Return the share of (net, class) that rely on one half: those with a gap above a half.

    Parameters
    ----------
    data : xarray.Dataset
        What :class:`DigitStudy` measured.
    method : str
        See :class:`DigitStudy`.
    contrast : float
        As in `single_view_error`.

    Returns
    -------
    Estimate
    """
    apart = (gap(data, method, contrast).abs() > 0.5).double()
    shares = apart.mean(-1).reshape(len(data.draw), -1)
    return over_draws(shares, points=apart.shape[-1] * shares.shape[1])


def removed(data: xr.Dataset, name: str, ensemble: str) -> Estimate:
    """Return the share of the error of nets on single-view inputs that their average removes.

    Parameters
    ----------
    data : xarray.Dataset
        What :class:`DigitStudy` measured.
    name, ensemble : str
        The nets and their average, see :class:`DigitStudy`.

    Returns
    -------
    Estimate
        1 if the average never errs, 0 if it errs as often as one net.
    """
    one, average = single_view_error(data, name), single_view_error(data, ensemble)
    return over_draws(1 - average / one.mean(1), points=None, nets=one.numel())


def single(draws: Sequence[int] = SPLITS, setting: DigitStudy = _STUDY) -> Measurement:
    """Measure the error of single nets on single-view inputs."""
    data = replace(setting, draws=tuple(draws)).run()
    error = over_draws(single_view_error(data, "single"), points=setting.test_pairs)
    return Measurement(error, data.attrs["seconds"])


def ensemble(draws: Sequence[int] = SPLITS, setting: DigitStudy = _STUDY) -> Measurement:
    """Measure the share of the error of single nets that their average removes."""
    data = replace(setting, draws=tuple(draws)).run()
    return Measurement(removed(data, "single", "ensemble"), data.attrs["seconds"])


def share_of_gain(method: str, draws: Sequence[int] = SPLITS, setting: DigitStudy = _STUDY) -> Measurement:
    """Measure the share of the ensemble's gain that a method has."""
    data = replace(setting, draws=tuple(draws)).run()
    further = setting.nets if method == "trained average" else setting.students
    nets = len(draws) * (setting.nets + further)
    return Measurement(over_draws(gain_share(data, method), points=None, nets=nets), data.attrs["seconds"])


def one_half(name: str, draws: Sequence[int] = SPLITS, setting: DigitStudy = _STUDY) -> Measurement:
    """Measure the share of (net, class) that rely on one half."""
    data = replace(setting, draws=tuple(draws)).run()
    return Measurement(reliance(data, name), data.attrs["seconds"])


#: The estimators of the chapter's claims, by id.
ESTIMATORS: Mapping[str, Callable[..., Measurement]] = {
    "digits-single": single,
    "digits-ensemble": ensemble,
    "digits-distill": partial(share_of_gain, "distilled"),
    "digits-self-distill": partial(share_of_gain, "self-distilled"),
    "digits-train-average": partial(share_of_gain, "trained average"),
    "digits-lottery": partial(one_half, "single"),
    "digits-control": partial(one_half, "shared"),
}
