"""Calls in worker processes, here or on a cluster, any of which may die.

The calls themselves are left to executors in the sense of :mod:`concurrent.futures`: those of loky and of Dask start
processes, send functions from notebooks to them, and replace processes that died. What neither of them does is done
here: only a few cells are in progress at a time, so that sweeps can share a grid; and when workers die, the cells that
were in progress are computed again one at a time, which shows the cell that kills its worker.
"""

from __future__ import annotations

import math
import os
import socket
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch

from mvtheory.persistence.identity import identity
from mvtheory.sweeps.cells import Outcome

if TYPE_CHECKING:
    import distributed

__all__ = [
    "BACKENDS",
    "RESERVED",
    "VersionMismatch",
    "Workers",
    "call",
    "code_identity",
    "completed",
    "describe_error",
    "retry_lost_workers",
]

#: Columns of the table beside arguments and results.
RESERVED = ("cell_seconds", "cell_worker", "cell_error")

NO_WORKER_SECONDS = 300.0  # how long a sweep waits for a cluster that has no workers

_verified: set[str] = set()  # identities that a function of this process was found to have


class VersionMismatch(RuntimeError):
    """A worker has other code than the process that runs the sweep."""


def code_identity(function: Callable) -> str:
    """Return what distinguishes a function's code from other code, that of PyTorch included."""
    return identity([function, torch.__version__])


def call(function: Callable[..., Mapping[str, Any]], code: str, cell: dict[str, Any]) -> Outcome:
    """Call the function, in a worker; whatever it raises is the cell's failure, and the other cells go on."""
    if code not in _verified:  # once a process, since a function may change the globals that it uses
        if code_identity(function) != code:
            raise VersionMismatch(
                f"the workers have another version of {function.__qualname__}, or of what it uses, than the process "
                "that runs the sweep; restart it, or the workers, after an edit or an update"
            )
        _verified.add(code)
    result, error, start = None, None, time.perf_counter()
    try:
        result = _numbers(function(**cell), {*cell, *RESERVED})
    except KeyboardInterrupt:
        raise
    except BaseException as reason:  # sys.exit too
        error = describe_error(reason)
    return Outcome(result, error, time.perf_counter() - start, f"{socket.gethostname()}:{os.getpid()}")


def _numbers(result: Any, reserved: set[str]) -> dict[str, float | int | bool]:
    """Return a cell's result as plain numbers."""
    if not isinstance(result, Mapping) or not all(isinstance(name, str) for name in result):
        raise TypeError(f"the function must return a dict of numbers by name; got {result!r}")
    if taken := sorted(reserved & set(result)):
        raise ValueError(f"results must not have the names of arguments or of columns, {taken}; got {result!r}")
    plain = {name: value.item() if hasattr(value, "item") else value for name, value in result.items()}
    for name, value in plain.items():
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"the function must return finite numbers; got {name} = {value!r}")
    return plain


@dataclass(frozen=True)
class Workers:
    """Where calls are made.

    Attributes
    ----------
    submit : callable
        Starts a call, as :meth:`concurrent.futures.Executor.submit` does.
    capacity : callable
        Returns how many calls to have in progress: enough for all workers to be busy.
    death : type
        What the future of a call raises whose worker died.
    """

    submit: Callable[..., Future]
    capacity: Callable[[], int]
    death: type[Exception] = BrokenProcessPool


def completed(result: Any) -> Future:
    """Return the future of a call that has been made."""
    future: Future = Future()
    future.set_result(result)
    return future


@contextmanager
def _this_process(jobs: int, scheduler: str | None) -> Iterator[Workers]:
    yield Workers(lambda function, *args: completed(function(*args)), lambda: 1)


