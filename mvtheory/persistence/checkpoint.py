"""Checkpoints: what a killed process left, so that the next one goes on from there.

A checkpoint is a file of :mod:`mvtheory.persistence.store`, with the one before it beside it as
``NAME.previous``: at any moment one of the two is whole. It also says which task it belongs to.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout
from torch import Tensor

from mvtheory._check import check_number
from mvtheory.persistence.files import acquired, clean, make_folder, write_atomic
from mvtheory.persistence.identity import identity
from mvtheory.persistence.store import LockedError, StoreError, load, pack

__all__ = ["Checkpoint"]


class Checkpoint:
    """The last two states of one task on disk, kept from other processes while in use (``with``).

    Parameters
    ----------
    path : str, Path or None
        The file, made with its folder; beside it come ``.previous`` and ``.lock``. With None nothing is
        ever due or found.
    task : dict
        What the work depends on, by name. Another task's checkpoint is refused: one with other values, or with other
        code of the user's own (:func:`~mvtheory.persistence.identity.identity`).
    where : callable
        Returns by name, as strings, what may change but should not: versions, threads. A change is warned of.
    every : float, >= 0
        Seconds of work between two states.

    Raises
    ------
    Busy
        On entry, if another process uses the checkpoint.
    OSError
        On entry, if the folder cannot be written.
    """

    def __init__(
        self, path: str | Path | None, task: Mapping[str, Any], where: Callable[[], dict[str, str]], every: float = 10.0
    ) -> None:
        self.every = check_number("every", every, low=0)
        self.path = None if path is None else Path(path).expanduser()
        self._lock: FileLock | None = None
        if self.path is None:
            return
        self.previous = self.path.with_name(f"{self.path.name}.previous")
        self._task = {name: identity(part, code=False) for name, part in task.items()}
        self._where = where()
        self._rotate = False  # whether the file at `path` is whole: a damaged one must not replace the one before
        self._due = -float("inf")

    def __enter__(self) -> Checkpoint:
        if self.path is None:
            return self
        try:
            make_folder(self.path.parent)
            self._lock = acquired(self.path, timeout=0)
        except Timeout:
            raise LockedError(f"another process uses the checkpoint {self.path}") from None
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror}: cannot write the checkpoint {self.path}") from error
        clean(self.path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock:
            self._lock.release()

    @property
    def due(self) -> bool:
        """Whether it is time to write: at once, and whenever `every` seconds have passed."""
        return self.path is not None and time.monotonic() >= self._due

    def read(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return the last whole state as it was written, or None if there is none.

        Raises
        ------
        StoreError
            If a file belongs to another task, or all files that are there are damaged. They stay as they are.

        Warns
        -----
        UserWarning
            If the last file is damaged and the one before is taken; if versions or threads have changed.
        """
        damage = []
        for file in [] if self.path is None else [self.path, self.previous]:
            try:
                tensors, meta = load(file)
            except FileNotFoundError:
                continue
            except (StoreError, OSError) as error:
                damage.append(str(error))
                continue
            self._check_task(file, meta)
            if damage:
                warnings.warn(f"{damage[0]}; going on from the one before, {file}", stacklevel=3)
            self._rotate = file == self.path
            self._due = time.monotonic() + self.every
            # A file's tensors lie anywhere in memory, and sums over another alignment may have other last bits.
            return {name: tensor.clone() for name, tensor in tensors.items()}, meta["state"]
        if damage:
            raise StoreError(f"{'; '.join(damage)}; choose another name, or remove it to begin anew")
        return None

    def _check_task(self, file: Path, meta: dict[str, Any]) -> None:
        if set(meta) != {"task", "where", "state"} or not all(isinstance(part, dict) for part in meta.values()):
            raise StoreError(f"{file}: not a checkpoint; choose another name")
        other = [name for name in self._task | meta["task"] if self._task.get(name) != meta["task"].get(name)]
        if other:
            names = ", ".join(other)
            raise StoreError(f"{file}: a checkpoint of another task, with other {names}; choose another name")
        moved = [name for name, value in meta["where"].items() if self._where.get(name) != value]
        if moved:
            warnings.warn(f"{file}: goes on with other {', '.join(moved)}; the last bits may differ", stacklevel=4)

    def write(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Write a state; the last one becomes the one before.

        Parameters
        ----------
        tensors : dict of str to Tensor
        state : dict
            JSON values.

        Raises
        ------
        OSError
            If the disk is full, or the like. The states that were there before are kept.
        """
        if self.path is None:
            return
        self._due = time.monotonic() + self.every  # also where writing fails: it is tried again then
        meta = {"task": self._task, "where": self._where, "state": dict(state)}
        write_atomic(self.path, pack(tensors, meta), self.previous if self._rotate else None)
        self._rotate = True
        self._due = time.monotonic() + self.every
