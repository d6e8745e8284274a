"""The package's own code, definition by definition: what a function is made of, without docstrings and comments.

A definition counts by its syntax tree and by all definitions of this package that it names, wherever they stand, and
so does each of these. What a definition uses of other packages counts by their versions. Names are read from the
text, and so are names of modules in strings: code of this package finds nothing by a computed name.

Only the standard library is used here, so that a build of the book need not wait for torch to see that nothing changed.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

__all__ = ["PACKAGE", "digest", "digest_of_all", "version_of"]

#: The name of this package, and the root of its modules.
PACKAGE = "mvtheory"

_FOLDER = Path(__file__).parents[1]

# Read when the code is imported: an edit made while a notebook runs must not file the old code's results under the
# new code's name.
_TEXTS = {
    ".".join(file.relative_to(_FOLDER.parent).with_suffix("").parts).removesuffix(".__init__"): file.read_text("utf-8")
    for file in sorted(_FOLDER.rglob("*.py"))
}

#: What keeps results does not change them, nor does what draws them.
_NO_INFLUENCE = (f"{PACKAGE}.persistence", f"{PACKAGE}.plotting")

Name = tuple[str, str]  # a module and a definition in it; "" for the statements that define nothing


@dataclass
class _Module:
    """A module by its definitions, imports, and all other statements."""

    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)
    others: list[ast.stmt] = field(default_factory=list)


def digest(names: Iterable[str]) -> str:
    """Return a hash of definitions of this package and of all that they use.

    Parameters
    ----------
    names : iterable of str
        Dotted names, such as ``"mvtheory.training.train"``; a module stands for all that it defines.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    KeyError
        If there is no such module.
    """
    return _digest(frozenset(names))


@cache
def _digest(names: frozenset[str]) -> str:
    done: dict[Name, str] = {}
    versions: set[str] = set()
    new = {unit for name in names for unit in _resolve(name)}
    while new:
        unit = new.pop()
        done[unit], used = _unit(unit)
        for target in used:
            if target.partition(".")[0] != PACKAGE:
                versions.add(version_of(target))
            elif not target.startswith(_NO_INFLUENCE):
                new |= set(_resolve(target)) - done.keys()
    total = "".join([*(f"{unit}{done[unit]}" for unit in sorted(done)), *sorted(versions)])
    return hashlib.sha256(total.encode()).hexdigest()


def digest_of_all() -> str:
    """Return a hash of the whole package, without docstrings and comments."""
    trees = "".join(f"{name} {ast.dump(_parse(name))}" for name in _TEXTS)
    return hashlib.sha256(trees.encode()).hexdigest()


def version_of(module: str) -> str:
    """Return the name and the version of the distribution that a module belongs to; "" for Python's own."""
    return _version(module.partition(".")[0])


@cache
def _version(root: str) -> str:
    if root in sys.stdlib_module_names:
        return ""
    try:
        return f"{root}=={importlib.metadata.version(root)}"
    except importlib.metadata.PackageNotFoundError:  # a distribution of another name: slower to find
        return " ".join(f"{name}=={importlib.metadata.version(name)}" for name in _distributions().get(root, []))


@cache
def _distributions() -> dict[str, list[str]]:
    return {root: sorted(names) for root, names in importlib.metadata.packages_distributions().items()}


@cache
def _parse(module: str) -> ast.Module:
    """Return the syntax tree of a module, without docstrings."""
    tree = ast.parse(_TEXTS[module])
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                del node.body[0]
    return tree


@cache
def _module(name: str) -> _Module:
    found = _Module()
    for node in _parse(name).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            found.imports |= dict(_imported(node))
            continue
        names = _defined(node)
        for defined in names:
            found.definitions.setdefault(defined, []).append(node)
        if not names:
            found.others.append(node)
            found.imports |= {k: v for part in ast.walk(node) for k, v in _imported(part)}
    return found


def _defined(node: ast.stmt) -> list[str]:
    """Return the names that a statement at the top of a module defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]


def _imported(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield the names that an import makes, with what they stand for."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            # `import a.b` makes the name a, `import a.b as c` the name c of a.b
            yield (alias.asname, alias.name) if alias.asname else (alias.name.partition(".")[0],) * 2
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _resolve(dotted: str) -> list[Name]:
    """Return the definitions that a dotted name of this package stands for."""
    module, rest = dotted, ""
    while module not in _TEXTS:
        module, _, last = module.rpartition(".")
        rest = f"{last}.{rest}" if rest else last
        if not module:
            raise KeyError(f"no module of {PACKAGE}: {dotted!r}")
    name = rest.partition(".")[0]
    content = _module(module)
    if name in content.definitions:
        return [(module, name), (module, "")]
    if name in content.imports:
        target = content.imports[name]
        return _resolve(target) if target.partition(".")[0] == PACKAGE else []
    # The module itself is passed on, or finds the name in a way of its own: all of it counts.
    return [(module, part) for part in ("", *content.definitions)]


@cache
def _unit(unit: Name) -> tuple[str, frozenset[str]]:
    """Return a hash of a definition, and the dotted names that it uses, of this package and of others."""
    module, name = unit
    content = _module(module)
    statements = content.definitions.get(name, []) if name else content.others
    parts = [part for node in statements for part in ast.walk(node)]
    within = dict(pair for part in parts for pair in _imported(part))
    imports, used = content.imports | within, set()
    inner = {id(part.value) for part in parts if isinstance(part, ast.Attribute)}  # the a.b of a.b.c
    for part in parts:
        first, *rest = [""] if id(part) in inner else _chain(part) or [""]
        if first in imports:
            used.add(".".join([imports[first], *rest]))
        elif first in content.definitions and first != name:
            used.add(f"{module}.{first}")
        elif isinstance(part, ast.Constant) and part.value in _TEXTS:  # a module that is imported when it is needed
            used.add(part.value)
    text = "".join(ast.dump(node) for node in statements)
    return hashlib.sha256(text.encode()).hexdigest(), frozenset(used)


def _chain(node: ast.AST) -> list[str]:
    """Return the names of ``a.b.c``; nothing where something else is in front."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *reversed(names)] if isinstance(node, ast.Name) else []
