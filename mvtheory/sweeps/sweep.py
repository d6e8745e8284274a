"""Sweeps: a function at every point of a grid, for every seed and draw, on one machine or many.

Workers compute and one process, the one that called :meth:`Sweep.run`, writes. What is finished is in an
SQLite file before the next result is taken, so that whatever is killed, a worker or the sweep itself, loses
the cells in hand and no other; and a primary key keeps each cell from being counted twice.
"""

from __future__ import annotations

import inspect
import random
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tqdm.auto import tqdm

from mvtheory._check import check_choice, check_int
from mvtheory.persistence.identity import identity
from mvtheory.persistence.store import canonical_json, default_folder
from mvtheory.sweeps.cells import Cells, Outcome
from mvtheory.sweeps.workers import call, package_hash, parallel_on, retry_lost_workers

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["BACKENDS", "Sweep"]

#: Where cells are computed: in this process, in processes of this machine, or on a Dask cluster.
BACKENDS = ("sequential", "loky", "dask")

RECORD_COLUMNS = ("seconds", "worker", "error")  # columns of the table beside arguments and results


@dataclass(frozen=True)
class Sweep:
    """A function to be called at every point of a grid, with every seed and every data draw.

    Parameters
    ----------
    function : callable
        Called as ``function(**point, seed=seed, draw=draw)``; returns a dict of finite numbers. Workers
        on other machines must be able to import it, or it is defined in a notebook or script.
    grid : dict of str to sequence, or sequence of such dicts
        Values of each argument; all combinations are taken. Several grids follow each other, for
        arguments that change together. Values are what JSON can hold.
    seeds, draws : sequence of int, >= 0
        Which seeds and which data draws.
    store : str or Path, optional
        Folder of the finished cells; default as for :func:`mvtheory.persistence.store.cached`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as it must be; nothing has been computed then.

    Notes
    -----
    A finished cell is found again by the function's name, its sources, the version of torch, and the arguments.
    The sources are the modules of this package that it uses, and its own file (in a notebook, its own text).
    A script that lets Dask start processes here must do so under ``if __name__ == "__main__":``.

    Examples
    --------
    >>> import tempfile
    >>> def area(width, height, seed, draw):
    ...     return {"area": width * height}
    >>> sweep = Sweep(area, {"width": [2, 3], "height": [5]}, store=tempfile.mkdtemp())
    >>> sweep.run(backend="sequential", progress=False)[["width", "height", "area"]]
       width  height  area
    0      2       5    10
    1      3       5    15
    """

    function: Callable[..., Mapping[str, Any]]
    grid: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Sequence[Any]]]
    seeds: Sequence[int] = (0,)
    draws: Sequence[int] = (1,)
    store: str | Path | None = None

    def __post_init__(self) -> None:
        _check_function(self.function)
        for name in ("seeds", "draws"):
            for value in _check_values(name, getattr(self, name)):
                check_int(name, value, low=0)
        for one in self._grids:
            for name, values in one.items():
                _check_values(f"grid[{name!r}]", values)
                check_choice("names in grid", name, set(one) - {"seed", "draw", *RECORD_COLUMNS})
        seen: dict[str, None] = {}
        for cell in self.cells:
            _check_call(self.function, cell)
            text = canonical_json("grid", cell)
            if text in seen:
                raise ValueError(f"grid must name each point once; got {cell} twice")
            seen[text] = None

    @property
    def cells(self) -> list[dict[str, Any]]:
        """The arguments of every call, in order: points of the grid, then draws, then seeds."""
        return [
            {**dict(zip(one, values, strict=True)), "seed": int(seed), "draw": int(draw)}
            for one in self._grids
            for values in product(*one.values())
            for draw in self.draws
            for seed in self.seeds
        ]

    def run(
        self,
        backend: str = "loky",
        jobs: int = 1,
        *,
        scheduler: str | None = None,
        retry: bool = False,
        progress: bool = True,
    ) -> DataFrame:
        """Compute every cell that is not in the store, and return the table of all.

        A cell that raises an error is kept with it, and the others go on. A cell whose worker dies is
        computed again; if its worker dies twice while it has no other cell in hand, the cell has failed.
        Cells are taken in random order, so that sweeps which run at the same time share the work.

        Parameters
        ----------
        backend : {"sequential", "loky", "dask"}
            In this process, in `jobs` processes of this machine, or on a Dask cluster: see `scheduler`.
        jobs : int, >= 1
            Processes of this machine.
        scheduler : str, optional
            Address of a Dask scheduler, such as ``"tcp://10.0.0.1:8786"``. By default the client that is
            open, else the address in Dask's configuration, else a cluster of `jobs` processes here.
        retry : bool
            Compute cells anew that failed before.
        progress : bool
            Show a progress bar.

        Returns
        -------
        pandas.DataFrame
            As `table` returns it.

        Warns
        -----
        UserWarning
            If cells failed: how many, and the first of them.
        """
        check_choice("backend", backend, BACKENDS)
        check_int("jobs", jobs, low=1)
        if scheduler is not None:
            check_choice("backend (with a scheduler)", backend, ("dask",))
        keys, store = self._keys(), self._store()
        kept = {key for key, outcome in store.read().items() if not (retry and outcome.error)}
        todo = {key: cell for key, cell in keys.items() if key not in kept}
        bar = tqdm(total=len(keys), initial=len(keys) - len(todo), disable=not progress, unit="cell")
        with bar, parallel_on(backend, jobs, scheduler) as parallel:

            def compute(names: Iterator[str]) -> Iterator[tuple[str, Outcome]]:
                # Another sweep may have finished a cell since.
                calls = ((name, todo[name]) for name in names if retry or not store.has(name, failed=True))
                return parallel(call, self.function, package_hash(), calls)

            order = random.SystemRandom().sample(list(todo), len(todo))  # so sweeps at the same time share the work
            for key, outcome in retry_lost_workers(compute, order):
                store.add(key, _name(self.function), canonical_json("grid", todo[key]), outcome)
                bar.update()
        table = self.table()
        _tell_failures(table)
        return table

    def table(self) -> DataFrame:
        """Return what is in the store of this sweep, computing nothing.

        Returns
        -------
        pandas.DataFrame
            A row for each finished cell: its arguments, its numbers, ``seconds`` of wall time, ``worker``
            (host and process), and ``error``, which is missing unless the cell failed.
        """
        import pandas as pd

        kept = self._store().read()
        done = [(cell, kept[key]) for key, cell in self._keys().items() if key in kept]
        rows = [
            {**cell, **(outcome.result or {}), **{name: getattr(outcome, name) for name in RECORD_COLUMNS}}
            for cell, outcome in done
        ]
        arguments = list(dict.fromkeys(name for one in self._grids for name in one))
        results = list(dict.fromkeys(name for _, outcome in done for name in outcome.result or {}))
        columns = [*arguments, "seed", "draw", *results, *RECORD_COLUMNS]
        return pd.DataFrame(rows, columns=columns)

    @property
    def _grids(self) -> list[Mapping[str, Sequence[Any]]]:
        grids: list[Any] = [self.grid] if isinstance(self.grid, Mapping) else [*self.grid]
        for one in grids:
            if not isinstance(one, Mapping):
                raise TypeError(f"grid must be a dict of argument names and values, or several; got {one!r}")
        if not grids:
            raise ValueError("grid must not be empty; for no arguments give {}")
        return grids

    def _keys(self) -> dict[str, dict[str, Any]]:
        """Return every cell under its name in the store: the function, its sources, torch, the arguments."""
        code = identity(self.function)
        return {identity([code, cell, torch.__version__]): cell for cell in self.cells}

    def _store(self) -> Cells:
        return Cells(Path(self.store or default_folder()) / "sweeps.sqlite")


