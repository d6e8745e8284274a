"""The finished cells of sweeps, in an SQLite file: a cell is there whole or not at all, and at most once."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mvtheory.persistence.store import StoreError

__all__ = ["Cells", "Outcome"]

# A success is final. A failure gives way to a later attempt, and to nothing else.
_ADD = """
INSERT INTO cells (key, function, cell, result, error, seconds, worker) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET
    result = excluded.result, error = excluded.error, seconds = excluded.seconds, worker = excluded.worker
WHERE cells.error IS NOT NULL
"""


@dataclass(frozen=True)
class Outcome:
    """What came out of a cell: numbers or an error, the seconds that it took, and who computed it."""

    result: dict[str, Any] | None
    error: str | None
    seconds: float
    worker: str


@dataclass(frozen=True)
class Cells:
    """The table in the file `path`; every call is one transaction, from any thread or process."""

    path: Path

    def __post_init__(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as file:
            (state,) = file.execute("PRAGMA quick_check(1)").fetchone()
            if state != "ok":
                raise StoreError(f"{self.path}: damaged, {state}")
            file.execute(
                "CREATE TABLE IF NOT EXISTS cells (key TEXT PRIMARY KEY, function TEXT NOT NULL, cell TEXT NOT NULL, "
                "result TEXT, error TEXT, seconds REAL NOT NULL, worker TEXT NOT NULL)"
            )

    def add(self, key: str, function: str, cell: str, outcome: Outcome) -> None:
        """Write an outcome; one that is there stays, unless it is a failure."""
        result = None if outcome.result is None else json.dumps(outcome.result, allow_nan=False)
        row = (key, function, cell, result, outcome.error, outcome.seconds, outcome.worker)
        with self._open() as file:
            file.execute(_ADD, row)

    def has(self, key: str, *, failed: bool) -> bool:
        """Tell whether the cell is finished; a failed one counts if `failed` is true."""
        with self._open() as file:
            row = file.execute("SELECT error FROM cells WHERE key = ?", (key,)).fetchone()
        return row is not None and (failed or row[0] is None)

    def read(self) -> dict[str, Outcome]:
        """Return all outcomes by key."""
        with self._open() as file:
            rows = file.execute("SELECT key, result, error, seconds, worker FROM cells").fetchall()
        return {key: Outcome(result and json.loads(result), *rest) for key, result, *rest in rows}

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Open the file for one transaction, and wait for others that write."""
        try:
            with closing(sqlite3.connect(self.path, timeout=60)) as file, file:
                yield file
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{self.path}: {error}") from error
