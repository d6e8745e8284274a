"""What tells two computations apart: one hash for values, functions and types, the same in every process.

Two things that differ never share a hash; where that cannot be promised, an error says why. A function counts by what
it does: its instructions, its defaults, what it closes over and the globals that it uses, with all that these use in
turn; a type by its methods. Names of arguments count, docstrings and comments do not. What is imported from this
package counts by its sources (:mod:`mvtheory.persistence.sources`), what comes from others by its name and their
version: what a function reads in them when it is called, such as ``os.environ["HOME"]``, does not count by its value,
whatever name the function has for it; nor does what it writes to, such as ``sys.stderr``.
"""

from __future__ import annotations

import builtins
import dis
import hashlib
import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from pathlib import PurePath
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, MethodWrapperType, ModuleType, UnionType
from typing import Any
from weakref import ReferenceType

import numpy as np
import torch
from torch import Tensor

from mvtheory.persistence import sources

__all__ = ["identity"]

_PLAIN = (str, bytes, int, float, complex, bool, type(None), type(...), np.generic, np.dtype, torch.dtype, torch.device)
_BUILTIN = (BuiltinFunctionType, MethodWrapperType, type(str.join), type(object.__init__), np.ufunc)
_NEVER_HELD = (*_PLAIN, *_BUILTIN, ModuleType, FunctionType, type, Tensor, np.ndarray)
# Of a class's own dictionary: what says nothing of what its instances do, or stands elsewhere in it.
_SKIPPED = {"__doc__", "__module__", "__qualname__", "__dict__", "__weakref__", "__annotations__", "__match_args__",
            "__dataclass_fields__", "__dataclass_params__", "__abstractmethods__", "_abc_impl", "__parameters__",
            "__orig_bases__", "_is_protocol", "__non_callable_proto_members__", "__protocol_attrs__"}  # fmt: skip
_ARGUMENTS = 0x04 | 0x08 | 0x20 | 0x80 | 0x200  # flags of a code object: *args, **kwargs, generator, coroutine


def identity(value: Any, *, code: bool = True) -> str:
    """Return a hash that is the same for equal values, in every process.

    Parameters
    ----------
    value : object
        Tensors and arrays count by their bits, dataclasses by their type and fields, functions and types by their code
        (see the top of the module), sets, lists, tuples and dicts by what they hold, and all else by its type and by
        what pickle would store.
    code : bool
        Whether the sources of this package count. Without them its functions and types count by their names.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    TypeError
        If `value` holds something that two processes cannot compare, such as a lock or an open file. Where a function
        finds it by a name, both are told.

    Examples
    --------
    >>> identity({"eta": 0.5, "W": torch.zeros(2)}) == identity({"eta": 0.5, "W": torch.zeros(2)})
    True
    >>> identity(torch.zeros(2)) == identity(torch.zeros(2, 1))
    False
    >>> identity(lambda x: x + 1) == identity(lambda x: x + 2)
    False
    """
    walk = _Walk()
    walk.add(value)
    return walk.digest(code)


class _Incomparable(TypeError):
    """What two processes cannot compare; not yet told is who uses it."""


