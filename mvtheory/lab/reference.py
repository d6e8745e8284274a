r"""The engine of the lab in Python: what ``engine.js`` computes, to the last bit.

The nets are those of :class:`mvtheory.reduced.reduction.OwnViewNets`, in double precision. Every sum has one order,
that of the nets, classes, views, neurons or inputs: `numpy.sum` has another, so sums here are running sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from mvtheory._check import check_choice, check_int
from mvtheory.lab.arithmetic import Random, exp, log
from mvtheory.lab.setting import PHASES, LabSetting
from mvtheory.training import Schedule

__all__ = ["Experiment", "Inputs", "Teacher", "Trained", "draw_inputs", "draw_nets", "outputs", "run", "train"]

Weights = Float[np.ndarray, "L k M m"]


@dataclass(frozen=True)
class Inputs:
    """Inputs as views: those of the label at strengths of their own, those of other classes all at one.

    Attributes
    ----------
    y : array of int, shape [n]
        Labels.
    own : array, shape [n, M]
        Strength of a patch of each view of the label.
    present : array of bool, shape [n, k, M]
        Which views of other classes an input shows.
    z : float
        Strength of a patch of these.
    """

    y: Int[np.ndarray, " n"]
    own: Float[np.ndarray, "n M"]
    present: Bool[np.ndarray, "n k M"]
    z: float

    @cached_property
    def groups(self) -> tuple[Int[np.ndarray, "n M"], Int[np.ndarray, " g"], Int[np.ndarray, " g"]]:
        """Patches of the labels' views, as groups of one view and one strength: equal patches are computed once.

        The group of each, numbered in order of appearance; and the input and the view in which a group appears first.
        """
        n, M = self.own.shape
        pairs = np.stack([np.add.outer(self.y * M, np.arange(M)), self.own], -1).reshape(n * M, 2)
        _, first, group = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
        order = np.argsort(first)
        return np.argsort(order)[group.reshape(n, M)], first[order] // M, first[order] % M


@dataclass(frozen=True)
class Teacher:
    """What students are compared with, see :class:`mvtheory.distillation.OnOff`.

    Attributes
    ----------
    G : array, shape [L, n, k]
        Outputs on the training inputs less their baselines, of one teacher for each student.
    threshold : float
        Smallest output that is on.
    """

    G: Float[np.ndarray, "L n k"]
    threshold: float


@dataclass(frozen=True)
class Trained:
    """Where training ended.

    Attributes
    ----------
    W : array, shape [L, k, M, m]
        Products of each neuron with the views of its class.
    loss, error : array, shape [L]
        Mean loss and error on the training set at the last step.
    steps : array of int, shape [L]
        Steps that each net took.
    """

    W: Weights
    loss: Float[np.ndarray, " L"]
    error: Float[np.ndarray, " L"]
    steps: Int[np.ndarray, " L"]


def draw_inputs(setting: LabSetting, n: int, *, single_view: bool = False) -> Inputs:
    """Draw inputs, as many of each label and of each kept view.

    Parameters
    ----------
    setting : LabSetting
        The distribution, and the seed.
    n : int, >= 1
        How many.
    single_view : bool
        Test inputs, which keep one view of the label, in place of multi-view ones.

    Returns
    -------
    Inputs
    """
    check_int("n", n, low=1)
    rng, k, M = Random(setting.seed, int(single_view)), setting.k, setting.M
    low, width = setting.main_low, setting.main_high - setting.main_low
    y = np.arange(n) % k
    own, present = np.empty((n, M)), np.empty((n, k, M), bool)
    for i in range(n):
        own[i] = [low + width * rng.uniform() for _ in range(M)]
        present[i] = np.reshape([rng.uniform() < setting.s / k for _ in range(k * M)], (k, M))
    own[:, 0] *= setting.favour
    if single_view:
        own[np.arange(M) != (np.arange(n) // k % M)[:, None]] = setting.rho
    present[np.arange(n), y] = False
    return Inputs(y, own / setting.C_p, present, (setting.Gamma if single_view else setting.weak) / setting.C_weak)


def draw_nets(setting: LabSetting, role: int) -> Weights:
    """Draw nets at their initialisation.

    Parameters
    ----------
    setting : LabSetting
        Sizes, scale and seed.
    role : int, >= 1
        1 for the nets, 2 for students of their average, 2 + g for those of single nets in generation g: each has seeds
        of its own.

    Returns
    -------
    array, shape [L, k, M, m]
    """
    shape = setting.k, setting.M, setting.m
    rngs = [Random(setting.seed, 1000 * role + net) for net in range(setting.nets)]
    draws = [np.reshape([rng.normal() for _ in range(int(np.prod(shape)))], shape) for rng in rngs]
    return setting.sigma_0 * np.stack(draws)


def outputs(setting: LabSetting, data: Inputs, W: Weights) -> Float[np.ndarray, "L n k"]:
    """Return the outputs of nets.

    Parameters
    ----------
    setting : LabSetting
        The activation, and the patches of a view.
    data : Inputs
        The inputs.
    W : array, shape [L, k, M, m]
        The nets.

    Returns
    -------
    array, shape [L, n, k]
    """
    return _forward(setting, data, W)[0]


def train(setting: LabSetting, data: Inputs, W: Weights, schedule: Schedule, teacher: Teacher | None = None) -> Trained:
    """Train nets, each for itself, on the labels, and on a teacher if there is one.

    Parameters
    ----------
    setting : LabSetting
        The activation, and the rule of distillation.
    data : Inputs
        The training set.
    W : array, shape [L, k, M, m]
        The nets before; they are not changed.
    schedule : Schedule
        Re-scaled gradient descent, see :func:`mvtheory.training.train`.
    teacher : Teacher, optional
        A teacher for each net.

    Returns
    -------
    Trained
    """
    W, L, n = W.copy(), len(W), len(data.y)
    loss, error, steps, alive = np.empty(L), np.empty(L), np.zeros(L, int), np.arange(L)
    while True:
        F, slopes = _forward(setting, data, W[alive])
        losses, dF = _cross_entropy(F, data.y)
        if teacher is not None:
            penalty, push = _on_off(setting, F, teacher.G[alive], teacher.threshold)
            losses, dF = losses + setting.weight * penalty, dF + setting.weight * push
        loss[alive] = _total(losses, 1) / n
        error[alive] = _wrong(F, data.y).sum(1) / n
        going = (steps[alive] < schedule.steps) & ((loss[alive] >= schedule.stop_loss) | (error[alive] > 0))
        if not going.any():
            return Trained(W, loss, error, steps)
        gradient = _backward(setting, data, dF / n, slopes)
        eta = _step_size(W[alive], gradient, schedule)
        W[alive[going]] -= (eta[:, None, None, None] * gradient)[going]
        alive = alive[going]
        steps[alive] += 1


def train_average(setting: LabSetting, data: Inputs, W: Weights) -> Trained:
    """Train the average of nets as one net, see :class:`mvtheory.ensemble.AverageCrossEntropy`.

    Parameters
    ----------
    setting, data, W
        See :func:`train`.

    Returns
    -------
    Trained
        Loss, error and steps of the average, the same for each net.
    """
    L, n = len(W), len(data.y)
    for step in range(setting.steps + 1):
        F, slopes = _forward(setting, data, W)
        mean = _total(F, 0)[None] / L
        losses, dF = _cross_entropy(mean, data.y)
        loss, error = _total(losses, 1) / n, _wrong(mean, data.y).sum(1) / n
        if step == setting.steps or (loss[0] < setting.stop_loss and error[0] == 0):
            break
        gradient = _backward(setting, data, np.repeat(dF / n / L, L, 0), slopes)
        W = W - _step_size(W, gradient, setting.schedule).min() * gradient
    return Trained(W, loss.repeat(L), error.repeat(L), np.full(L, step))


class Experiment:
    """Data and nets of a setting, and what was done with them.

    Parameters
    ----------
    setting : LabSetting
        The setting.
    """

    def __init__(self, setting: LabSetting = LabSetting()) -> None:
        self.setting = setting
        self.data = draw_inputs(setting, setting.N)
        self.test = draw_inputs(setting, setting.n_test, single_view=True)
        self.generation = 0
        self.done: dict[str, Trained] = {}
        self.averaged = False

    def do(self, phase: str) -> None:
        """Do what a button of the lab does.

        Parameters
        ----------
        phase : str
            One of :data:`mvtheory.lab.setting.PHASES`; students and averages need trained nets, the next generation
            needs self-distilled ones.
        """
        check_choice("phase", phase, PHASES)
        s, data = self.setting, self.data
        if phase == "train":
            if self.generation:  # all anew
                self.done, self.averaged, self.generation = {}, False, 0
            self.done["nets"] = train(s, data, draw_nets(s, 1), s.schedule)
        elif phase == "average":
            self.averaged = True
        elif phase == "train the average":
            self.done["trained average"] = train_average(s, data, draw_nets(s, 1))
        elif phase == "distil":
            G = _total(outputs(s, data, self.done["nets"].W), 0)[None] / s.nets
            teacher = Teacher(_less_baseline(s, G).repeat(s.nets, 0), s.threshold / s.nets)
            self.done["distilled"] = self._student(teacher, 2, from_start=s.from_start)
        elif phase == "self-distil":
            teacher = Teacher(_less_baseline(s, outputs(s, data, self.done["nets"].W)), s.threshold)
            self.done["self-distilled"] = self._student(teacher, 3 + self.generation, from_start=False)
        else:
            self.done, self.averaged = {"nets": self.done["self-distilled"]}, False
            self.generation += 1

    def _student(self, teacher: Teacher, role: int, from_start: bool) -> Trained:
        s, start = self.setting, draw_nets(self.setting, role)
        if from_start:
            return train(s, self.data, start, s.student_schedule, teacher)
        alone = train(s, self.data, start, s.schedule)
        end = train(s, self.data, alone.W, s.student_schedule, teacher)
        return Trained(end.W, end.loss, end.error, alone.steps + end.steps)

    def results(self) -> pd.DataFrame:
        """Return the errors on single-view inputs beside what the lottery predicts.

        Returns
        -------
        DataFrame
            A row for each method: ``method``, ``error``, ``predicted``, and of the training ``loss``, ``train_error``
            and ``steps``. Means over the nets; for averages of L nets, over the L that follow each net.
        """
        s, y = self.setting, self.test.y
        lost = 1 - 1 / s.M
        heads = {"nets": ("single net", self.generation + 1), "trained average": ("trained average", 1)}
        heads |= {"distilled": ("distilled net", s.nets * (self.generation + 1))}
        heads |= {"self-distilled": ("self-distilled net", self.generation + 2)}
        rows: list[tuple[Any, ...]] = []
        for name, (method, power) in heads.items():
            if name not in self.done:
                continue
            run = self.done[name]
            F = outputs(s, self.test, run.W)
            F = _total(F, 0)[None] if name == "trained average" else F
            rows.append((method, _mean(_wrong(F, y).sum(1) / len(y)), _power(lost, power)))
            rows[-1] += _mean(run.loss), _mean(run.error), _mean(run.steps)
            if name == "nets" and self.averaged:
                total = np.zeros_like(F)
                for L in range(1, s.nets + 1):
                    total = total + np.roll(F, 1 - L, 0)
                    if L > 1:
                        error = _mean(_wrong(total, y).sum(1) / len(y))
                        rows.append((f"average of {L}", error, _power(lost, power * L), np.nan, np.nan, np.nan))
        return pd.DataFrame(rows, columns=["method", "error", "predicted", "loss", "train_error", "steps"])


def run(setting: LabSetting = LabSetting(), phases: Sequence[str] = PHASES[:-1]) -> pd.DataFrame:
    """Run an experiment of the lab.

    Parameters
    ----------
    setting : LabSetting
        The setting.
    phases : sequence of str
        What is done, in order: see :meth:`Experiment.do`.

    Returns
    -------
    DataFrame
        See :meth:`Experiment.results`.

    Examples
    --------
    >>> small = LabSetting(k=3, s=1.5, N=30, m=4, nets=2, n_test=60)
    >>> run(small, ["train", "average"])[["method", "predicted"]]
             method  predicted
    0    single net       0.50
    1  average of 2       0.25
    """
    experiment = Experiment(setting)
    for phase in phases:
        experiment.do(phase)
    return experiment.results()


def _total(a: np.ndarray, axis: int) -> np.ndarray:
    """Return the sum along an axis, one by one."""
    return np.asarray(np.add.accumulate(a, axis).take(-1, axis))


def _mean(a: np.ndarray) -> float:
    return float(_total(a.astype(float), 0) / len(a))


def _power(base: float, exponent: int) -> float:
    """Return a power as a product, one by one."""
    return float(np.multiply.accumulate(np.full(exponent, base))[-1])


def _srelu(setting: LabSetting, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return value and slope, see :class:`mvtheory.model.SReLU`."""
    above = np.maximum(z, 0.0)
    if setting.q == 1:
        return above, np.where(z > 0, 1.0, 0.0)
    t = np.minimum(above, setting.varrho)
    slope = ratio = t / setting.varrho
    for _ in range(setting.q - 2):
        slope = slope * ratio
    return above - t + t * slope / setting.q, slope


