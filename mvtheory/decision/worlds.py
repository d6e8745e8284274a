"""Worlds in which the answer is known: outputs of nets sampled directly, without any training.

On a share of the inputs all nets are right by far, which are the same in all worlds. The worlds differ on the others:

- ``"views"``: each net knows each of them with its own probability, near one half, and who knows prevails.
- ``"no views"``: nets differ as much, but those who are right have no larger outputs, so that averaging resolves
  disagreements by chance.
- ``"variance"``: nets are one function and independent noise. The margins of the function spread widely.
- ``"one optimum"``: all nets are one function.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import scipy
from jaxtyping import Float, Int

from mvtheory._check import check_choice, check_int, check_seed

__all__ = ["WORLDS", "World", "removed_by", "removed_in", "sample"]

#: Names of the worlds.
WORLDS = ("views", "no views", "variance", "one optimum")

_HARD = 0.4  # share of the inputs on which nets may err
_KNOWN = 12.0  # the first two moments of a net's probability to know are those of Beta(12, 12)
_SLOPE, _NOISE = 4.0, 2.5  # margins of the function lie in [-slope, slope], with a density that rises from 0


@dataclass(frozen=True)
class World:
    """Outputs of nets on one test set.

    Attributes
    ----------
    F : array of shape [L, n, 2]
        Outputs.
    y : array of int, shape [n]
        True classes.
    name : str
        Which world.
    knows : array of shape [L]
        Probability that each net knows a hard input, in worlds where nets know or do not.
    """

    F: Float[np.ndarray, "L n 2"]
    y: Int[np.ndarray, " n"]
    name: str
    knows: Float[np.ndarray, " L"]


def sample(name: str, *, L: int, n: int, seed: int) -> World:
    """Sample nets and test inputs.

    Parameters
    ----------
    name : str
        One of `WORLDS`.
    L, n : int
        Nets and test inputs.
    seed : int
        Decides both.

    Returns
    -------
    World
    """
    check_choice("name", name, WORLDS)
    check_int("L", L, low=1)
    check_int("n", n, low=1)
    rng = np.random.default_rng(check_seed("seed", seed))
    hard = rng.random(n) < _HARD
    y = rng.integers(0, 2, n)
    chances = rng.beta(_KNOWN, _KNOWN, L)
    if name in ("views", "no views"):
        knows = rng.random((L, n)) < chances[:, None]
        size = rng.exponential(1.0, (L, n))
        margin = np.where(knows, 20 + size if name == "views" else size, -size)
    else:
        # The density of margins m on [-slope, slope] is proportional to slope + m.
        function = 2 * _SLOPE * np.sqrt(rng.random(n)) - _SLOPE
        margin = np.tile(function, (L, 1))
        if name == "variance":
            margin = margin + rng.normal(0, _NOISE, (L, n))
    margin = np.where(hard, margin, 30.0) * (2 * y - 1)
    return World(np.stack([-margin / 2, margin / 2], -1), y, name, chances)


def removed_in(name: str, L: int) -> float:
    """Return the share of one net's errors that the average of L nets removes, in expectation over nets and inputs.

    Parameters
    ----------
    name : str
        One of `WORLDS`.
    L : int
        Nets.
    """
    check_choice("name", name, WORLDS)
    if name == "views":  # nobody knows: each net does not with probability 1/2, independently of the others
        return 1 - 0.5 ** (L - 1)
    if name == "variance":
        return 1 - _variance_error(L) / _variance_error(1)
    return 0.0


def removed_by(world: World) -> float:
    """Return the share of one net's errors that the average of the nets at hand removes, in expectation over inputs."""
    L = len(world.F)
    missed = 1 - world.knows
    if world.name == "views":
        return float(1 - missed.prod() / missed.mean())
    if world.name == "no views":
        return 1 - _vote_error(world.knows) / float(missed.mean())
    return removed_in(world.name, L)


def _vote_error(knows: Float[np.ndarray, " L"]) -> float:
    """Return the error of the average where right and wrong outputs have the same exponential sizes.

    With r nets right, the average errs if the sum of r exponentials is below that of the L - r others. Take both as the
    times of events of two equal Poisson processes: of the first L - 1 events of both, at least L - r are of the second.
    """
    L = len(knows)
    count = np.ones(1)  # of the number of nets that are right
    for chance in knows:
        count = np.convolve(count, [1 - chance, chance])
    loses = scipy.stats.binom.sf(np.arange(-1, L), L - 1, 0.5)
    return float((count * loses).sum())


@cache
def _variance_error(L: int) -> float:
    """Return the error on hard inputs of the average of L nets in the world of variance."""
    scale = _NOISE / math.sqrt(L)
    grid = np.linspace(-_SLOPE, _SLOPE, 4001)
    density = (_SLOPE + grid) / (2 * _SLOPE**2)
    return float(scipy.integrate.simpson(density * scipy.stats.norm.cdf(-grid / scale), x=grid))
