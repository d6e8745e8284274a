"""The command line: what it prints, saves and returns, and how it says that a file is wrong."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import jaxtyping
import pandas as pd
import pytest

from mvtheory.__main__ import main
from mvtheory._check import check_int
from mvtheory.experiments import measure
from mvtheory.experiments.predictions import CLAIMS
from mvtheory.experiments.scale import STUDIES

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.toml"))


def half(width, seed, draw):
    if width == 13:
        raise ValueError("unlucky")
    if width == 14:
        sys.exit()
    return {"half": width / 2}


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("MVTHEORY_CACHE", str(tmp_path / "cache"))


def run(tmp_path, text, *options):
    file = tmp_path / "do.toml"
    file.write_text(text, encoding="utf-8")
    trusted = ["--trust", str(ROOT / "tests")] if "test_main:" in text else []
    return main([str(file), "--quiet", *trusted, *options])


SWEEP = """
kind = "sweep"
study = "test_main:half"
seeds = [0, 1]
draws = [3]
backend = "sequential"
grid.width = [1, 2]
"""
CLAIM = """
kind = "claim"
claim = ["single", "multi"]
draws = [31, 32, 33, 34]
[setting]
members = 2
students = 0
n_multi_view = 60
n_single_view = 0
test_single_view = 100
test_multi_view = 100
schedule = {steps = 1, eta = 0.1, warn = false}
task = {k = 3, s = 1.0, weak = [0.2, 0.3]}
"""


# sweeps


def test_a_sweep_prints_its_table(tmp_path, capsys):
    assert run(tmp_path, SWEEP) == 0
    told = capsys.readouterr()
    assert told.out.splitlines()[0].split()[:4] == ["width", "seed", "draw", "half"]
    assert len(told.out.splitlines()) == 1 + 4
    assert told.err == ""


@pytest.mark.parametrize("suffix", ["csv", "parquet", "md"])
def test_a_table_is_saved(tmp_path, suffix):
    path = tmp_path / "new" / f"table.{suffix}"
    assert run(tmp_path, SWEEP, "--save", str(path)) == 0
    if suffix == "md":
        assert path.read_text().splitlines()[0].startswith("|   width |")
        return
    table = {"csv": pd.read_csv, "parquet": pd.read_parquet}[suffix](path)
    assert list(table["half"]) == [0.5, 0.5, 1.0, 1.0]


def test_options_stand_in_for_the_file(tmp_path):
    wrong = SWEEP.replace('"sequential"', '"moon"') + "jobs = 0\nstore = '/dev/null'\n"
    options = {"--store": str(tmp_path / "other"), "--jobs": "1", "--backend": "sequential"}
    assert run(tmp_path, wrong, *(word for option in options.items() for word in option)) == 0
    assert len(list((tmp_path / "other").glob("*.result"))) == 4


@pytest.mark.parametrize(("width", "reason"), [(13, "ValueError: unlucky"), (14, "SystemExit")])
def test_failed_cells_are_reported_and_the_status_is_1(tmp_path, capsys, width, reason):
    assert run(tmp_path, SWEEP.replace("[1, 2]", f"[1, {width}]")) == 1
    told = capsys.readouterr()
    assert re.fullmatch(rf"mvtheory: 2 of 4 cells failed; the first, .*: {reason}\n", told.err)
    assert len(told.out.splitlines()) == 1 + 4


def test_failed_cells_are_computed_again_on_request(tmp_path):
    assert run(tmp_path, SWEEP.replace("[1, 2]", "[1, 13]"), "--retry") == 1


def test_damaged_cells_are_reported_and_computed_again(tmp_path, capsys):
    assert run(tmp_path, SWEEP, "--store", str(tmp_path)) == 0
    table = capsys.readouterr().out
    file = next(tmp_path.glob("*.result"))
    file.write_bytes(file.read_bytes()[:-1])
    assert run(tmp_path, SWEEP, "--store", str(tmp_path)) == 0
    again = capsys.readouterr()
    assert re.fullmatch(rf"mvtheory: {file}: .*; a run computes this cell again\n", again.err)
    assert len(again.out.splitlines()) == len(table.splitlines())


def test_a_table_that_cannot_be_saved_is_printed(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert run(tmp_path, SWEEP, "--save", str(tmp_path / "file" / "table.csv")) == 2
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 1 + 4
    assert re.fullmatch(r"mvtheory: --save .*table\.csv: .*\n", told.err)


@pytest.mark.slow
def test_a_table_is_saved_though_nobody_reads_it(tmp_path):
    file, table = tmp_path / "do.toml", tmp_path / "table.csv"
    file.write_text(SWEEP, encoding="utf-8")
    reading, writing = os.pipe()
    os.close(reading)
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    told = subprocess.run(
        [sys.executable, "-m", "mvtheory", str(file), "--quiet", "--save", str(table), "--trust", str(ROOT / "tests")],
        env=os.environ | {"PYTHONPATH": path}, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=100,
    )  # fmt: skip
    os.close(writing)
    assert (told.returncode, told.stderr) == (0, "")
    assert len(table.read_text().splitlines()) == 1 + 4


def test_a_byte_order_mark_is_taken(tmp_path):
    assert run(tmp_path, "\N{BYTE ORDER MARK}" + SWEEP) == 0


@pytest.fixture
def module_path(monkeypatch):
    """Leave the path of modules, and the modules, as they were."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.usefixtures("module_path")
