"""Outputs and labels as people have them, read as one stack of nets that is never copied as a whole.

Outputs are arrays, tensors, memory maps, lists of these, dicts by the name of the net, or data frames with a column for
each class. They are turned into doubles block by block, so that outputs on disk stay there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from mvtheory._arrays import to_labels, to_numpy, to_outputs
from mvtheory._check import check_choice, check_int, check_shape

__all__ = ["MASKED", "SCALES", "Stack", "check_sizes", "read_labels", "read_scale", "read_stack", "row_blocks"]

#: What the outputs of nets are: any real numbers, of which the softmax is taken, or probabilities.
SCALES = ("logits", "probabilities")

#: The output of a masked class, given as -inf: so low that it is never chosen, and a number that can be averaged.
MASKED = -1e30

_BLOCK = 2**20  # numbers that are doubles at a time


@dataclass(frozen=True)
class Stack:
    """Outputs of nets on the same inputs, for the same classes.

    Attributes
    ----------
    name : str
        Name of the argument, for messages.
    nets : tuple of array of shape [n, k]
        Outputs of each net, as they were given.
    names : tuple of str
        Names of the nets.
    classes : tuple or None
        Names of the classes, where the outputs are data frames.
    axes : tuple of pandas.Index or None
        Names of the inputs and of the classes, where the outputs are data frames.
    """

    name: str
    nets: tuple[np.ndarray, ...]
    names: tuple[str, ...]
    classes: tuple[Any, ...] | None = None
    axes: tuple[Any, Any] | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Nets, inputs and classes."""
        n, k = self.nets[0].shape
        return len(self.nets), n, k

    def block(self, rows: slice | np.ndarray) -> Float[np.ndarray, "L b k"]:
        """Return the outputs on some inputs as doubles; -inf becomes `MASKED`.

        Raises
        ------
        ValueError
            If an output is NaN or inf, or a net has no finite output on an input.
        """
        block = np.stack([np.asarray(net[rows], dtype=np.float64) for net in self.nets])
        if not np.isfinite(block).all():
            masked = np.isneginf(block)
            if not (np.isfinite(block) | masked).all():
                self._refuse(lambda part: np.isnan(part) | np.isposinf(part), "be finite, or -inf for masked classes")
            if masked.all(-1).any():
                self._refuse(lambda part: np.isneginf(part).all(-1), "have a finite value for each net and input")
            block[masked] = MASKED
        return block

    def _refuse(self, bad: Any, allowed: str) -> None:
        """Raise an error that counts what is bad in all nets, and names the first net that has it."""
        parts = list(row_blocks(self.shape[1], self.shape[2]))
        counts = [sum(int(bad(np.asarray(net[rows], dtype=np.float64)).sum()) for rows in parts) for net in self.nets]
        first = next(name for name, count in zip(self.names, counts, strict=True) if count)
        raise ValueError(f"{self.name} must {allowed}; got {sum(counts)} bad values, the first in net {first!r}")


