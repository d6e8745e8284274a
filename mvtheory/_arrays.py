"""What callers hand in, as NumPy arrays: outputs, labels, and values by data draw; see :mod:`mvtheory._check`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from mvtheory._check import check_finite, check_labels


def to_numpy(name: str, array: Any) -> np.ndarray:
    """Return a list, an array, a data frame or a tensor on any device as a NumPy array, without a copy if possible.

    A list may hold tensors, too; its parts must have one shape.
    """
    if isinstance(array, Mapping):
        raise TypeError(f"{name} must be an array or a list; got a {type(array).__name__}")
    if isinstance(array, list | tuple) and any(
        isinstance(part, list | tuple) or hasattr(part, "detach") for part in array
    ):
        array = [to_numpy(name, part) for part in array]
        if len({part.shape for part in array}) > 1:
            shapes = ", ".join(str(part.shape) for part in array)
            raise ValueError(f"{name} must be one array: all parts of a list must have one shape; got {shapes:.200}")
    if hasattr(array, "detach"):
        array = array.detach().cpu()
        array = array.float() if str(array.dtype) == "torch.bfloat16" else array  # which NumPy does not have
    return np.asarray(array)


def check_unmasked(name: str, array: Any) -> Any:
    """Return an array without masked values, which would count as if they were not masked."""
    if np.ma.is_masked(array):
        raise ValueError(f"{name} must have no masked values; got {np.ma.count_masked(array)}: leave these inputs out")
    return array


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