class _Walk:
    """A hash of a value and of all that it holds or uses."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._open: dict[int, int] = {}  # by address: what is being taken in, and may hold itself
        self._code: dict[int, tuple[int, Any]] = {}  # by address: functions and types, which are taken in once
        self._package: set[str] = set()
        self._versions: set[str] = set()

    def digest(self, code: bool) -> str:
        """Return the hash, with that of the package's code that was met on the way."""
        if code:
            self._put(sources.digest(self._package), *sorted(self._versions))
        return self._hash.hexdigest()

    def add(self, value: Any) -> None:
        """Take in a value."""
        kind = type(value)
        if isinstance(value, _PLAIN) and (
            kind.__module__ in ("builtins", "torch") or isinstance(value, np.generic | np.dtype)
        ):
            self._put(kind.__qualname__, repr(value))
        elif isinstance(value, Tensor | np.ndarray):
            self._array(value)
        elif isinstance(value, PurePath):
            self._put("path", str(value))
        elif id(value) in self._open:
            self._put("holds itself", str(self._open[id(value)]))
        elif id(value) in self._code:
            self._put("as before", str(self._code[id(value)][0]))
        else:
            self._open[id(value)] = len(self._open)
            if isinstance(value, FunctionType | type):
                self._code[id(value)] = len(self._code), value  # kept alive, so that no other takes its address
            self._put("(")
            self._compound(value)
            self._put(")")
            del self._open[id(value)]

    def _compound(self, value: Any) -> None:
        if isinstance(value, ModuleType):
            self._module(value)
        elif isinstance(value, type):
            self._type(value)
        elif isinstance(value, FunctionType):
            self._function(value)
        elif isinstance(value, MethodType):
            self._all("method", value.__self__, value.__func__)
        elif isinstance(value, _BUILTIN):
            self._put("built in", str(getattr(value, "__module__", "")), getattr(value, "__qualname__", value.__name__))
        elif hasattr(value, "__wrapped__") or hasattr(value, "py_func"):  # a cache, or a compiler's wrapper
            self._all("wrapper", type(value), getattr(value, "__wrapped__", None) or value.py_func)
        elif isinstance(value, set | frozenset):
            self._all("set", type(value), *sorted(value, key=_order))
        elif isinstance(value, list | tuple):
            self._all("sequence", type(value), *value)
        elif isinstance(value, staticmethod | classmethod):
            self._all(type(value).__name__, value.__func__)
        elif isinstance(value, UnionType):  # X | Y, among the defaults of what checks types
            self._all("union", *value.__args__)
        elif isinstance(value, ReferenceType):
            self._all("weak reference", value())
        elif isinstance(value, cached_property):
            self._all("cached property", value.func)
        elif isinstance(value, property):
            self._all("property", value.fget, value.fset, value.fdel)
        elif isinstance(value, CodeType):
            self._instructions(value, {})
        elif isinstance(value, _Held):
            self._versions.add(sources.version_of(value.module))
            self._put("held", value.module, value.name)
        else:
            parts = _parts(value)
            self._all(
                "object", type(value), *(item for name in sorted(parts, key=_order) for item in (name, parts[name]))
            )

    def _put(self, *words: str) -> None:
        for word in words:
            data = word.encode("utf-8", "surrogatepass")
            self._hash.update(len(data).to_bytes(8, "little") + data)

    def _all(self, word: str, *values: Any) -> None:
        self._put(word, str(len(values)))
        for value in values:
            self.add(value)

    def _array(self, value: Tensor | np.ndarray) -> None:
        self._put(type(value).__qualname__, str(value.dtype), str(tuple(value.shape)))
        if isinstance(value, Tensor):
            flat = value.detach().cpu().contiguous().reshape(-1)
            self._hash.update(flat.view(torch.uint8).numpy().data)
        elif value.dtype.hasobject:
            self._all("objects", *value.ravel().tolist())
        else:
            self._hash.update(value.tobytes())

    def _module(self, module: ModuleType) -> None:
        if self._foreign(module, module.__name__):
            self._put("module", module.__name__)
            return
        raise _Incomparable(
            f"a module as a whole cannot be compared with another; use its functions by name: {module.__name__}"
        )

    def _type(self, kind: type) -> None:
        self._put("type", kind.__module__, kind.__qualname__)
        if self._foreign(kind, kind.__module__, kind.__qualname__):
            return
        self._all("bases", *kind.__bases__)
        for name, member in sorted(vars(kind).items()):
            if name not in _SKIPPED and not _is_slot(member):
                self._all("member", name, member)

    def _function(self, function: FunctionType) -> None:
        module = function.__module__ or ""
        if self._foreign(function, module, function.__qualname__):
            self._put("function", module, function.__qualname__)
            return
        if hasattr(function, "__wrapped__"):
            self.add(function.__wrapped__)
        code = function.__code__
        positional = function.__defaults__ and tuple(map(_Held.of, function.__defaults__))
        keyword = function.__kwdefaults__ and {name: _Held.of(value) for name, value in function.__kwdefaults__.items()}
        self._put("function", str(2 + len(code.co_freevars)))
        with _told(code, "as a default value"):
            self.add(positional)
            self.add(keyword)
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            with _told(code, f"as {name!r}"):
                self.add(_Held.of(_content(cell)))
        self._instructions(code, function.__globals__)

    def _foreign(self, value: Any, module: str, name: str = "") -> bool:
        """Tell whether code is not the user's own, and note the package's definition or the other package's version."""
        if module.partition(".")[0] == sources.PACKAGE:
            found = sys.modules.get(module)
            for part in name.split(".") if name else []:
                found = getattr(found, part, None)
            if value is not found:  # made while the package works, by a function of it: what it closes over counts
                return False
            self._package.add(f"{module}.{name}".rstrip("."))
            return True
        if _is_users(module):
            return False
        self._versions.add(sources.version_of(module))
        return True

    def _instructions(self, code: CodeType, scope: Mapping[str, Any]) -> None:
        """Take in what a function does, and what it finds by name."""
        count = code.co_argcount + code.co_kwonlyargcount
        self._put("code", str(code.co_argcount), str(code.co_posonlyargcount), *code.co_varnames[:count])
        self._put(str(code.co_flags & _ARGUMENTS), code.co_exceptiontable.hex())
        steps = list(dis.get_instructions(code))
        for place, step in enumerate(steps):
            after = steps[place + 1] if place + 1 < len(steps) else None
            if after and (after.opname, after.argval) == ("STORE_NAME", "__doc__"):
                continue
            if isinstance(step.argval, CodeType):
                self._put(step.opname)
                self._instructions(step.argval, scope)
            else:
                self._all(step.opname, step.argval)
        for name, value in _found(steps, scope):
            with _told(code, f"as {name!r}"):
                self.add(_Held.of(value))


