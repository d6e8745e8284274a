"""Tensors on disk: files that prove themselves when read, and a cache of what took long.

A file is a safetensors file (plain numbers, no pickle: reading it runs no code) whose header holds
the metadata as JSON and a SHA-256 of the whole file. The checksum finds damage, not forgery: who can
write to a folder can put other numbers there, so a cache belongs where only those you trust can write.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import platformdirs
import safetensors.torch
import torch
from filelock import Timeout
from torch import Tensor

from mvtheory.persistence.files import acquired, clean, make_folder, read_file, write_atomic
from mvtheory.persistence.identity import identity

__all__ = ["LockedError", "StoreError", "cached", "canonical_json", "default_folder", "load", "pack", "save", "unpack"]

_FORMAT = "mvtheory-1"
_BLANK = "0" * 64  # stands where the checksum will, while it is computed


class LockedError(RuntimeError):
    """Another process is computing the result that was asked for."""


class StoreError(ValueError):
    """A file is damaged, truncated, of another format, or not of the expected shapes."""


def save(path: str | Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Write `tensors` and `meta` to `path`; a reader sees the whole file or none.

    Parameters
    ----------
    path : str or Path
        The file; its folder is made, an older file is replaced.
    tensors : dict of str to Tensor
        Real tensors of any shape and device.
    meta : dict
        Anything that JSON can hold (no NaN, no infinity).

    Raises
    ------
    TypeError, ValueError
        If a value of `tensors` is no tensor or `meta` does not fit into JSON.
    OSError
        If the disk is full, the folder read-only, or the like. The message says what is kept: an
        older file stays as it is.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "nets.safetensors"
    >>> save(path, {"W": torch.ones(2, 3)}, {"seed": 7})
    >>> tensors, meta = load(path, expect={"W": (None, 3)})
    >>> tensors["W"].shape, meta
    (torch.Size([2, 3]), {'seed': 7})
    """
    write_atomic(Path(path).expanduser(), pack(tensors, meta))


