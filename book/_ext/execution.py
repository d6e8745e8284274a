"""Execute the chapters before they are read, a few at a time.

MyST-NB executes a notebook when it reads it, one after another. This extension runs those that are not in the execution
cache beforehand, so that the reading finds them there. A failing cell fails the build with the cell's own traceback,
after the other chapters are done and kept.
"""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn, JupyterCacheAbstract
from jupyter_cache.cache import db
from jupyter_cache.executors.utils import ExecutionResult, single_nb_execution
from myst_nb.core.read import create_nb_reader
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sqlalchemy import URL, Engine, create_engine

ROOT = Path(__file__).parents[2]
LOGGER = logging.getLogger(__name__)
TERMINAL_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def prepare_kernels(app: Sphinx, config: Config) -> None:
    """Give every kernel the same surroundings, whatever the shell that started the build."""
    os.environ.pop("MPLBACKEND", None)  # "Agg" there would silently remove every figure
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # kernels share the cores; sums are added up in the same order
    os.environ.setdefault("PYTHONHASHSEED", "0")
    # Large tensors come and go at every step: the C library keeps their memory instead of asking for zeroed pages anew.
    os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(2**25))
    os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(2**30))
    if os.environ.get("MVTHEORY_FULL") == "1":
        config.nb_execution_timeout *= 5  # as many draws
    paths = [str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))  # the package beside the book, not another one


def read_notebook(env: BuildEnvironment, docname: str) -> NotebookNode | None:
    """Read a chapter as MyST-NB does, without outputs; None for a page without code."""
    path = env.doc2path(docname)
    text = Path(path).read_text(encoding="utf-8")
    reader = create_nb_reader(path, env.myst_config, env.mystnb_config, text)  # type: ignore[attr-defined]
    return reader and reader.read(text)


def execution_cache(env: BuildEnvironment) -> JupyterCacheAbstract:
    """Open the cache of executed notebooks."""
    return get_cache(env.mystnb_config.execution_cache_path)  # type: ignore[attr-defined]


def is_cached(cache: JupyterCacheAbstract, notebook: NotebookNode) -> bool:
    """Tell whether the outputs of these very cells are in the cache."""
    try:
        cache.match_cache_notebook(notebook)
    except KeyError:
        return False
    return True


def execute(notebook: NotebookNode, path: str, timeout: int) -> ExecutionResult:
    """Run one notebook in a kernel of its own, in its own folder."""
    folder = str(Path(path).parent)
    return single_nb_execution(notebook, cwd=folder, timeout=timeout, allow_errors=False)


def execute_all(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Execute what the cache lacks, keep what succeeded, and stop the build if a cell failed."""
    cache = execution_cache(env)
    notebooks = {name: notebook for name in docnames if (notebook := read_notebook(env, name))}
    # What computes longest for itself starts first, so that no core idles at the end; then the last chapters, which
    # share the least; the index reads what the others computed.
    first = app.config.nb_execution_first
    order = sorted(notebooks, key=lambda name: (name in first, name != app.config.root_doc, name), reverse=True)
    failures = []
    with ThreadPoolExecutor(app.config.nb_execution_workers) as pool:
        running = {
            pool.submit(execute, notebooks[name], env.doc2path(name), app.config.nb_execution_timeout): name
            for name in order
            if not is_cached(cache, notebooks[name])
        }
        for done in as_completed(running):
            docname, result = running[done], done.result()
            if result.err is None:
                keep = CacheBundleIn(result.nb, env.doc2path(docname), data={"execution_seconds": result.time})
                cache.cache_notebook_bundle(keep, check_validity=False, overwrite=True)
                LOGGER.info("%s: executed in %.1f s", docname, result.time)
            else:
                failures.append(f"{docname}: {result.err}")
    if failures:
        raise ExtensionError(TERMINAL_COLOURS.sub("", "\n".join(["a cell failed", *failures])))


def open_database(address: str) -> Engine:
    """Open a database for jupyter-cache, which puts a path into an address as it is: ``%`` and ``?`` must not count."""
    return create_engine(URL.create("sqlite", database=address.removeprefix("sqlite:///")))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    db.create_engine = open_database
    app.add_config_value("nb_execution_workers", 2, "", int)
    app.add_config_value("nb_execution_first", [], "", list)
    app.connect("config-inited", prepare_kernels)
    app.connect("env-before-read-docs", execute_all)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
