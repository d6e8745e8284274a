"""Nothing is lost: kills, damage, interrupts, full disks, and other people's files."""

import math
import os
import random
import signal
import subprocess
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from reference import refused, small_problem
from torch import Tensor

import mvtheory.training
from mvtheory import (
    AverageCrossEntropy,
    CrossEntropy,
    Distillation,
    MultiView,
    OnOff,
    PatchNets,
    Schedule,
    SReLU,
    Temperature,
    save,
    train,
)
from mvtheory.persistence import sources
from mvtheory.persistence.checkpoint import Checkpoint
from mvtheory.persistence.identity import identity
from mvtheory.persistence.store import LockedError, StoreError, load
from mvtheory.reduced.reduction import reduce_to_own_views
from mvtheory.training import Diverged, Interrupted, Run

VIEWS = MultiView(k=3, P=6, d=8, s=1).views.double()
SCHEDULE = Schedule(steps=40, stop_loss=0.1, max_change=0.2, record_every=4, warn=False)


def learnable():
    return small_problem(n=40, sigma_0=0.1, noise_signal=0.0, noise_background=0.0)


def same(first: Run, second: Run) -> bool:
    """Whether two runs are the same, bit for bit."""
    a, b = ({"W": run.nets.W, **vars(run.history)} for run in (first, second))
    return all(torch.equal(a[name], b[name]) for name in a)


class Steps:
    """Counts the steps that are computed; `act` is called before step number `at` of the call at hand."""

    def __init__(self, monkeypatch) -> None:
        real = mvtheory.training.loss_and_gradient

        def counted(*args):
            self.count += 1
            self.sizes.append(len(args[0]))
            if self.count == self.at + 1 and self.act:
                self.act()
            return real(*args)

        self.then()
        monkeypatch.setattr(mvtheory.training, "loss_and_gradient", counted)

    def then(self, at: float = math.inf, act=None) -> None:
        self.count, self.at, self.act = 0, at, act
        self.sizes: list[int] = []  # nets at work


@pytest.fixture
def steps(monkeypatch):
    return Steps(monkeypatch)


def throw(error: BaseException):
    raise error


# Going on

PROBLEMS = {
    "gradient descent": (None, SCHEDULE),
    "each step recorded": (None, replace(SCHEDULE, record_every=1)),
    "hardly a step recorded": (None, replace(SCHEDULE, record_every=1000)),
    "joint": (AverageCrossEntropy, SCHEDULE),
    "distillation": (lambda y: Distillation(y, torch.ones(3, len(y), 3).double()), SCHEDULE),
    "sgd": (None, Schedule(steps=30, optimizer="sgd", eta=0.1, batch=7, seed=3, stop_loss=0)),
    "adam": (None, Schedule(steps=30, optimizer="adam", eta=0.02, batch=11, seed=3, stop_loss=0)),
    "adam on all": (None, Schedule(steps=30, optimizer="adam", eta=0.02, warn=False)),
}


@pytest.mark.parametrize(("objective", "schedule"), PROBLEMS.values(), ids=PROBLEMS.keys())
def test_every_kind_of_training_goes_on_to_the_same_bits(objective, schedule, tmp_path, steps):
    nets, data = learnable()
    task = nets, data, objective and objective(data.y), schedule
    whole = train(*task, views=VIEWS)
    total, sizes = steps.count, steps.sizes
    for number, at in enumerate([1, 5, 13, total - 1]):
        path = tmp_path / f"{number}"
        steps.then(at, lambda: throw(KeyboardInterrupt()))
        with pytest.raises(Interrupted):
            train(*task, views=VIEWS, checkpoint=path)
        assert Run.load(path).history.step[-1] == at - 1
        steps.then()
        assert same(train(*task, views=VIEWS, checkpoint=path), whole)
        assert steps.sizes == sizes[at - 1 :]  # the step that the file tells is looked at again
        steps.then()
        assert same(train(*task, views=VIEWS, checkpoint=path), whole)
        assert steps.count == 0  # finished


