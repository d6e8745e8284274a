"""Full-batch gradient descent for L nets at once, with re-scaled time.

An *objective* says what the nets are trained for. It is called with a block of
outputs and returns, per input and net, the loss and its gradient with respect to
the outputs; the trainer does the rest, without an autograd graph.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm.auto import tqdm

from mvtheory._check import (
    check_bool,
    check_choice,
    check_finite,
    check_int,
    check_labels,
    check_number,
    check_seed,
    check_shape,
    check_type,
)
from mvtheory._tensors import TRAINED, check_tensor, check_views
from mvtheory.engine.choice import chosen
from mvtheory.engine.compiled import check_output_grad, single_threaded_torch, threads
from mvtheory.engine.elementwise import against_labels, log_softmax
from mvtheory.engine.jit import caused_by_interrupt
from mvtheory.engine.updates import Optimizer, Rescaled, batches, put, take
from mvtheory.model import PatchNets
from mvtheory.persistence.checkpoint import Checkpoint
from mvtheory.persistence.identity import identity
from mvtheory.run import Recorder, Run, State

__all__ = ["CrossEntropy", "Diverged", "Interrupted", "Objective", "Schedule", "TrainingData", "train"]


class Diverged(RuntimeError):
    """A loss became infinite or NaN; the message says at which step.

    Attributes
    ----------
    run : Run or None
        Nets and history up to the last step at which all losses were finite, if there was one.
    """

    run: Run | None = None


class Interrupted(KeyboardInterrupt):
    """Training was stopped from the keyboard; the message says where the work so far is kept.

    Attributes
    ----------
    run : Run or None
        Nets and history up to the last whole step.
    """

    def __init__(self, message: str, run: Run | None = None) -> None:
        super().__init__(message)
        self.run = run


@runtime_checkable
class TrainingData(Protocol):
    """Labelled inputs, as nets read them: :class:`~mvtheory.data.Sample` for nets that read patches.

    Attributes
    ----------
    x : Tensor
        Inputs; the first axis counts them.
    y : Tensor of int, shape [n]
        Labels.
    """

    @property
    def x(self) -> Tensor: ...  # noqa: D102

    @property
    def y(self) -> Int[Tensor, " n"]: ...  # noqa: D102

    def __len__(self) -> int: ...


@runtime_checkable
class Objective(Protocol):
    """What a stack of nets is trained for.

    It is called for some rows at a time, and may be called by several threads at once, each for rows of its own.

    Attributes
    ----------
    y : Tensor of int, shape [n]
        Labels, for the training accuracy.
    joint : bool
        True where the loss couples the nets, so that all have the same learning rates and stop together.
    G : Tensor, shape [L, n, k], optional
        Outputs to match, of one teacher per net; :func:`train` checks its shape.
    """

    @property
    def y(self) -> Int[Tensor, " n"]: ...  # noqa: D102

    @property
    def joint(self) -> bool: ...  # noqa: D102

    def __call__(
        self, F: Float[Tensor, "b L k"], rows: Int[Tensor, " b"], nets: Int[Tensor, " L"]
    ) -> tuple[Float[Tensor, "b L"], Float[Tensor, "b L k"]]:
        """Return the loss of each (input, net) and its gradient with respect to `F`."""
        ...


@dataclass(frozen=True)
class CrossEntropy:
    """Cross-entropy of the labels, each net for itself.

    Parameters
    ----------
    y : Tensor of int, shape [n]
        Labels.
    """

    y: Int[Tensor, " n"]
    joint: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "y", check_labels("y", check_tensor("y", self.y)))

    def __call__(self, F: Tensor, rows: Tensor, nets: Tensor) -> tuple[Tensor, Tensor]:
        """Return loss and gradient, see :class:`Objective`."""
        log_p = log_softmax(F)
        label = self.y[rows][:, None, None].expand(*F.shape[:2], 1)
        dF = log_p.exp().scatter_add_(-1, label, F.new_tensor(-1.0).expand(label.shape))
        return -log_p.gather(-1, label)[..., 0], dF


#: By class of an objective, what compiled code is told to compute its gradient from end to end: arguments of
#: :meth:`mvtheory.model.PatchNets.label_gradient`, given the objective and the numbers of inputs and nets; None where
#: it cannot. Objectives of other classes, also of derived ones, are called.
COMPILED: dict[type, Callable[[Any, Tensor, Tensor], dict[str, Any] | None]] = {CrossEntropy: lambda *_: {}}


@dataclass(frozen=True)
class Schedule:
    """Number and size of the training steps.

    A step moves net l by ``-eta_l`` times its gradient, where ``eta_l`` is the
    largest number up to `eta` that changes no neuron by more than `max_change`
    of its norm. One number per net and step only re-scales time, so that the path
    of gradient descent stays the same, and the long initial phase of small
    weights takes few steps.

    Parameters
    ----------
    steps : int, >= 1
        Largest number of steps.
    stop_loss : float, >= 0
        A net stops once its mean loss is below; 0 never stops early. With an optimiser of
        `torch.optim` the nets stop together, by their losses on the current batch.
    eta : float, > 0
        Largest learning rate.
    max_change : float, in (0, 1]
        Largest relative change of a neuron in a step.
    optimizer : {"gd", "sgd", "adam"}
        Re-scaled gradient descent, or for comparison an optimiser of `torch.optim` with
        the constant learning rate `eta`.
    batch : int, >= 1, or None
        Inputs per step of such an optimiser; None for all of them.
    seed : int, >= 0
        Seed of the order of the batches; all nets see the same.
    record_every : int, >= 1
        Steps between two records of the history.
    warn : bool
        Warn if a net has training errors left after the last step. False is for experiments in which that is expected.
        Where `stop_loss` is 0 the steps are what was asked for, and there is no warning.
    """

    steps: int = 500
    stop_loss: float = 0.05
    eta: float = 100.0
    max_change: float = 0.2
    optimizer: str = "gd"
    batch: int | None = None
    seed: int = 0
    record_every: int = 5
    warn: bool = True

    def __post_init__(self) -> None:
        check_int("steps", self.steps, low=1)
        check_number("stop_loss", self.stop_loss, low=0)
        check_number("eta", self.eta, low=0, open_low=True)
        check_number("max_change", self.max_change, low=0, high=1, open_low=True)
        check_choice("optimizer", self.optimizer, ("gd", "sgd", "adam"))
        check_seed("seed", self.seed)
        check_int("record_every", self.record_every, low=1)
        check_bool("warn", self.warn)
        if self.batch is not None:
            check_int("batch", self.batch, low=1)
            check_choice("optimizer (with batches)", self.optimizer, ("sgd", "adam"))


def train(
    nets: PatchNets,
    data: TrainingData,
    objective: Objective | None = None,
    schedule: Schedule = Schedule(),
    *,
    views: Float[Tensor, "k M d"] | None = None,
    progress: bool = False,
    checkpoint: str | Path | None = None,
    every: float = 10.0,
) -> Run:
    """Train all nets on the same data.

    On one machine with one number of threads (:func:`torch.set_num_threads`) the same call gives the same bits. Nets
    and data may lie on a GPU: ``nets.to("cuda")``, ``data.to("cuda")``. Products there are in full single precision
    (no TF32) unless the caller sets torch otherwise. Memory holds inputs, weights, a dozen arrays of the size of the
    outputs, and a block of pre-activations of fixed size: 4 GiB are enough for 90,000 inputs of 20 patches of 400
    numbers, ten nets and 20 classes.

    Do not call this in a process made by ``fork`` from one in which torch has used several threads: torch then waits
    for threads that are not there. Use ``spawn``, or :class:`mvtheory.sweeps.sweep.Sweep`.

    Parameters
    ----------
    nets : PatchNets
        L nets at their initialisation, in single or double precision; they are not changed.
    data : TrainingData
        The training set: a :class:`~mvtheory.data.Sample`, or what a reduction made of it together with the nets.
    objective : Objective, optional
        Default: the cross-entropy of the labels.
    schedule : Schedule
        Steps, their size, and when to stop. A net stops at the first step at
        which its loss is below ``stop_loss`` and no training input is wrong.
    views : Tensor, shape [k, M, d], optional
        Record the overlaps with these views, which are rounded to the precision of the nets.
    progress : bool
        Show a progress bar.
    checkpoint : str or Path, optional
        A file for the work so far. If the process is killed, the same call goes on from there, to the
        same bits on the same machine. In the end it holds the finished run, and the same call returns
        at once; remove it when it is not needed any more. The one before is beside it (``.previous``),
        and is taken where the last one is damaged. A file that is not a whole checkpoint of this very
        training is an error, and is never written over. If a checkpoint cannot be written later on
        (the disk is full), training warns and goes on.
    every : float, >= 0
        Seconds of work between two checkpoints.

    Returns
    -------
    Run

    Raises
    ------
    Diverged
        If a loss is no longer finite; its ``run`` is the work until then.
    Interrupted
        If training is stopped from the keyboard. The work so far is in the checkpoint, if there is
        one, and in the ``run`` of the error.
    StoreError, OSError, LockedError
        If the checkpoint is another training's or damaged, cannot be written, or is in use.

    Warns
    -----
    UserWarning
        Once a call, if nets have training errors left after the last step, see :class:`Schedule`.
    """
    objective = _checked_objective(nets, data, objective, schedule)
    check_bool("progress", progress)
    nets = replace(nets, W=nets.W.detach())
    x = data.x.detach() if data.x.requires_grad else data.x  # the same tensor, of which reduced nets know the order
    views = None if views is None else check_views("views", views, nets.W).detach()
    inputs = {"nets": nets, "data.x": x, "objective": objective, "schedule": schedule, "views": views}
    heavy = single_threaded_torch() if nets.compiled(x) else nullcontext()
    with heavy, Checkpoint(checkpoint, inputs, _circumstances, every) as kept:
        recorder, found = Recorder(nets, views), kept.read()
        state = recorder.resume(found[0]) if found else State.first(nets)
        if found and found[1]["finished"]:
            run = recorder.run(state)
        else:
            if not found:
                kept.write(*recorder.file(state))  # so that what cannot be written is an error now, not after hours
            steps = _steps(nets, x, objective, schedule, state)
            if progress:  # not at all otherwise: forked processes share tqdm's lock, and one that is killed may hold it
                steps = iter(tqdm(steps, initial=state.step, total=schedule.steps + 1, leave=False))
            run = _loop(steps, schedule, recorder, kept)
    warn_of_errors(run.history.error[-1], schedule, stacklevel=3)
    return run


def warn_of_errors(error: Float[Tensor, " L"], schedule: Schedule, stacklevel: int) -> None:
    """Warn if training by `schedule` ended with the errors `error` on the training set, unless this was asked for."""
    wrong = int((error > 0).sum())
    if wrong and schedule.warn and schedule.stop_loss > 0:
        warnings.warn(
            f"{wrong} of {len(error)} nets have training errors left after {schedule.steps} steps (up to "
            f"{float(error.max()):.2%}); more steps, a larger eta or larger initial weights may help, and warn=False "
            "in the schedule turns this warning off",
            stacklevel=stacklevel,
        )


def _loop(steps: Iterator[State], schedule: Schedule, recorder: Recorder, kept: Checkpoint) -> Run:
    """Take the steps; whatever ends them, keep the work so far."""
    done: State | None = None
    try:
        for done in steps:
            if done.step % schedule.record_every == 0:
                recorder.add(done)
            if kept.due:
                recorder.keep(kept, done)
        assert done is not None  # a schedule has at least one step
        recorder.keep(kept, done, finished=True)
        return recorder.run(done)
    except BaseException as error:
        interrupted = caused_by_interrupt(error)
        if done is None:  # before the first step: nothing is lost
            if interrupted and not isinstance(error, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            raise
        run, where = recorder.run(done), recorder.keep_partial(kept, done)
        if interrupted:
            raise Interrupted(f"stopped at step {done.step}; {where}", run) from None
        error.run = run  # type: ignore[attr-defined]
        error.add_note(f"Step {done.step} was the last complete one; {where}.")
        raise


def _circumstances() -> dict[str, str]:
    """Return what the last bits depend on, besides the inputs."""
    return {
        "version of torch": torch.__version__,
        "backend": chosen(),
        "number of threads": str(threads()),
        "sources of the package": identity(train),
    }


def loss_and_gradient(
    nets: PatchNets, x: Tensor, objective: Objective, rows: Tensor, alive: Tensor
) -> tuple[dict[str, Tensor], Float[Tensor, "L k m d"]]:
    """Return mean loss, error and residual [L] of the inputs `rows`, and the gradient."""
    n, L, k = len(rows), *nets.W.shape[:2]
    rows, alive = rows.to(x.device), alive.to(x.device)
    x = x if torch.equal(rows, torch.arange(len(x), device=x.device)) else x[rows]  # no copy where all are used
    y, loss, name = objective.y[rows].long(), None, type(objective).__name__
    known = COMPILED[type(objective)](objective, rows, alive) if type(objective) in COMPILED else None
    if known is not None and nets.compiled(x):
        outputs, gradient = nets.label_gradient(x, y, **known)
        if "gate" in known:
            loss = objective(outputs, rows, alive)[0]
    else:
        outputs, loss = nets.W.new_empty(n, L, k), nets.W.new_empty(n, L)

        def output_grad(block: slice, F: Tensor) -> Tensor:
            outputs[block] = F
            values, dF = objective(F, rows[block], alive)
            check_shape(f"loss of the objective {name}", values, (len(F), L))
            loss[block] = values.detach()
            return check_output_grad(f"gradient of the objective {name}", dF, F) / n

        gradient = nets.gradient(x, output_grad)
    scores = outputs.mean(1, keepdim=True).expand_as(outputs) if objective.joint else outputs
    log_p, wrong = against_labels(scores, y)
    columns = {"loss": -log_p if loss is None else loss, "error": wrong.to(scores), "residual": 1 - log_p.exp()}
    return {name: column.mean(0) for name, column in columns.items()}, gradient


def _steps(nets: PatchNets, x: Tensor, objective: Objective, schedule: Schedule, state: State) -> Iterator[State]:
    """Yield the state at each step, with its loss measured; the last one is where training ends."""
    by, most = schedule.optimizer, schedule.eta
    update = Rescaled(most, schedule.max_change) if by == "gd" else Optimizer(by, most, state.W, state.memory)
    whole = objective.joint or by != "gd"
    for rows in islice(batches(len(x), schedule.batch, schedule.seed), state.step, None):
        W, alive = state.W, state.alive
        stats, gradient = loss_and_gradient(replace(nets, W=take(W, alive)), x, objective, rows, alive)
        if not stats["loss"].isfinite().all():
            raise Diverged(f"the loss is not finite at step {state.step}; a smaller eta may help")
        now = {**state.now} | {key: put(state.now[key], alive, value) for key, value in stats.items()}
        yield replace(state, now=now)
        stop = (stats["loss"] < schedule.stop_loss) & (stats["error"] == 0)
        stop = stop.all().expand_as(stop) if whole else stop
        if bool(stop.all()) or state.step == schedule.steps:
            return
        left = (~stop).nonzero()[:, 0]
        alive, gradient = take(alive, left), take(gradient, left)
        W, eta, memory = update(W, alive, gradient, objective.joint)
        time = put(now["time"], alive, take(now["time"], alive) + eta)
        state = State(state.step + 1, W, alive, now | {"time": time}, memory)


def _checked_objective(
    nets: PatchNets, data: TrainingData, objective: Objective | None, schedule: Schedule
) -> Objective:
    """Return the objective, or raise an error that names the argument unless all fits together."""
    check_type("nets", nets, PatchNets)
    check_type("schedule", schedule, Schedule)
    L, k = check_tensor("nets.W", nets.W, TRAINED).shape[:2]
    n = len(data)
    check_finite("nets.W", nets.W)
    check_labels("data.y", check_tensor("data.y", data.y), k)
    nets.check_inputs("data.x", data.x, n)
    objective = CrossEntropy(data.y) if objective is None else check_type("objective", objective, Objective)
    check_shape("objective.y", check_tensor("objective.y", objective.y), (n,))
    check_labels("objective.y", objective.y, k)
    G = getattr(objective, "G", None)
    if G is not None:
        check_shape("objective.G", G, (L, n, k))
    return objective
