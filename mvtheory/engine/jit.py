"""Compiled code that is loaded when it is first used, and kept on disk where that is possible.

numba's own `njit` is loaded with its module, which takes most of a second, and fails where no folder can be written.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, TypeVar

__all__ = ["Lazy", "caused_by_interrupt", "njit"]

Function = TypeVar("Function", bound=Callable[..., Any])


class Lazy:
    """A module of compiled code that is imported once something of it is used.

    Parameters
    ----------
    name : str
        The module.
    """

    def __init__(self, name: str) -> None:
        self.__module__ = name  # so that its source counts among those of the modules that use it

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self.__module__), name)


def njit(**options: Any) -> Callable[[Function], Function]:
    """Return a decorator that compiles a function for the types it is called with.

    Parameters
    ----------
    **options
        Those of :func:`numba.njit`. Machine code is kept for later processes where numba finds a folder for it.

    Warns
    -----
    UserWarning
        Once, where there is no such folder.
    """
    import numba

    def decorate(function: Function) -> Function:
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError:  # neither the package's folder nor the user's can be written
            _warn_of_no_cache()
            return numba.njit(**options)(function)

    return decorate


def caused_by_interrupt(error: BaseException | None) -> bool:
    """Return whether an interrupt caused an error: one that hits compiled code ends as a SystemError."""
    while error and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


@cache
def _warn_of_no_cache() -> None:
    warnings.warn(
        "compiled code cannot be cached, so each process compiles it again: numba finds no writable folder; set the "
        "environment variable NUMBA_CACHE_DIR to one",
        stacklevel=3,
    )
