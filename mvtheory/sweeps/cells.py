"""The finished cells of sweeps, a file each: written whole or not at all, and verified by a checksum when read."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mvtheory.persistence.files import make_folder
from mvtheory.persistence.store import StoreError, load, save

__all__ = ["Cells", "Outcome"]


@dataclass(frozen=True)
class Outcome:
    """What became of a cell.

    Attributes
    ----------
    result : dict of str to float, int or bool, or None
        What the function returned; None if the cell failed.
    error : str or None
        Why the cell failed; None if it did not.
    seconds : float
        Wall time of the call.
    worker : str
        Host and process that made the call.
    """

    result: dict[str, Any] | None
    error: str | None
    seconds: float
    worker: str


@dataclass(frozen=True)
class Cells:
    """A folder of finished cells, which many processes may read and write at the same time without locks.

    Success and failure have files of their own, so that no failure, however late, hides a success.
    """

    folder: Path

    def check_writable(self) -> None:
        """Make the folder; raise the system's `OSError` if nothing can be written there."""
        make_folder(self.folder)
        tempfile.TemporaryFile(dir=self.folder).close()

    def write(self, key: str, description: Mapping[str, Any], outcome: Outcome) -> None:
        """Keep an outcome, with JSON values that describe its cell to people; a success that is there stays."""
        with suppress(StoreError):  # a damaged file gives way
            found = self.read(key)
            if found and found.error is None:
                return
        path = self._path(key, failed=outcome.error is not None)
        save(path, {}, {**description, "key": key, "outcome": asdict(outcome)})

    def read(self, key: str) -> Outcome | None:
        """Return the outcome of a cell, None if it is not finished; raise `StoreError` if its file is damaged."""
        for failed in (False, True):
            path = self._path(key, failed)
            with suppress(FileNotFoundError):
                _, content = load(path)
                if content.get("key") != key:
                    raise StoreError(f"{path}: holds another cell, {content.get('key')}")
                try:
                    return Outcome(**content["outcome"])
                except (KeyError, TypeError) as error:
                    raise StoreError(f"{path}: not the outcome of a cell") from error
        return None

    def _path(self, key: str, failed: bool) -> Path:
        return self.folder / f"{key}.{'failure' if failed else 'result'}"
