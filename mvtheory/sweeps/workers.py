"""Calls of a function in workers, here or on a cluster, which may die."""

from __future__ import annotations

import math
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

import torch

from mvtheory.persistence.sources import digest_of_all
from mvtheory.sweeps.cells import Outcome

__all__ = ["VersionMismatch", "call", "lost_workers", "package_hash", "parallel_on", "retry_lost_workers"]


class VersionMismatch(RuntimeError):
    """A worker runs another version of the package than the process that started the sweep."""


def call(
    function: Callable[..., Mapping[str, Any]], package: str, key: str, cell: dict[str, Any]
) -> tuple[str, Outcome]:
    """Call the function; this runs in a worker."""
    if package != package_hash():
        raise VersionMismatch(
            "the workers must have the same versions of mvtheory and torch as the process that sweeps"
        )
    worker, start = f"{socket.gethostname()}:{os.getpid()}", time.perf_counter()
    result, error = None, None
    try:
        result = _numbers(function(**cell))
    except Exception as reason:  # whatever it is, the other cells go on
        error = f"{type(reason).__name__}: {reason}"
    return key, Outcome(result, error, time.perf_counter() - start, worker)


def _numbers(result: Any) -> dict[str, float | int | bool]:
    """Return a cell's result as plain numbers."""
    if not isinstance(result, Mapping):
        raise TypeError(f"the function must return a dict of numbers; got {result!r}")
    plain = {str(name): value.item() if hasattr(value, "item") else value for name, value in result.items()}
    for name, value in plain.items():
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"the function must return finite numbers; got {name} = {value!r}")
    return plain


@contextmanager
def parallel_on(backend: str, jobs: int, scheduler: str | None) -> Iterator[Callable[..., Iterator[Any]]]:
    """Yield a function that computes calls somewhere, and hands over what is done, in the order in which it is."""
    import joblib

    def compute(function: Callable, *common: Any) -> Iterator[Any]:
        *shared, calls = common
        parallel = joblib.Parallel(n_jobs=jobs, batch_size=1, return_as="generator_unordered")
        return parallel(joblib.delayed(function)(*shared, *call) for call in calls)

    if backend != "dask":
        with joblib.parallel_config(backend, n_jobs=jobs):
            yield compute
        return
    try:
        from mvtheory.sweeps import dask_backend as _dask
    except ImportError as error:
        raise ImportError("backend 'dask' needs Dask: pip install 'mvtheory[cluster]'") from error
    with _dask.client(jobs, scheduler) as client, joblib.parallel_config(_dask.Backend(client=client)):
        yield compute


def retry_lost_workers(
    compute: Callable[[Iterator[str]], Iterator[tuple[str, Outcome]]], keys: list[str]
) -> Iterator[tuple[str, Outcome]]:
    """Yield the outcomes of all cells, whatever becomes of the workers.

    After a loss the cells that were in hand are computed one at a time: so it shows which of them kills.
    """
    turns, died = deque([keys]), set()
    while turns:
        turn, done = turns.popleft(), set()
        handed: list[str] = []
        try:
            for key, outcome in compute(_noting(turn, handed)):
                done.add(key)
                yield key, outcome
        except lost_workers() as death:
            if len(turn) > 1:
                rest = [name for name in turn if name not in set(handed)]
                turns.extend([[name] for name in handed if name not in done] + [rest] * bool(rest))
            elif turn[0] in died:
                yield turn[0], Outcome(None, f"its worker died twice: {type(death).__name__}", 0.0, "")
            else:
                died.add(turn[0])
                turns.appendleft(turn)


def _noting(names: list[str], handed: list[str]) -> Iterator[str]:
    """Yield the names, and note each in `handed`."""
    for name in names:
        handed.append(name)
        yield name


def lost_workers() -> tuple[type[Exception], ...]:
    """Return the errors that mean a dead worker."""
    try:
        from distributed.scheduler import KilledWorker
    except ImportError:
        return (BrokenProcessPool,)
    return BrokenProcessPool, KilledWorker


def package_hash() -> str:
    """Return a hash of all of the package and of the version of torch."""
    return f"{digest_of_all()} {torch.__version__}"
