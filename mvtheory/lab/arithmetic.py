r"""Numbers that are the same bits in every language: random numbers, the exponential and the logarithm.

IEEE 754 fixes the results of + - \* / and of the square root, but not those of `exp` and `log`, in which libraries
differ by a last bit. A training path doubles such a difference again and again. So both are made here of the
operations that are fixed, in one order; ``engine.js`` holds the same functions.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

__all__ = ["Random", "exp", "log"]

LN2_HIGH = 0.6931471803691238  # 32 bits: its products with small integers are exact
LN2_LOW = 1.9082149292705877e-10
LOG2_E = 1.4426950408889634
SQRT2 = 1.4142135623730951

#: 1 / j!, up to the first term that does not count for arguments up to log(2) / 2.
_EXP = [1 / math.factorial(j) for j in range(14)]

#: 2^-0, 2^-1, ..., as far as `exp` needs.
_HALVES = np.ldexp(1.0, -np.arange(1012))


def exp(x: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Return the exponential of numbers that are not positive, to within a few units of the last place.

    Parameters
    ----------
    x : array of float64, shape [...]
        Not above 0; what is below -700 counts as -700, so that no result is subnormal.

    Returns
    -------
    array of float64, shape [...]
    """
    x = np.maximum(x, -700.0)
    j = np.floor(0.5 - x * LOG2_E)
    r = (x + j * LN2_HIGH) + j * LN2_LOW
    p = np.full_like(r, _EXP[13])
    for term in reversed(_EXP[:13]):
        p = p * r + term
    return p * _HALVES[j.astype(np.int64)]


def log(x: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Return the logarithm of positive numbers, to within a few units of the last place.

    Parameters
    ----------
    x : array of float64, shape [...]
        Positive, finite and not subnormal.

    Returns
    -------
    array of float64, shape [...]
    """
    f, e = np.frexp(x)  # x = f 2^e with f from 1/2 to 1
    small = f * SQRT2 < 1
    f, e = np.where(small, f * 2, f), np.where(small, e - 1, e)
    t = (f - 1) / (f + 1)  # log f = 2 artanh t = 2 (t + t^3 / 3 + ...), |t| < .172
    square, p = t * t, np.full_like(t, 1 / 21)
    for odd in range(19, 0, -2):
        p = p * square + 1 / odd
    return e * LN2_HIGH + (2 * t * p + e * LN2_LOW)


class Random:
    """Chris Doty-Humphrey's generator sfc32.

    Parameters
    ----------
    seed, stream : int, in [0, 2**32)
        Two numbers that give a sequence of its own each.
    """

    def __init__(self, seed: int, stream: int) -> None:
        self._state = (0, seed, stream, 1)
        self._spare: float | None = None
        for _ in range(12):
            self.bits()

    def bits(self) -> int:
        """Return 32 random bits."""
        a, b, c, count = self._state
        total = (a + b + count) & 0xFFFFFFFF
        turned = (c << 21 | c >> 11) & 0xFFFFFFFF
        self._state = (
            b ^ b >> 9,
            (c + (c << 3)) & 0xFFFFFFFF,
            (turned + total) & 0xFFFFFFFF,
            (count + 1) & 0xFFFFFFFF,
        )
        return total

    def uniform(self) -> float:
        """Return a number of 53 random bits in [0, 1)."""
        high = self.bits() >> 5
        return (high * 67108864 + (self.bits() >> 6)) / 9007199254740992

    def normal(self) -> float:
        """Return a standard normal number, by Marsaglia's polar method."""
        if self._spare is not None:
            value, self._spare = self._spare, None
            return value
        square = 0.0
        while not 0 < square < 1:
            u = 2 * self.uniform() - 1
            v = 2 * self.uniform() - 1
            square = u * u + v * v
        scale = math.sqrt(-2 * float(log(np.array([square]))[0]) / square)
        self._spare = v * scale
        return u * scale
