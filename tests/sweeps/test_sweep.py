"""Sweeps: every cell once, whatever is killed; failures are kept and reported; bad input is refused before any work."""

import importlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from reference import refused

from mvtheory.persistence.store import StoreError
from mvtheory.sweeps import Sweep, workers
from mvtheory.sweeps.cells import Cells, Outcome
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
    assert list(table)[:6] == ["width", "height", "seed", "draw", "area", "noise"]
    assert list(table)[6:] == ["cell_seconds", "cell_worker", "cell_error"]
    assert len(table) == 2 * 3 * 4 * 2 == len(set(table[["width", "height", "seed", "draw"]].itertuples(index=False)))
    for row in table.itertuples():
        expected = area(row.width, row.height, row.seed, row.draw)
        assert (row.area, row.noise) == (expected["area"], expected["noise"])
        assert 0 <= row.cell_seconds < 5
        assert pd.isna(row.cell_error)


def test_several_grids_follow_each_other(tmp_path):
    grid = [{"width": [1], "height": [10]}, {"width": [2, 3], "height": [20]}]
    table = Sweep(area, grid, store=tmp_path).run("sequential", progress=False)
    assert list(zip(table["width"], table["height"], strict=True)) == [(1, 10), (2, 20), (3, 20)]


@pytest.mark.slow
def test_backends_give_the_same_table(tmp_path, log):
    """With a failure in it; processes of loky are others than this one."""
    tables = []
    for backend in ("sequential", "loky"):
        with pytest.warns(UserWarning, match="1 of 6 cells failed"):
            table = logging(fragile, log, tmp_path / backend, range(6)).run(backend, jobs=2, progress=False)
        tables.append(table.drop(columns=["cell_seconds", "cell_worker"]))
    assert tables[0].equals(tables[1])
    assert [pid == os.getpid() for *_, pid in lines(log)] == [True] * 5 + [False] * 5


def test_numbers_of_every_library_are_taken(tmp_path):
    def give(seed, draw):
        return {"torch": torch.tensor(0.5), "numpy": np.float32(0.25), "yes": True, "count": np.int64(3)}

    row = Sweep(give, {}, store=tmp_path).run("sequential", progress=False).iloc[0]
    assert (row.torch, row.numpy, row.yes, row["count"]) == (0.5, 0.25, True, 3)


def test_grids_and_seeds_may_be_arrays(tmp_path):
    def total(width, shape, seed, draw):
        assert (type(width), type(shape), type(seed)) == (float, list, int)
        return {"total": width + sum(shape)}

    grid = {"width": np.array([0.5, 1.5]), "shape": [np.array([1, 2]), [np.int64(3), 4]]}
    sweep = Sweep(total, grid, seeds=np.arange(2), draws=[np.int64(5)], store=tmp_path)
    assert list(sweep.run("sequential", progress=False)["total"]) == [3.5, 3.5, 7.5, 7.5, 4.5, 4.5, 8.5, 8.5]
    plain = Sweep(total, {"width": [0.5, 1.5], "shape": [[1, 2], [3, 4]]}, range(2), [5], store=tmp_path)
    assert len(plain.table()) == 8


@pytest.mark.parametrize("name", ["error", "seconds", "worker", "result", "key"])
def test_a_result_may_have_a_natural_name(tmp_path, name):
    def give(seed, draw):
        return {name: 0.25}

    sweep = Sweep(give, {}, store=tmp_path)
    for table in (sweep.run("sequential", progress=False), sweep.table()):
        assert list(table[name]) == [0.25]
        assert table["cell_error"].isna().all()


@pytest.mark.parametrize("name", ["width", "seed", "draw", "cell_error", "cell_seconds", "cell_worker"])
def test_a_result_named_like_an_argument_or_a_column_is_its_cells_failure(tmp_path, name):
    def give(width, seed, draw):
        return {name: 0.125} if width == 2 else {"x": 1}

    sweep = Sweep(give, {"width": [1, 2, 3]}, store=tmp_path)
    with pytest.warns(UserWarning, match=rf"1 of 3 cells failed.* of columns, \['{name}'\]; got \{{'{name}': 0.125\}}"):
        table = sweep.run("sequential", progress=False)
    assert list(table["width"]) == [1, 2, 3]
    assert list(table["x"].dropna()) == [1, 1]


def test_an_argument_of_one_grid_may_be_a_result_of_another(tmp_path):
    def give(seed, draw, steps=None):
        return {"steps": 7} if steps is None else {"x": steps}

    table = Sweep(give, [{}, {"steps": [3]}], store=tmp_path).run("sequential", progress=False)
    assert list(table["steps"]) == [7, 3]


# nothing is computed again


