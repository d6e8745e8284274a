"""The page of reproducibility shows a GPU's record, or says that there is none."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RECORD = {
    "date": "2026-01-02",
    "machine": "a GPU",
    "torch": "2",
    "book's setting": "Setting(k=3)",
    "speed": [
        {"k": 3, "m": 2, "d": 8, "P": 4, "N": 20, "L": 2,
         "seconds": {"mvtheory": 0.004, "torch.func.vmap": 0.01, "matrix products": 0.001}},
    ],
    "setting": {"single": [0.5, 0.48], "ensemble": [0.0, 0.01]},
    "stacked": {"one blank": {"single": [0.2, 0.3], "midpoint": [0.1]}},
}  # fmt: skip


@pytest.fixture
def gpu_run(monkeypatch):
    """The extension, which lies beside the book."""
    monkeypatch.syspath_prepend(ROOT / "book/_ext")
    return importlib.import_module("gpu_run")


def cells(tables):
    """Return the text of each row of some tables."""
    rows = [row for table in tables for row in table.findall(lambda node: node.tagname == "row")]
    return [[entry.astext() for entry in row.children] for row in rows]


def test_a_record_of_another_setting_says_so(gpu_run):
    assert gpu_run.source(RECORD, "Setting(k=3)") == "Recorded on 2026-01-02: a GPU, PyTorch 2."
    assert gpu_run.source(RECORD, "Setting(k=4)").endswith(" The book's setting was another one then.")


def test_errors_are_means_with_their_number(gpu_run):
    assert cells(gpu_run.errors(RECORD)) == [
        ["error (nets or data sets)", "book's setting", "plain", "stacked, one blank"],
        ["single", "0.4900 (2)", "–", "0.2500 (2)"],
        ["ensemble", "0.0050 (2)", "–", "–"],
        ["midpoint", "–", "–", "0.1000 (1)"],
    ]
    assert gpu_run.errors({}) == []


def test_speeds_are_in_milliseconds_with_the_share_of_the_products(gpu_run):
    sizes, *numbers = cells(gpu_run.speeds(RECORD))[1]
    assert sizes == "k = 3, m = 2, d = 8, P = 4, N = 20, L = 2"
    assert numbers == ["4.00", "10.00", "1.00", "25%"]
    assert gpu_run.speeds({"date": "today"}) == []


@pytest.mark.slow
def test_the_script_runs_every_part_without_a_gpu(gpu_run, tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks/gpu.py", "--small"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    parts = {line.partition(" ")[0]: json.loads(line.partition(" ")[2]) for line in done.stdout.splitlines()}
    record = {"date": "", **parts}
    assert set(parts) == {"speed", "setting", "plain", "stacked"}
    assert len(cells(gpu_run.errors(record))) == 8
    assert len(cells(gpu_run.speeds(record))) == 2
