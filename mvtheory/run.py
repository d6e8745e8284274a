"""The result of training: nets and their history, in memory and on disk, complete or so far."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mvtheory.model import PatchNets, SReLU
from mvtheory.persistence.checkpoint import Checkpoint
from mvtheory.persistence.store import StoreError, load, save

__all__ = ["History", "Run"]

_COLUMNS = ("time", "loss", "error", "residual")


@dataclass(frozen=True)
class History:
    """Quantities of the theory, at the recorded steps.

    A net that stopped keeps its last values.

    Attributes
    ----------
    step : Tensor of int, shape [T]
    time : Tensor, shape [T, L]
        Re-scaled time: the sum of the learning rates so far.
    loss, error : Tensor, shape [T, L]
        Mean training loss, and share of misclassified training inputs.
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
    """What :func:`~mvtheory.training.train` returns.

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
        """Write nets and history to a file, whole or not at all; see :func:`mvtheory.persistence.store.save`.

        Parameters
        ----------
        path : str or Path
            The file; one that is there is replaced.

        Raises
        ------
        TypeError
            If the nets are not :class:`~mvtheory.model.PatchNets` with a :class:`~mvtheory.model.SReLU`, but of a class
            derived from them or reduced: a file holds numbers, not code.
        """
        if type(self.nets) is not PatchNets:
            raise TypeError(
                f"nets must be PatchNets, and of no other class, to be saved; got {type(self.nets).__name__}"
            )
        if type(self.nets.activation) is not SReLU:
            raise TypeError(f"nets.activation must be a SReLU to be saved; got {self.nets.activation!r}")
        save(path, *self._file())

    def _file(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        activation = self.nets.activation
        kept = asdict(activation) if type(activation) is SReLU else type(activation).__qualname__
        kind = {} if type(self.nets) is PatchNets else {"nets": type(self.nets).__qualname__}
        return {"W": self.nets.W, **vars(self.history)}, {"activation": kept, **kind}

    @classmethod
    def load(cls, path: str | Path) -> Run:
        """Read what :meth:`save` wrote, or the run so far from a checkpoint of :func:`~mvtheory.training.train`.

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
            If the file is damaged, truncated, or holds something else, such as the checkpoint of nets of another class
            than :class:`~mvtheory.model.PatchNets` or with another activation than :class:`~mvtheory.model.SReLU`.
        """
        any_size = {"W": 4, "step": 1, "time": 2, "loss": 2, "error": 2, "residual": 2, "overlap": 4}
        tensors, meta = load(path, {name: (None,) * axes for name, axes in any_size.items()})
        meta = meta.get("state", meta)
        if not isinstance(meta, dict) or "activation" not in meta:
            raise StoreError(f"{path}: not a run: the metadata must hold 'activation'; got {list(meta)}")
        if "nets" in meta:
            raise StoreError(f"{path}: the nets must be PatchNets; got {meta['nets']}")
        if not isinstance(meta["activation"], dict):
            raise StoreError(f"{path}: the activation must be a SReLU; got {meta['activation']}")
        try:
            nets = PatchNets(tensors["W"], SReLU(**meta["activation"]))
        except (TypeError, ValueError) as error:
            raise StoreError(f"{path}: not a run: {error}") from error
        return cls(nets, History(**{part.name: tensors[part.name] for part in fields(History)}))


@dataclass(frozen=True)
class State:
    """The state of training. Each step makes a new one, so that an interrupt never leaves half a step."""

    step: int
    W: Tensor
    alive: Tensor  # numbers of the nets that go on
    now: Mapping[str, Tensor]  # re-scaled time, loss, error and residual of all nets
    memory: Mapping[str, Tensor]  # of the optimiser

    @classmethod
    def first(cls, nets: PatchNets) -> State:
        """Return the state before the first step."""
        W, L = nets.W.detach().clone(), len(nets)
        return cls(0, W, torch.arange(L, device=W.device), {key: W.new_zeros(L) for key in _COLUMNS}, {})


class Recorder:
    """The records of a training, from which its run up to any state is made."""

    def __init__(self, nets: PatchNets, views: Tensor | None) -> None:
        self.nets, self.views = nets, views
        self._records: list[tuple[int, Mapping[str, Tensor], Tensor]] = []

    def add(self, state: State) -> None:
        """Record a state."""
        self._records.append((state.step, state.now, self._overlap(state)))

    def run(self, state: State) -> Run:
        """Return the run that ends at `state`."""
        records = [record for record in self._records if record[0] < state.step]
        records.append((state.step, state.now, self._overlap(state)))
        steps, rows, overlaps = zip(*records, strict=True)
        columns = {key: torch.stack([row[key] for row in rows]) for key in _COLUMNS}
        return Run(
            replace(self.nets, W=state.W), History(torch.tensor(steps), **columns, overlap=torch.stack(overlaps))
        )

    def file(self, state: State, finished: bool = False) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return tensors and metadata: those of the run's own file, and what it takes to go on."""
        tensors, meta = self.run(state)._file()
        memory = {f"optimizer {key}": value for key, value in state.memory.items()}
        return {**tensors, "alive": state.alive, **memory}, {**meta, "finished": finished}

    def keep(self, checkpoint: Checkpoint, state: State, finished: bool = False) -> None:
        """Write such a file; if that fails, warn who called the training, three calls up, and go on."""
        try:
            checkpoint.write(*self.file(state, finished))
        except OSError as error:
            warnings.warn(f"{error}. The run itself is unharmed", stacklevel=4)

    def keep_partial(self, checkpoint: Checkpoint, state: State) -> str:
        """Write such a file at the end of a training that was stopped, and return where the work so far is."""
        here = "the work so far is in the `run` of this error (in a notebook: sys.last_value.run)"
        if checkpoint.path is None:
            return here
        try:
            checkpoint.write(*self.file(state))
        except OSError as error:
            return f"{here}; {error}"
        return f"the work so far is in {checkpoint.path}, and the same call goes on from there"

    def resume(self, tensors: Mapping[str, Tensor]) -> State:
        """Take over the records of such a file, and return its state."""
        here = {key: value.to(self.nets.W.device) for key, value in tensors.items()}
        rows = [dict(zip(_COLUMNS, row, strict=True)) for row in zip(*(here[key] for key in _COLUMNS), strict=True)]
        self._records = list(zip(here["step"].tolist(), rows, here["overlap"], strict=True))
        step, now, _ = self._records.pop()
        memory = {key.removeprefix("optimizer "): v for key, v in here.items() if key.startswith("optimizer ")}
        return State(step, here["W"], here["alive"].cpu(), now, memory)

    def _overlap(self, state: State) -> Float[Tensor, "L k M"]:
        if self.views is None:
            return state.W.new_empty(len(self.nets), 0, 0)
        return replace(self.nets, W=state.W).own_view_overlap(self.views)
