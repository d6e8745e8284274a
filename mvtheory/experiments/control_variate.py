"""Sampling variation that is known before training: which views a data set's nets happen to learn.

With few classes the error of an ensemble moves in steps: if all nets happen to learn the same view of one class, the
average errs on half of that class's single-view inputs. Which views a net learns is predicted by its initialisation, so
this part of the variation can be taken off a measured error without changing its expectation.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as nnf
from jaxtyping import Int
from torch import Tensor

from mvtheory._check import check_choice, check_int
from mvtheory.ensemble import predict_lottery
from mvtheory.experiments.nets import Draw
from mvtheory.measurement import Estimate, over_units

__all__ = ["adjusted_for_lottery", "expected_uncovered", "lottery_control_variate", "predicted_views"]

#: Initialisations, besides those of the nets, that say how often each view is predicted.
_OTHERS = 400


def lottery_control_variate(draw: Draw, groups: Iterable[Iterable[int]]) -> float:
    r"""Return what sampling adds to the error of groups of nets: a control variate, with expectation zero.

    The lottery predicts the view that each net will learn. It says on which share of the single-view test inputs all
    nets of a group will lack the kept view, and, from other initialisations, how large this share is in expectation.
    The difference is a mean over `groups`. A measured error minus it has the same expectation and varies less.

    Parameters
    ----------
    draw : Draw
        The data set.
    groups : iterable of iterables of int
        Numbers of the nets of each group; all groups are of one size.

    Returns
    -------
    float
        In [-1, 1].
    """
    views, test, rows = predicted_views(draw)[0], draw.test_single_view, [list(group) for group in groups]
    for group in rows:
        check_choice("size of a group (that of the first)", len(group), (len(rows[0]),))
    lacking = views[:, test.y] != test.kept  # [nets, n]
    uncovered = [float(lacking[group].all(0).double().mean()) for group in rows]
    return sum(uncovered) / len(uncovered) - expected_uncovered(draw, len(rows[0]))


def adjusted_for_lottery(
    draws: Sequence[Draw], wrong: Sequence[np.ndarray], groups: Sequence[Sequence[Sequence[int]]], nets: int
) -> tuple[Estimate, Estimate]:
    """Return the error of groups of nets on single-view inputs, adjusted for the views that they lack, and raw.

    The unit is a view of a class of one data set: its inputs are mostly all right or all wrong, and groups of one data
    set, such as students of one teacher, may lack it together. From the share that is wrong, the adjusted error leaves
    out the views that no net of a group is predicted to learn, and adds how many of these are to be expected over
    seeds.

    Parameters
    ----------
    draws : sequence of Draw
        The data sets.
    wrong : sequence of bool arrays, shape [groups, n]
        For each data set, which single-view test inputs each group misclassifies.
    groups : sequence of sequences of sequences of int
        For each data set, the numbers of the nets of each group.
    nets : int
        Trained nets behind the errors.

    Returns
    -------
    adjusted, raw : Estimate
        With intervals as :func:`mvtheory.measurement.over_units` has them. The adjusted error is a difference of two
        shares, that of views lost beyond the prediction and that of views found in spite of it; the distances to the
        ends of their intervals add up in quadrature.
    """
    shares = np.stack([_by_view(draw, part) for draw, part in zip(draws, wrong, strict=True)])
    lacking = np.stack([_all_lack(draw, some) for draw, some in zip(draws, groups, strict=True)])
    expected = np.mean([expected_uncovered(draw, len(some[0])) for draw, some in zip(draws, groups, strict=True)])
    parts = (np.clip(sign * (shares - lacking), 0, 1).mean(1) for sign in (1, -1))  # [draws, k, M] each
    more, less = (over_units(part, nets=nets, draws=len(draws)) for part in parts)
    value = float(expected) + more.value - less.value
    down = math.hypot(more.value - more.low, less.high - less.value)
    up = math.hypot(more.high - more.value, less.value - less.low)
    adjusted = Estimate(value, value - down, value + up, nets, len(draws))
    return adjusted, over_units(shares.mean(1), nets=nets, draws=len(draws))


def _by_view(draw: Draw, wrong: np.ndarray) -> np.ndarray:
    """Return the share of the single-view test inputs of each class and kept view that are wrong, [groups, k, M]."""
    test, task = draw.test_single_view, draw.task
    block = nnf.one_hot(test.y * task.M + test.kept, task.k * task.M).double().numpy()  # [n, k M]
    return (wrong @ block / block.sum(0)).reshape(-1, task.k, task.M)


def _all_lack(draw: Draw, groups: Sequence[Sequence[int]]) -> np.ndarray:
    """Return whether no net of a group is predicted to learn a view, bool [groups, k, M]."""
    learned = nnf.one_hot(predicted_views(draw)[0], draw.task.M).bool()  # [L, k, M]
    return np.stack([~learned[list(group)].any(0).numpy() for group in groups])


def expected_uncovered(draw: Draw, L: int) -> float:
    r"""Return the share of single-view test inputs that `L` nets of a data set all lack, in expectation over seeds.

    Where each view is as likely, it is :math:`(1 - 1/M)^L`; a training set that shows one view a little more strongly
    lifts it. Where a view wins with probability :math:`\pi`, all lack it with probability :math:`(1 - \pi)^L`. A power
    of an estimated :math:`\pi` is too large on average. So we ask instead how likely it is that `L` of the 400 other
    initialisations, drawn without replacement, all lack the view: this has the right expectation.

    Parameters
    ----------
    draw : Draw
        The data set.
    L : int, in [1, 400]
        Nets.

    Returns
    -------
    float
        In [0, 1].
    """
    check_int("L", L, low=1, high=_OTHERS)
    lacking = _OTHERS - predicted_views(draw)[1]  # initialisations without the view, [k, M]
    before = torch.arange(L, dtype=torch.float64)  # initialisations that were drawn before
    return float(((lacking[..., None] - before) / (_OTHERS - before)).prod(-1).mean())


@lru_cache(maxsize=64)
def predicted_views(draw: Draw) -> tuple[Int[Tensor, "L k"], Int[Tensor, "k M"]]:
    """Return the views predicted for the nets of a data set, and how many of 400 other initialisations get each view.

    Parameters
    ----------
    draw : Draw
        The data set.

    Returns
    -------
    views : Tensor of int, shape [L, k]
    counts : Tensor of int, shape [k, M]
    """
    s, views = draw.setting, draw.task.views
    own = predict_lottery(draw.init(0, s.members + s.students), views, draw.train)
    others = predict_lottery(draw.init(100_000, _OTHERS), views, draw.train)
    return own, nnf.one_hot(others, s.task.M).sum(0)