def test_a_study_in_the_folder_of_the_file_is_taken_and_none_elsewhere_unless_it_is_trusted(
    tmp_path, monkeypatch, capsys
):
    code = "print('imported')\ndef twice(width, seed, draw): return {'twice': 2 * width}"
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"module_{folder}.py").write_text(code)
    monkeypatch.chdir(tmp_path / "there")
    monkeypatch.syspath_prepend(tmp_path / "there")
    text = SWEEP.replace("test_main:half", "module_here:twice")
    assert run(tmp_path / "here", text) == 0
    assert "twice" in capsys.readouterr().out
    text = text.replace("module_here", "module_there")
    assert run(tmp_path / "here", text) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert re.search(
        rf"study must lie in .*or be installed; got .*module_there.py: .* --trust {tmp_path}/there$", told.err
    )
    assert run(tmp_path / "here", text, "--trust", str(tmp_path / "there")) == 0


@pytest.mark.usefixtures("module_path")
def test_a_study_may_be_part_of_what_is_installed(tmp_path, capsys):
    for name in ("mvtheory.experiments.scale:law", "json:dumps", "sys:exit", "numpy.linalg:norm"):
        assert run(tmp_path, SWEEP.replace("test_main:half", name)) == 2
        assert "grid must fit the function" in (error := capsys.readouterr().err) or "function must be a" in error


def test_a_study_that_cannot_be_imported_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(tmp_path)
    for name, code, reason in [
        ("fails_at_import", "raise KeyError('no\\nkey')", "KeyError: 'no"),
        ("exits_at_import", "raise SystemExit('bye')", "SystemExit: bye"),
        ("is_no_python", "def f(:", "SyntaxError: invalid syntax"),
    ]:
        (tmp_path / f"{name}.py").write_text(code)
        assert run(tmp_path, SWEEP.replace("test_main:half", f"{name}:x")) == 2
        told = capsys.readouterr()
        assert told.err.startswith("mvtheory: ")
        assert told.err.count("\n") == 1
        assert f"got '{name}:x'" in told.err
        assert reason in told.err


# claims


def test_claims_print_predicted_and_measured(tmp_path, capsys):
    status = run(tmp_path, CLAIM)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "claim",
        "predicted",
        "measured",
        "[95%",
        "interval]",
        "nets",
        "data",
        "sets",
        "verdict",
    ]
    assert [line.split()[0] for line in lines[1:]] == ["single", "multi"]
    assert status == 1  # one step is too few
    assert lines[2].endswith("fails")


@pytest.fixture
def failing(monkeypatch):
    """Let the second of the claims of a file end with an error."""

    def put(raised):
        def measured(name, **options):
            if name == "multi":
                raised()
            return measure(name, **options)

        monkeypatch.setattr("mvtheory.experiments.measure", measured)

    return put


