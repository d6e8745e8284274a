"""Sweeps: a function at every point of a grid, for every seed and data draw, on one machine or on many.

Workers compute, and one process, that which called :meth:`Sweep.run`, writes. Each finished cell is on disk before the
next is taken, in a file of its own that is named by the cell's function and arguments. So a cell counts once, however
often it was begun, and whatever is killed, a worker or the sweep itself, loses no more than the cells in progress.
"""

from __future__ import annotations

import inspect
import math
import random
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex

from tqdm.auto import tqdm

from mvtheory._check import check_choice, check_int
from mvtheory.persistence.identity import identity
from mvtheory.persistence.store import StoreError, canonical_json, default_folder
from mvtheory.sweeps.cells import Cells, Outcome
from mvtheory.sweeps.workers import BACKENDS, RESERVED, Workers, call, code_identity, completed, retry_lost_workers

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Sweep"]

MAX_CELLS = 10**7  # more are a mistake, and would fill the memory


@dataclass(frozen=True)
class Sweep:
    """A function to be called at every point of a grid, with every seed and every data draw.

    Parameters
    ----------
    function : callable
        Called as ``function(**point, seed=seed, draw=draw)``; returns a dict of finite numbers, under other names
        than those of its arguments. Workers on other machines must be able to import it, or it is defined in a
        notebook or script.
    grid : dict of str to sequence, or sequence of such dicts
        Values of each argument; all combinations are taken. Several grids follow each other, for arguments that
        change together. Values are what JSON can hold; NumPy's numbers and arrays are taken as Python's numbers and
        lists.
    seeds, draws : sequence of int, >= 0
        Which seeds and which data draws.
    store : str or Path, optional
        Folder of the finished cells, which several sweeps may share, also at the same time; default as for
        :func:`mvtheory.persistence.store.cached`. What lies there is taken as it is: only those you trust should be
        able to write to it.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; nothing has been computed then.

    Notes
    -----
    A finished cell is found again by its arguments, the version of PyTorch, and the function's
    :func:`~mvtheory.persistence.identity.identity`: what it does, its defaults, what it closes over, and the functions
    and values that it uses. An edit of any of them makes other cells; docstrings and comments do not count.

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
    grid: Mapping[str, Collection[Any]] | Sequence[Mapping[str, Collection[Any]]]
    seeds: Collection[SupportsIndex] = (0,)
    draws: Collection[SupportsIndex] = (1,)
    store: str | Path | None = None

    def __post_init__(self) -> None:
        if not inspect.isfunction(inspect.unwrap(self.function)):
            raise TypeError(f"function must be a function; got {self.function!r}")
        for name in ("seeds", "draws"):
            for value in _values(name, getattr(self, name)):
                check_int(name, value, low=0)
        for grid in self._grids:
            for name in grid:
                check_choice("names in grid", name, set(grid) - {"seed", "draw", *RESERVED})
            _check_call(self.function, [*grid, "seed", "draw"])
        size = sum(math.prod(map(len, grid.values())) for grid in self._grids) * len(self.seeds) * len(self.draws)
        if size > MAX_CELLS:
            raise ValueError(f"grid, seeds and draws must give at most {MAX_CELLS:,} cells; got {size:,}")
        seen: set[str] = set()
        for cell in self.cells:
            text = canonical_json("grid", cell)
            if text in seen:
                raise ValueError(f"grid must name each point once; got {cell} twice")
            seen.add(text)
        self._store()
        code_identity(self.function)

    @property
    def cells(self) -> list[dict[str, Any]]:
        """The arguments of every call, in order: points of the grid, then draws, then seeds."""
        return [
            {**dict(zip(grid, values, strict=True)), "seed": seed, "draw": draw}
            for grid in self._grids
            for values in product(*grid.values())
            for draw in _values("draws", self.draws)
            for seed in _values("seeds", self.seeds)
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

        A cell that raises an error is kept with it, and the others go on. A cell whose worker dies is computed
        again; if its worker dies twice while no other cell is in progress, the cell has failed. Cells are taken in
        random order, so that sweeps which run at the same time share the work.

        Parameters
        ----------
        backend : {"sequential", "loky", "dask"}
            In this process, in `jobs` processes of this machine, or on a Dask cluster: see `scheduler`.
        jobs : int, >= 1
            Processes of this machine.
        scheduler : str, optional
            Address of a Dask scheduler, such as ``"tcp://10.0.0.1:8786"``. By default the client that is open, else
            the address in Dask's configuration, else a cluster of `jobs` processes here; a script that starts one
            must do so under ``if __name__ == "__main__":``. Who reaches a scheduler without TLS can run code on its
            workers and on this machine: use it in networks that you trust.
        retry : bool
            Recompute cells that failed.
        progress : bool
            Show a progress bar.

        Returns
        -------
        pandas.DataFrame
            As `table` returns it, with a row for every cell.

        Raises
        ------
        OSError
            If the store cannot be written, or the scheduler cannot be reached.
        TimeoutError
            If a Dask cluster has had no worker for five minutes.
        VersionMismatch
            If a worker's version of the function, or of what it uses, is not that of this process.

        Warns
        -----
        UserWarning
            If cells failed: how many, and the first of them. If a file of the store is damaged: its cell is computed
            again.
        """
        check_choice("backend", backend, BACKENDS)
        check_int("jobs", jobs, low=1)
        if scheduler is not None:
            check_choice("backend (with a scheduler)", backend, ("dask",))
        for name, value in {"retry": retry, "progress": progress}.items():
            if not isinstance(value, bool):
                raise TypeError(f"{name} must be True or False; got {value!r}")
        code, store = code_identity(self.function), self._store()
        cells = self._by_key(code)
        outcomes = _read(store, cells)
        todo = {key: cell for key, cell in cells.items() if _is_open(outcomes.get(key), retry)}
        if todo:
            store.check_writable()
            bar = tqdm(total=len(cells), initial=len(cells) - len(todo), disable=not progress, unit="cell")
            with bar, BACKENDS[backend](jobs, scheduler) as workers:
                for key, outcome in self._compute(todo, code, store, workers, retry):
                    outcomes[key] = outcome
                    bar.update()
        table = self._table(cells, outcomes)
        _warn_of_failures(table)
        return table

    def table(self) -> DataFrame:
        """Return what is in the store of this sweep, computing nothing.

        Returns
        -------
        pandas.DataFrame
            A row for each finished cell: its arguments, its results, ``cell_seconds`` of wall time, ``cell_worker``
            (host and process), and ``cell_error``, which is missing unless the cell failed.

        Warns
        -----
        UserWarning
            If a file of the store is damaged: its cell counts as not finished.
        """
        cells = self._by_key(code_identity(self.function))
        return self._table(cells, _read(self._store(), cells))

    def _compute(
        self, todo: Mapping[str, dict[str, Any]], code: str, store: Cells, workers: Workers, retry: bool
    ) -> Iterator[tuple[str, Outcome]]:
        """Yield the outcomes of cells as they come, once they are in the store."""

        def submit(key: str) -> Future:
            with suppress(StoreError):  # damaged: as if it were not there
                found = store.read(key)  # another sweep may have finished it since
                if not _is_open(found, retry):
                    return completed(found)
            return workers.submit(call, self.function, code, todo[key])

        order = random.SystemRandom().sample(list(todo), len(todo))  # so that sweeps at the same time share the work
        for key, outcome in retry_lost_workers(workers, submit, order):
            store.write(key, {"function": self.function.__qualname__, "cell": todo[key]}, outcome)
            yield key, outcome

    def _table(self, cells: Mapping[str, dict[str, Any]], outcomes: Mapping[str, Outcome]) -> DataFrame:
        import pandas as pd

        rows = [
            {**cell, **(done.result or {}), "cell_seconds": done.seconds, "cell_worker": done.worker,
             "cell_error": done.error}
            for cell, done in ((cell, outcomes[key]) for key, cell in cells.items() if key in outcomes)
        ]  # fmt: skip
        arguments = [name for grid in self._grids for name in grid]
        results = [name for row in rows for name in row if name not in RESERVED]
        return pd.DataFrame(rows, columns=list(dict.fromkeys([*arguments, "seed", "draw", *results, *RESERVED])))

    @property
    def _grids(self) -> list[dict[str, list[Any]]]:
        grids: list[Any] = [self.grid] if isinstance(self.grid, Mapping) else [*self.grid]
        for grid in grids:
            if not isinstance(grid, Mapping):
                raise TypeError(f"grid must be a dict of argument names and values, or several; got {grid!r}")
        if not grids:
            raise ValueError("grid must not be empty; for no arguments give {}")
        return [{name: _values(f"grid[{name!r}]", values) for name, values in grid.items()} for grid in grids]

    def _by_key(self, code: str) -> dict[str, dict[str, Any]]:
        """Return every cell by its name in the store."""
        return {identity([code, cell]): cell for cell in self.cells}

    def _store(self) -> Cells:
        return Cells(default_folder() / "sweeps" if self.store is None else Path(self.store).expanduser())


