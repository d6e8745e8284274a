"""How often the verdict is wrong, and how often intervals cover, on worlds in which the answer is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mvtheory.decision.estimates import estimates
from mvtheory.decision.evidence import gather
from mvtheory.decision.inputs import read_stack
from mvtheory.decision.intervals import side
from mvtheory.decision.worlds import WORLDS, removed_by, removed_in, sample

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["trials"]


def trials(
    worlds: Sequence[str] = WORLDS, *, sets: int, L: int = 5, n: int = 500, worth: float = 0.1, seed: int = 0
) -> DataFrame:
    """Diagnose data sets of each world, and compare with the truth.

    Parameters
    ----------
    worlds : sequence of str
        Names of worlds.
    sets, L, n : int
        Data sets of a world; nets and test inputs of a data set. L is 3 or more.
    worth : float
        Fraction of the errors that must be removed.
    seed : int
        Decides all of them.

    Returns
    -------
    pandas.DataFrame
        For each world (index): ``removed``, the true share of one net's errors that averaging removes, over nets and
        inputs; how many verdicts over inputs and seeds were ``pays``, ``does not pay`` and ``inconclusive``; how many
        were ``wrong``: *pays* where less is removed than asked for, or the reverse; the share of the intervals over
        ``inputs`` that cover the truth of the nets at hand, and that of those over inputs and ``seeds`` that cover
        ``removed``.
    """
    from pandas import DataFrame

    table = {}
    for place, name in enumerate(worlds):
        truth = removed_in(name, L)
        said, covered, covered_seeds = [], 0, 0
        for number in range(sets):
            world = sample(name, L=L, n=n, seed=seed + 10_000 * place + number)
            found = estimates(gather(read_stack("logits", world.F), world.y, "logits"))
            one, wide = found["removed"], found["over_seeds"]["removed"]
            said.append(side(wide, worth, "pays", "does not pay"))
            covered += _covers(one, removed_by(world))
            covered_seeds += _covers(wide, truth)
        wrong = said.count("does not pay" if truth >= worth else "pays")
        counts = [said.count(verdict) for verdict in ("pays", "does not pay", "inconclusive")]
        table[name] = [truth, *counts, wrong, covered / sets, covered_seeds / sets]
    columns = ["removed", "pays", "does not pay", "inconclusive", "wrong", "inputs", "seeds"]
    return DataFrame.from_dict(table, orient="index", columns=columns)


def _covers(interval: object, truth: float) -> bool:
    low, high = getattr(interval, "low", -1e300), getattr(interval, "high", 1e300)
    return bool(low - 1e-12 <= truth <= high + 1e-12)