def test_an_error_of_the_setting_is_one_line_after_the_claims_that_were_measured(tmp_path, capsys, failing):
    failing(lambda: check_int("m", -1, low=0))
    table = tmp_path / "claims.csv"
    assert run(tmp_path, CLAIM, "--save", str(table)) == 2
    told = capsys.readouterr()
    assert [line.split()[0] for line in told.out.splitlines()] == ["claim", "single"]
    assert list(pd.read_csv(table)["claim"]) == ["single"]
    assert told.err.splitlines()[-1].endswith("do.toml: claim 'multi': m must be an integer >= 0; got -1")


@pytest.mark.parametrize("error", [KeyError("a bug"), KeyboardInterrupt(), ZeroDivisionError("a bug")], ids=repr)
def test_a_fault_of_the_package_keeps_its_traceback_and_the_claims_that_were_measured(tmp_path, capsys, failing, error):
    def fail():
        raise error

    failing(fail)
    with pytest.raises(type(error)) as raised:
        run(tmp_path, CLAIM)
    assert raised.traceback[-1].name == "fail"
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["claim", "single"]


def test_an_error_of_the_first_claim_prints_no_table(tmp_path, capsys):
    text = CLAIM.replace("n_multi_view = 60", "n_multi_view = 0")
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        assert run(tmp_path, text) == 2
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
    told = capsys.readouterr()
    assert told.out == ""
    assert re.fullmatch(r"mvtheory: .*do\.toml: claim 'single': .*\n", told.err)


# the files that come with the package


@pytest.mark.slow
@pytest.mark.parametrize("file", EXAMPLES, ids=lambda path: path.stem)
def test_examples_run_when_they_are_made_small(file, tmp_path, capsys):
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    text = file.read_text(encoding="utf-8").replace("k = [10, 30]", "k = [10]").replace("jobs = 2", "jobs = 1")
    if content["kind"] == "claim":
        text = (
            text.replace("draws = [31, 32, 33]", "draws = [31, 32]")
            + "schedule.steps = 5\nschedule.warn = false\ntest_multi_view = 50\n"
        )
    assert run(tmp_path, text) in ((0, 1) if content["kind"] == "claim" else (0,))
    out = capsys.readouterr().out.splitlines()
    assert len(out) > 1
    assert f"python -m mvtheory examples/{file.name}" in file.read_text()


# the command


