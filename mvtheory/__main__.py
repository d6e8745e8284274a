"""Measure claims and run sweeps from a small file, without a notebook.

A sweep, in TOML:

    kind = "sweep"
    study = "law"                # a name of --list, or "package.module:function"
    seeds = [0, 1]
    draws = [701, 702]           # data draws
    backend = "loky"             # or "dask", or "sequential"
    jobs = 2                     # processes of this machine
    store = "sweeps"             # folder of the finished cells; run the file again to compute the rest

    [grid]                       # all combinations are computed; [[grid]] gives several grids
    k = [10, 30]

A claim:

    kind = "claim"
    claim = ["single", "law"]    # names of --list
    draws = [11, 12, 13, 14, 15]

    [setting]                    # what differs from the book's setting
    members = 4
    task.k = 5

Whether an ensemble is worth it on your own data is another command: `python -m mvtheory diagnose --help`.

The exit status is 0 if all went well, 1 if a cell or a claim failed, and 2 if the command could not be carried out: the
file or an option is wrong, the table cannot be saved, or the Dask cluster has no workers.

The file of a sweep may name any Python function, which is imported and called with the rights of who runs it: run only
files whose authors you trust. The function's module must lie in the folder of the file or be installed; `--trust` names
other folders. The cells of a store are taken as they are, so it must be a folder that only those you trust can write.
"""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import os
import site
import sys
import sysconfig
import tomllib
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mvtheory.persistence.files import read_file
from mvtheory.training import Diverged

if TYPE_CHECKING:
    from pandas import DataFrame

FORMATS = {".csv": "to_csv", ".md": "to_markdown", ".parquet": "to_parquet"}
SWEEP = ("study", "grid", "seeds", "draws", "store", "backend", "jobs", "scheduler", "retry")
CLAIM = ("claim", "draws", "setting")


