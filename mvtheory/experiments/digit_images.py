"""The study of the handwritten digits: all methods, several seeds and data splits, tested class by class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mvtheory._check import check_choice, check_int
from mvtheory.distillation import Temperature
from mvtheory.images.digits import CLASSES, SMALLEST_CLASS, DigitNets, Pairs, fit, single_view, split_pairs
from mvtheory.measurement import error_rate
from mvtheory.persistence.store import cached

__all__ = ["DigitResults", "DigitStudy"]


@dataclass(frozen=True)
class DigitStudy:
    """All that the study depends on.

    The defaults were chosen on the splits 1, 2 and 3, none of which is among `splits`.

    Attributes
    ----------
    splits : tuple of int
        Seeds of the data splits, the independent draws of the study.
    nets, students : int
        Nets trained from labels, and students of either kind, on each split.
    averages : int
        Trained averages on each split, of `nets` nets each.
    per_class, channels, scale, steps, rate, temperature, weight
        See `split_pairs`, `DigitNets` and `fit`.
    student_steps : int
        Training steps of the students.
    contrasts : tuple of float
        Contrasts of the intruder at which everything is tested.
    """

    splits: tuple[int, ...] = (101, 102, 103, 104, 105)
    nets: int = 10
    students: int = 5
    averages: int = 1
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
        if len(set(self.splits)) < len(self.splits) or len(self.splits) < 2:
            raise ValueError(f"splits must be at least 2 different seeds; got {self.splits}")
        check_int("nets", self.nets, 2, 100)
        check_int("students", self.students, 1, self.nets)
        check_int("averages", self.averages, 1, 4)

    def run(self) -> DigitResults:
        """Train and test everything, or read what an earlier run left on disk."""
        tensors, meta = cached({"study": "digits", **asdict(self)}, self._compute)
        return DigitResults(self, tensors, meta["seconds"])

    def _compute(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # sums then have one order, and products as small as these are no slower
        try:
            draws = [self._errors_on(split) for split in self.splits]
        finally:
            torch.set_num_threads(threads)
        return {name: torch.stack([draw[name] for draw in draws]) for name in draws[0]}, {}

    def _errors_on(self, split: int) -> dict[str, Tensor]:
        """Return the errors [inputs, nets, class] of each method on one split, see `DigitResults`."""
        train, test = split_pairs(split, self.per_class)
        stacks = self._train(train, first_seed=1000 * split)  # no seed returns in another split
        inputs = [train, test]
        inputs += [pairs for contrast in self.contrasts for pairs in single_view(test, contrast, seed=split)]
        errors: dict[str, list[Tensor]] = {}
        for pairs in inputs:
            for name, nets in stacks.items():
                for method, logits in _answers(name, nets, pairs).items():
                    errors.setdefault(method, []).append(_errors_by_class(logits, pairs.y))
        return {method: torch.stack(rows) for method, rows in errors.items()}

    def _train(self, train: Pairs, first_seed: int) -> dict[str, list[DigitNets]]:
        """Return the trained stacks by name: one, or one for each trained average."""
        seeds = range(first_seed, first_seed + self.nets)
        fresh = range(first_seed + 500, first_seed + 500 + self.students)

        def trained(seeds: Sequence[int], steps: int = self.steps, shared: bool = False, **how: Any) -> DigitNets:
            nets = DigitNets(seeds, channels=self.channels, scale=self.scale, shared=shared)
            return fit(nets, train, steps=steps, rate=self.rate, **how)

        single = trained(seeds)
        with torch.no_grad():
            outputs = single(train.images)
        rule = Temperature(self.temperature)
        student: dict[str, Any] = {"steps": self.student_steps, "rule": rule, "weight": self.weight}
        starts = [first_seed + self.nets * number for number in range(self.averages)]
        return {
            "single": [single],
            "distilled": [trained(fresh, teacher=outputs.mean(0, keepdim=True), **student)],
            "self-distilled": [trained(fresh, teacher=outputs[: self.students], **student)],
            "trained average": [trained(range(start, start + self.nets), joint=True) for start in starts],
            "shared": [trained(seeds, shared=True)],
        }


@torch.no_grad()
def _answers(name: str, stacks: list[DigitNets], pairs: Pairs) -> dict[str, Tensor]:
    """Return the logits [nets, n, 10] of a stack's nets and of their average, by method."""
    logits = [nets(pairs.images) for nets in stacks]
    averages = torch.stack([outputs.mean(0) for outputs in logits])
    if name == "trained average":
        return {name: averages}
    answers = {name: logits[0], f"{name} ensemble": averages}
    if name == "single":  # averages of the first 1, 2, 3, ... nets
        answers["growing ensemble"] = logits[0].cumsum(0) / torch.arange(1, len(stacks[0]) + 1)[:, None, None]
    return answers