def test_help_tells_the_files_and_the_status(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    told = capsys.readouterr().out
    for word in ('kind = "sweep"', 'kind = "claim"', "--save", "--scheduler", "exit status"):
        assert word in told


@pytest.mark.slow
def test_a_wrong_file_is_one_line_and_status_2(tmp_path):
    command = [sys.executable, "-m", "mvtheory", tmp_path / "missing.toml"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=ROOT)
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr == f"mvtheory: {tmp_path / 'missing.toml'}: No such file or directory\n"


def test_a_pipe_is_refused_before_anything_waits_for_it(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    assert main([str(tmp_path / "pipe")]) == 2
    assert capsys.readouterr().err == f"mvtheory: {tmp_path / 'pipe'}: Not a regular file\n"


def test_list_names_claims_and_studies(capsys):
    assert main(["--list"]) == 0
    told = capsys.readouterr().out
    assert all(f"  {name} " in told for name in [*CLAIMS, *STUDIES])


@pytest.mark.parametrize(
    ("text", "options", "match"),
    [
        ("kind = ", (), "do.toml: not a TOML file: Invalid value"),
        ("", (), "do.toml: kind must be one of 'sweep', 'claim'; got None"),
        (SWEEP + "dephth = 3", (), "keys must be among kind, study, grid, seeds, .*; got 'dephth'"),
        ('kind = "sweep"\nstudy = "law"', (), "do.toml: grid must be given"),
        (SWEEP.replace("test_main:half", "lwa"), (), "study must be one of 'law', 'step', or .*; got 'lwa'"),
        (SWEEP.replace("test_main:half", "no.such:x"), (), "got 'no.such:x': .*No module named 'no'"),
        (SWEEP.replace("test_main:half", "test_main:x"), (), "got 'test_main:x': .*'test_main' has no attribute"),
        (SWEEP.replace('"test_main:half"', '["law"]'), (), r"study must be one of .*; got \['law'\]"),
        (SWEEP.replace('"test_main:half"', "3"), (), "study must be one of .*; got 3"),
        (SWEEP + 'retry = "no"', (), "retry must be True or False; got 'no'"),
        (SWEEP + "scheduler = 3", (), r"backend \(with a scheduler\) must be one of 'dask'"),
        (SWEEP.replace("[1, 2]", "[" * 10_000 + "]" * 10_000), (), "do.toml: not a TOML file: .*recursion"),
        (SWEEP.replace("[1, 2]", "[1" + "0" * 5000 + "]"), (), "do.toml: not a TOML file: Exceeds the limit"),
        (SWEEP.replace("[1, 2]", "[0x" + "f" * 5000 + "]"), (), "do.toml: not a TOML file: Exceeds the limit"),
        (SWEEP.replace("[1, 2]", "[1e999]"), (), r"grid\['width'\] must hold JSON values only"),
        (SWEEP.replace("[1, 2]", "[2026-01-01]"), (), r"grid\['width'\] must hold JSON values only"),
        (SWEEP + "store = '~no-such-user/x'", (), "do.toml: .*home directory"),
        (SWEEP.replace("test_main:half", "test_main:ROOT"), (), "function must be a function; got"),
        (SWEEP.replace("width", "w"), (), r"do.toml: grid must fit the function half\(width, seed, draw\)"),
        (SWEEP.replace("[1, 2]", "1"), (), r"grid\['width'\] must be a list of values; got 1"),
        (SWEEP.replace("[0, 1]", "[-1]"), (), "seeds must be an integer >= 0; got -1"),
        (SWEEP, ("--backend", "moon"), "backend must be one of 'sequential', 'loky', 'dask'; got 'moon'"),
        (SWEEP, ("--jobs", "0"), "jobs must be an integer >= 1; got 0"),
        (SWEEP, ("--save", "table.xls"), "--save must end in one of .csv, .md, .parquet; got table.xls"),
        (CLAIM, ("--jobs", "2"), "--jobs is for sweeps; .* has kind 'claim'"),
        (CLAIM.replace('"multi"', '"mutli"'), (), "claim must be one of 'single', .*; got 'mutli'"),
        (
            CLAIM.replace("[31, 32, 33, 34]", "[31]"),
            (),
            r"draws must be at least 2 different numbers of data sets; got \(31,\)",
        ),
        (CLAIM.replace("[31, 32, 33, 34]", "[0, 1]"), (), "draws must be an integer >= 1; got 0"),
        (CLAIM.replace("students", "student"), (), "setting must have keys among task, .*; got 'student'"),
        (CLAIM.replace("k = 3", "k = 1"), (), "setting.task: k must be an integer >= 2; got 1"),
        (CLAIM.replace("steps", "stops"), (), "setting.schedule must have keys among .*; got 'stops'"),
        (CLAIM.replace("members = 2", "members = 2.5"), (), "setting.members must be an integer >= 0; got 2.5"),
        (CLAIM.replace("members = 2", 'members = "2"'), (), "setting.members must be a number; got '2'"),
        (CLAIM.replace("members = 2", "members = 0"), (), "setting: members must be an integer >= 1; got 0"),
        (CLAIM.replace("members = 2", "members = 10_000_000"), (), "setting: members must be an integer <= 10000; got"),
        (CLAIM.replace("steps = 1", "seed = 1e3"), (), "setting.schedule.seed must be an integer >= 0; got 1000.0"),
        (CLAIM, ("--trust", "."), "--trust is for sweeps; .* has kind 'claim'"),
    ],
)
def test_errors_are_one_line_that_names_file_key_value_and_what_is_allowed(tmp_path, capsys, text, options, match):
    jaxtyping.config.update("jaxtyping_disable", True)  # the package's own checks speak, as they do to users
    try:
        assert run(tmp_path, text, *options) == 2
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
    told = capsys.readouterr()
    assert told.out == ""
    assert re.search(match, told.err), told.err
    assert told.err.count("\n") == 1
    assert told.err.startswith("mvtheory: ")
