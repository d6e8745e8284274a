"""Notice the edits that Sphinx and jupyter-cache do not watch.

The execution cache compares the cells of a chapter and nothing else, so an edit in the package would leave its outputs
stale. Here the cache lies in a folder named after a hash of everything that the outputs depend on beside the cells: the
package's code (without docstrings and comments), the locked versions, and the number of data sets. Another hash, of the
book's own machinery (this folder, the styles, the scripts), is a configuration value, so that an edit there reads every
page again.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

ROOT = Path(__file__).parents[2]


def digest(paths: Iterable[Path]) -> str:
    """Hash names and contents of files, in the order of their names."""
    total = hashlib.sha256()
    for path in sorted(paths):
        total.update(path.relative_to(ROOT).as_posix().encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:16]


def files(folder: Path, pattern: str = "*") -> list[Path]:
    """List the files below a folder, without Python's own caches."""
    return [path for path in folder.rglob(pattern) if path.is_file() and "__pycache__" not in path.parts]


def package_digest() -> str:
    """Hash the package's code by the package's own rule, without importing torch."""
    file = ROOT / "mvtheory/persistence/sources.py"
    spec = importlib.util.spec_from_file_location("mvtheory_sources", file)
    assert spec is not None  # it is a Python file
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module.digest_of_all()[:16]


def key(app: Sphinx, config: Config) -> None:
    """Put both hashes into the configuration, before the environment is compared with it."""
    name = f"{package_digest()}-{digest([ROOT / 'requirements.txt'])}-{os.environ.get('MVTHEORY_FULL', '0')}"
    config.nb_execution_cache_path = str(Path(app.outdir).parent / ".jupyter_cache" / name)
    book = Path(app.srcdir)
    config.book_machinery = digest(path for name in ("_ext", "_static", "_offline") for path in files(book / name))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_config_value("book_machinery", "", "env", str)
    app.connect("config-inited", key)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