def test_what_is_finished_is_not_computed_again(tmp_path, log):
    logging(logged, log, tmp_path).run("sequential", progress=False)
    table = logging(logged, log, tmp_path, widths=(3, 1, 4)).run("sequential", progress=False)
    assert Counter(width for width, *_ in lines(log)) == {1: 1, 2: 1, 3: 1, 4: 1}
    assert list(table["double"]) == [6, 2, 8]
    assert len(logging(logged, log, tmp_path, widths=(4, 9)).table()) == 1


def finished(function, store, **grid):
    """Count the cells that are in the store."""
    return len(Sweep(function, {name: [value] for name, value in grid.items()}, store=store).table())


def test_other_arguments_or_versions_are_other_cells(tmp_path, monkeypatch):
    Sweep(area, {"width": [1], "height": [2]}, store=tmp_path).run("sequential", progress=False)
    assert finished(area, tmp_path, height=2, width=1) == 1
    assert finished(area, tmp_path, width=1, height=3) == 0
    assert finished(area, tmp_path, width=1, height=2.0) == 0
    assert finished(area, tmp_path, width=True, height=2) == 0
    monkeypatch.setattr(torch, "__version__", "9.9")
    assert finished(area, tmp_path, height=2, width=1) == 0


HELPER = """
SCALE = {scale}
def double(x):
    return {factor} * x
def study(seed, draw, by=1):
    return {{"x": double(SCALE)}}
"""


def test_functions_that_differ_in_anything_have_cells_of_their_own(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)

    def study(scale=1, factor=2):
        (tmp_path / "helper_of_sweeps.py").write_text(HELPER.format(scale=scale, factor=factor))
        sys.modules.pop("helper_of_sweeps", None)
        importlib.invalidate_caches()
        return importlib.import_module("helper_of_sweeps").study

    def closing_over(value):
        return lambda seed, draw: {"x": value}

    def with_default(value):
        def function(seed, draw, x=value):
            return {"x": x}

        return function

    def shadow(seed, draw):
        return {"x": 10}

    first = shadow

    def shadow(seed, draw):
        return {"x": 11}

    functions = {
        1: lambda seed, draw: {"x": 1}, 2: lambda seed, draw: {"x": 2},
        3: closing_over(3), 4: closing_over(4),
        5: with_default(5), 6: with_default(6),
        10: first, 11: shadow,
    }  # fmt: skip
    for value, function in functions.items():
        assert list(Sweep(function, {}, store=tmp_path).run("sequential", progress=False)["x"]) == [value]
    edits = {2: {}, 3: {"factor": 3}, 6: {"scale": 2, "factor": 3}}
    for value, edit in edits.items():
        sys.dont_write_bytecode, before = True, sys.dont_write_bytecode  # two edits may fall into one second
        try:
            function = study(**edit)
        finally:
            sys.dont_write_bytecode = before
        assert list(Sweep(function, {}, store=tmp_path).run("sequential", progress=False)["x"]) == [value]


def test_a_success_is_final_and_a_failure_gives_way(tmp_path):
    cells = Cells(tmp_path / "cells")
    assert cells.read("a") is None
    for attempt in ("early", "late"):
        cells.write("a", {}, Outcome(None, f"Error: {attempt}", 1.0, "one"))
        assert cells.read("a").error == f"Error: {attempt}"
    for value in (1, 2):
        cells.write("a", {}, Outcome({"x": value}, None, float(value), f"worker {value}"))
    cells.write("a", {}, Outcome(None, "Error: too late", 3.0, "three"))
    assert cells.read("a") == Outcome({"x": 1}, None, 1.0, "worker 1")


