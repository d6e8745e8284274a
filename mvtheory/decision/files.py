"""Outputs and labels from files: .npy, .npz, .csv and .parquet. Nothing in them is executed: no pickles."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["SUFFIXES", "needs_pyarrow", "read_file_labels", "read_file_outputs"]

#: Suffixes of files that can be read.
SUFFIXES = (".npy", ".npz", ".csv", ".parquet")

_LABELS = ("y", "labels")
_INPUTS = ("input", "id")  # columns of a table that name the inputs


def read_file_outputs(path: Path) -> tuple[Any, Any]:
    """Return the outputs of nets in a file, and its labels if it has any.

    Parameters
    ----------
    path : Path
        ``.npy``: one array [nets, n, k], which stays on the disk. ``.npz``: one array of each net, or one of all; one
        named ``y`` or ``labels`` holds the labels. ``.csv`` and ``.parquet``: a table with a row for each input of each
        net, a column ``net``, a column for each class, and ``y`` or ``labels`` if it has the labels; without a column
        ``net`` it is one net. A column ``input`` or ``id`` names the inputs, which may then be in any order. A
        folder: a file for each net.

    Raises
    ------
    ValueError
        If the file is none of these.
    """
    if path.is_dir():
        parts = sorted(part for part in path.iterdir() if part.suffix in SUFFIXES)
        if not parts:
            raise ValueError(f"{path} must hold files that end in {', '.join(SUFFIXES)}; got none")
        return {part.stem: _of_one(part) for part in parts}, None
    suffix = _suffix(path)
    if suffix == ".npy":
        return np.load(path, mmap_mode="r", allow_pickle=False), None
    if suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        labels = next((arrays.pop(name) for name in _LABELS if name in arrays), None)
        if not arrays:
            raise ValueError(f"{path} must hold outputs beside labels; got labels alone")
        first = next(iter(arrays.values()))
        return (first if len(arrays) == 1 and first.ndim == 3 else arrays), labels
    table = _table(path)
    label = next((name for name in _LABELS if name in table), None)
    if "net" not in table:
        return {path.stem: table.drop(columns=[label] if label else [])}, table[label] if label else None
    nets = {str(name): part.drop(columns="net") for name, part in table.groupby("net", sort=False)}
    if table.index.name not in _INPUTS:
        nets = {name: part.reset_index(drop=True) for name, part in nets.items()}
    if label is None:
        return nets, None
    labels = [part.pop(label) for part in nets.values()]
    if not all(part.sort_index().equals(labels[0].sort_index()) for part in labels):
        raise ValueError(f"{path} must have the same labels in the same order for all nets, or name inputs as `input`")
    return nets, labels[0]


def read_file_labels(path: Path) -> Any:
    """Return the labels in a file: one array, or one column of a table, or of several the one named y or labels.

    Those of a table with a column ``input`` or ``id`` keep the names of the inputs.
    """
    suffix = _suffix(path)
    if suffix == ".npy":
        return np.load(path, allow_pickle=False)
    if suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            names = [name for name in _LABELS if name in file.files] or file.files
            if len(names) != 1:
                raise ValueError(f"{path} must hold one array, or one named y or labels; got {', '.join(names)}")
            return file[names[0]]
    table = _table(path)
    names = [name for name in _LABELS if name in table] or list(table)
    if len(names) != 1:
        raise ValueError(f"{path} must have one column, or one named y or labels; got {', '.join(map(str, names))}")
    return table[names[0]] if table.index.name in _INPUTS else table[names[0]].to_numpy()


@contextmanager
def needs_pyarrow() -> Iterator[None]:
    """Say what to install where pandas cannot read or write .parquet."""
    try:
        yield
    except ImportError as error:
        raise ImportError("files that end in .parquet need pyarrow: pip install 'mvtheory[parquet]'") from error


def _of_one(path: Path) -> Any:
    """Return the outputs of one net."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            return file[file.files[0]]
    return np.load(path, mmap_mode="r", allow_pickle=False) if path.suffix == ".npy" else _table(path)


def _suffix(path: Path) -> str:
    if path.suffix not in SUFFIXES:
        raise ValueError(f"files must end in {', '.join(SUFFIXES)}; got {path}")
    return path.suffix


def _table(path: Path) -> Any:
    import pandas as pd

    with needs_pyarrow():
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    unnamed = [name for name in table if re.fullmatch(r"Unnamed: \d+", str(name))]
    table = table.drop(columns=unnamed)  # row numbers, as pandas writes them by default
    inputs = next((name for name in _INPUTS if name in table), None)
    return table.set_index(inputs) if inputs else table
