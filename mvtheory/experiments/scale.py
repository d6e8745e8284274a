r"""What grows with the number of classes: the law at k up to 1000, and the cost of a training step.

The functions :func:`law` and :func:`step` are made for :class:`mvtheory.sweeps.sweep.Sweep`, which keeps what they
return; the claims are measured on its tables. Seconds are those of the processor, on one thread: they vary less than
wall time where other work shares the machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from mvtheory._check import check_choice, check_int
from mvtheory.data import MultiView
from mvtheory.ensemble import learned_views
from mvtheory.experiments.base import FULL, Measurement
from mvtheory.experiments.ensembling import all_choices, average_errors, factor
from mvtheory.experiments.nets import Draw
from mvtheory.experiments.settings import SETTING
from mvtheory.measurement import Estimate, over_draws
from mvtheory.model import PatchNets, SReLU
from mvtheory.reduced.reduction import OwnViewNets, draw_strengths
from mvtheory.reduced.sparse_training import train_reduced
from mvtheory.sweeps.sweep import Sweep
from mvtheory.training import Schedule, train

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = [
    "CLASSES",
    "ESTIMATORS",
    "FOLD",
    "SIZES",
    "STUDIES",
    "TIMED_SIZES",
    "average_error",
    "cost_exponents",
    "error_factor",
    "exponents",
    "law",
    "law_by_classes",
    "step",
    "time_by_classes",
    "time_by_size",
]

#: Nets of a cell of :func:`law`.
FOLD = 4

#: Numbers of classes at which the law is measured.
CLASSES = (10, 30, 100, 300, 1000)

#: Sizes of averages.
SIZES = range(1, FOLD + 1)

#: What :func:`step` is timed over.
TIMED_SIZES = ("N", "P", "k", "m", "L", "d")

_TIMED = tuple(range(701, 726 if FULL else 706))  # the data sets on which steps are timed
_LAW = _TIMED[: 3 * len(_TIMED) // 5]  # those of a thousand classes
MANY = tuple(k for k in CLASSES if k >= 30)  # to which powers of k are fitted

_TEST = 2000  # single-view test inputs, or two for each class


def law(
    k: int,
    *,
    per_class: int = 10,
    s: float | int = 6.0,
    m: int = 8,
    q: int = 4,
    varrho: float | int = 24.0,
    sigma_0: float | int = 0.6,
    max_change: float | int = 0.7,
    seed: int,
    draw: int,
) -> dict[str, float]:
    """Train four nets in the noise-free reduction, and average them.

    The data are those of :data:`mvtheory.experiments.settings.SETTING` with `k` classes, and no
    noise. The other defaults were chosen on data sets 521 to 525. A net without the view of an input is right if the
    input holds no other view that it has learned, which has a probability of about :math:`e^{-s}` in one half of the
    inputs: so `s` is larger than in the setting.

    Parameters
    ----------
    k : int, >= 2
        Classes.
    per_class : int, >= 1
        Training inputs for each class.
    s : float, in [0, k]
        Expected number of classes whose l-th view is present, for each l.
    m : int, >= 1
        Neurons per class.
    q, varrho, sigma_0, max_change
        Activation, initial scale, and largest change of a neuron in a step.
    seed : int, >= 0
        Which four nets of the data set.
    draw : int, >= 1
        Number of the data set.

    Returns
    -------
    dict of str to float
        ``average_1`` ... ``average_4``: errors on single-view inputs of averages of so many of the nets, a mean
        over all choices; ``both``, the share of (net, class) with both views; ``loss`` and ``steps`` of the
        training, means over the nets; ``step_seconds`` of the processor for a step of one net.
    """
    for name, value in {"k": k, "per_class": per_class, "m": m}.items():
        check_int(name, value, low=2 if name == "k" else 1)
    first = Draw(draw).seed
    room = 2 * (SETTING.task.C_p + k - 1)
    task = replace(SETTING.task, k=k, P=room, d=2 * k, s=s, noise_signal=0.0, noise_background=0.0)
    data, _ = draw_strengths(task, per_class * k, seed=first + 1)
    test, _ = draw_strengths(task, 0, max(2 * k, _TEST), seed=first + 2, balanced=True)
    activation, number = SReLU(q, varrho), first + 100 + FOLD * check_int("seed", seed, low=0)
    # Products of a Gaussian neuron with orthonormal views are independent, so they can be drawn without the rest.
    W = PatchNets.init(FOLD, k=k, m=m, d=2, sigma_0=sigma_0, seed=number).W
    nets = OwnViewNets(W, activation)
    train_reduced(nets, data, Schedule(steps=1, stop_loss=0))  # what is done once a process is not timed
    start = time.process_time()
    end = train_reduced(nets, data, Schedule(steps=20_000, stop_loss=0.02, eta=3000.0 * k, max_change=max_change))
    seconds = time.process_time() - start
    errors = average_errors(end.nets(test.x), test.y, all_choices(FOLD, FOLD))
    both = learned_views(end.nets, torch.eye(2).expand(k, 2, 2)).all(-1).double().mean()
    steps = end.steps.double().mean()
    return {
        **{f"average_{L}": float(error) for L, error in zip(SIZES, errors, strict=True)},
        "both": float(both),
        "loss": float(end.loss.mean()),
        "steps": float(steps),
        "step_seconds": seconds / float(steps) / FOLD,
    }


def step(k: int, d: int, N: int, P: int, m: int, L: int, *, seed: int, draw: int) -> dict[str, float]:
    """Time a training step of the full model.

    Parameters
    ----------
    k, d, N, P, m, L : int, >= 1
        Classes, dimension, inputs, patches, neurons per class, nets; P and d must have room for 2 k views.
    seed, draw : int
        Of the nets, and number of the data set; the time should not depend on them.

    Returns
    -------
    dict of str to float
        ``step_seconds`` of the processor for a step of all nets, the least of three measurements, and ``products``,
        the multiplications of its two matrix products, 2 N P k m d L.
    """
    first = Draw(draw).seed
    data = MultiView(k=k, P=P, d=d, s=min(4.0, k), frame_seed=first).sample(N, seed=first + 1)
    nets = PatchNets.init(L, k=k, m=m, d=d, sigma_0=0.1, seed=first + 100 + L * seed)
    took = []
    for _ in range(3):
        start = time.process_time()
        train(nets, data, schedule=Schedule(steps=2, stop_loss=0.0, record_every=10))
        took.append((time.process_time() - start) / 3)  # outputs and gradient are computed before the first step, too
    return {"step_seconds": min(took), "products": 2.0 * N * P * k * m * d * L}


def exponents(table: DataFrame, value: str, sizes: Sequence[str]) -> dict[str, Estimate]:
    """Fit a product of powers, value = c * size_1^a_1 * size_2^a_2 ..., to each data set of a sweep.

    Parameters
    ----------
    table : pandas.DataFrame
        What a sweep returned.
    value : str
        The column of the fitted value, positive.
    sizes : sequence of str
        The columns of the sizes, positive.

    Returns
    -------
    dict of str to Estimate
        Each size's exponent, with Student's interval over the data sets.
    """
    for name in (value, *sizes):
        check_choice("column of table", name, list(table))
    fits = []
    for _, rows in table.groupby("draw"):
        logs = np.log(rows[[*sizes]].to_numpy(dtype=float))
        design = np.column_stack([logs, np.ones(len(logs))])
        if np.linalg.matrix_rank(design) < design.shape[1]:
            raise ValueError(f"table must vary {', '.join(sizes)} independently of each other in every draw")
        fits.append(np.linalg.lstsq(design, np.log(rows[value].to_numpy(dtype=float)), rcond=None)[0])
    return {name: over_draws([[fit[i]] for fit in fits], points=None) for i, name in enumerate(sizes)}


def law_by_classes(draws: Sequence[int] = _LAW, k: Sequence[int] = CLASSES) -> DataFrame:
    """Return the sweep of :func:`law` over numbers of classes."""
    return Sweep(law, {"k": list(k)}, draws=draws).run("sequential", progress=False)


def time_by_size(draws: Sequence[int] = _TIMED) -> DataFrame:
    """Return the sweep of :func:`step` around a middle size, each of its six numbers made four times as large.

    The column ``work`` is the product of all but the dimension.
    """
    middle = {"N": 128, "P": 64, "k": 8, "m": 8, "L": 2, "d": 64}
    grids = [{n: [v * 4 if n == name else v] for n, v in middle.items()} for name in TIMED_SIZES]
    table = Sweep(step, [*grids, {n: [v] for n, v in middle.items()}], draws=draws).run("sequential", progress=False)
    return table.assign(work=table[["N", "P", "k", "m", "L"]].prod(axis=1))


def time_by_classes(draws: Sequence[int] = _TIMED) -> DataFrame:
    """Return the sweep of :func:`step` over numbers of classes, where inputs, patches and dimensions grow with them."""
    grids = [{"k": [k], "N": [10 * k], "P": [2 * k], "d": [4 * k], "m": [8], "L": [2]} for k in (12, 16, 24, 32)]
    return Sweep(step, grids, draws=draws).run("sequential", progress=False)


def average_error(table: DataFrame, L: int) -> Estimate:
    """Return the error of averages of `L` nets from a table of :func:`law`, over its rows."""
    return over_draws(table[f"average_{L}"].to_numpy()[:, None], points=_TEST, nets=FOLD * len(table))


def error_factor(table: DataFrame) -> Estimate:
    """Return the factor by which one more net multiplies the error, from a table of :func:`law`, over its rows."""
    rows = table[[f"average_{L}" for L in SIZES]].to_numpy()
    return over_draws([[factor(row)] for row in rows], points=None, nets=FOLD * len(table))


def single_k1000(draws: Sequence[int] = _LAW) -> Measurement:
    """Measure the error of single nets at a thousand classes, in the reduction."""
    table = law_by_classes(draws, (1000,))
    return Measurement(average_error(table, 1), _seconds(table))


def law_k1000(draws: Sequence[int] = _LAW) -> Measurement:
    """Measure the factor by which one more net multiplies the error at a thousand classes, in the reduction."""
    table = law_by_classes(draws, (1000,))
    return Measurement(error_factor(table), _seconds(table))


def cost_exponents(timed: Sequence[int] = _TIMED, draws: Sequence[int] = _LAW) -> dict[str, Estimate]:
    """Return the exponents of the seconds of a step. They are no claims: times differ from machine to machine.

    Parameters
    ----------
    timed, draws : sequence of int
        Data sets on which steps of the full model, and of the reduction, are timed.

    Returns
    -------
    dict of str to Estimate
        ``"work"``, that of N P k m L; ``"d"``; ``"classes"``, that of k with all sizes growing; and
        ``"classes, reduced"``. The intervals hold the scatter within one run.
    """
    by_size, by_classes = time_by_size(timed), time_by_classes(timed)
    reduced = law_by_classes(draws, MANY)
    return {
        **exponents(by_size, "step_seconds", ["work", "d"]),
        "classes": exponents(by_classes, "step_seconds", ["k"])["k"],
        "classes, reduced": exponents(reduced, "step_seconds", ["k"])["k"],
    }


def steps_classes(draws: Sequence[int] = _LAW) -> Measurement:
    """Measure the exponent in k of the number of steps, in the reduction."""
    table = law_by_classes(draws, MANY)
    return Measurement(exponents(table, "steps", ["k"])["k"], _seconds(table))


def _seconds(table: DataFrame) -> float:
    return float(table["cell_seconds"].sum())


#: Functions for sweeps, by name.
STUDIES: Mapping[str, Callable[..., Mapping[str, float]]] = {"law": law, "step": step}

#: The estimators of the chapter's claims, by id.
ESTIMATORS: Mapping[str, Callable[..., Measurement]] = {
    "single-k1000": single_k1000,
    "law-k1000": law_k1000,
    "steps-classes": steps_classes,
}
