"""Full-batch gradient descent for L nets at once, with re-scaled time.

An *objective* says what the nets are trained for. It is called with a block of
outputs and returns, per input and net, the loss and its gradient with respect to
the outputs; the trainer does the rest, without an autograd graph.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as nnf
from jaxtyping import Float, Int
from torch import Tensor
from tqdm.auto import tqdm

from mvtheory._check import check_choice, check_finite, check_int, check_labels, check_number, check_shape
from mvtheory._fused import log_softmax
from mvtheory._panels import undisturbed
from mvtheory.data import Sample
from mvtheory.model import PatchNets, SReLU
from mvtheory.reduction import Strengths
from mvtheory.store import StoreError, load, save

__all__ = ["CrossEntropy", "Diverged", "History", "Objective", "Run", "Schedule", "train"]


class Diverged(RuntimeError):
    """Training left the finite numbers; the message says at which step."""


@runtime_checkable
class Objective(Protocol):
    """What a stack of nets is trained for.

    Attributes
    ----------
    y : Tensor of int, shape [n]
        Labels, for the training accuracy.
    joint : bool
        True where the loss ties the nets together, so that they share one clock.
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

    def __call__(self, F: Tensor, rows: Tensor, nets: Tensor) -> tuple[Tensor, Tensor]:
        """Return loss and gradient, see :class:`Objective`."""
        log_p = log_softmax(F)
        label = nnf.one_hot(self.y[rows], F.shape[-1])[:, None]
        return -(log_p * label).sum(-1), log_p.exp() - label


@dataclass(frozen=True)
class Schedule:
    """How long and in which steps.

    A step moves net l by ``-eta_l`` times its gradient, where ``eta_l`` is the
    largest number up to `eta` that changes no neuron by more than `max_change`
    of its norm. One number per net and step only re-scales time, so that the path
    of gradient descent stays the same, and the long wait at small weights goes by
    in few steps.

    Parameters
    ----------
    steps : int, >= 1
        Most steps.
    stop_loss : float, >= 0
        A net stops once its mean loss is below; 0 never stops early. The nets of
        a control stop together, and judge by the batch at hand.
    eta : float, > 0
        Largest learning rate.
    max_change : float, in (0, 1]
        Largest relative change of a neuron in a step.
    optimizer : {"gd", "sgd", "adam"}
        Re-scaled gradient descent, or a control through `torch.optim` with the
        constant learning rate `eta`.
    batch : int, >= 1, or None
        Inputs per step of a control; None for all of them.
    seed : int, >= 0
        Seed of the order of the batches; all nets see the same.
    record_every : int, >= 1
        Steps between two records of the history.
    """

    steps: int = 500
    stop_loss: float = 0.05
    eta: float = 100.0
    max_change: float = 0.2
    optimizer: str = "gd"
    batch: int | None = None
    seed: int = 0
    record_every: int = 5

    def __post_init__(self) -> None:
        check_int("steps", self.steps, low=1)
        check_number("stop_loss", self.stop_loss, low=0)
        check_number("eta", self.eta, low=0, open_low=True)
        check_number("max_change", self.max_change, low=0, high=1, open_low=True)
        check_choice("optimizer", self.optimizer, ("gd", "sgd", "adam"))
        check_int("seed", self.seed, low=0)
        check_int("record_every", self.record_every, low=1)
        if self.batch is not None:
            check_int("batch", self.batch, low=1)
            check_choice("optimizer (with batches)", self.optimizer, ("sgd", "adam"))


@dataclass(frozen=True)
class History:
    """What the theory talks about, at the recorded steps.

    A net that stopped keeps its last values.

    Attributes
    ----------
    step : Tensor of int, shape [T]
    time : Tensor, shape [T, L]
        Re-scaled time: the sum of the learning rates so far.
    loss, error : Tensor, shape [T, L]
        Mean training loss, and share of wrong training inputs.
    residual : Tensor, shape [T, L]
        Mean of 1 - p_y over the training set.
    overlap : Tensor, shape [T, L, k, M]
        Lambda_{i,l} = max_r [<w_{i,r}, v_{i,l}>]^+; empty without `views`.
    """

    step: Int[Tensor, " T"]
    time: Float[Tensor, "T L"]
    loss: Float[Tensor, "T L"]
    error: Float[Tensor, "T L"]
    residual: Float[Tensor, "T L"]
    overlap: Float[Tensor, "T L k M"]


