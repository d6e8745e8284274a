"""Claims about single nets: half of the single-view inputs, none of the others, and a lottery known before training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mvtheory.ensemble import learned_views, main_strength, predict_lottery, view_outputs
from mvtheory.experiments.base import DRAWS, Measurement
from mvtheory.experiments.nets import Nets, each_draw, singles
from mvtheory.experiments.settings import SETTING, Setting
from mvtheory.measurement import over_draws

__all__ = [
    "ESTIMATORS",
    "ErrorAccount",
    "account_of_error",
    "both_views_by_exposure",
    "error_by_view",
    "lottery_outcomes",
    "race_of_views",
    "share_with_both_views",
    "shares_in_range",
]


def _error(where: str, draws: Sequence[int] = DRAWS, setting: Setting = SETTING) -> Measurement:
    base = each_draw(singles, draws, setting)
    points = {"single-view": setting.test_single_view, "multi-view": setting.test_multi_view}[where]
    return Measurement(over_draws([nets.errors(where) for nets in base], points=points), _seconds(base))


def single(draws: Sequence[int] = DRAWS, setting: Setting = SETTING) -> Measurement:
    """Measure the error of single nets on single-view inputs."""
    return _error("single-view", draws, setting)


def multi(draws: Sequence[int] = DRAWS, setting: Setting = SETTING) -> Measurement:
    """Measure the error of single nets on multi-view inputs."""
    return _error("multi-view", draws, setting)


def lottery(draws: Sequence[int] = DRAWS, setting: Setting = SETTING) -> Measurement:
    """Measure the share of (net, class) that learn the view predicted at initialisation."""
    base = each_draw(singles, draws, setting)
    agree = []
    for nets in base:
        predicted, learned = lottery_outcomes(nets)
        agree.append((predicted == learned).double().mean(-1))
    return Measurement(over_draws(agree, points=setting.members * setting.task.k), _seconds(base))


def lottery_outcomes(nets: Nets) -> tuple[Int[Tensor, "L k"], Int[Tensor, "L k"]]:
    """Return the views that the initialisation predicts for a data set's nets, and those that they learned.

    Parameters
    ----------
    nets : Nets
        All nets of a data set.

    Returns
    -------
    predicted, learned : Tensor of int, shape [L, k]
    """
    views, start = nets.draw.task.views, nets.draw.init(0, len(nets.nets))
    return predict_lottery(start, views, nets.draw.train), view_outputs(nets.nets, views).argmax(-1)


def error_by_view(nets: Nets, net: int) -> Float[Tensor, "M k"]:
    """Return the error of one net on the single-view inputs of each class that kept each view.

    Parameters
    ----------
    nets : Nets
        Nets of a data set.
    net : int
        The number of the net.

    Returns
    -------
    Tensor, shape [M, k]
    """
    test, task = nets.draw.test_single_view, nets.draw.task
    wrong = torch.from_numpy(nets.wrong("single-view")[net]).float()
    rows = [[wrong[(test.y == i) & (test.kept == view)].mean() for i in range(task.k)] for view in range(task.M)]
    return torch.tensor(rows)


def race_of_views(nets: Nets) -> tuple[Float[Tensor, "L k"], Float[Tensor, "L k"], Float[Tensor, "L k"]]:
    r"""Return how close each class's two views were at the start, and the loser's overlap before and after training.

    Parameters
    ----------
    nets : Nets
        All nets of a data set, with two views a class.

    Returns
    -------
    closeness : Tensor, shape [L, k]
        The ratio r of :math:`\Lambda^{q-2} S` of the loser to that of the winner, in [0, 1].
    before, after : Tensor, shape [L, k]
        Overlap of the loser.
    """
    q = nets.draw.setting.activation.q
    start, end = nets.history.overlap[0], nets.history.overlap[-1]
    score = start ** (q - 2) * main_strength(nets.draw.train, q)
    loser = score.argmin(-1, keepdim=True)
    return score.amin(-1) / score.amax(-1), start.gather(-1, loser)[..., 0], end.gather(-1, loser)[..., 0]


def share_with_both_views(base: Sequence[Nets]) -> list[Float[Tensor, " L"]]:
    """Return, for each data set, the share of classes of which each net has learned both views."""
    return [learned_views(nets.nets, nets.draw.task.views).all(-1).double().mean(-1) for nets in base]


def shares_in_range(base: Sequence[Nets], low: float = 0.49, high: float = 0.51) -> tuple[float, float, float, float]:
    """Return how many nets have an error of their own, on single-view inputs, within a range.

    Parameters
    ----------
    base : sequence of Nets
        Nets of the data sets.
    low, high : float
        The range; by default the theorem's.

    Returns
    -------
    every, without, some, with_both : float
        Share within the range, of all nets and of those without a class with both views; share of the nets with such a
        class, and share of these within the range. NaN where there are none.
    """
    errors = np.concatenate([nets.errors("single-view") for nets in base])
    inside = (low <= errors) & (errors <= high)
    double = torch.cat(share_with_both_views(base)).numpy() > 0
    parts = (inside, inside[~double], double, inside[double])
    every, without, some, with_both = (float(part.mean()) if len(part) else np.nan for part in parts)
    return every, without, some, with_both


def both_views_by_exposure(base: Sequence[Nets]) -> tuple[float, float]:
    """Return the share of classes with both views: of those that have a single-view training input, and of all others.

    Parameters
    ----------
    base : sequence of Nets
        Nets of the data sets, whose training sets hold single-view inputs of some classes.

    Returns
    -------
    exposed, others : float
    """
    exposed, others = [], []
    for nets in base:
        shown = torch.zeros(nets.draw.task.k, dtype=torch.bool)
        shown[nets.draw.train.y[nets.draw.train.single_view]] = True
        learned = learned_views(nets.nets, nets.draw.task.views).all(-1).double()
        exposed.append(float(learned[:, shown].mean()))
        others.append(float(learned[:, ~shown].mean()))
    return float(np.mean(exposed)), float(np.mean(others))


class ErrorAccount(NamedTuple):
    """What takes the error on single-view inputs away from one half, as shares of all inputs.

    The error is ``0.5 - known - unexplained + missed``.

    Attributes
    ----------
    known : float
        Inputs whose view was learned, beyond a half.
    unexplained : float
        Right answers although the view does not count as learned.
    missed : float
        Wrong answers although it does.
    """

    known: float
    unexplained: float
    missed: float


def account_of_error(base: Sequence[Nets]) -> ErrorAccount:
    """Return what takes the mean error of single nets away from one half.

    Parameters
    ----------
    base : sequence of Nets
        Nets of the data sets.

    Returns
    -------
    ErrorAccount
    """
    parts = []
    for nets in base:
        y, kept = nets.labels("single-view"), nets.draw.test_single_view.kept
        known = learned_views(nets.nets, nets.draw.task.views)[:, y, kept].numpy()
        wrong = nets.wrong("single-view")
        parts.append((known.mean() - 0.5, (~known & ~wrong).mean(), (known & wrong).mean()))
    return ErrorAccount(*map(float, np.mean(parts, 0)))


def _seconds(runs: Sequence[Nets]) -> float:
    return sum(nets.seconds for nets in runs)


#: The estimators of the chapter's claims, by id.
ESTIMATORS: Mapping[str, Callable[..., Measurement]] = {"single": single, "multi": multi, "lottery": lottery}