def test_nets_of_the_reduction_and_of_single_precision_go_on(tmp_path, steps):
    task = MultiView(k=3, P=6, d=8, s=1, noise_signal=0, noise_background=0)
    nets = PatchNets.init(3, k=3, m=4, d=8, sigma_0=0.1, seed=0, activation=SReLU(3, 2.0))
    small, data, views = reduce_to_own_views(nets, task.sample(40, seed=0), task.views)
    whole = train(small, data, views=views)
    total = steps.count
    steps.then(total // 2, lambda: throw(KeyboardInterrupt()))
    with pytest.raises(Interrupted):
        train(small, data, views=views, checkpoint=tmp_path / "run")
    again = train(small, data, views=views, checkpoint=tmp_path / "run")
    assert same(again, whole)
    assert type(again.nets) is type(small)


def test_without_a_checkpoint_and_with_one_the_run_is_the_same(tmp_path):
    nets, data = learnable()
    assert same(train(nets, data, schedule=SCHEDULE), train(nets, data, schedule=SCHEDULE, checkpoint=tmp_path / "a/b"))
    assert sorted(os.listdir(tmp_path / "a")) == ["b", "b.lock", "b.previous"]


def test_how_often_is_a_matter_of_seconds(tmp_path, monkeypatch, steps):
    written = []
    write = Checkpoint.write

    def told(self, tensors, state):
        written.append(int(tensors["step"][-1]))
        write(self, tensors, state)

    clock = [100.0]
    monkeypatch.setattr(Checkpoint, "write", told)
    monkeypatch.setattr("mvtheory.persistence.checkpoint.time.monotonic", lambda: clock[0] + 0.3 * steps.count)
    nets, data = small_problem()
    train(nets, data, schedule=Schedule(steps=20, stop_loss=0), checkpoint=tmp_path / "seldom", every=2.0)
    assert written == [0, 6, 13, 20, 20]  # 7 steps take 2.1 seconds; the last but one is due with the last step
    written.clear()
    train(nets, data, schedule=Schedule(steps=3, stop_loss=0), checkpoint=tmp_path / "often", every=0)
    assert written == [0, 0, 1, 2, 3, 3]
    with refused(ValueError, r"every must be a finite number in \[0, inf\); got -1"):
        train(nets, data, checkpoint=tmp_path / "never", every=-1.0)


def test_the_bar_goes_on_where_it_was(tmp_path, steps, capsys):
    nets, data = small_problem()
    task = nets, data, None, Schedule(steps=9, stop_loss=0)
    steps.then(5, lambda: throw(KeyboardInterrupt()))
    with pytest.raises(Interrupted):
        train(*task, checkpoint=tmp_path / "run")
    capsys.readouterr()
    train(*task, checkpoint=tmp_path / "run", progress=True)
    bar = capsys.readouterr().err
    assert "4/10" in bar
    assert "0/10" not in bar.replace("10/10", "")


# Damage and other people's files


@pytest.fixture
def stopped(tmp_path, steps):
    """Return a task, its uninterrupted run, and a checkpoint of step 9 with that of step 8 beside it."""
    nets, data = learnable()
    task = nets, data, CrossEntropy(data.y), SCHEDULE
    whole, path = train(*task), tmp_path / "run"
    for count in (9, 2):  # the second begins with step 8
        steps.then(count, lambda: throw(KeyboardInterrupt()))
        with pytest.raises(Interrupted):
            train(*task, checkpoint=path)
    steps.then()
    return task, whole, path


def flip(data: bytes) -> bytes:
    return data[:777] + bytes([data[777] ^ 4]) + data[778:]


DAMAGE = {"a flipped bit": flip, "cut": lambda d: d[:-100], "empty": lambda d: b"", "zeros": lambda d: bytes(len(d))}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_where_the_last_is_damaged_the_one_before_is_taken(damage, stopped, steps):
    task, whole, path = stopped
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(UserWarning, match=r"run: .*damaged.*; going on from the one before, \S+run.previous"):
        assert same(train(*task, checkpoint=path), whole)
    total = int(whole.history.step[-1])
    assert steps.count == total - 8 + 1
    assert same(train(*task, checkpoint=path), whole)


def test_a_damaged_file_never_replaces_the_one_before(stopped, steps):
    task, whole, path = stopped
    good = path.with_name("run.previous").read_bytes()
    path.write_bytes(flip(path.read_bytes()))
    steps.then(3, lambda: throw(SystemExit(1)))
    with pytest.warns(UserWarning, match="going on"), pytest.raises(SystemExit):
        train(*task, checkpoint=path)
    assert path.with_name("run.previous").read_bytes() == good
    assert same(train(*task, checkpoint=path), whole)


def test_killed_between_the_two_renames_the_one_before_is_taken(stopped):
    task, whole, path = stopped
    path.unlink()
    with warnings.catch_warnings(action="error"):
        assert same(train(*task, checkpoint=path), whole)


def test_where_all_is_damaged_training_says_so_and_writes_over_nothing(stopped, steps):
    task, _, path = stopped
    files = [path, path.with_name("run.previous")]
    for file in files:
        file.write_bytes(flip(file.read_bytes()))
    before = [file.read_bytes() for file in files]
    with pytest.raises(
        StoreError, match=r"run: .*damaged.*; .*run.previous: .*damaged.*; choose another name, or remove it"
    ):
        train(*task, checkpoint=path)
    assert [file.read_bytes() for file in files] == before
    assert steps.count == 0


def other_tasks():
    nets, data = learnable()
    y, flat = data.y, torch.zeros(3, 40, 3).double()
    one = Distillation(y, flat)
    return {
        "nets": ((nets, data), (replace(nets, W=nets.W * 1.0000001), data)),
        "activation": ((nets, data), (replace(nets, activation=SReLU(2, 0.5)), data)),
        "number of nets": ((nets, data), (nets[:2], data)),
        "inputs": ((nets, data), (nets, replace(data, x=data.x.flip(0)))),
        "labels": ((nets, data), (nets, replace(data, y=data.y.flip(0)))),
        "kind": ((nets, data), (nets, data, AverageCrossEntropy(y))),
        "teacher": ((nets, data, one), (nets, data, Distillation(y, nets(data.x)))),
        "rule": ((nets, data, one), (nets, data, Distillation(y, flat, OnOff(0.2)))),
        "kind of rule": ((nets, data, one), (nets, data, Distillation(y, flat, Temperature()))),
        "weight": ((nets, data, one), (nets, data, Distillation(y, flat, weight=2.0))),
        "schedule": ((nets, data), (nets, data, None, replace(SCHEDULE, eta=99.0))),
    }


PART = {"nets": "nets", "activation": "nets", "number of nets": "nets", "inputs": "data.x", "schedule": "schedule"}


@pytest.mark.parametrize("name", other_tasks().keys())
def test_a_checkpoint_of_another_training_is_refused_by_name(name, tmp_path, steps):
    first, second = ((*task, *(None,) * (3 - len(task)), SCHEDULE)[:4] for task in other_tasks()[name])
    train(*first, checkpoint=tmp_path / "run")
    before = (tmp_path / "run").read_bytes()
    steps.then()
    match = rf"run: a checkpoint of another task, with other {PART.get(name, 'objective')}; choose another name"
    with pytest.raises(StoreError, match=match):
        train(*second, checkpoint=tmp_path / "run")
    (tmp_path / "run").unlink()
    with pytest.raises(StoreError, match=r"run\.previous: a checkpoint of another task"):
        train(*second, checkpoint=tmp_path / "run")
    assert steps.count == 0
    (tmp_path / "run").write_bytes(before)
    assert same(train(*first, checkpoint=tmp_path / "run"), train(*first))


def test_views_belong_to_the_task(tmp_path):
    nets, data = learnable()
    train(nets, data, schedule=SCHEDULE, views=VIEWS, checkpoint=tmp_path / "run")
    with pytest.raises(StoreError, match="with other views"):
        train(nets, data, schedule=SCHEDULE, checkpoint=tmp_path / "run")


@pytest.mark.parametrize("kind", ["text", "run", "folder"])
def test_a_file_of_something_else_is_never_written_over(kind, tmp_path, steps):
    nets, data = learnable()
    path = tmp_path / "thesis"
    if kind == "text":
        path.write_text("three years of work")
    elif kind == "run":
        train(nets, data, schedule=SCHEDULE).save(path)
    else:
        path.mkdir()
    before = path.read_bytes() if path.is_file() else None
    steps.then()
    with pytest.raises(
        StoreError, match=r"(not a file of this package|not a checkpoint|Is a directory).*choose another name"
    ):
        train(nets, data, schedule=SCHEDULE, checkpoint=path)
    assert steps.count == 0
    assert before == (path.read_bytes() if path.is_file() else None)
    assert sorted(os.listdir(tmp_path)) == ["thesis", "thesis.lock"]


def test_going_on_with_other_software_is_told(stopped, monkeypatch):
    task, whole, path = stopped
    monkeypatch.setattr("mvtheory.training.torch.__version__", "9.9")
    with pytest.warns(UserWarning, match="run: goes on with other version of torch; the last bits may differ"):
        assert same(train(*task, checkpoint=path), whole)


def test_going_on_with_other_sources_is_told(stopped, monkeypatch):
    """The code of the user's own is a part of the task; that of the package is not."""
    task, whole, path = stopped
    monkeypatch.setattr("mvtheory.persistence.sources._version", lambda root: f"{root} of another version")
    sources._digest.cache_clear()
    try:
        with pytest.warns(UserWarning, match="goes on with other sources of the package; the last bits may differ"):
            assert same(train(*task, checkpoint=path), whole)
    finally:
        sources._digest.cache_clear()


def test_one_process_at_a_time(tmp_path, steps):
    nets, data = learnable()

    def second():
        with pytest.raises(LockedError, match=r"another process uses the checkpoint \S+run"):
            train(nets, data, checkpoint=tmp_path / "run")

    steps.then(2, second)
    train(nets, data, checkpoint=tmp_path / "run")
    assert steps.count > 3


def test_left_overs_of_killed_writers_are_removed(tmp_path):
    (tmp_path / ".run.abcdefgh.tmp").write_bytes(bytes(1000))
    train(*learnable(), schedule=SCHEDULE, checkpoint=tmp_path / "run")
    assert sorted(os.listdir(tmp_path)) == ["run", "run.lock", "run.previous"]


# Interrupts and errors


@pytest.fixture
def keyboard():
    """Listen to the keyboard, also where the tests are a job in the background, which starts with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("keyboard")
def test_an_interrupt_without_a_checkpoint_carries_the_run_so_far(steps):
    nets, data = small_problem()
    steps.then(7, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt, match=r"stopped at step [67]; the work so far is in the `run` of") as raised:
        train(nets, data, schedule=Schedule(steps=99, stop_loss=0, record_every=3), views=VIEWS)
    run = raised.value.run
    end = int(run.history.step[-1])
    assert type(raised.value) is Interrupted
    expected = train(nets, data, schedule=Schedule(steps=end, stop_loss=0, record_every=3), views=VIEWS)
    assert same(run, expected)


def test_before_the_first_step_an_interrupt_is_just_one(steps):
    steps.then(0, lambda: throw(KeyboardInterrupt("early")))
    with pytest.raises(KeyboardInterrupt, match="early") as raised:
        train(*small_problem())
    assert type(raised.value) is KeyboardInterrupt


@pytest.mark.parametrize("at", [0, 5])
def test_an_interrupt_that_hits_compiled_code_is_one(steps, at):
    def hit():
        try:
            throw(KeyboardInterrupt())
        except KeyboardInterrupt as error:
            raise SystemError("returned a result with an exception set") from error

    steps.then(at, hit)
    with pytest.raises(KeyboardInterrupt) as raised:
        train(*small_problem(), schedule=Schedule(steps=99, stop_loss=0))
    assert type(raised.value) is (Interrupted if at else KeyboardInterrupt)
    steps.then(at, lambda: throw(SystemError("of another kind")))
    with pytest.raises(SystemError, match="of another kind"):
        train(*small_problem(), schedule=Schedule(steps=99, stop_loss=0))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # an interrupt may hit a destructor
@pytest.mark.parametrize(("kept", "times"), [(False, 12), (True, 4)], ids=["in memory", "on disk"])
def test_interrupts_at_random_moments_meet_no_half_step(kept, times, tmp_path):
    nets, data = learnable()
    schedule = Schedule(steps=60, stop_loss=0, optimizer="adam", eta=0.02, batch=7, record_every=1)
    whole = train(nets, data, schedule=schedule)  # compiles
    start = time.perf_counter()
    train(nets, data, schedule=schedule)
    rng, hits = random.Random(2), 0
    span = time.perf_counter() - start
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for number in range(20 * times):  # on a busy machine some come too late
            if hits == times:
                break
            how = {"checkpoint": tmp_path / f"{number}", "every": 0.002} if kept else {}
            try:
                signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.1, 0.9) * span)
                train(nets, data, schedule=schedule, **how)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt as error:
                run = getattr(error, "run", None)
                if run is not None:
                    hits += 1
                    end = len(run.history.step)
                    part = {name: value[:end] for name, value in vars(whole.history).items()}
                    assert same(run, Run(run.nets, type(run.history)(**part)))
                    stop = replace(schedule, steps=max(end - 1, 1))
                    assert end == 1 or torch.equal(run.nets.W, train(nets, data, schedule=stop).nets.W)
            if kept:
                assert same(train(nets, data, schedule=schedule, **how), whole)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert hits == times


def test_divergence_carries_the_last_finite_run(tmp_path):
    nets, data = small_problem()
    wild = Schedule(steps=9, stop_loss=0, optimizer="sgd", eta=1e308, record_every=2)
    for how in [{}, {"checkpoint": tmp_path / "run"}, {"checkpoint": tmp_path / "run"}]:
        with pytest.raises(Diverged, match=r"not finite at step \d") as raised:
            train(nets, data, schedule=wild, views=VIEWS, **how)
        run, step = raised.value.run, int(str(raised.value).split("step ")[1][0])
        assert run.history.step[-1] == step - 1
        assert run.history.loss.isfinite().all()
        assert same(run, train(nets, data, schedule=replace(wild, steps=step - 1), views=VIEWS))
        assert f"Step {step - 1} was the last complete one" in raised.value.__notes__[0]
    assert same(Run.load(tmp_path / "run"), run)


@dataclass(frozen=True)
class Hopeless:
    y: Tensor
    joint: bool = False

    def __call__(self, F: Tensor, rows: Tensor, nets: Tensor) -> tuple[Tensor, Tensor]:
        return F[..., 0] / 0, F


def test_an_initial_loss_that_is_not_finite_has_no_run():
    nets, data = small_problem()
    with pytest.raises(Diverged, match="at step 0") as raised:
        train(nets, data, Hopeless(data.y))
    assert raised.value.run is None


def test_errors_of_an_objective_lose_nothing(tmp_path, steps):
    nets, data = learnable()
    whole = train(nets, data, schedule=SCHEDULE)
    for how in [{}, {"checkpoint": tmp_path / "run"}]:
        steps.then(9, lambda: throw(ZeroDivisionError("my own")))
        with pytest.raises(ZeroDivisionError, match="my own") as raised:
            train(nets, data, schedule=SCHEDULE, **how)
        assert raised.value.run.history.step[-1] == 8
    steps.then()
    assert same(train(nets, data, schedule=SCHEDULE, checkpoint=tmp_path / "run"), whole)
    assert steps.count == whole.history.step[-1] - 8 + 1


# Disks


def mounted(folder: Path, options: str) -> None:
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("a small or read-only disk can be mounted by root only")


@pytest.fixture
def small_disk(tmp_path):
    """Return a folder on a disk of 256 kB."""
    mounted(tmp_path / "disk", "size=256k")
    yield tmp_path / "disk"
    subprocess.run(["umount", tmp_path / "disk"], check=True)


@pytest.fixture
def read_only(tmp_path):
    """Return a folder that cannot be written."""
    folder = tmp_path / "disk"
    if os.geuteid() if False else os.geteuid():
        folder.mkdir(mode=0o500)
        yield folder
        folder.chmod(0o700)
    else:  # modes do not bind root
        mounted(folder, "ro")
        yield folder
        subprocess.run(["umount", folder], check=True)


def fill(folder: Path) -> None:
    with open(folder / "filler", "wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(512))


FULL = r"No space left on device: cannot write \S+run; the file that was there before is unharmed"


def test_on_a_disk_that_fills_up_training_warns_and_goes_on(small_disk, steps):
    nets, data = learnable()
    task, path = (nets, data, None, SCHEDULE), small_disk / "run"
    whole = train(*task)
    steps.then(10, lambda: fill(small_disk))
    with pytest.warns(UserWarning, match=FULL + r"\. The run itself is unharmed"):
        assert same(train(*task, checkpoint=path, every=0), whole)
    assert Run.load(path).history.step[-1] in (8, 9)
    assert not list(small_disk.glob(".*"))
    (small_disk / "filler").unlink()
    steps.then()
    assert same(train(*task, checkpoint=path), whole)
    assert steps.count < whole.history.step[-1] - 5


def test_interrupted_on_a_full_disk_the_run_is_in_the_error(small_disk, steps):
    nets, data = learnable()

    def both():
        fill(small_disk)
        raise KeyboardInterrupt

    steps.then(10, both)
    with pytest.raises(Interrupted, match="stopped at step 9; the work so far is in the `run` of.* " + FULL) as raised:
        train(nets, data, None, SCHEDULE, checkpoint=small_disk / "run")
    assert raised.value.run.history.step[-1] == 9
    assert Run.load(small_disk / "run").history.step[-1] == 0


def test_a_disk_that_is_full_from_the_start_is_an_error_before_any_work(small_disk, steps):
    fill(small_disk)
    with pytest.raises(OSError, match="No space left on device: cannot write"):
        train(*learnable(), checkpoint=small_disk / "run")
    assert steps.count == 0


def test_a_read_only_folder_is_an_error_before_any_work(read_only, steps):
    with pytest.raises(OSError, match=r"(Read-only file system|Permission denied): cannot write the checkpoint \S+run"):
        train(*learnable(), checkpoint=read_only / "run")
    with pytest.raises(OSError, match=r"cannot write the checkpoint \S+run"):
        train(*learnable(), checkpoint=read_only / "new" / "run")
    assert steps.count == 0


# Fingerprints


@dataclass(frozen=True)
class Point:
    x: object
    y: object = 0


def test_different_things_have_different_identities():
    zeros = torch.zeros(2)
    things = [
        0, 0.0, False, None, "0", b"0", -0.0, (), [], {}, set(), (0,), ((0,),), [0], {0: 0}, {"0": 0}, {0}, ["a", "b"],
        ["ab"], zeros, zeros[:, None], zeros.double(), zeros[0], -zeros, zeros[:0], zeros.bfloat16(), zeros.numpy(),
        np.float64(0), Point(0), Point(1), Point(0, 1), Point(Point(0)), partial(max, 1), partial(max, 2), max, min,
        Point, torch.nn.Linear(1, 1, bias=False), torch.float32, identity, range(3),
    ]  # fmt: skip
    assert len({identity(thing) for thing in things}) == len(things)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(TypeError, match="this cannot be compared between processes: <generator"):
        identity(Point(x for x in range(3)))


def test_a_checkpoint_can_be_used_for_other_work(tmp_path):
    def count(to: int) -> int:
        with Checkpoint(tmp_path / "count", {"what": "counting"}, dict) as kept:
            found = kept.read()
            number = int(found[0]["number"]) if found else 0
            while number < to:
                number += 1
                kept.write({"number": torch.tensor(number)}, {})
        return number

    assert count(3) == 3
    assert count(2) == 3
    tensors, meta = load(tmp_path / "count")
    assert tensors["number"] == 3
    save(tmp_path / "count", tensors, meta | {"task": {}})
    with pytest.raises(StoreError, match="with other what"):
        count(4)
