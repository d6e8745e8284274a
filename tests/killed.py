"""Train in processes that are killed at random moments, and print what became of the work, as JSON.

One warm process forks all others, since each start of Python and torch would take seconds.
"""

import json
import os
import random
import signal
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from reference import small_problem
from torch import Tensor

from mvtheory import CrossEntropy, MultiView, Schedule, SReLU, train
from mvtheory.persistence.identity import identity
from mvtheory.training import Run

VIEWS = MultiView(k=3, P=6, d=8, s=1).views.double()
SCHEDULES = {
    "gd": Schedule(steps=200, stop_loss=0.1, max_change=0.1, record_every=2),
    "adam": Schedule(steps=70, stop_loss=0, record_every=3, optimizer="adam", eta=0.01, batch=7, seed=5),
}
THINGS = [{"a", "b", "c"}, SReLU(3), torch.arange(4.0).view(2, 2).T, partial(max, 2), max]
KILLS = 16  # of each, after the first step and before the last


@dataclass(frozen=True)
class Logged:
    """The cross-entropy, which writes a dot to a file at each step."""

    y: Tensor
    log: Path
    joint: bool = False

    def __call__(self, F: Tensor, rows: Tensor, nets: Tensor) -> tuple[Tensor, Tensor]:
        with open(self.log, "a") as file:
            file.write(".")
        return CrossEntropy(self.y)(F, rows, nets)


def steps_on_disk(path: Path) -> int:
    """Return the step of the last checkpoint, -1 if there is none."""
    for file in (path, path.with_name(f"{path.name}.previous")):
        if file.exists():
            return int(Run.load(file).history.step[-1])
    return -1


def same(first: Run, second: Run) -> bool:
    a, b = ({"W": run.nets.W, **vars(run.history)} for run in (first, second))
    return all(torch.equal(a[name], b[name]) for name in a)


def lives(schedule: Schedule, folder: Path, rng: random.Random) -> dict:
    """Kill trainings until there were enough kills and the last training is done."""
    nets, data = small_problem(n=40, sigma_0=0.1, noise_signal=0.0, noise_background=0.0)
    log, path = folder / "log", folder / "run"
    task = (nets, data, Logged(data.y, log), schedule)
    uninterrupted = train(*task, views=VIEWS)
    start = time.perf_counter()
    train(*task, views=VIEWS, checkpoint=path, every=0)
    span = (time.perf_counter() - start) / 12
    told, equal, torn, kills = [], [], 0, 0
    fresh = True
    while kills < KILLS or not fresh:
        assert span < 10, f"processes hang: {told[-9:]}"
        if fresh:
            for file in folder.iterdir():
                file.unlink()
        begin = steps_on_disk(path)
        log.write_text("")
        child = os.fork()
        if not child:
            try:
                train(*task, views=VIEWS, checkpoint=path, every=0)
                os._exit(0)
            except BaseException as error:
                print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        signal.sigtimedwait({signal.SIGCHLD}, rng.uniform(0, span))
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        signal.sigtimedwait({signal.SIGCHLD}, 0)
        fresh = not os.WIFSIGNALED(status)
        if fresh:
            assert os.WEXITSTATUS(status) == 0
            log.write_text("")
            equal.append(same(train(*task, views=VIEWS, checkpoint=path), uninterrupted) and not log.read_text())
            span *= 0.7
        else:
            kills += bool(log.read_text())
            torn += any(folder.glob("*.tmp"))
            told.append((begin, len(log.read_text()), steps_on_disk(path)))
            span *= 1.2 if told[-1][2] == begin else 1  # the machine is slow
    files = sorted(file.name for file in folder.iterdir())
    history = uninterrupted.history
    ends = [int((loss == loss[-1]).int().argmax()) for loss in history.loss.T]
    return {"told": told, "equal": equal, "torn": torn, "files": files, "ends": history.step[ends].tolist()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})  # waited for
    folder, rng = Path(sys.argv[1]), random.Random(1)
    found: dict = {"identity": identity(THINGS)}
    for name, schedule in SCHEDULES.items():
        (folder / name).mkdir()
        found[name] = lives(schedule, folder / name, rng)
    print(json.dumps(found))
