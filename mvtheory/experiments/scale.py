r"""What grows with the number of classes: the law at k up to 1000, and the cost of a training step.

Both functions are made for :class:`mvtheory.sweeps.sweep.Sweep`. Seconds are processor seconds on one thread: they vary
less than wall time where other work shares the machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import torch

from mvtheory._check import check_choice, check_int
from mvtheory.data import MultiView
from mvtheory.ensemble import average, learned_views
from mvtheory.experiments.nets import Draw
from mvtheory.experiments.settings import NET_SETTING
from mvtheory.measurement import Estimate, error_rate, over_draws
from mvtheory.model import PatchNets, SReLU
from mvtheory.reduced.reduction import OwnViewNets, draw_strengths
from mvtheory.reduced.sparse_training import train_reduced
from mvtheory.training import Schedule, train

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["FOLD", "STUDIES", "exponents", "law", "step"]

#: Nets of a cell of :func:`law`.
FOLD = 4


def law(
    k: int,
    *,
    per_class: int = 10,
    m: int = 8,
    q: int = 4,
    varrho: float | int = 12.0,
    sigma_0: float | int = 0.6,
    max_change: float | int = 0.7,
    seed: int,
    draw: int,
) -> dict[str, float]:
    """Train four nets in the noise-free reduction, and average them.

    The data are those of :data:`mvtheory.experiments.nets.NET_SETTING` with `k` classes in place of ten, and no
    noise. The other defaults were chosen on draws 521 to 525.

    Parameters
    ----------
    k : int, >= 2
        Classes.
    per_class : int, >= 1
        Training inputs for each class.
    m : int, >= 1
        Neurons per class.
    q, varrho, sigma_0, max_change
        Activation, initial scale, and largest change of a neuron in a step.
    seed : int, >= 0
        Which four nets of the draw.
    draw : int, >= 1
        Which data draw.

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
    task = replace(
        NET_SETTING.task, k=k, P=2 * (NET_SETTING.task.C_p + k - 1), d=2 * k, noise_signal=0.0, noise_background=0.0
    )
    data, _ = draw_strengths(task, per_class * k, seed=first + 1)
    test, _ = draw_strengths(task, 0, max(2 * k, 2000), seed=first + 2, balanced=True)
    activation, number = SReLU(q, varrho), first + 100 + FOLD * check_int("seed", seed, low=0)
    # Products of a Gaussian neuron with orthonormal views are independent, so they can be drawn without the rest.
    W = PatchNets.init(FOLD, k=k, m=m, d=2, sigma_0=sigma_0, seed=number).W
    nets = OwnViewNets(W, activation)
    train_reduced(nets, data, Schedule(steps=1))  # what is done once a process is not timed
    start = time.process_time()
    end = train_reduced(nets, data, Schedule(steps=20_000, stop_loss=0.02, eta=3000.0 * k, max_change=max_change))
    seconds = time.process_time() - start
    F = end.nets(test.x)
    errors = {
        f"average_{L}": float(np.mean([error_rate(average(F[list(c)]), test.y) for c in combinations(range(FOLD), L)]))
        for L in range(1, FOLD + 1)
    }
    both = learned_views(end.nets, torch.eye(2).expand(k, 2, 2)).all(-1).double().mean()
    steps = end.steps.double().mean()
    return errors | {
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
        Of the nets and of the data; the time should not depend on them.

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
    """Fit a product of powers, value = c * size_1^a_1 * size_2^a_2 ..., to each draw of a sweep.

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
        Each size's exponent, with Student's interval over the draws.
    """
    for name in (value, *sizes):
        check_choice("column of table", name, list(table))
    fits = []
    for _, rows in table.groupby("draw"):
        logs = np.log(rows[[*sizes]].to_numpy(dtype=float))
        design = np.column_stack([logs, np.ones(len(logs))])
        if np.linalg.matrix_rank(design) < design.shape[1]:
            raise ValueError(f"table must vary {', '.join(sizes)} apart from each other in every draw")
        fits.append(np.linalg.lstsq(design, np.log(rows[value].to_numpy(dtype=float)), rcond=None)[0])
    return {name: over_draws([[fit[i]] for fit in fits], points=None) for i, name in enumerate(sizes)}


#: Functions for sweeps, by name.
STUDIES: Mapping[str, Callable[..., Mapping[str, float]]] = {"law": law, "step": step}