def _read(store: Cells, keys: Iterable[str]) -> dict[str, Outcome]:
    """Return what is finished; warn of damage."""
    outcomes = {}
    for key in keys:
        try:
            found = store.read(key)
        except StoreError as error:
            warnings.warn(f"{error}; a run computes this cell again", stacklevel=3)
        else:
            if found:
                outcomes[key] = found
    return outcomes


def _is_open(outcome: Outcome | None, retry: bool) -> bool:
    """Return whether a cell is still to be computed."""
    return outcome is None or (retry and outcome.error is not None)


def _warn_of_failures(table: DataFrame) -> None:
    failed = table[table["cell_error"].notna()]
    if len(failed):
        cell = failed.iloc[0].dropna().drop(list(RESERVED)).to_dict()
        reason = failed["cell_error"].iloc[0]
        warnings.warn(f"{len(failed)} of {len(table)} cells failed; the first, {cell}: {reason}", stacklevel=3)


def _values(name: str, values: Any) -> list[Any]:
    """Return the values of an argument: some, and none twice."""
    plain = _plain(values)
    if isinstance(plain, str | bytes | Mapping) or not isinstance(plain, Sequence):
        raise TypeError(f"{name} must be a list of values; got {values!r}")
    plain = [_plain(value) for value in plain]
    texts = [canonical_json(name, {"value": value}) for value in plain]
    if not texts or len(set(texts)) < len(texts):
        raise ValueError(f"{name} must hold at least one value, and none twice; got {plain!r}")
    return plain


def _plain(value: Any) -> Any:
    """Return arrays and their numbers as Python's lists and numbers, also inside of lists and dicts."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return value


def _check_call(function: Callable, names: list[str]) -> None:
    """Check that the function takes these arguments."""
    try:
        inspect.signature(function).bind(**dict.fromkeys(names))
    except TypeError as error:
        wanted = f"{function.__qualname__}{inspect.signature(function)}"
        raise TypeError(f"grid must fit the function {wanted}: {error}; got {sorted(names)}") from None