def _forward(setting: LabSetting, data: Inputs, W: Weights) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Return the outputs [L, n, k], and the slopes at weak views [L, k, M, m] and in each group [L, g, m]."""
    group, row, view = data.groups
    weak, weak_slope = _srelu(setting, W * data.z)
    own, own_slope = _srelu(setting, W[:, data.y[row], view] * data.own[row, view, None])
    weak, own = _total(weak, -1) * setting.C_weak, _total(own, -1) * setting.C_p
    F = _total(np.where(data.present, weak[:, None], 0.0), -1)
    F[:, np.arange(len(data.y)), data.y] = _total(own[:, group], -1)
    return F, (weak_slope, own_slope)


def _backward(
    setting: LabSetting, data: Inputs, dF: np.ndarray, slopes: tuple[np.ndarray, np.ndarray]
) -> Float[np.ndarray, "L k M m"]:
    """Return the gradient in the weights."""
    weak_slope, own_slope = slopes
    sums = _total(np.where(data.present, dF[..., None], 0.0), 1)  # [L, k, M]
    gradient = weak_slope * (sums * (data.z * setting.C_weak))[..., None]
    by_view = np.moveaxis(gradient.reshape(len(dF), setting.k * setting.M, setting.m), 1, 0)
    group, row, view = data.groups
    on_label = np.repeat(dF[:, np.arange(len(data.y)), data.y], setting.M, axis=1)
    totals = np.stack([np.bincount(group.ravel(), each) for each in on_label])  # adds one input after the other
    own = totals * (data.own[row, view] * setting.C_p)
    parts = np.moveaxis(own_slope * own[..., None], 1, 0)
    np.add.at(by_view, data.y[row] * setting.M + view, parts)  # one group after the other
    return gradient


def _cross_entropy(F: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the loss of each input [L, n] and its gradient in the outputs."""
    label = np.arange(len(y)), y
    top = F.max(-1, keepdims=True)
    p = exp(F - top)
    total = _total(p, -1)
    loss = log(total) - (F[:, *label] - top[..., 0])
    p = p / total[..., None]
    p[:, *label] -= 1
    return loss, p


