"""Whole files or none: writing that another process, or a crash, can never see half done."""

import errno
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

__all__ = ["acquired", "clean", "make_folder", "read_file", "write_atomic"]


def write_atomic(path: str | Path, data: bytes, previous: Path | None = None) -> None:
    """Write `data` to `path`, making its folder; readers see the old file or the new one, both as the umask allows.

    The old file stays as `previous`, if given. A killed process leaves at most a temporary file, see `clean`; whatever
    the moment, `path` holds a whole file if it did before, and `path` or `previous` does if one of them did before (on
    a drive without hard links only this). Raises an `OSError` of the system's kind that says what is kept.
    """
    path, temporary = Path(path), None
    try:
        make_folder(path.parent)
        beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        temporary = beside
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # the bytes must be there before the name is
        if previous is not None:
            _keep(path, previous)
        os.replace(temporary, path)
    except BaseException as error:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)
        if isinstance(error, OSError):
            kept = "the file that was there before is unharmed" if _is_file(path) else "nothing was written"
            raise OSError(error.errno, f"{error.strerror or error}: cannot write {path}; {kept}") from error
        raise
    _sync_folder(path.parent)  # or the new name may not outlive a power cut


def _keep(path: Path, previous: Path) -> None:
    """Give the file at `path`, if there is one, the name `previous` as well."""
    if not _is_file(path):
        return  # then the one before may be all there is
    with suppress(FileNotFoundError):
        os.unlink(previous)
    try:
        os.link(path, previous)
    except OSError:  # a drive where a file has one name: this one, until the new file takes the other
        os.replace(path, previous)


def make_folder(path: Path) -> None:
    """Make a folder, unless it is there; an `OSError` says if a link of its name leads nowhere."""
    if path.is_symlink() and not path.exists():
        raise OSError(errno.ENOENT, f"No such folder: {os.readlink(path)}, to which the link leads", str(path))
    path.mkdir(parents=True, exist_ok=True)


def read_file(path: str | Path) -> bytes:
    """Return what a file holds; raise an `OSError` for a pipe, a device or the like, which may never end."""
    path = Path(path)
    if path.exists() and not (path.is_file() or path.is_dir()):  # opening a folder has an error of its own
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    return path.read_bytes()


def clean(path: Path) -> None:
    """Remove what killed processes left of writing `path`; only for who knows that nobody is writing it now."""
    left = re.compile(rf"\.{re.escape(path.name)}\.\w{{8}}\.tmp")
    for file in path.parent.iterdir():
        if left.fullmatch(file.name):
            file.unlink(missing_ok=True)


def acquired(path: Path, timeout: float) -> FileLock:
    """Return a lock beside `path`, acquired, which those may use whom the umask lets write.

    Raises filelock's `Timeout` if another process holds it for `timeout` seconds (-1: wait), or the system's `OSError`.
    """
    file = Path(f"{path}.lock")
    file.touch(0o666)  # filelock would set the mode that it is given, whatever the umask
    lock = FileLock(file, mode=file.stat().st_mode & 0o777)
    lock.acquire(timeout=timeout)
    return lock


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return  # elsewhere a folder cannot be opened
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network drives sync files only
            raise
    finally:
        os.close(handle)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False
