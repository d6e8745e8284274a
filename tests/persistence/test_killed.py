"""Other processes: killed at random moments, stopped by the button of Jupyter."""

import json
import subprocess
import sys
import time
from pathlib import Path

import jupyter_client.manager
import pytest
from killed import THINGS

from mvtheory.persistence.identity import identity
from mvtheory.training import Run

pytestmark = pytest.mark.slow


def test_killed_at_random_moments_training_goes_on_to_the_same_bits(tmp_path):
    """SIGKILL, more than thirty times, amid steps and amid writing."""
    script = Path(__file__).parents[1] / "killed.py"
    run = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, timeout=200)
    assert (run.returncode, run.stderr) == (0, "")
    found = json.loads(run.stdout)
    assert found.pop("identity") == identity(THINGS)  # whatever the process, which hashes strings its own way
    hits = [life for kind in found.values() for life in kind["told"] if life[1]]
    assert len(hits) >= 30
    for kind in found.values():
        assert kind["equal"]
        assert all(kind["equal"])
        for begin, computed, end in kind["told"]:
            assert begin <= end
            # It began where the last one left off, and lost no more than the step that was being computed or written.
            assert max(begin, 0) + computed - 1 <= end + 1 or not computed
        assert kind["files"] == ["log", "run", "run.lock", "run.previous"]
    assert len(set(found["gd"]["ends"])) > 1  # nets that had stopped before stay so


CELL = """
import sys
sys.path.insert(0, {tests!r})
from reference import small_problem
from mvtheory import Schedule, train
from mvtheory.training import Run
nets, data = small_problem()
forever = Schedule(steps=10**9, stop_loss=0, record_every=10**6)
train(nets, data, schedule=forever, checkpoint={path!r}, every=0)
"""


def test_the_stop_button_of_jupyter(tmp_path):
    path = tmp_path / "run"
    manager, client = jupyter_client.manager.start_new_kernel(kernel_name="python3")
    try:
        cell = CELL.format(tests=str(Path(__file__).parents[1]), path=str(path))
        asked = client.execute(cell, stop_on_error=False)  # otherwise the next request may be dropped
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not (path.exists() and Run.load(path).history.step[-1] > 5):
            time.sleep(0.05)
        manager.interrupt_kernel()
        reply = client.get_shell_msg(timeout=200)
        while reply["parent_header"]["msg_id"] != asked:
            reply = client.get_shell_msg(timeout=200)
        told = client.execute_interactive(
            "print(sys.last_value.run.history.step[-1].item())", output_hook=lambda _: None
        )
        assert told["content"]["status"] == "ok"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert reply["content"]["ename"] == "Interrupted"
    end = int(Run.load(path).history.step[-1])
    assert reply["content"]["evalue"].startswith(f"stopped at step {end}; the work so far is in {path}, and the same")
