"""Joblib on a Dask cluster, with its dead workers told. Needs Dask: import it where it is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import dask
import distributed
from joblib._dask import DaskDistributedBackend

__all__ = ["Backend", "client"]


class Backend(DaskDistributedBackend):
    """Joblib's backend, which calls no one back when a task's workers have died: joblib would wait for ever."""

    def submit(self, func: Callable, callback: Callable[[Any], None] | None = None) -> Future:
        """Submit a task; its error, like its result, goes to `callback`."""
        job = super().submit(func, callback)
        if callback is not None:
            job.add_done_callback(lambda done: done.exception() and callback(done.exception()))
        return job

    def retrieve_result_callback(self, out: Any) -> Any:
        """Return a task's result, or raise its error."""
        if isinstance(out, BaseException):
            raise out
        return super().retrieve_result_callback(out)

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Cancel what is running, which would be computed a second time after a restart."""
        super().abort_everything(ensure_ready)
        self.client.cancel(list(self._results))

    def effective_n_jobs(self, n_jobs: int) -> int:
        """Never say 1: joblib would compute here, not on the cluster."""
        return max(2, super().effective_n_jobs(n_jobs))


@contextmanager
def client(jobs: int, scheduler: str | None) -> Iterator[distributed.Client]:
    """Yield a client of the cluster that was asked for, is open, is configured, or is started here."""
    if scheduler is None:
        try:
            yield distributed.default_client()
            return
        except ValueError:  # no client is open
            scheduler = dask.config.get("scheduler-address", None)
    here = {"n_workers": jobs, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.Client(scheduler) if scheduler else distributed.Client(**here) as opened:
        yield opened