class UsageError(Exception):
    """The file or the command is wrong; the message is one line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == ["diagnose"]:
        from mvtheory.decision import command

        return command.main(given[1:])
    parser = _parser()
    options = parser.parse_args(given)
    try:
        if options.list:
            _list()
            return 0
        if options.file is None:
            raise UsageError("file must be given; see --help")
        table, failed, error = _run(options)
        if len(table) or not error:
            try:
                if options.save:
                    _save(table, options.save.expanduser())
            finally:  # what was computed is shown, if not saved
                _print(table.to_string(index=False))
        if error:  # of a claim, after those that were measured
            raise error
        return 1 if failed else 0
    except UsageError as reason:
        print(f"mvtheory: {reason}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m mvtheory", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", nargs="?", type=Path, help="a sweep or a claim, in TOML: see above and examples/")
    parser.add_argument("--list", action="store_true", help="list the built-in claims and studies, and exit")
    parser.add_argument("--save", type=Path, metavar="TABLE", help="also save the table, as .csv, .md or .parquet")
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")
    group = parser.add_argument_group("options of a sweep, which override the file")
    group.add_argument("--backend", help="sequential, loky or dask")
    group.add_argument("--jobs", type=int, metavar="N", help="worker processes on this machine")
    group.add_argument(
        "--scheduler", metavar="ADDRESS", help="address of a Dask scheduler, such as tcp://10.0.0.1:8786"
    )
    group.add_argument("--store", metavar="FOLDER", help="folder of the finished cells")
    group.add_argument(
        "--trust", type=Path, metavar="FOLDER", action="append", help="folder of the study's module, if another"
    )
    group.add_argument("--retry", action="store_true", default=None, help="recompute cells that failed")
    return parser


def _run(options: argparse.Namespace) -> tuple[DataFrame, bool, BaseException | None]:
    """Run what the file says; return the table, whether a part of it failed, and the error that ended it."""
    if options.save and options.save.suffix not in FORMATS:
        raise UsageError(f"--save must end in one of {', '.join(FORMATS)}; got {options.save}")
    content = _read(options.file)
    given = {name: getattr(options, name) for name in ("backend", "jobs", "scheduler", "store", "retry")}
    given = {name: value for name, value in given.items() if value is not None}
    kind = content.pop("kind", None)
    if kind == "sweep":
        _only(options.file, content, SWEEP, needed=("study", "grid"))
        function = _study(options.file, content.pop("study"), options.trust or [])
        return *_sweep(options.file, function, content | given, progress=not options.quiet), None
    if kind == "claim":
        for name in [*given, *(["trust"] if options.trust else [])]:
            raise UsageError(f"--{name} is for sweeps; {options.file} has kind 'claim'")
        _only(options.file, content, CLAIM, needed=("claim",))
        return _claims(options.file, content)
    raise UsageError(f"{options.file}: kind must be one of 'sweep', 'claim'; got {kind!r}")


def _read(file: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(read_file(file).decode("utf-8-sig"))
        repr(content)  # raises an error where numbers or tables are too large for messages
        return content
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # not TOML, or not text
        raise UsageError(f"{file}: not a TOML file: {error}") from None


def _only(file: Path, content: Mapping[str, Any], allowed: Sequence[str], needed: Sequence[str]) -> None:
    for key in content:
        if key not in allowed:
            raise UsageError(f"{file}: keys must be among kind, {', '.join(allowed)}; got {key!r}")
    for key in needed:
        if key not in content:
            raise UsageError(f"{file}: {key} must be given")


def _sweep(file: Path, function: Callable, content: dict[str, Any], progress: bool) -> tuple[DataFrame, bool]:
    from mvtheory.sweeps import Sweep

    options = {name: content.pop(name) for name in ("backend", "jobs", "scheduler", "retry") if name in content}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default", UserWarning)
            warnings.showwarning = lambda message, *_: print(f"mvtheory: {message}", file=sys.stderr)
            table = Sweep(function, **content).run(**options, progress=progress)
    except (TypeError, ValueError, ImportError, OSError, RuntimeError) as error:
        raise UsageError(f"{file}: {' '.join(str(error).split())}") from None
    return table, bool(table["cell_error"].notna().any())


def _study(file: Path, name: Any, trusted: Sequence[Path]) -> Callable:
    """Return the function of a name of --list, or of a module and a name in it that may be imported."""
    from mvtheory.experiments.scale import STUDIES
    from mvtheory.sweeps.workers import describe_error

    allowed = f"study must be one of {', '.join(map(repr, STUDIES))}, or 'package.module:function'"
    if isinstance(name, str) and name in STUDIES:
        return STUDIES[name]
    if not isinstance(name, str) or ":" not in name:
        raise UsageError(f"{file}: {allowed}; got {name!r}")
    module, _, attribute = name.partition(":")
    folders = [folder.expanduser().resolve() for folder in (file.parent, *trusted)]
    sys.path += [str(folder) for folder in folders if str(folder) not in sys.path]
    try:
        _check_trusted(file, module.partition(".")[0], folders)
        return getattr(importlib.import_module(module), attribute)
    except UsageError:
        raise
    except (Exception, SystemExit) as error:  # of any module
        raise UsageError(f"{file}: {allowed}; got {name!r}: {describe_error(error)}") from None


def _check_trusted(file: Path, root: str, folders: Sequence[Path]) -> None:
    """Raise an error, before anything is imported, unless a module lies in one of the folders or is installed."""
    spec = importlib.util.find_spec(root)
    if spec is None or not (spec.has_location or spec.submodule_search_locations):
        return  # there is no such module, or it is part of Python
    installed = [*sysconfig.get_paths().values(), *site.getsitepackages(), str(Path(__file__).parent)]
    allowed = [*folders, *(Path(path).resolve() for path in installed)]
    for place in map(Path, spec.submodule_search_locations or [str(spec.origin)]):
        if not any(place.resolve().is_relative_to(folder) for folder in allowed):
            raise UsageError(
                f"{file}: study must lie in the folder of the file or be installed; got {place}: if you trust it, add "
                f"--trust {place.parent}"
            )


def _claims(file: Path, content: Mapping[str, Any]) -> tuple[DataFrame, bool, BaseException | None]:
    from pandas import DataFrame

    from mvtheory.claims import COLUMNS, table_cells
    from mvtheory.experiments import estimator, measure
    from mvtheory.experiments.base import check_draws
    from mvtheory.experiments.predictions import CLAIMS

    names = content["claim"] if isinstance(content["claim"], list) else [content["claim"]]
    claims = []
    for name in names:
        if not isinstance(name, str) or name not in CLAIMS:
            raise UsageError(f"{file}: claim must be one of {', '.join(map(repr, CLAIMS))}; got {name!r}")
        options = {}
        allowed = inspect.signature(estimator(name)).parameters
        for key in ("draws", "setting"):
            if key in content and key not in allowed:
                raise UsageError(f"{file}: claim {name!r} has no {key} to change; remove the key")
        try:
            if "draws" in content:
                check_draws(content["draws"])
                options["draws"] = tuple(content["draws"])
            if "setting" in content:
                options["setting"] = _changed(file, "setting", allowed["setting"].default, content["setting"])
        except (TypeError, ValueError) as error:
            raise UsageError(f"{file}: {' '.join(str(error).split())}") from None
        claims.append((name, options))
    measured, ended = [], None
    for name, options in claims:
        try:
            measured.append(measure(name, **options))
        except BaseException as error:  # what was measured so far is not lost
            ended = _explained(file, name, error) if options else error
            break
    table = DataFrame([(claim.id, *table_cells(claim)) for claim in measured], columns=list(COLUMNS))
    failed = [claim.id for claim in measured if claim.verdict == "fails"]
    for name in failed:
        print(f"mvtheory: the claim {name!r} fails", file=sys.stderr)
    return table, bool(failed), ended


def _explained(file: Path, name: str, error: BaseException) -> BaseException:
    """Return an error of a claim as one of the file if the package raised it itself, as its checks of values do.

    What a library raises, or any other kind of error, is a fault of the package, which needs its traceback.
    """
    raised_by = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
    if isinstance(error, TypeError | ValueError | Diverged) and raised_by.is_relative_to(Path(__file__).parent):
        return UsageError(f"{file}: claim {name!r}: {' '.join(str(error).split())}")
    return error


def _changed(file: Path, name: str, setting: Any, changes: Any) -> Any:
    """Return the setting with some of its fields changed; tables change the fields of what they name."""
    if not isinstance(changes, Mapping):
        raise UsageError(f"{file}: {name} must be a table; got {changes!r}")
    allowed = [field.name for field in fields(setting)]
    new = {}
    for key, value in changes.items():
        if key not in allowed:
            raise UsageError(f"{file}: {name} must have keys among {', '.join(allowed)}; got {key!r}")
        old, path = getattr(setting, key), f"{name}.{key}"
        if is_dataclass(old):
            value = _changed(file, path, old, value)
        elif isinstance(old, tuple):
            value = tuple(value) if isinstance(value, list) else value
        elif isinstance(old, bool):
            if not isinstance(value, bool):
                raise UsageError(f"{file}: {path} must be true or false; got {value!r}")
        elif isinstance(old, int | float) and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise UsageError(f"{file}: {path} must be a number; got {value!r}")
        elif isinstance(old, int) and (not isinstance(value, int) or value < 0):
            raise UsageError(f"{file}: {path} must be an integer >= 0; got {value!r}")
        new[key] = value
    try:
        return replace(setting, **new)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{file}: {name}: {error}") from None


def _save(table: DataFrame, path: Path) -> None:
    from mvtheory.sweeps.workers import describe_error

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        getattr(table, FORMATS[path.suffix])(path, index=False)
    except (ImportError, OSError, TypeError, ValueError, OverflowError) as error:  # not every table fits into .parquet
        raise UsageError(f"--save {path}: {describe_error(error)}") from None


def _list() -> None:
    from mvtheory.experiments.predictions import CLAIMS
    from mvtheory.experiments.scale import STUDIES

    _print("claims")
    for name, claim in CLAIMS.items():
        _print(f"  {name:32} {claim.statement}, predicted {claim.predicted_text}")
    _print("studies")
    for name, study in STUDIES.items():
        _print(f"  {name:32} {(study.__doc__ or '').splitlines()[0]}")


def _print(text: str) -> None:
    """Print to a reader who may have left, as `head` does."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python fails at exit, when it flushes


if __name__ == "__main__":
    sys.exit(main())
