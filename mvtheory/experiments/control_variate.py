"""Sampling variation that is known before training: which views a data set's nets happen to learn.

With ten classes the error of an ensemble moves in steps: if all nets happen to learn the same view of one class, the
average errs on half of that class's single-view inputs. Which views a net learns is predicted by its initialisation, so
this part of the variation can be taken off a measured error without changing its expectation.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import torch
import torch.nn.functional as nnf
from jaxtyping import Int
from torch import Tensor

from mvtheory._check import check_choice, check_int
from mvtheory.ensemble import predict_lottery
from mvtheory.experiments.nets import Draw

__all__ = ["expected_uncovered", "lottery_control_variate", "predicted_views"]

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
    own = predict_lottery(draw.init(0, s.nets), views, draw.train)
    others = predict_lottery(draw.init(100_000, _OTHERS), views, draw.train)
    return own, nnf.one_hot(others, s.task.M).sum(0)