@contextmanager
def _processes(jobs: int, scheduler: str | None) -> Iterator[Workers]:
    import loky

    threads = os.environ.get("OMP_NUM_THREADS", str(max(1, loky.cpu_count() // jobs)))
    # Idle workers stop after a minute: those of a killed sweep, too.
    start = partial(loky.ProcessPoolExecutor, jobs, timeout=60, env={"OMP_NUM_THREADS": threads})
    pool = start()

    def submit(*call: Any) -> Future:
        nonlocal pool
        try:
            return pool.submit(*call)
        except BrokenProcessPool:  # for good, once one of its workers has died
            pool = start()
            return pool.submit(*call)

    try:
        yield Workers(submit, lambda: jobs + 1)
    finally:
        pool.shutdown(kill_workers=True)


@contextmanager
def _dask_cluster(jobs: int, scheduler: str | None) -> Iterator[Workers]:
    try:
        from distributed.scheduler import KilledWorker
    except ImportError as error:
        raise ImportError("backend 'dask' needs Dask: pip install 'mvtheory[cluster]'") from error
    with _dask_client(jobs, scheduler) as client:
        executor, seen = client.get_executor(pure=False), time.monotonic()

        def capacity() -> int:
            nonlocal seen
            threads = sum(client.nthreads().values())
            if threads:
                seen = time.monotonic()
            elif time.monotonic() > seen + NO_WORKER_SECONDS:
                raise TimeoutError(
                    f"the Dask cluster has had no worker for {NO_WORKER_SECONDS:g} s; finished cells are in the store: "
                    "start workers, and run the sweep again"
                )
            return max(1, 2 * threads)

        try:
            yield Workers(executor.submit, capacity, KilledWorker)
        except CancelledError as error:  # by the cluster: its scheduler was stopped or restarted
            raise ConnectionError(
                "the Dask cluster has dropped the cells in progress; finished ones are in the store"
            ) from error
        finally:
            executor.shutdown(wait=False)  # cancels what is in progress


def _dask_client(jobs: int, scheduler: str | None) -> AbstractContextManager[distributed.Client]:
    """Return a client of the cluster that was asked for, is open, is configured, or is started here."""
    import dask
    import distributed

    if scheduler is None:
        with suppress(ValueError):  # no client is open
            return nullcontext(distributed.default_client())
    if address := scheduler or dask.config.get("scheduler-address", None):
        return distributed.Client(address)
    return distributed.Client(n_workers=jobs, threads_per_worker=1, processes=True, dashboard_address=None)


#: Where cells are computed: in this process, in processes of this machine, or on a Dask cluster.
BACKENDS: Mapping[str, Callable[[int, str | None], AbstractContextManager[Workers]]] = {
    "sequential": _this_process,
    "loky": _processes,
    "dask": _dask_cluster,
}


def retry_lost_workers(
    workers: Workers, submit: Callable[[str], Future], keys: Iterable[str]
) -> Iterator[tuple[str, Outcome]]:
    """Yield the outcomes of cells as they come, whatever becomes of the workers.

    Parameters
    ----------
    workers : Workers
        Where calls are made.
    submit : callable
        Starts the call of a cell on the workers; its future has an `Outcome`.
    keys : iterable of str
        The cells; the next is taken only after the outcomes that were yielded have been dealt with.

    Yields
    ------
    key : str
    outcome : Outcome
        A failure, for a cell whose worker died twice while no other cell was in progress.
    """
    lost = yield from _compute(submit, keys, workers.capacity, workers.death)
    for key in lost:
        for _ in range(2):
            lost_again = yield from _compute(submit, [key], lambda: 1, workers.death)
            if not lost_again:
                break
        else:
            yield key, Outcome(None, f"its worker died twice: {describe_error(lost_again[key])}", 0.0, "")


def _compute(
    submit: Callable[[str], Future], keys: Iterable[str], capacity: Callable[[], int], death: type[Exception]
) -> Generator[tuple[str, Outcome], None, dict[str, Exception]]:
    """Yield outcomes as they come; return the cells that were in progress when workers died, with the errors."""
    keys, in_hand, lost = iter(keys), dict[Future, str](), dict[str, Exception]()
    while True:
        in_hand |= {submit(key): key for key in islice(keys, max(0, capacity() - len(in_hand)))}
        if not in_hand:
            return lost
        done, _ = wait(in_hand, timeout=1.0, return_when=FIRST_COMPLETED)  # then ask for the capacity again
        for future in done:
            key = in_hand.pop(future)
            try:
                outcome = future.result()
            except death as error:
                lost[key] = error
            else:
                yield key, outcome


def describe_error(error: BaseException) -> str:
    """Return an error as one line, even if it cannot print itself."""
    return " ".join("".join(traceback.format_exception_only(error)).split())
