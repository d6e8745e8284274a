"""The example of the README, run as its reader would run it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_example_trains_ensembles_distils_and_prints_the_table():
    code = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)[0]
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    table = {line.split()[0]: [float(x) for x in re.findall(r"[\d.]+", line)] for line in run.stdout.splitlines()}
    assert set(table) == {"single", "ensemble", "student"}
    mean = sum(table["single"]) / len(table["single"])
    # Each of 6 x 8 (net, class) loses one view of two: one standard deviation of the mean error is 0.5 / sqrt(48).
    assert abs(mean - 0.5) < 4 * 0.5 / 48**0.5
    assert max(*table["ensemble"], *table["student"]) < mean / 2


def test_the_sweep_of_the_readme_is_one(monkeypatch):
    """Its cells are those that it names; they are not computed here."""
    code = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    seen = []
    monkeypatch.setattr("mvtheory.sweeps.sweep.Sweep.run", lambda *args, **options: seen.append((args, options)))
    exec(code, {})
    ((sweep, backend), options), *_ = seen
    assert (backend, options, len(sweep.cells)) == ("loky", {"jobs": 8}, 3 * 2 * 5)


def test_the_commands_of_the_readme_name_files_that_are_there():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    files = re.findall(r"python -m mvtheory (\S+\.toml)", text)
    assert len(files) >= 2
    assert all((ROOT / file).is_file() for file in files)
