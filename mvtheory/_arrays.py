"""What callers hand in, as NumPy arrays: outputs, labels, and values by data draw; see :mod:`mvtheory._check`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from mvtheory._check import check_finite, check_labels


def to_numpy(name: str, array: Any) -> np.ndarray:
    """Return a list, an array, a data frame or a tensor on any device as a NumPy array, without a copy if possible.

    A list may hold tensors, too; its parts must have one shape, and tables one order of their rows and columns. What is
    masked or missing is refused: it would count as if it were not.
    """
    if isinstance(array, Mapping):
        raise TypeError(f"{name} must be an array or a list; got a {type(array).__name__}")
    _check_none_missing(name, array)
    if isinstance(array, list | tuple) and any(map(_is_array, array)):
        _check_one_order(name, array)
        array = [to_numpy(name, part) for part in array]
        if len({part.shape for part in array}) > 1:
            shapes = ", ".join(str(part.shape) for part in array)
            raise ValueError(f"{name} must be one array: all parts of a list must have one shape; got {shapes:.200}")
    if hasattr(array, "detach"):
        array = array.detach().cpu()
        array = array.float() if str(array.dtype) == "torch.bfloat16" else array  # which NumPy does not have
    return np.asarray(array)


def _is_array(part: Any) -> bool:
    """Return whether a part of a list is more than a number."""
    return isinstance(part, list | tuple | np.ma.MaskedArray) or hasattr(part, "detach") or getattr(part, "ndim", 0) > 0


def _check_none_missing(name: str, array: Any) -> None:
    """Raise an error if values are masked, by NumPy, or are pandas.NA; NaN is an output of nets that diverged."""
    masked = int(np.ma.count_masked(array)) if isinstance(array, np.ma.MaskedArray) else 0
    if masked:
        raise ValueError(f"{name} must have no masked values; got {masked}: leave these inputs out")
    missing = _count_missing(array) if hasattr(array, "isna") else 0
    if missing:
        raise ValueError(f"{name} must have no missing values; got {missing} pandas.NA: leave these inputs out")


def _count_missing(table: Any) -> int:
    """Return how many values of a series, a data frame or an array of pandas are NA."""
    import pandas as pd  # which is there, since it made the table

    columns = [column for _, column in table.items()] if hasattr(table, "columns") else [table]
    may_be = [column for column in columns if column.dtype == object or not isinstance(column.dtype, np.dtype)]
    return sum(value is pd.NA for column in may_be for value in column.astype(object))


def check_same_rows(names: tuple[str, str], outputs: Any, y: Any) -> None:
    """Raise an error if outputs [..., n, k] and what belongs to their rows, [n], name these rows and disagree."""
    named, own = _names_along(outputs, -2), _names_along(y, 0)
    if named is not None and own is not None and not own.equals(named):
        raise ValueError(
            f"{names[1]} must name its rows as {names[0]} does, {list(named[:5])}, in the same order; got "
            f"{list(own[:5])} (first five). Put one into the order of the other, or give .to_numpy() of both if their "
            "order is the same"
        )


def check_columns(name: str, outputs: Any, k: int) -> None:
    """Raise an error if the columns of outputs are numbers other than the classes 0 to ``k - 1`` in their order."""
    columns = _names_along(outputs, -1)
    numbers = [] if columns is None else [str(column) for column in columns]
    if numbers != [str(place) for place in range(k)] and all(number.isdecimal() for number in numbers) and numbers:
        raise ValueError(f"{name} must have columns for the classes 0 to {k - 1} in this order; got {numbers[:8]}")


def _names_along(table: Any, axis: int) -> Any:
    """Return the names along an axis of a table of pandas or an array of xarray; None where it has none."""
    if isinstance(table, list | tuple) and table:  # of tables in one order, see `to_numpy`
        return _names_along(table[0], axis)
    if hasattr(table, "dims") and hasattr(table, "indexes"):
        return table.indexes.get(table.dims[axis]) if len(table.dims) >= -axis else None
    if hasattr(table, "iloc"):
        return table.axes[axis] if table.ndim >= -axis else None
    return None


def _check_one_order(name: str, parts: Iterable[Any]) -> None:
    """Raise an error if tables of a list name their rows or columns, and do not do it alike."""
    for axis, what in ((0, "rows"), (-1, "columns")):
        named = [index for index in (_names_along(part, axis) for part in parts) if index is not None]
        for index in named[1:]:
            if not index.equals(named[0]):
                wanted, given = list(named[0][:5]), list(index[:5])
                raise ValueError(f"{name} must name {what} alike in all tables of a list, {wanted}; got {given}")


def to_outputs(name: str, array: Any) -> np.ndarray:
    """Return the outputs of nets as floating-point numbers; votes, as booleans or integers, become 0.0, 1.0, ..."""
    outputs = to_numpy(name, array)
    if outputs.dtype == object and outputs.size and all(isinstance(number, Real) for number in outputs.flat):
        outputs = outputs.astype(float)  # such as a column of a table of pandas
    if outputs.dtype.kind not in "fbiu":
        raise TypeError(f"{name} must hold real numbers; got dtype {outputs.dtype}")
    return outputs if outputs.dtype.kind == "f" else outputs.astype(float)


def to_labels(name: str, y: Any, k: int) -> np.ndarray:
    """Return labels as an array of int64 after a check: whole numbers from 0 to ``k - 1``, in any container."""
    labels = to_numpy(name, y)
    if labels.dtype == object and all(isinstance(label, Integral) for label in labels.flat):
        labels = labels.astype(np.int64)  # such as nullable integers of pandas
    labels = check_labels(name, labels, k)
    assert isinstance(labels, np.ndarray)
    return labels


def by_draw(name: str, values: Any) -> list[np.ndarray]:
    """Return the finite values of each draw as doubles, at least one of each of two draws.

    These are rows of a table, and not its labels; values of a dict, and not its keys; of an array with names for its
    axes the parts along ``draw``. A table whose rows are not draws, by its own labels, is refused: read as if they
    were, it would give an interval that is far too narrow.
    """
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise TypeError(f"{name} must be a sequence over draws of sequences over nets; got {values!r}")
    if isinstance(values, Mapping):
        values = values.values()
    elif hasattr(values, "to_numpy"):
        values = _rows_by_draw(name, values)
    elif np.ma.is_masked(values):
        raise ValueError(f"{name} must have no masked values; give a list of the others for each draw")
    rows = [to_outputs(name, row).astype(float).ravel() for row in values]
    if len(rows) < 2 or not all(row.size for row in rows):
        sizes = [row.size for row in rows]
        raise ValueError(f"{name} must hold at least 2 draws of at least 1 net; got sizes {sizes}")
    check_finite(name, np.concatenate(rows))
    return rows


def _rows_by_draw(name: str, table: Any) -> np.ndarray:
    """Return the rows of a table of pandas or an array of xarray, one for each draw."""
    if hasattr(table, "dims"):
        return (table.transpose("draw", ...) if "draw" in table.dims else table).to_numpy()
    columns = getattr(table, "columns", None)
    levels = [str(level) for level in table.index.names]
    if len(levels) > 1:
        reason = f"its rows are named by {', '.join(levels)}; give .unstack() of all levels but the draw"
    elif levels == ["seed"] or (columns is not None and "draw" in columns.names):
        reason = "its columns are the draws; give .T"
    elif columns is not None and {"draw", "seed"} & set(columns):
        reason = 'its columns are arguments, too; give .pivot(index="draw", columns="seed", values=...)'
    else:
        return table.to_numpy()
    raise ValueError(f"{name} must be a table with a row for each draw; {reason}")


def check_same_draws(first: Any, second: Any) -> None:
    """Raise an error where both sides name their draws, and the names differ."""
    names = [_names(side) for side in (first, second)]
    if None not in names and names[0] != names[1]:
        raise ValueError(f"second must have the draws of first in the same order, {names[0]}; got {names[1]}")


def _names(values: Any) -> list[Any] | None:
    """Return the names of draws, where they have any."""
    if isinstance(values, Mapping):
        return list(values)
    if hasattr(values, "dims"):
        return values["draw"].to_numpy().tolist() if "draw" in values.coords else None
    return values.index.tolist() if hasattr(values, "to_numpy") else None