def _errors_by_class(logits: Tensor, y: Tensor) -> Tensor:
    """Return the error [nets, 10] on each class of inputs sorted by class, as many of each."""
    blocks = zip(logits.chunk(CLASSES, 1), y.chunk(CLASSES), strict=True)
    return torch.stack([torch.tensor(error_rate(part, label)) for part, label in blocks], -1)


@dataclass(frozen=True)
class DigitResults:
    """Errors of all methods on all splits.

    The methods are ``single``, ``distilled``, ``self-distilled``, ``trained average``; the control
    ``shared`` (both halves through the same filters); and ``<name> ensemble``, the average of all
    nets of that name. The nets of ``growing ensemble`` are the averages of the first 1, 2, 3, ...
    single nets.

    Attributes
    ----------
    study : DigitStudy
    errors : dict of str to Tensor of shape [splits, inputs, nets, 10]
        By method, error on each class. Inputs: training pairs, test pairs, then for each contrast
        the test pairs that keep the left image and those that keep the right one.
    seconds : float
        Wall time of the run.
    """

    study: DigitStudy
    errors: dict[str, Tensor]
    seconds: float

    @property
    def test_pairs(self) -> int:
        """Test pairs of each split."""
        return CLASSES * ((SMALLEST_CLASS - self.study.per_class) // 2)

    def training(self, method: str) -> Float[Tensor, "splits nets"]:
        """Error on the training pairs."""
        return self._method(method)[:, 0].mean(-1)

    def two_view(self, method: str) -> Float[Tensor, "splits nets"]:
        """Error on the test pairs."""
        return self._method(method)[:, 1].mean(-1)

    def single_view(self, method: str, contrast: float = 0.3) -> Float[Tensor, "splits nets"]:
        """Error on the test pairs of which one image is replaced, the mean of both ways."""
        return self.halves(method, contrast).mean((1, 3))

    def halves(self, method: str, contrast: float = 0.3) -> Float[Tensor, "splits 2 nets 10"]:
        """Error by class where the left image is kept, and where the right one is."""
        place = self.study.contrasts.index(check_choice("contrast", contrast, self.study.contrasts))
        return self._method(method)[:, 2 + 2 * place : 4 + 2 * place]

    def gap(self, method: str, contrast: float = 0.3) -> Float[Tensor, "splits nets 10"]:
        """Error without the left image minus error without the right one, by class.

        It is 1 where a net answers a class from the left half alone, -1 from the right half alone,
        and 0 where it can do with either.
        """
        keeps_left, keeps_right = self.halves(method, contrast).unbind(1)
        return keeps_right - keeps_left

    def opposite(self, method: str, across: str) -> Float[Tensor, " splits"]:
        """Return how often two nets on a class, or two classes in a net, lean on opposite halves.

        Parameters
        ----------
        method : str
            Its gaps' signs say which half a net leans on; a gap of 0 counts as half an opposite.
        across : {"nets", "classes"}
        """
        axis = 1 + ["nets", "classes"].index(check_choice("across", across, ["nets", "classes"]))
        side = self.gap(method).sign()
        n = side.shape[axis]
        same = (side.sum(axis) ** 2 - (side**2).sum(axis)) / (n * (n - 1))  # mean product over pairs
        return (1 - same.mean(1)) / 2

    def gain_share(self, method: str) -> Float[Tensor, " splits"]:
        """Return how much of the ensemble's gain over single nets a method has: 0 none, 1 all of it."""
        net, best, mean = (self.single_view(name).mean(1) for name in ("single", "single ensemble", method))
        return (net - mean) / (net - best)

    def _method(self, method: str) -> Tensor:
        return self.errors[check_choice("method", method, self.errors)]
