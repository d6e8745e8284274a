"""The example of the README, run as its reader would run it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def example():
    """Return the first block of Python."""
    return re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)[0]


def errors_printed(code):
    """Run the example, and return the errors by name, and what it says beside them."""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    table = {line.split()[0]: [float(x) for x in re.findall(r"[\d.]+", line)] for line in run.stdout.splitlines()}
    assert set(table) == {"single", "ensemble", "student"}
    return table, run.stderr


@pytest.mark.slow
def test_the_example_trains_ensembles_distils_and_prints_the_table():
    table, _ = errors_printed(example())
    mean = sum(table["single"]) / len(table["single"])
    # Each of 6 x 8 (net, class) loses one view of two: one standard deviation of the mean error is 0.5 / sqrt(48).
    assert abs(mean - 0.5) < 4 * 0.5 / 48**0.5
    assert max(*table["ensemble"], *table["student"]) < mean / 2


@pytest.mark.slow
@pytest.mark.parametrize("sigma_0", ["0.3", "0.02"])
def test_a_steeper_power_and_more_views_want_a_larger_start(sigma_0):
    """With a small one the training set is not learned, and a warning says so."""
    code = example()
    for old, new in (("P=16", "M=3, P=24"), ("q=3", "q=5"), ("sigma_0=0.02", f"sigma_0={sigma_0}")):
        assert code.count(old) == 1
        code = code.replace(old, new)
    table, said = errors_printed(code)
    assert ("have training errors left" in said) == (sigma_0 == "0.02")
    if sigma_0 == "0.3":
        assert max(table["ensemble"]) < 0.05 < 0.4 < sum(table["single"]) / len(table["single"]) < 0.8


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