def row_blocks(n: int, numbers: int) -> Iterator[slice]:
    """Yield slices of the inputs, each of so few that they fit into memory, with so many numbers for each input."""
    step = max(1, _BLOCK // numbers)
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def read_stack(name: str, outputs: Any, like: Stack | None = None) -> Stack:
    """Read the outputs of nets.

    Parameters
    ----------
    name : str
        Name of the argument.
    outputs : array, tensor, list, or dict
        One array of shape [nets, n, k]; a list or a dict of arrays, tensors or data frames of shape [n, k]. Tensors may
        be of any floating type, on any device. Votes, as booleans or integers, are outputs, too. Columns and rows of
        data frames are put into the order of the first.
    like : Stack, optional
        Other nets: if they were data frames, too, columns and rows are put into their order.

    Raises
    ------
    ValueError, TypeError
        If they are something else, or a net misses an input or a class.
    """
    if isinstance(outputs, Mapping):
        names, parts = tuple(map(str, outputs)), list(outputs.values())
    elif isinstance(outputs, list | tuple | Iterator):
        outputs = list(outputs)
        names, parts = tuple(map(str, range(len(outputs)))), outputs
    else:
        whole = to_outputs(name, outputs)
        check_shape(name, whole, ("nets", "n", "k"))
        return Stack(name, tuple(whole), tuple(map(str, range(len(whole)))))
    if not parts:
        raise ValueError(f"{name} must hold at least one net; got none")
    parts, axes = _aligned(name, names, parts, like)
    nets = tuple(to_outputs(name, part) for part in parts)
    for label, net in zip(names, nets, strict=True):
        if net.ndim != 2:
            shape = (len(nets), *net.shape)
            raise ValueError(f"{name} must have shape [nets, n, k] with no empty axis; got {shape}, of net {label!r}")
        for axis, what in enumerate(("inputs", "classes")):
            if net.shape[axis] != nets[0].shape[axis]:
                raise ValueError(
                    f"{name} must hold the same {what} for all nets, {nets[0].shape[axis]} as of net {names[0]!r}; "
                    f"got {net.shape[axis]} of net {label!r}"
                )
    check_shape(name, np.broadcast_to(nets[0], (len(nets), *nets[0].shape)), ("nets", "n", "k"))
    return Stack(name, nets, names, axes and tuple(axes[1]), axes)


def _aligned(
    name: str, names: Sequence[str], parts: list[Any], like: Stack | None
) -> tuple[list[Any], tuple[Any, Any] | None]:
    """Put the rows and columns of data frames into the order of the first, or of `like`; return their names."""
    if not hasattr(parts[0], "columns"):
        return parts, None
    axes, whose = (parts[0].index, parts[0].columns), f"net {names[0]!r}"
    if like is not None and like.axes is not None:
        axes, whose = like.axes, like.name
    aligned = []
    for label, part in zip(names, parts, strict=True):
        if not hasattr(part, "columns"):
            raise TypeError(f"{name} must hold data frames alone if the first is one; got a {type(part).__name__}")
        for what, own, wanted in zip(("inputs", "classes"), (part.index, part.columns), axes, strict=True):
            if not own.is_unique:
                raise ValueError(f"{name} must name {what} once; net {label!r} repeats {own[own.duplicated()][0]!r}")
            other = [*wanted.difference(own, sort=False)[:1], *own.difference(wanted, sort=False)[:1]]
            if other:
                raise ValueError(
                    f"{name} must hold the same {what} for all nets, those of {whose}; net {label!r} "
                    f"{'lacks' if other[0] in wanted else 'adds'} {other[0]!r}"
                )
        aligned.append(part.loc[axes])
    return aligned, axes


def read_labels(
    name: str, y: Any, n: int, k: int, classes: Sequence[Any] | None = None, inputs: Any = None
) -> Int[np.ndarray, " n"]:
    """Read the true class of each input, as numbers from 0 to ``k - 1``.

    Parameters
    ----------
    name : str
        Name of the argument.
    y : array, tensor, list, series
        Integers of any width; strings; pandas categories; booleans of two classes; or rows with a one at the class. One
        column, as tables of labels have it, is read as well.
    n, k : int
        Inputs and classes.
    classes : sequence, optional
        The class of each output. By default the integers from 0 to ``k - 1``; where the labels are strings, these in
        alphabetical order, as in scikit-learn; where they are categories, these in their order.
    inputs : pandas.Index, optional
        Names of the inputs. A series is put into their order; one that names others, or none, is refused.

    Raises
    ------
    ValueError, TypeError
        If a label is missing or no class, or there are not `n`; if a series names other inputs.
    """
    if hasattr(y, "columns") and len(y.columns) == 1:
        y = y.iloc[:, 0]
    y = _by_name(name, y, classes, inputs) if hasattr(y, "iloc") else y
    categories = getattr(y, "categories", getattr(getattr(y, "dtype", None), "categories", None))
    labels = to_numpy(name, y)
    if labels.ndim == 2 and labels.shape[1] == k > 1 and labels.dtype.kind in "biuf":
        if not (((labels == 0) | (labels == 1)).all() and (labels.sum(1) == 1).all()):
            raise ValueError(f"{name} must have one 1 in each row, and zeros, if it has {k} columns")
        labels, classes, categories = labels.argmax(1), None, None  # places, whatever the classes are called
    if hasattr(y, "columns") and labels.ndim == 2:
        raise ValueError(f"{name} must be one column of labels; got columns {list(y.columns)[:8]}: choose one")
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    check_shape(name, labels, (n,))
    if classes is None and categories is not None and len(categories) == k:
        classes = tuple(categories)
    if labels.dtype.kind == "b" and k == 2:
        labels = labels.astype(np.int64)
    if classes is None and _is_text(labels):
        classes = tuple(sorted(set(labels.tolist())))
        if len(classes) != k:
            raise ValueError(
                f"{name} must name all {k} classes, so that their order is known, or classes must be given; "
                f"got {len(classes)} names"
            )
    return to_labels(name, labels, k) if classes is None else _positions(name, labels, classes, k)


def _by_name(name: str, y: Any, classes: Sequence[Any] | None, inputs: Any) -> Any:
    """Put a series into the order of the inputs, and the columns of a data frame into that of the classes."""
    import pandas as pd

    if y.ndim == 2 and classes is not None and y.shape[1] == len(classes) > 1:
        if set(y.columns) != set(classes):
            raise ValueError(f"{name} must have the columns {list(classes)[:8]}; got {list(y.columns)[:8]}")
        y = y[list(classes)]
    if inputs is None or y.index.equals(inputs):
        return y
    numbered = any(index.equals(pd.RangeIndex(len(index))) for index in (y.index, inputs))  # which names nothing
    if numbered or not y.index.is_unique or len(y) != len(inputs) or len(inputs.difference(y.index)):
        raise ValueError(
            f"{name} must name its rows as the data frames of outputs do; where its order is theirs, "
            f"give {name}.to_numpy()"
        )
    return y.loc[inputs]


def _is_text(labels: np.ndarray) -> bool:
    if labels.dtype.kind == "O":
        return bool(labels.size) and all(isinstance(label, str) for label in labels.flat)
    return labels.dtype.kind in "UT"


def _positions(name: str, labels: np.ndarray, classes: Sequence[Any], k: int) -> Int[np.ndarray, " n"]:
    """Return the place of each label among the classes; numbers and their names in text are the same."""
    if len(classes) != k:
        raise ValueError(f"classes must be {k}, one for each output; got {len(classes)}")
    classes = [label.item() if isinstance(label, np.generic) else label for label in classes]
    places = {label: place for place, label in enumerate(classes)}
    by_text = {str(label): place for place, label in enumerate(classes)}
    if len(places) != k:
        raise ValueError("classes must differ")
    found = np.full(len(labels), -1)
    for place, label in enumerate(labels.tolist()):
        found[place] = places.get(label, by_text.get(str(label), -1))
    if (found < 0).any():
        allowed = ", ".join(map(repr, classes[:8])) + (", ..." if k > 8 else "")
        bad = labels[found < 0].tolist()
        raise ValueError(f"{name} must hold classes, {allowed}; got {bad[0]!r}, and {len(bad) - 1} more that are none")
    return found


def read_scale(name: str, scale: str | None, block: Float[np.ndarray, "L b k"]) -> str:
    """Return what outputs are: as told, or probabilities if all are in [0, 1] and each net's sum to 1."""
    if scale is not None:
        if check_choice(name, scale, SCALES) == "probabilities" and block.min() < 0:
            raise ValueError(f"{name} must be 'logits', or left out, where outputs are below 0; got {scale!r}")
        return scale
    within = block.min() >= 0 and np.abs(block.sum(-1) - 1).max() < 2e-2
    return SCALES[int(within)]


def check_sizes(stack: Stack, *, low: int) -> None:
    """Check that there are enough nets, inputs and classes."""
    L, n, k = stack.shape
    check_int(f"L (first axis of {stack.name})", L, low)
    check_int(f"n (second axis of {stack.name})", n, 2)
    if k < 2:
        raise ValueError(
            f"{stack.name} must have a column for each class; got one. Of two classes, give the probabilities of both: "
            "1 - p and p"
        )
