"""Sweeps on a Dask cluster of this machine, of which workers are killed."""

import importlib
import os
import signal
from collections import Counter

import pytest
from test_sweep import area, deadly, lines, log, logged, logging  # noqa: F401 -- log is a fixture

from mvtheory.sweeps import Sweep, workers
from mvtheory.sweeps.cells import Cells

dask, distributed = pytest.importorskip("dask"), pytest.importorskip("distributed")


def cluster(n_workers):
    return distributed.Client(n_workers=n_workers, threads_per_worker=1, processes=True, dashboard_address=None)


@pytest.mark.slow
def test_a_worker_of_a_dask_cluster_is_killed_and_nothing_is_lost_or_counted_twice(tmp_path, log):  # noqa: F811
    widths = range(24)
    sweep = logging(logged, log, tmp_path / "store", widths, nap=0.1)
    killed, finished = [], []

    def kill(progress):
        """Kill a worker in the middle of a cell, once a quarter of the cells is finished."""
        finished.append(progress)
        if not killed and len(finished) >= 6:
            killed.append(lines(log)[-1][-1])  # the one that began last
            os.kill(killed[0], signal.SIGKILL)

    with cluster(3) as client, pytest.MonkeyPatch.context() as patch:
        client.run(importlib.import_module, "test_sweep")  # all are ready before the first cell
        write = Cells.write
        patch.setattr(Cells, "write", lambda *args: (write(*args), kill(args)))
        table = sweep.run("dask", progress=False)
    assert killed
    assert list(table["double"]) == [2 * width for width in widths]  # nothing is lost, in its order
    assert len(list((tmp_path / "store").iterdir())) == 24
    assert len(set(table["cell_worker"])) >= 2
    begun = Counter(width for width, *_ in lines(log))
    assert set(begun) == set(widths)
    assert sum(begun.values()) <= 24 + 2 * 3  # only what was in hand a second time: two cells a worker


@pytest.mark.slow
def test_a_cell_that_kills_its_dask_worker_stops_no_other(tmp_path, log):  # noqa: F811
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        cluster(1),
        pytest.warns(UserWarning, match="1 of 3 cells failed.*'width': 2,.* its worker died twice: .*KilledWorker"),
    ):
        table = logging(deadly, log, tmp_path, widths=(1, 2, 3)).run("dask", progress=False)
    assert list(table["double"].dropna()) == [2, 6]
    assert os.getpid() not in {pid for *_, pid in lines(log)}  # on the cluster, though it has one worker


def test_a_cluster_without_workers_ends_the_sweep(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "NO_WORKER_SECONDS", 0.5)
    with (
        cluster(0),
        pytest.raises(TimeoutError, match=r"no worker for 0\.5 s; finished cells are in the store"),
    ):
        Sweep(area, {"width": [1], "height": [2]}, store=tmp_path).run("dask", progress=False)


@pytest.mark.slow
def test_a_cluster_that_drops_the_cells_in_hand_ends_the_sweep(tmp_path, log, monkeypatch):  # noqa: F811
    """It is restarted once a cell is written, while the next one is computed."""
    write, store = Cells.write, tmp_path / "store"
    grid = [{"width": [0], "log": [log], "nap": [0.0]}, {"width": list(range(1, 9)), "log": [log], "nap": [3.0]}]
    with cluster(1) as client:

        def write_and_restart(*args):
            write(*args)
            monkeypatch.setattr(Cells, "write", write)
            client.restart(wait_for_workers=False)

        monkeypatch.setattr(Cells, "write", write_and_restart)
        with pytest.raises(
            ConnectionError, match="the Dask cluster has dropped the cells in progress; finished ones are in"
        ):
            Sweep(logged, grid, store=store).run("dask", progress=False)
    assert len(list(store.iterdir())) == 1
