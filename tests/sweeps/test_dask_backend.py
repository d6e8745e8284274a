"""Sweeps on a Dask cluster of this machine, of which workers are killed."""

import importlib
import os
import signal
import sqlite3
from collections import Counter

import joblib
import pytest
from test_sweep import lines, log, logged, logging  # noqa: F401 -- log is a fixture

from mvtheory.sweeps import workers
from mvtheory.sweeps.cells import Cells

dask, distributed = pytest.importorskip("dask"), pytest.importorskip("distributed")


def test_a_worker_of_a_dask_cluster_is_killed_and_nothing_is_lost_or_counted_twice(tmp_path, log):  # noqa: F811
    widths = range(24)
    sweep = logging(logged, log, tmp_path, widths, nap=0.1)
    here = {"n_workers": 3, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    killed, finished = [], []

    def kill(progress):
        """Kill a worker in the middle of a cell, once a quarter of the cells is finished."""
        finished.append(progress)
        if not killed and len(finished) >= 6:
            killed.append(lines(log)[-1][-1])  # the one that began last
            os.kill(killed[0], signal.SIGKILL)

    with distributed.Client(**here) as client, pytest.MonkeyPatch.context() as patch:
        client.run(importlib.import_module, "test_sweep")  # all are ready before the first cell
        add = Cells.add
        patch.setattr(Cells, "add", lambda *args: (add(*args), kill(args)))
        table = sweep.run("dask", progress=False)
    assert killed
    assert list(table["double"]) == [2 * width for width in widths]  # nothing is lost, in its order
    with sqlite3.connect(tmp_path / "sweeps.sqlite") as file:
        assert file.execute("SELECT count(*), count(DISTINCT key) FROM cells").fetchone() == (24, 24)
    file.close()
    assert len(set(table["worker"])) >= 2
    begun = Counter(width for width, *_ in lines(log))
    assert set(begun) == set(widths)
    assert sum(begun.values()) <= 24 + 2 * 3  # a second time only what was handed out: joblib's two cells a worker


def test_joblib_is_told_of_dead_dask_workers_and_does_not_wait_for_ever():
    from mvtheory.sweeps.dask_backend import Backend

    def deadly(number):
        return os._exit(1) if number == 1 else os.getpid()

    here = {"n_workers": 1, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.Client(**here) as client,
        joblib.parallel_config(Backend(client=client)),
    ):
        (there,) = joblib.Parallel()([joblib.delayed(deadly)(0)])
        assert there != os.getpid()  # on the cluster, though it has one worker
        with pytest.raises(workers.lost_workers()):
            joblib.Parallel()(joblib.delayed(deadly)(number) for number in range(3))