@dataclass(frozen=True)
class Run:
    """What :func:`train` returns.

    Attributes
    ----------
    nets : PatchNets
        The trained nets.
    history : History
        The history of their training.
    """

    nets: PatchNets
    history: History

    def save(self, path: str | Path) -> None:
        """Write nets and history to a file, whole or not at all; see :func:`mvtheory.store.save`.

        Parameters
        ----------
        path : str or Path
            The file; one that is there is replaced.
        """
        save(path, {"W": self.nets.W, **vars(self.history)}, {"activation": asdict(self.nets.activation)})

    @classmethod
    def load(cls, path: str | Path) -> Run:
        """Read what :meth:`save` wrote.

        Parameters
        ----------
        path : str or Path
            The file.

        Returns
        -------
        Run

        Raises
        ------
        StoreError
            If the file is damaged, truncated, or holds something else.
        """
        any_size = {"W": 4, "step": 1, "time": 2, "loss": 2, "error": 2, "residual": 2, "overlap": 4}
        tensors, meta = load(path, {name: (None,) * axes for name, axes in any_size.items()})
        if set(meta) != {"activation"}:
            raise StoreError(f"{path}: not a run: the metadata must be 'activation' alone; got {sorted(meta)}")
        nets = PatchNets(tensors.pop("W"), SReLU(**meta["activation"]))
        return cls(nets, History(**tensors))


@undisturbed
def train(
    nets: PatchNets,
    data: Sample | Strengths,
    objective: Objective | None = None,
    schedule: Schedule = Schedule(),
    *,
    views: Float[Tensor, "k M d"] | None = None,
    progress: bool = False,
) -> Run:
    """Train all nets on the same data.

    On one machine with one number of threads (:func:`torch.set_num_threads`) the same call gives the same bits. Nets
    and data may lie on a GPU: ``nets.to("cuda")``, ``data.to("cuda")``. Products there are in full single precision
    (no TF32) unless the caller tells torch otherwise. Memory holds inputs, weights, a dozen arrays of the size of the
    outputs, and a block of pre-activations of fixed size: 4 GiB are enough for 90,000 inputs of 20 patches of 400
    numbers, ten nets and 20 classes.

    Parameters
    ----------
    nets : PatchNets
        L nets at their initialisation; they are not changed.
    data : Sample or Strengths
        The training set; strengths for nets of :func:`~mvtheory.reduction.own_products`.
    objective : Objective, optional
        Default: the cross-entropy of the labels.
    schedule : Schedule
        Steps, their size, and when to stop. A net stops at the first step at
        which its loss is below ``stop_loss`` and no training input is wrong.
    views : Tensor, shape [k, M, d], optional
        Record the overlaps with these views.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Run

    Raises
    ------
    Diverged
        If a loss is no longer finite.
    """
    L = len(nets)
    objective = CrossEntropy(data.y) if objective is None else objective
    _check_task(nets, data, objective, views)
    W, alive = nets.W.detach().clone(), torch.arange(L, device=nets.W.device)
    update = _Rescaled(schedule) if schedule.optimizer == "gd" else _Optimizer(W, schedule)
    batches = _batches(len(data), schedule)
    records, state = [], {key: W.new_zeros(L) for key in ("time", "loss", "error", "residual")}
    for step in tqdm(range(schedule.steps + 1), disable=not progress, leave=False):
        rows = next(batches)
        stack = replace(nets, W=W[alive])
        stats, gradient = loss_and_gradient(stack, data.x, objective, rows, alive)
        if not stats["loss"].isfinite().all():
            raise Diverged(f"the loss is not finite at step {step}; a smaller eta may help")
        for key, value in stats.items():
            state[key][alive] = value
        stop = (stats["loss"] < schedule.stop_loss) & (stats["error"] == 0)
        whole = objective.joint or schedule.optimizer != "gd"
        stop = stop.all().expand_as(stop) if whole else stop
        last = bool(stop.all()) or step == schedule.steps
        if last or step % schedule.record_every == 0:
            overlap = W.new_empty(L, 0, 0) if views is None else replace(nets, W=W).own_view_overlap(views)
            records.append((step, {k_: v.clone() for k_, v in state.items()}, overlap))
        if last:
            break
        alive, gradient = alive[~stop], gradient[~stop]
        state["time"][alive] += update(W, alive, gradient, objective.joint)
    return Run(replace(nets, W=W), _history(records))