@pytest.mark.slow
def test_no_damaged_bit_of_a_cell_goes_unnoticed(tmp_path):
    cells, good = Cells(tmp_path), Outcome({"x": 0.5}, None, 1.0, "one")
    cells.write("a", {"cell": {"k": 3}}, good)
    (file,) = tmp_path.iterdir()
    data = file.read_bytes()
    for place in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[place // 8] ^= 1 << place % 8
        file.write_bytes(damaged)
        with pytest.raises(StoreError, match=r"a\.result"):
            cells.read("a")
    cells.write("a", {"cell": {"k": 3}}, good)
    assert cells.read("a") == good
    file.rename(tmp_path / "b.result")
    with pytest.raises(StoreError, match=r"b\.result: holds another cell, a"):
        cells.read("b")


def test_a_damaged_cell_is_computed_again_with_a_warning(tmp_path, log):
    sweep = logging(logged, log, tmp_path / "store")
    table = sweep.run("sequential", progress=False)
    file = sorted((tmp_path / "store").iterdir())[1]
    file.write_bytes(file.read_bytes()[:-7])
    with pytest.warns(UserWarning, match=rf"{file.name}: .*; a run computes this cell again"):
        assert len(sweep.table()) == 2
    with pytest.warns(UserWarning, match=rf"{file.name}: .*; a run computes this cell again"):
        again = sweep.run("sequential", progress=False)
    assert again.drop(columns="cell_seconds").equals(table.drop(columns="cell_seconds"))
    assert len(lines(log)) == 4
    assert len(sweep.table()) == 3


def test_the_table_is_whole_though_the_store_and_the_source_change_meanwhile(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    source = tmp_path / "edited_meanwhile.py"
    source.write_text(
        "from pathlib import Path\n"
        "def study(width, seed, draw):\n"
        "    with open(__file__, 'a') as file:\n"
        "        file.write('# an edit\\n')\n"
        f"    for cell in Path({str(tmp_path / 'store')!r}).glob('*.result'):\n"
        "        cell.unlink()\n"
        "    return {'double': 2 * width}\n"
    )
    study = importlib.import_module("edited_meanwhile").study
    table = Sweep(study, {"width": [1, 2, 3]}, store=tmp_path / "store").run("sequential", progress=False)
    assert source.read_text().endswith("# an edit\n" * 3)
    assert list(table["double"]) == [2, 4, 6]


def test_a_store_that_cannot_be_written_ends_the_sweep_before_any_work(tmp_path, log):
    (tmp_path / "store").symlink_to("nowhere")
    with pytest.raises(OSError, match="store"):
        logging(logged, log, tmp_path / "store").run("sequential", progress=False)
    assert lines(log) == []


def test_the_store_may_be_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    Sweep(area, {"width": [1], "height": [2]}, store="~/cells").run("sequential", progress=False)
    assert len(list((tmp_path / "home" / "cells").iterdir())) == 1
    assert not (tmp_path / "~").exists()


@pytest.mark.slow
def test_two_sweeps_at_once_share_the_work_and_count_every_cell_once(tmp_path, log):
    code = (
        f"import sys; sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}\n"
        "from test_sweep import *\n"
        "other = os.fork()\n"  # two processes go on from here
        f"table = logging(logged, {log!r}, {str(tmp_path)!r}, range(12), nap=0.2).run('sequential', progress=False)\n"
        "assert list(table['double']) == [2 * w for w in range(12)]\n"
        "assert not other or os.waitpid(other, 0)[1] == 0\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100)
    assert len({pid for *_, pid in lines(log)}) == 2
    assert len(lines(log)) <= 12 + 8  # both may begin a cell at the same time: by chance, hardly ever eight of them
    assert len(list(tmp_path.glob("*.result"))) == 12


# failures


def test_a_failing_cell_is_kept_with_its_error_and_the_others_go_on(tmp_path, log):
    with pytest.warns(UserWarning, match=r"1 of 3 cells failed; the first, \{'width': 2,.*Diverged: the loss is not"):
        table = logging(fragile, log, tmp_path).run("sequential", progress=False)
    assert list(table["cell_error"].notna()) == [False, True, False]
    assert list(table["double"].isna()) == [False, True, False]
    assert len(lines(log)) == 2
    with pytest.warns(UserWarning, match="1 of 3 cells failed"):  # reported again, not computed again
        logging(fragile, log, tmp_path).run("sequential", progress=False)
    assert len(lines(log)) == 2


def test_a_failed_cell_is_tried_again_on_request(tmp_path):
    broken = str(tmp_path / "broken")
    Path(broken).touch()

    def sometimes(seed, draw):
        if Path(broken).exists():
            raise ValueError("broken")
        return {"x": 1}

    sweep = Sweep(sometimes, {}, store=tmp_path)
    with pytest.warns(UserWarning, match="ValueError: broken"):
        sweep.run("sequential", progress=False)
    os.unlink(broken)
    with pytest.warns(UserWarning, match="ValueError: broken"):
        sweep.run("sequential", progress=False)
    assert list(sweep.run("sequential", retry=True, progress=False)["x"]) == [1]


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (SystemExit(3), "SystemExit: 3"),
        (Unspeakable(), "Unspeakable: <exception str() failed>"),
        (ValueError("two\nlines"), "ValueError: two lines"),
        (GeneratorExit(), "GeneratorExit"),
        (MemoryError(), "MemoryError"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_a_cell_raises_is_its_failure_alone(tmp_path, reason, text):
    def give(width, seed, draw):
        if width == 2:
            raise reason
        return {"x": width}

    with pytest.warns(UserWarning, match="1 of 3 cells failed"):
        table = Sweep(give, {"width": [1, 2, 3]}, store=tmp_path).run("sequential", progress=False)
    assert text in table["cell_error"][1]
    assert list(table["x"].dropna()) == [1, 3]


def test_an_interrupt_ends_the_sweep_and_keeps_what_is_finished(tmp_path, log):
    interrupted = []

    def give(width, seed, draw):
        logged(width, log, seed, draw)
        if len(lines(log)) == 3 and not interrupted:
            raise KeyboardInterrupt
        return {"double": 2 * width}

    sweep = Sweep(give, {"width": [1, 2, 3, 4]}, store=tmp_path / "store")
    with pytest.raises(KeyboardInterrupt):
        sweep.run("sequential", progress=False)
    assert len(list((tmp_path / "store").iterdir())) == 2


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (3, "TypeError: the function must return a dict of numbers by name; got 3"),
        ({"x": float("nan")}, "ValueError: the function must return finite numbers; got x = nan"),
        ({"x": "word"}, "got x = 'word'"),
        ({1: 0.5}, "TypeError: the function must return a dict of numbers by name; got {1: 0.5}"),
    ],
)
def test_a_result_must_be_finite_numbers(tmp_path, result, reason):
    def give(seed, draw):
        return result

    with pytest.warns(UserWarning, match="1 of 1 cells failed"):
        table = Sweep(give, {}, store=tmp_path).run("sequential", progress=False)
    assert reason in table["cell_error"][0]


# workers and sweeps are killed


@pytest.mark.slow
def test_a_cell_that_kills_its_worker_stops_no_other(tmp_path, log):
    with pytest.warns(UserWarning, match="1 of 4 cells failed.*'width': 2,.* worker died twice: .*TerminatedWorker"):
        table = logging(deadly, log, tmp_path, widths=(1, 2, 3, 4)).run("loky", jobs=2, progress=False)
    assert list(table["double"].dropna()) == [2, 6, 8]


@pytest.mark.slow
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
    """Workers on which three cells are in hand, all of them lost when one dies; `c` kills always, `b` once."""
    in_hand, passes, deadly = {}, [], {"b", "c"}

    def submit(key):
        if not in_hand:
            passes.append([])
        passes[-1].append(key)
        in_hand[key] = future = Future()
        if len(in_hand) == capacity() or key == "f" or (len(passes) > 2 and key in "abc"):
            guilty = deadly & set(in_hand)
            for name, one in in_hand.items():
                if guilty:
                    one.set_exception(BrokenProcessPool("dead"))
                else:
                    one.set_result(Outcome({"x": 1}, None, 0.0, name))
            deadly.difference_update(guilty - {"c"})
            in_hand.clear()
        return future

    def capacity():
        return 3

    outcomes = dict(workers.retry_lost_workers(workers.Workers(Future, capacity), submit, "abcdef"))
    assert sorted(outcomes) == list("abcdef")
    assert {key: outcome.error for key, outcome in outcomes.items() if outcome.error} == {
        "c": "its worker died twice: concurrent.futures.process.BrokenProcessPool: dead"
    }
    assert passes[:2] == [list("abc"), list("def")]  # the others first
    assert sorted(passes[2:]) == [["a"], ["b"], ["c"], ["c"]]


@pytest.mark.parametrize("backend", ["sequential", pytest.param("loky", marks=pytest.mark.slow)])
def test_workers_with_other_sources_are_refused(tmp_path, monkeypatch, backend):
    monkeypatch.syspath_prepend(tmp_path)
    source = tmp_path / f"edited_before_{backend}.py"
    source.write_text("def study(seed, draw):\n    return {'x': 1}\n")
    study = importlib.import_module(source.stem).study
    source.write_text("def study(seed, draw):\n    return {'x': 12345}\n")
    sweep = Sweep(study, {}, store=tmp_path / "store")
    if backend == "sequential":
        assert list(sweep.run(backend, progress=False)["x"]) == [1]
        return
    with pytest.raises(workers.VersionMismatch, match="workers have another version of study, or of what it uses"):
        sweep.run(backend, progress=False)
    assert list((tmp_path / "store").iterdir()) == []


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
        ({"grid": {"cell_error": [1], "width": [1], "height": [1]}}, ValueError, "names in grid .* got 'cell_error'"),
        (
            {"grid": {"width": range(10**4), "height": range(1001)}},
            ValueError,
            "at most 10,000,000 cells; got 10,0",
        ),
        ({"grid": {"width": np.array(1), "height": [1]}}, TypeError, r"grid\['width'\] must be a list of values"),
        ({"grid": {"width": np.array([1.0, np.inf]), "height": [1]}}, ValueError, "must hold JSON values"),
        ({"store": 3}, TypeError, "int"),
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
        ({"retry": "no"}, "retry must be True or False; got 'no'"),
        ({"progress": 0}, "progress must be True or False; got 0"),
    ],
)
def test_bad_runs_are_refused_before_any_work(tmp_path, options, match):
    with refused((TypeError, ValueError), match):
        Sweep(area, {"width": [1], "height": [1]}, store=tmp_path).run(**options)
    assert not os.listdir(tmp_path)