def _on_off(setting: LabSetting, F: np.ndarray, G: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Return penalty [L, n] and gradient of :class:`mvtheory.distillation.OnOff`."""
    on, x = threshold <= G, F / setting.cut
    up = np.where(on, np.maximum(1 - x, 0.0), 0.0)
    over = np.where(on, 0.0, np.maximum(x - setting.slack, 0.0))
    down = np.minimum(over, 1.0)
    return _total(up * up / 2 + down * (over - down / 2), -1), (down - up) / setting.cut


def _less_baseline(setting: LabSetting, G: Float[np.ndarray, "L n k"]) -> Float[np.ndarray, "L n k"]:
    """Subtract from the outputs of each class a low quantile over the inputs: the median where none of its views is."""
    quantile = _power(1 - setting.s / setting.k, setting.M) / 2
    return G - np.sort(G, axis=1)[:, [int(quantile * G.shape[1])]]


def _wrong(F: np.ndarray, y: np.ndarray) -> Bool[np.ndarray, "L n"]:
    """Return where another class has at least the output of the label."""
    others = F.copy()
    others[:, np.arange(len(y)), y] = -np.inf
    return others.max(-1) >= F[:, np.arange(len(y)), y]


def _step_size(W: Weights, gradient: Weights, schedule: Schedule) -> Float[np.ndarray, " L"]:
    """Return the largest steps that change no neuron by more than its share."""
    length, change = (np.sqrt(_total(a * a, 2)) for a in (W, gradient))
    ratio = np.divide(length, change, out=np.full_like(length, np.inf), where=change > 0)
    return np.minimum(schedule.max_change * ratio.reshape(len(W), -1).min(1), schedule.eta)