def loss_and_gradient(
    nets: PatchNets, x: Tensor, objective: Objective, rows: Tensor, alive: Tensor
) -> tuple[dict[str, Tensor], Float[Tensor, "L k m d"]]:
    """Return mean loss, error and residual [L] of the inputs `rows`, and the gradient."""
    n, L, k = len(rows), *nets.W.shape[:2]
    rows, alive = rows.to(x.device), alive.to(x.device)
    x = x if torch.equal(rows, torch.arange(len(x), device=x.device)) else x[rows]  # no copy where all are used
    loss, outputs = nets.W.new_empty(n, L), nets.W.new_empty(n, L, k)

    def push(block: slice, F: Tensor) -> Tensor:
        outputs[block] = F
        loss[block], dF = objective(F, rows[block], alive)
        return dF / n

    gradient = nets.gradient(x, push)
    scores = outputs.mean(1, keepdim=True).expand_as(outputs) if objective.joint else outputs
    label = objective.y[rows][:, None].expand(n, L)
    residual = 1 - log_softmax(scores).gather(-1, label[..., None])[..., 0].exp()
    columns = {"loss": loss, "error": (scores.argmax(-1) != label).to(loss), "residual": residual}
    stats = {name: column.mean(0) for name, column in columns.items()}
    return stats, gradient


@dataclass(frozen=True)
class _Rescaled:
    """Gradient descent in re-scaled time."""

    schedule: Schedule

    def __call__(self, W: Tensor, alive: Tensor, gradient: Tensor, joint: bool) -> Tensor:
        ratio = W[alive].norm(dim=-1) / gradient.norm(dim=-1)
        ratio = ratio.nan_to_num(nan=math.inf)  # 0 / 0: a neuron of zeros stays, whatever the step
        eta = (self.schedule.max_change * ratio.flatten(1).amin(1)).clamp(max=self.schedule.eta)
        eta = eta.min().expand_as(eta) if joint else eta
        W[alive] -= eta[:, None, None, None] * gradient
        return eta


class _Optimizer:
    """A control: an optimiser of `torch.optim` at a constant learning rate."""

    def __init__(self, W: Tensor, schedule: Schedule) -> None:
        kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
        self.optimizer = kinds[schedule.optimizer]([W], lr=schedule.eta)
        self.eta = schedule.eta

    def __call__(self, W: Tensor, alive: Tensor, gradient: Tensor, joint: bool) -> Tensor:
        W.grad = gradient
        self.optimizer.step()
        return W.new_full((len(alive),), self.eta)


def _check_task(nets: PatchNets, data: Sample | Strengths, objective: Objective, views: Tensor | None) -> None:
    """Raise an error that names the argument unless nets, data and objective fit together."""
    (L, k, *_, d), n = nets.W.shape, len(data)
    check_finite("nets.W", nets.W)
    check_labels("data.y", data.y, k)
    nets.check_inputs("data.x", data.x, n)
    check_shape("objective.y", objective.y, (n,))
    check_labels("objective.y", objective.y, k)
    G = getattr(objective, "G", None)
    if G is not None:
        check_shape("objective.G", G, (L, n, k))
    if views is not None:
        check_shape("views", views, (k, "M", d))


def _batches(n: int, schedule: Schedule) -> Iterator[Tensor]:
    """Rows of each step: all of them, or batches in an order common to all nets."""
    rng = torch.Generator().manual_seed(schedule.seed)
    while True:
        if schedule.batch is None:
            yield torch.arange(n)
        else:
            yield from torch.randperm(n, generator=rng).split(schedule.batch)


def _history(records: list) -> History:
    columns = {key: torch.stack([row[1][key] for row in records]) for key in records[0][1]}
    overlap = torch.stack([row[2] for row in records])
    return History(torch.tensor([row[0] for row in records]), **columns, overlap=overlap)
