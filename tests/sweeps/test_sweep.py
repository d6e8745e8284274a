"""Sweeps: every cell once, whatever is killed; failures are kept and told; bad input is refused before any work."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from reference import refused

from mvtheory.persistence.store import StoreError
from mvtheory.sweeps import sweep as module
from mvtheory.sweeps import workers
from mvtheory.sweeps.cells import Cells, Outcome
from mvtheory.sweeps.sweep import Sweep
from mvtheory.training import Diverged


def area(width, height, seed, draw):
    return {"area": width * height, "noise": float(np.random.default_rng([seed, draw]).normal())}


def logged(width, log, seed, draw, nap=0.0):
    """Leave a line when it starts; so a cell that is computed twice leaves two."""
    with open(log, "a") as file:
        file.write(f"{width} {seed} {draw} {os.getpid()}\n")
    time.sleep(nap)
    return {"double": 2 * width}


def fragile(width, log, seed, draw):
    if width == 2:
        raise Diverged("the loss is not finite at step 7")
    return logged(width, log, seed, draw)


def deadly(width, log, seed, draw):
    if width == 2:
        os._exit(1)
    return logged(width, log, seed, draw)


def lines(log):
    return [tuple(map(int, line.split())) for line in Path(log).read_text().splitlines()]


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log"
    path.touch()
    return str(path)


def logging(function, log, store, widths=(1, 2, 3), **options):
    grid = {"width": list(widths), "log": [log]} | {name: [value] for name, value in options.items()}
    return Sweep(function, grid, store=store)


# the table


def test_every_point_seed_and_draw_is_a_row(tmp_path):
    sweep = Sweep(area, {"width": [1, 2], "height": [3, 4, 5]}, seeds=range(4), draws=(7, 9), store=tmp_path)
    table = sweep.run("sequential", progress=False)
    assert list(table) == ["width", "height", "seed", "draw", "area", "noise", "seconds", "worker", "error"]
    assert len(table) == 2 * 3 * 4 * 2 == len(set(table[["width", "height", "seed", "draw"]].itertuples(index=False)))
    for row in table.itertuples():
        expected = area(row.width, row.height, row.seed, row.draw)
        assert (row.area, row.noise) == (expected["area"], expected["noise"])
        assert 0 <= row.seconds < 5
        assert pd.isna(row.error)


def test_several_grids_follow_each_other(tmp_path):
    grid = [{"width": [1], "height": [10]}, {"width": [2, 3], "height": [20]}]
    table = Sweep(area, grid, store=tmp_path).run("sequential", progress=False)
    assert list(zip(table["width"], table["height"], strict=True)) == [(1, 10), (2, 20), (3, 20)]


def test_backends_give_the_same_table(tmp_path):
    numbers = []
    for backend in ("sequential", "loky"):
        sweep = Sweep(area, {"width": [1, 2], "height": [3]}, seeds=range(3), store=tmp_path / backend)
        numbers.append(sweep.run(backend, jobs=2, progress=False).drop(columns=["seconds", "worker"]))
    assert numbers[0].equals(numbers[1])


def test_numbers_of_every_library_are_taken(tmp_path):
    def give(seed, draw):
        return {"torch": torch.tensor(0.5), "numpy": np.float32(0.25), "yes": True, "count": np.int64(3)}

    row = Sweep(give, {}, store=tmp_path).run("sequential", progress=False).iloc[0]
    assert (row.torch, row.numpy, row.yes, row["count"]) == (0.5, 0.25, True, 3)


# nothing is computed again


def test_what_is_finished_is_not_computed_again(tmp_path, log):
    logging(logged, log, tmp_path).run("sequential", progress=False)
    table = logging(logged, log, tmp_path, widths=(3, 1, 4)).run("sequential", progress=False)
    assert Counter(width for width, *_ in lines(log)) == {1: 1, 2: 1, 3: 1, 4: 1}
    assert list(table["double"]) == [6, 2, 8]
    assert len(logging(logged, log, tmp_path, widths=(4, 9)).table()) == 1


def test_other_arguments_functions_or_sources_are_other_cells(tmp_path, monkeypatch):
    def keys(function, **grid):
        return set(Sweep(function, {name: [value] for name, value in grid.items()}, store=tmp_path)._keys())

    same = keys(area, width=1, height=2)
    assert same == keys(area, height=2, width=1)
    assert not same & keys(area, width=1, height=2.5)

    def area_(width, height, seed, draw):
        return area(width, height, seed, draw)

    assert not same & keys(area_, width=1, height=2)
    with monkeypatch.context() as patch:
        patch.setitem(module._HASHES, "mvtheory.training", "edited")  # this file uses it
        assert not same & keys(area, width=1, height=2)
    monkeypatch.setattr("mvtheory.sweeps.sweep.torch.__version__", "9.9")
    assert not same & keys(area, width=1, height=2)


def test_a_success_is_final_and_a_failure_gives_way(tmp_path):
    cells = Cells(tmp_path / "cells")
    cells.add("a", "f", "{}", Outcome(None, "Error: no", 1.0, "one"))
    assert (cells.has("a", failed=True), cells.has("a", failed=False), cells.has("b", failed=True)) == (
        True,
        False,
        False,
    )
    for value in (1, 2):
        cells.add("a", "f", "{}", Outcome({"x": value}, None, float(value), f"worker {value}"))
    cells.add("a", "f", "{}", Outcome(None, "Error: late", 3.0, "three"))
    assert cells.read() == {"a": Outcome({"x": 1}, None, 1.0, "worker 1")}


def test_a_damaged_store_is_named(tmp_path, log):
    logging(logged, log, tmp_path).run("sequential", progress=False)
    file = tmp_path / "sweeps.sqlite"
    file.write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError, match=r"sweeps\.sqlite: file is not a database"):
        logging(logged, log, tmp_path).table()


def test_two_sweeps_at_once_share_the_work_and_count_every_cell_once(tmp_path, log):
    code = (
        f"import sys; sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}\n"
        "from test_sweep import *\n"
        f"table = logging(logged, {log!r}, {str(tmp_path)!r}, range(12), nap=0.2).run('sequential', progress=False)\n"
        "assert list(table['double']) == [2 * w for w in range(12)]\n"
    )
    both = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [one.wait(timeout=100) for one in both] == [0, 0]
    assert len(lines(log)) <= 12 + 8  # both may begin a cell at the same time: by chance, hardly ever eight of them
    with sqlite3.connect(tmp_path / "sweeps.sqlite") as file:
        assert file.execute("SELECT count(*) FROM cells").fetchone() == (12,)
    file.close()


# failures


def test_a_failing_cell_is_kept_with_its_error_and_the_others_go_on(tmp_path, log):
    with pytest.warns(UserWarning, match=r"1 of 3 cells failed; the first, \{'width': 2,.*Diverged: the loss is not"):
        table = logging(fragile, log, tmp_path).run("loky", jobs=2, progress=False)
    assert list(table["error"].notna()) == [False, True, False]
    assert list(table["double"].isna()) == [False, True, False]
    assert len(lines(log)) == 2
    with pytest.warns(UserWarning, match="1 of 3 cells failed"):  # told again, not computed again
        logging(fragile, log, tmp_path).run("sequential", progress=False)
    assert len(lines(log)) == 2


def test_a_failed_cell_is_tried_again_on_request(tmp_path, monkeypatch):
    monkeypatch.setenv("BROKEN", "1")

    def sometimes(seed, draw):
        if os.environ["BROKEN"] == "1":
            raise ValueError("broken")
        return {"x": 1}

    sweep = Sweep(sometimes, {}, store=tmp_path)
    with pytest.warns(UserWarning, match="ValueError: broken"):
        sweep.run("sequential", progress=False)
    monkeypatch.setenv("BROKEN", "0")
    assert list(sweep.run("sequential", retry=True, progress=False)["x"]) == [1]


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (3, "TypeError: the function must return a dict of numbers; got 3"),
        ({"x": float("nan")}, "ValueError: the function must return finite numbers; got x = nan"),
        ({"x": "word"}, "got x = 'word'"),
    ],
)
def test_a_result_must_be_finite_numbers(tmp_path, result, reason):
    def give(seed, draw):
        return result

    with pytest.warns(UserWarning, match="1 of 1 cells failed"):
        table = Sweep(give, {}, store=tmp_path).run("sequential", progress=False)
    assert reason in table["error"][0]


# workers and sweeps are killed


def test_a_cell_that_kills_its_worker_stops_no_other(tmp_path, log):
    with pytest.warns(UserWarning, match="1 of 4 cells failed.*'width': 2,.* its worker died twice: TerminatedWorker"):
        table = logging(deadly, log, tmp_path, widths=(1, 2, 3, 4)).run("loky", jobs=2, progress=False)
    assert list(table["double"].dropna()) == [2, 6, 8]


def test_a_killed_sweep_goes_on_where_it_was(tmp_path, log):
    code = (
        f"import sys; sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}\n"
        "from test_sweep import *\n"
        f"logging(logged, {log!r}, {str(tmp_path)!r}, range(8), nap=0.1).run('sequential', progress=False)\n"
    )
    run = subprocess.Popen([sys.executable, "-c", code])
    while len(lines(log)) < 4:
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    run.wait()
    table = logging(logged, log, tmp_path, range(8), nap=0.1).run("sequential", progress=False)
    assert list(table["double"]) == [2 * width for width in range(8)]
    assert len(lines(log)) <= 9  # at most the cell in hand was computed again


def test_after_a_loss_the_cells_in_hand_come_alone_and_the_guilty_one_is_found():
    turns, unlucky = [], {"b"}

    def compute(names):
        """Hand three cells out before the first comes back; `c` kills always, `b` once."""
        turns.append([])
        for name in names:
            turns[-1].append(name)
            if name in unlucky or name == "c":
                next(names, None)
                unlucky.discard(name)
                raise BrokenProcessPool
            yield name, Outcome({"x": 1}, None, 0.0, "w")

    outcomes = list(workers.retry_lost_workers(compute, list("abcdef")))
    assert sorted(key for key, _ in outcomes) == list("abcdef")
    assert {key: outcome.error for key, outcome in outcomes if outcome.error} == {
        "c": "its worker died twice: BrokenProcessPool"
    }
    assert turns == [["a", "b"], ["b"], ["c"], ["c"], ["d", "e", "f"]]


def test_workers_with_other_sources_are_refused():
    with pytest.raises(RuntimeError, match="workers must have the same versions of mvtheory"):
        workers.call(area, "other", "key", {"width": 1, "height": 1, "seed": 0, "draw": 1})


# bad input


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"function": 3}, TypeError, "function must be a function; got 3"),
        ({"grid": {"width": [1]}}, TypeError, r"grid must fit the function area\(width.*missing.*'height'"),
        ({"grid": {"width": [1], "height": [1], "deep": [1]}}, TypeError, "unexpected keyword argument 'deep'"),
        ({"grid": {"width": 1, "height": [1]}}, TypeError, r"grid\['width'\] must be a list of values; got 1"),
        ({"grid": {"width": "12", "height": [1]}}, TypeError, r"grid\['width'\] must be a list"),
        ({"grid": {"width": [], "height": [1]}}, ValueError, r"grid\['width'\] must hold at least one value"),
        ({"grid": {"width": [1, 1], "height": [1]}}, ValueError, r"grid\['width'\] .* none twice; got \[1, 1\]"),
        ({"grid": {"width": [float("nan")], "height": [1]}}, ValueError, r"grid\['width'\] must hold JSON values"),
        (
            {"grid": {"seed": [1], "width": [1], "height": [1]}},
            ValueError,
            "names in grid must be one of .* got 'seed'",
        ),
        ({"grid": []}, ValueError, "grid must not be empty"),
        ({"grid": [3]}, TypeError, "grid must be a dict of argument names"),
        ({"grid": [{"width": [1], "height": [1]}] * 2}, ValueError, "grid must name each point once"),
        ({"seeds": ()}, ValueError, "seeds must hold at least one value"),
        ({"seeds": (0, 0)}, ValueError, "seeds must hold .* none twice"),
        ({"seeds": (-1,)}, ValueError, "seeds must be an integer >= 0; got -1"),
        ({"draws": 3}, TypeError, "draws must be a list of values; got 3"),
        ({"draws": (1.5,)}, TypeError, "draws must be an integer >= 0; got 1.5"),
    ],
)
def test_bad_sweeps_are_refused_before_any_work(tmp_path, change, error, match):
    good = {"function": area, "grid": {"width": [1], "height": [1]}, "store": tmp_path}
    with refused(error, match):
        Sweep(**good | change)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"backend": "cloud"}, "backend must be one of 'sequential', 'loky', 'dask'; got 'cloud'"),
        ({"jobs": 0}, "jobs must be an integer >= 1; got 0"),
        ({"scheduler": "tcp://x"}, r"backend \(with a scheduler\) must be one of 'dask'; got 'loky'"),
    ],
)
def test_bad_runs_are_refused_before_any_work(tmp_path, options, match):
    with refused(ValueError, match):
        Sweep(area, {"width": [1], "height": [1]}, store=tmp_path).run(**options)
    assert not os.listdir(tmp_path)
