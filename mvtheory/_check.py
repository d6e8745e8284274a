"""Argument checks: each error names the argument, the value given and what is allowed.

Every function raises `TypeError` for a value of the wrong type and `ValueError` for one out of
range. It returns the value, numbers as a plain `int` or `float` and labels as int64, so that a check
can be used in an assignment. Arrays are NumPy arrays or torch tensors; neither library is imported here.
"""

import math
from collections.abc import Iterable, Mapping, Set
from numbers import Integral, Real
from types import EllipsisType
from typing import Any


def check_int(name: str, value: Any, low: int | None = None, high: int | None = None) -> int:
    """Return `value` as an `int` with ``low <= value <= high``; a bound of `None` is not checked."""
    bounds = [f">= {low}"] * (low is not None) + [f"<= {high}"] * (high is not None)
    allowed = " ".join(["an integer", " and ".join(bounds)]).strip()
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name} must be {allowed}; got {value!r}")
    number = int(value)
    if (low is not None and number < low) or (high is not None and number > high):
        raise ValueError(f"{name} must be {allowed}; got {value!r}")
    return number


def check_seed(name: str, value: Any, count: int = 1) -> int:
    """Return `value` as the first of `count` seeds in a row that torch's generators take, 0 to 2^64 - 1."""
    return check_int(name, check_int(name, value, low=0), high=2**64 - count)


def check_bool(name: str, value: Any) -> bool:
    """Return `value`, True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False; got {value!r}")
    return value


def check_type(name: str, value: Any, kind: type) -> Any:
    """Return `value`, an instance of `kind`, which may be a protocol; a class is no instance."""
    if not isinstance(value, kind) or isinstance(value, type):
        raise TypeError(f"{name} must be of type {kind.__name__}; got {value!r}")
    return value


def check_number(
    name: str,
    value: Any,
    low: float | int = -math.inf,
    high: float | int = math.inf,
    *,
    open_low: bool = False,
    open_high: bool = False,
) -> float:
    """Return `value` as a finite `float` between `low` and `high`, ends included unless open."""
    left = "(" if open_low or low == -math.inf else "["
    right = ")" if open_high or high == math.inf else "]"
    allowed = f"a finite number in {left}{low:g}, {high:g}{right}"
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name} must be {allowed}; got {value!r}")
    number = float(value)
    on_open_end = (open_low and number == low) or (open_high and number == high)
    if not math.isfinite(number) or not low <= number <= high or on_open_end:
        raise ValueError(f"{name} must be {allowed}; got {value!r}")
    return number


def check_range(name: str, value: Any) -> tuple[float, float]:
    """Return `value` as a pair of floats (low, high) with ``low <= high``; they may be the ends -inf and inf."""
    try:
        if isinstance(value, Set | Mapping):
            raise TypeError("no order")
        low, high = (float(check_number(name, end)) if math.isfinite(end) else end for end in value)
    except (TypeError, ValueError):
        low = high = math.nan
    if not low <= high or low == math.inf or high == -math.inf:
        raise ValueError(f"{name} must be (low, high), two numbers with low <= high; got {value!r}")
    return low, high


def check_choice(name: str, value: Any, options: Iterable[Any]) -> Any:
    """Return `value`, one of `options`."""
    options = list(options)
    if value not in options:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, options))}; got {value!r}")
    return value


def check_shape(name: str, array: Any, shape: tuple[int | str | EllipsisType | None, ...]) -> dict[str, int]:
    """Return the sizes of the named axes of `array`.

    An axis of `shape` is an `int` (that size), a `str` (any size of at least one, the same for each
    occurrence of the name) or `None` (any size); a leading ``...`` stands for any number of axes.

    Examples
    --------
    >>> import numpy as np
    >>> check_shape("logits", np.zeros((4, 7, 10)), (..., "n", 10))
    {'n': 7}
    """
    given = tuple(array.shape)
    wanted = shape[1:] if shape[:1] == (...,) else shape
    tail = given[len(given) - len(wanted) :] if shape[:1] == (...,) else given
    sizes: dict[str, int] = {}
    fits = len(tail) == len(wanted) and all(
        size >= 1 and sizes.setdefault(axis, size) == size if isinstance(axis, str) else axis is None or axis == size
        for axis, size in zip(wanted, tail, strict=False)
    )
    if not fits:
        words = ["..." if a is ... else "any" if a is None else str(a) for a in shape]
        raise ValueError(f"{name} must have shape [{', '.join(words)}] with no empty axis; got {given}")
    return sizes


def check_finite(name: str, array: Any) -> Any:
    """Return `array`, which must not contain NaN or infinities."""
    step = max(1, 2**20 // max(1, math.prod(array.shape[1:])))  # in pieces, to save memory
    pieces = (array[i : i + step] for i in range(0, len(array), step)) if array.shape else (array,)
    bad = sum(int((~(abs(piece) < math.inf)).sum()) for piece in pieces)
    if bad:
        raise ValueError(f"{name} must be finite; got {bad} non-finite values")
    return array


def check_labels(name: str, y: Any, k: int | None = None) -> Any:
    """Return `y` as int64, a non-empty vector of integer classes from 0 to ``k - 1``; of any, if `k` is None."""
    if "int" not in str(getattr(y, "dtype", "")):
        given = f"dtype {y.dtype}" if hasattr(y, "dtype") else type(y).__name__
        raise TypeError(f"{name} must hold integers; got {given}")
    check_shape(name, y, ("n",))
    whole = y.long() if hasattr(y, "long") else y.astype("int64")
    if k is not None and (whole.min() < 0 or whole.max() >= k):
        raise ValueError(f"{name} must hold classes 0 to {k - 1}; got {int(whole.min())} to {int(whole.max())}")
    return whole
