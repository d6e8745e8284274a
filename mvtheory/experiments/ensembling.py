"""Claims about averages of nets: the ensemble, the law of its size, and the average that is trained jointly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mvtheory.ensemble import average, groups, learned_views, main_strength, predict_lottery, view_outputs
from mvtheory.experiments.base import DRAWS, STUDENT_DRAWS, Measurement
from mvtheory.experiments.control_variate import adjusted_for_lottery, lottery_control_variate
from mvtheory.experiments.nets import Draw, Nets, each_draw, singles, trained_averages
from mvtheory.experiments.settings import SETTING, Setting
from mvtheory.measurement import Estimate, difference_over_draws, error_rate, over_draws, wrong
from mvtheory.model import PatchNets

__all__ = [
    "ESTIMATORS",
    "NearTies",
    "all_choices",
    "average_errors",
    "curves_by_choices",
    "disjoint_choices",
    "error_curves",
    "error_of_size",
    "factor",
    "known_and_missed",
    "near_ties",
    "outweighed",
    "outweighed_share",
    "pooled",
    "pooled_lottery",
    "random_choices",
    "trained_average_error",
]

#: Sizes of averages whose error is a claim of its own.
SIZES = range(1, 7)


def random_choices(nets: int, largest: int, count: int = 100, seed: int = 0) -> dict[int, list[list[int]]]:
    """Draw `count` choices of L of so many nets for L = 2, 3, ...; for L = 1 each net once.

    Parameters
    ----------
    nets, largest : int, >= 1
        Nets that there are, and the largest L.
    count : int, >= 1
        Choices of each size.
    seed : int, >= 0
        The same seed gives the same choices.

    Returns
    -------
    dict of int to list of list of int
    """
    rng = np.random.default_rng(seed)
    choices = {L: [rng.permutation(nets)[:L].tolist() for _ in range(count)] for L in range(1, largest + 1)}
    return choices | {1: [[net] for net in range(nets)]}


def all_choices(nets: int, largest: int) -> dict[int, list[tuple[int, ...]]]:
    """Return, by size, all choices of 1, 2, ..., `largest` of so many nets.

    Examples
    --------
    >>> all_choices(3, 2)
    {1: [(0,), (1,), (2,)], 2: [(0, 1), (0, 2), (1, 2)]}
    """
    return {L: list(combinations(range(nets), L)) for L in range(1, largest + 1)}


def disjoint_choices(nets: int, largest: int) -> dict[int, list[range]]:
    """Return, by size, disjoint groups of 1, 2, ..., `largest` of so many nets; left-over nets are in none.

    Examples
    --------
    >>> disjoint_choices(5, 2)[2]
    [range(0, 2), range(2, 4)]
    """
    return {L: [range(i, i + L) for i in range(0, nets - L + 1, L)] for L in range(1, largest + 1)}


def average_errors(
    F: Float[Tensor, "L n k"], y: Int[Tensor, " n"], choices: Mapping[int, Iterable[Sequence[int]]]
) -> Float[np.ndarray, " sizes"]:
    """Return the error of averages of nets by size, a mean over choices of nets.

    Parameters
    ----------
    F : Tensor, shape [L, n, k]
        Outputs of L nets.
    y : Tensor of int, shape [n]
        Labels.
    choices : dict of int to lists of lists of int
        By size, the numbers of the nets in each average.

    Returns
    -------
    array, shape [sizes]
    """
    return np.array([np.mean([error_rate(average(F[list(c)]), y) for c in some]) for some in choices.values()])


def factor(errors: Float[np.ndarray, " L"]) -> float:
    r"""Return the factor by which one more net multiplies the error, :math:`(e_2 + ... + e_L) / (e_1 + ... + e_{L-1})`.

    If :math:`e_L = c f^L`, it is f, whatever c is.

    Parameters
    ----------
    errors : array, shape [L]
        Errors of averages of 1, 2, ..., L nets.

    Returns
    -------
    float
    """
    return float(np.sum(errors[1:]) / np.sum(errors[:-1]))


@lru_cache(maxsize=4)
def error_curves(
    draws: tuple[int, ...], setting: Setting
) -> tuple[Float[np.ndarray, "draws L"], Float[np.ndarray, "draws L"], float]:
    """Return errors of averages on single-view inputs by size, raw and adjusted, and the seconds of the training.

    Each is a mean over 100 choices of a data set's nets. The adjusted ones are without the sampling variation of the
    learned views, see :func:`mvtheory.experiments.control_variate.lottery_control_variate`.

    Parameters
    ----------
    draws : tuple of int
        Numbers of the data sets.
    setting : Setting
        Nets and data.

    Returns
    -------
    raw, adjusted : array, shape [draws, L]
    seconds : float
    """
    base = each_draw(singles, draws, setting)
    raw, adjusted = curves_by_choices(base, random_choices(setting.members, setting.members))
    return raw, adjusted, sum(nets.seconds for nets in base)


def curves_by_choices(
    base: Sequence[Nets], choices: Mapping[int, Sequence[Sequence[int]]]
) -> tuple[Float[np.ndarray, "draws L"], Float[np.ndarray, "draws L"]]:
    """Return errors of averages on single-view inputs by size, for each data set: raw and adjusted.

    Parameters
    ----------
    base : sequence of Nets
        Nets of the data sets.
    choices : dict of int to lists of lists of int
        By size, the numbers of the nets in each average.

    Returns
    -------
    raw, adjusted : array, shape [draws, L]
    """
    raw = np.array([average_errors(nets.outputs["single-view"], nets.labels("single-view"), choices) for nets in base])
    variate = [[lottery_control_variate(nets.draw, some) for some in choices.values()] for nets in base]
    return raw, raw - np.array(variate)


def ensemble(draws: Sequence[int] = DRAWS, setting: Setting = SETTING) -> Measurement:
    """Measure the error of averages of all members on single-view inputs.

    It is adjusted for the views that no member is predicted to learn, see
    :func:`mvtheory.experiments.control_variate.adjusted_for_lottery`.
    """
    base = each_draw(singles, draws, setting)
    wrong = [nets.average_wrong("single-view")[None] for nets in base]
    members = [[range(setting.members)]] * len(base)
    adjusted, raw = adjusted_for_lottery([nets.draw for nets in base], wrong, members, setting.members * len(base))
    return Measurement(adjusted, sum(nets.seconds for nets in base), raw)


def average_error(L: int, draws: Sequence[int] = DRAWS, setting: Setting = SETTING) -> Measurement:
    """Measure the error of averages of `L` nets on single-view inputs."""
    raw, adjusted, seconds = error_curves(tuple(draws), setting)
    count = setting.members * len(raw)
    estimates = [
        over_draws(e[:, L - 1, None], points=setting.test_single_view, bounds=(-1, 1), nets=count)
        for e in (adjusted, raw)
    ]
    return Measurement(estimates[0], seconds, estimates[1])


def law(draws: Sequence[int] = DRAWS, setting: Setting = SETTING) -> Measurement:
    """Measure the factor by which one more net multiplies the error."""
    raw, adjusted, seconds = error_curves(tuple(draws), setting)
    count = setting.members * len(raw)
    estimates = [over_draws([[factor(row)] for row in e], points=None, nets=count) for e in (adjusted, raw)]
    return Measurement(estimates[0], seconds, estimates[1])


def train_average(draws: Sequence[int] = STUDENT_DRAWS, setting: Setting = SETTING) -> Measurement:
    """Measure the error of averages that are trained jointly, minus that of single nets."""
    joint, base = each_draw(trained_averages, draws, setting), each_draw(singles, draws, setting)
    gap = difference_over_draws(
        _joint_errors(joint),
        [nets.errors("single-view") for nets in base],
        points=setting.test_single_view,
        nets=(setting.students + 1) * setting.members * len(base),
    )
    return Measurement(gap, sum(nets.seconds for some in joint for nets in some))


def trained_average_error(draws: Sequence[int] = STUDENT_DRAWS, setting: Setting = SETTING) -> Estimate:
    """Return the error on single-view inputs of averages that are trained jointly."""
    errors = _joint_errors(each_draw(trained_averages, draws, setting))
    return over_draws(errors, points=setting.test_single_view, nets=setting.members * sum(map(len, errors)))


def _joint_errors(joint: Sequence[Sequence[Nets]]) -> list[list[float]]:
    return [[nets.average_error("single-view") for nets in averages] for averages in joint]


def group_errors(base: Sequence[Nets], L: int) -> list[Float[np.ndarray, " g"]]:
    """Return, for each data set, the errors on single-view inputs of the averages of disjoint groups of `L` nets."""
    return [error_rate(groups(nets.outputs["single-view"], L), nets.labels("single-view")) for nets in base]


def error_of_size(base: Sequence[Nets], L: int) -> Estimate:
    """Return the error on single-view inputs of averages of `L` nets, as it was met.

    Up to six nets the unit is a data set, with its disjoint groups. The errors of larger averages are rare and whole
    views: there the unit is a view of a class, see :func:`mvtheory.measurement.over_units`.

    Parameters
    ----------
    base : sequence of Nets
        Nets of the data sets.
    L : int, >= 1
        Nets in each average.

    Returns
    -------
    Estimate
    """
    if L in SIZES:
        return over_draws(group_errors(base, L), points=len(base[0].labels("single-view")))
    wrong = [nets[:L].average_wrong("single-view")[None] for nets in base]
    return adjusted_for_lottery([nets.draw for nets in base], wrong, [[range(L)]] * len(base), nets=L * len(base))[1]


def pooled(nets: PatchNets) -> PatchNets:
    """Return all neurons of L nets as those of one wide net."""
    L, k, m, d = nets.W.shape
    return PatchNets(nets.W.transpose(0, 1).reshape(1, k, L * m, d), nets.activation)


def views_of_trained_average(run: Nets) -> tuple[Int[Tensor, "1 k"], Bool[Tensor, "1 k"]]:
    """Return the stronger view of each class in a trained average as one wide net, and whether the other is lacking."""
    views, wide = run.draw.task.views, pooled(run.nets)
    return view_outputs(wide, views).argmax(-1), ~learned_views(wide, views).all(-1)


def pooled_lottery(joint: Sequence[Sequence[Nets]]) -> tuple[Estimate, Estimate]:
    """Return how often the lottery of all neurons together predicts the stronger view of trained averages.

    Parameters
    ----------
    joint : sequence of sequences of Nets
        For each data set, its averages that were trained jointly.

    Returns
    -------
    predicted, both : Estimate
        Share of classes whose stronger view was predicted, and share of those of which both views were learned.
    """
    right, both = [], []
    for averages in joint:
        draw, found = averages[0].draw, [views_of_trained_average(nets) for nets in averages]
        starts = [draw.init(1000 * number, len(nets.nets)) for number, nets in enumerate(averages)]
        predicted = [predict_lottery(pooled(start), draw.task.views, draw.train) for start in starts]
        right.append([float((a == b).double().mean()) for a, (b, _) in zip(predicted, found, strict=True)])
        both.append([float((~lacking).double().mean()) for _, lacking in found])
    points = joint[0][0].draw.task.k * len(joint[0])
    return over_draws(right, points=points), over_draws(both, points=points)


def known_and_missed(joint: Sequence[Sequence[Nets]]) -> float:
    """Return the share of single-view inputs that trained averages misclassify although they learned the kept view."""
    missed = []
    for nets in (nets for averages in joint for nets in averages):
        learned = learned_views(pooled(nets.nets), nets.draw.task.views)[0]
        known = learned[nets.labels("single-view"), nets.draw.test_single_view.kept].numpy()
        missed.append((known & nets.average_wrong("single-view")).mean())
    return float(np.mean(missed))


class NearTies(NamedTuple):
    """Races between two views that started nearly even, and where the winners ended.

    Attributes
    ----------
    share : float
        Races of two views with a closeness r over 0.9, of all.
    both : float
        Those of them in which both views were learned.
    winner : float
        Median overlap of the winner after training, over all races.
    """

    share: float
    both: float
    winner: float


def near_ties(runs: Sequence[Nets], *, joint: bool = False) -> NearTies:
    r"""Return how many races started nearly even, and how they ended.

    Parameters
    ----------
    runs : sequence of Nets
        Trained nets, with two views a class.
    joint : bool
        The nets of each run are one average that was trained jointly: all their neurons run in one race.

    Returns
    -------
    NearTies
        With :math:`r` the ratio of :math:`\Lambda^{q-2} S` of the loser to that of the winner.
    """
    closeness, both, winner = [], [], []
    for nets in runs:
        start, end = (h.amax(0, keepdim=True) if joint else h for h in nets.history.overlap[[0, -1]])
        q = nets.draw.setting.activation.q
        score = start ** (q - 2) * main_strength(nets.draw.train, q)
        closeness.append((score.amin(-1) / score.amax(-1)).flatten())
        trained = pooled(nets.nets) if joint else nets.nets
        both.append(learned_views(trained, nets.draw.task.views).all(-1).flatten())
        winner.append(end.amax(-1).flatten())
    near, learned = torch.cat(closeness) > 0.9, torch.cat(both).double()
    return NearTies(float(near.double().mean()), float(learned[near].mean()), float(torch.cat(winner).median()))


def first_view_probability(draw: Draw, count: int = 400) -> Float[Tensor, " k"]:
    """Return the share of other initialisations for which the first view of each class is predicted."""
    predicted = predict_lottery(draw.init(100_000, count), draw.task.views, draw.train)
    return predicted.eq(0).double().mean(0)


def outweighed_share(base: Sequence[Nets], choices: Sequence[Sequence[int]]) -> float:
    """Return the error of averages on the single-view inputs whose view exactly one of their nets has learned.

    Parameters
    ----------
    base : sequence of Nets
        Nets of the data sets.
    choices : sequence of sequences of int
        The nets of each average.

    Returns
    -------
    float
        In [0, 1].
    """
    counts = []
    for nets in base:
        y, test = nets.labels("single-view"), nets.draw.test_single_view
        learned = learned_views(nets.nets, nets.draw.task.views)[:, y, test.kept]
        counts.append(outweighed(nets.outputs["single-view"], y, learned, choices))
    known, missed = np.sum(counts, 0)
    return float(missed / known)


def outweighed(
    F: Float[Tensor, "L n k"], y: Int[Tensor, " n"], learned: Bool[Tensor, "L n"], choices: Iterable[Sequence[int]]
) -> tuple[int, int]:
    """Count the inputs whose view exactly one net of an average has learned, and those of them that it misclassifies.

    The counts are sums over choices of nets.

    Parameters
    ----------
    F : Tensor, shape [L, n, k]
        Outputs of L nets.
    y : Tensor of int, shape [n]
        Labels.
    learned : Tensor of bool, shape [L, n]
        Whether each net has learned the view that an input kept.
    choices : iterable of sequences of int
        The nets of each average.

    Returns
    -------
    known, missed : int
    """
    known, missed = 0, 0
    for chosen in map(list, choices):
        one = learned[chosen].sum(0).numpy() == 1
        known += int(one.sum())
        missed += int((one & wrong(average(F[chosen]), y)).sum())
    return known, missed


#: The estimators of the chapter's claims, by id.
ESTIMATORS: Mapping[str, Callable[..., Measurement]] = {
    "ensemble": ensemble,
    "law": law,
    "train-average": train_average,
    **{f"law-{L}": partial(average_error, L) for L in SIZES},
}