def pack(tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> bytes:
    """Return the content of the file that `save` writes."""
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"tensors[{name!r}] must be a torch tensor; got {type(tensor)}")
    header = {"format": _FORMAT, "meta": canonical_json("meta", dict(meta)), "sha256": _BLANK}
    copies = {
        name: torch.clone(tensor.detach().cpu(), memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    blank = safetensors.torch.save(copies, header)
    return _with_checksum(blank, _BLANK, _hash(blank))


def load(
    path: str | Path, expect: Mapping[str, tuple[int | None, ...]] | None = None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save` wrote, on the CPU.

    Parameters
    ----------
    path : str or Path
        The file.
    expect : dict of str to tuple, optional
        Tensors that must be there with their shapes; `None` stands for any size.

    Returns
    -------
    tensors : dict of str to Tensor
    meta : dict

    Raises
    ------
    StoreError
        If one bit of the file is not as it was written, the file is of another format, or a tensor
        is not as expected. The message names the file and the reason.
    FileNotFoundError
        If there is no such file.
    OSError
        If it cannot be read, or is a pipe or a device.
    """
    path = Path(path).expanduser()
    tensors, meta = unpack(path, read_file(path))
    for name, shape in (expect or {}).items():
        if name not in tensors:
            raise StoreError(f"{path}: must hold tensor {name!r}; got {sorted(tensors)}")
        given = tuple(tensors[name].shape)
        fits = len(given) == len(shape) and all(want in (None, size) for want, size in zip(shape, given, strict=True))
        if not fits:
            wanted = ", ".join("any" if size is None else str(size) for size in shape)
            raise StoreError(f"{path}: tensor {name!r} must have shape [{wanted}]; got {given}")
    return tensors, meta


def unpack(path: str | Path, data: bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return what `pack` packed, or raise a `StoreError` that names the file."""
    end = 8 + int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8:end])["__metadata__"]
        form, meta, checksum = header["format"], header["meta"], header["sha256"]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise StoreError(f"{path}: not a file of this package, or its header is damaged") from error
    if form != _FORMAT:
        raise StoreError(f"{path}: format must be {_FORMAT!r}; got {form!r}")
    if _hash(_with_checksum(data, checksum, _BLANK)) != checksum:
        raise StoreError(f"{path}: damaged or truncated, the checksum does not fit")
    try:
        return safetensors.torch.load(data), dict(json.loads(meta))
    except Exception as error:  # whatever tensors that do not fit, or a header made by hand, may raise
        raise StoreError(f"{path}: its content is not what its checksum was made of: {error}") from error


def cached(
    key: Mapping[str, Any],
    compute: Callable[..., tuple[Mapping[str, Tensor], Mapping[str, Any]]],
    folder: str | Path | None = None,
    *,
    wait: bool = True,
    checkpoint: bool = False,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return ``compute()``, from disk if it was computed before.

    A result counts as the same if `key` and `compute` have the same :func:`~mvtheory.persistence.identity.identity`:
    what `compute` does, closes over, and uses by name counts, of this package its sources, of torch and others their
    version. Of several processes that ask at once, one computes and the others wait for it.

    Parameters
    ----------
    key : dict of str to object
        What the result is, for people who look at the file, and what it depends on besides `compute`.
    compute : callable
        Returns ``(tensors, meta)`` as `save` takes them.
    folder : str or Path, optional
        By default the environment variable ``MVTHEORY_CACHE``, else ``_build/studies`` of the
        checkout that the package is run from, else the user's cache folder.
    wait : bool
        If another process is computing this result: wait for it, or raise `LockedError` at once.
    checkpoint : bool
        Call ``compute(path)`` with the path of a checkpoint beside the file (None in a folder that
        cannot be written), for :func:`mvtheory.training.train`: after a kill it goes on from there.
        The checkpoint is removed once the result is stored.

    Returns
    -------
    tensors : dict of str to Tensor
    meta : dict
        That of `compute`, with ``"seconds"``, the wall time of `compute` (since it last went on),
        ``"key"``, and the ``"identity"`` of both added.

    Raises
    ------
    TypeError
        If `key` or `compute` hold something that two processes cannot compare, such as a lock.
    LockedError
        If another process is computing this result and `wait` is False.

    Warns
    -----
    UserWarning
        If the file is damaged or another result's; the result is then computed again. If it cannot be written, since
        the disk is full or the folder read-only; the result is then returned all the same. If `compute` changes what
        it depends on, such as a list that it closes over; the same call will not find the result.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> def compute():
    ...     print("computing")
    ...     return {"x": torch.ones(3)}, {"unit": "ones"}
    >>> for _ in range(2):
    ...     tensors, meta = cached({"study": "ones", "n": 3}, compute, folder)
    computing
    """
    name = identity([dict(key), compute, torch.__version__])
    path = (Path(folder).expanduser() if folder else default_folder()) / f"{name}.safetensors"
    own = {"key": {part: _described(value) for part, value in key.items()}, "identity": name}

    def packed(beside: Path | None) -> bytes:
        start = time.perf_counter()
        tensors, meta = compute(beside) if checkpoint else compute()
        return pack(tensors, {**meta, "seconds": time.perf_counter() - start, **own})

    with suppress(StoreError, OSError):
        return _load_own(path, name)  # a file is whole or not there, so this needs no lock and no leave to write
    try:
        make_folder(path.parent)
        lock = acquired(path, timeout=-1 if wait else 0)
    except Timeout:
        raise LockedError(f"another process is computing {path.name}") from None
    except OSError as error:
        warnings.warn(f"computed, but not kept: {error}", stacklevel=2)
        return unpack(path, packed(None))
    with lock:
        lock.release()  # the with statement holds it a second time
        clean(path)
        try:
            return _load_own(path, name)
        except FileNotFoundError:
            pass
        except (StoreError, OSError) as error:
            warnings.warn(f"computing again: {error}", stacklevel=2)
        data = packed(path.with_suffix(".checkpoint"))
        if identity([dict(key), compute, torch.__version__]) != name:
            warnings.warn(
                f"{_name(compute)} changes a value that it depends on: it will be computed again", stacklevel=2
            )
        try:
            write_atomic(path, data)
        except OSError as error:
            warnings.warn(f"computed, but not kept: {error}", stacklevel=2)
        else:
            for file in path.parent.glob(f"*{path.stem}.checkpoint*"):
                file.unlink(missing_ok=True)
        return unpack(path, data)  # so that the first time gives exactly what later times give


def _load_own(path: Path, name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return what the file holds if it says that it is the result of this identity."""
    tensors, meta = load(path)
    if meta.get("identity") != name:
        raise StoreError(f"{path}: holds another result, {meta.get('key')}")
    return tensors, meta


def _name(function: Any) -> str:
    return getattr(function, "__qualname__", repr(function))


def _described(value: Any) -> Any:
    """Return a value as JSON that people can read."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        return repr(value)


def _with_checksum(data: bytes, old: str, new: str) -> bytes:
    """Return the file with another checksum in its header."""
    return data.replace(f'"sha256":"{old}"'.encode(), f'"sha256":"{new}"'.encode(), 1)


def canonical_json(name: str, content: dict[str, Any]) -> str:
    """Return `content` as JSON that is the same for equal contents; an error names it `name`."""
    try:
        return json.dumps(content, sort_keys=True, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name} must hold JSON values only ({error}); got {content!r}") from None


def default_folder() -> Path:
    """Return where results are kept: see :func:`cached`."""
    if folder := os.environ.get("MVTHEORY_CACHE"):
        return Path(folder).expanduser()
    checkout = Path(__file__).parents[2]
    if (checkout / "pyproject.toml").is_file():
        return checkout / "_build" / "studies"
    return Path(platformdirs.user_cache_dir("mvtheory"))


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