def _tell_failures(table: DataFrame) -> None:
    failed = table[table["error"].notna()]
    if len(failed):
        first = failed.iloc[0]
        cell = first.drop(list(RECORD_COLUMNS)).to_dict()
        warnings.warn(f"{len(failed)} of {len(table)} cells failed; the first, {cell}: {first['error']}", stacklevel=3)


def _check_function(function: Any) -> None:
    if not inspect.isfunction(inspect.unwrap(function)):
        raise TypeError(f"function must be a function; got {function!r}")


def _check_values(name: str, values: Any) -> list[Any]:
    """Return the values of an argument: some, and none twice."""
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Sequence | range):
        raise TypeError(f"{name} must be a list of values; got {values!r}")
    texts = [canonical_json(name, {"value": value}) for value in values]
    if not texts or len(set(texts)) < len(texts):
        raise ValueError(f"{name} must hold at least one value, and none twice; got {list(values)!r}")
    return list(values)


def _check_call(function: Callable, cell: dict[str, Any]) -> None:
    """Check that the function takes these arguments."""
    try:
        inspect.signature(function).bind(**cell)
    except TypeError as error:
        wanted = f"{function.__name__}{inspect.signature(function)}"
        raise TypeError(f"grid must fit the function {wanted}: {error}; got {sorted(cell)}") from None


def _name(function: Callable) -> str:
    return f"{function.__module__}:{function.__qualname__}"