@contextmanager
def _told(code: CodeType, how: str) -> Iterator[None]:
    """Tell which function uses what cannot be compared, and how it finds it."""
    try:
        yield
    except _Incomparable as error:
        raise TypeError(
            f"the function {code.co_qualname!r} uses, {how}, what has no identity: {error}. "
            "Make it inside the function, or import it there"
        ) from None


@dataclass(frozen=True)
class _Held:
    """A value that a module of others holds by a name, and which counts by both: ``os.environ``, ``sys.stderr``."""

    module: str
    name: str

    @classmethod
    def of(cls, value: Any) -> Any:
        """Return the place of such a value, and any other value as it is."""
        if value is None or isinstance(value, _NEVER_HELD):
            return value
        for name in ("stdin", "stdout", "stderr"):
            if value is getattr(sys, name, None) or value is getattr(sys, f"__{name}__", None):
                return cls("sys", name)
        home = sys.modules.get(type(value).__module__)
        if home is None or home is builtins or not _is_others(home):  # the built-in `_` is what was shown last
            return value
        names = sorted(name for name, held in vars(home).items() if held is value)
        return cls(home.__name__, names[0]) if names else value


def _found(steps: list[dis.Instruction], scope: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what instructions find by name: globals, and names in modules, also in those that they import.

    Of other packages it is the module alone, since the names in it are among the instructions.
    """
    built_in = scope.get("__builtins__", {})
    built_in = vars(built_in) if isinstance(built_in, ModuleType) else built_in
    imported: ModuleType | None = None
    for place, step in enumerate(steps):
        if step.opname == "IMPORT_NAME":
            imported = _import(step.argval, scope)
            if imported and (place + 1 == len(steps) or steps[place + 1].opname != "IMPORT_FROM"):
                yield step.argval, imported
        elif step.opname == "IMPORT_FROM":
            others = imported and _is_others(imported)
            yield step.argval, imported if others else getattr(imported, step.argval, None)
        elif step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            name, value = step.argval, scope.get(step.argval, built_in.get(step.argval))
            for attribute in steps[place + 1 :]:
                reads = attribute.opname in ("LOAD_ATTR", "LOAD_METHOD")
                if not (reads and isinstance(value, ModuleType)) or _is_others(value):
                    break
                name, value = attribute.argval, getattr(value, attribute.argval, None)
            yield name, value


def _is_others(module: ModuleType) -> bool:
    """Tell whether a module is neither the user's nor this package's."""
    return module.__name__.partition(".")[0] != sources.PACKAGE and not _is_users(module.__name__)


def _import(name: str, scope: Mapping[str, Any]) -> ModuleType | None:
    """Return the module of an import statement; None where the statement would fail, or is relative."""
    try:
        return importlib.import_module(name, scope.get("__package__"))
    except ImportError:
        return None


def _is_users(module: str) -> bool:
    """Tell whether a module is the user's own: from no distribution, and not Python's."""
    root = module.partition(".")[0]
    if root == "__main__":
        return True
    if root in sys.builtin_module_names or root in sys.stdlib_module_names:
        return False
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is None or not {"site-packages", "dist-packages"} & set(PurePath(file).parts)


def _order(value: Any) -> str:
    """Return a key that sorts values of any kind, in every process alike."""
    return identity(value, code=False)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _is_slot(member: Any) -> bool:
    return type(member).__name__ in ("member_descriptor", "getset_descriptor")


def _parts(value: Any) -> Mapping[Any, Any]:
    """Return what an object holds, by name."""
    if isinstance(value, Mapping):
        return value
    if is_dataclass(value):
        return {part.name: getattr(value, part.name) for part in fields(value)}
    try:
        reduced = value.__reduce_ex__(2)
    except (TypeError, AttributeError) as error:
        raise _Incomparable(f"this cannot be compared between processes: {value!r} ({error})") from None
    return {"name": reduced} if isinstance(reduced, str) else dict(enumerate(reduced))
