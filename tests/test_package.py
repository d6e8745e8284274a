"""The package as a whole: what it exports is there and described, its import does nothing."""

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import jaxtyping
import pytest
import torch

import mvtheory

FOUND = pkgutil.walk_packages(mvtheory.__path__, "mvtheory.")
MODULES = sorted(name for _, name, package in FOUND if not package and "__main__" not in name)
PUBLIC = [(module, name) for module in MODULES for name in getattr(importlib.import_module(module), "__all__", ())]
DESCRIBED = [name for name in mvtheory.__all__ if callable(getattr(mvtheory, name))]


def test_every_module_says_what_it_exports():
    for module in MODULES:
        exports = getattr(importlib.import_module(module), "__all__", None)
        assert ("._" in module) == (exports is None), module


@pytest.mark.parametrize("module", ["mvtheory", *dict(PUBLIC)])
def test_exports_are_sorted_and_exist(module):
    names = importlib.import_module(module).__all__
    assert sorted(set(names)) == sorted(names)
    for name in names:
        assert hasattr(importlib.import_module(module), name), name


def test_the_facade_exports_the_modules_own_objects():
    own = {name: getattr(importlib.import_module(module), name) for module, name in PUBLIC}
    for name in mvtheory.__all__:
        assert getattr(mvtheory, name) is own[name]


def sections(text: str) -> dict[str, str]:
    """Return the numpydoc sections of a docstring: title and text."""
    parts = re.split(r"^([A-Z]\w+)\n-{3,}\n", inspect.cleandoc(text), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def described(text: str) -> set[str]:
    """Return the names that a section describes, as in ``multi, single : int`` or ``**options``."""
    heads = re.findall(r"^(\w.*?|\*.*?)(?: :.*)?$", text, flags=re.MULTILINE)
    return {name.strip(" *") for head in heads for name in head.split(",")}


@pytest.mark.parametrize(("module", "name"), PUBLIC)
def test_public_names_have_docstrings(module, name):
    thing = getattr(importlib.import_module(module), name)
    assert not callable(thing) or inspect.getdoc(thing)


@pytest.mark.parametrize("name", DESCRIBED)
def test_the_facade_describes_arguments_and_results(name):
    thing = getattr(mvtheory, name)
    found = sections(thing.__doc__)
    if inspect.isclass(thing):
        fields = {f for f in getattr(thing, "__dataclass_fields__", {}) if thing.__dataclass_fields__[f].init}
        assert fields <= described(found.get("Parameters", "") + found.get("Attributes", ""))
        return
    signature = inspect.signature(thing)
    assert set(signature.parameters) <= described(found.get("Parameters", ""))
    if signature.return_annotation not in (None, "None"):
        assert "Returns" in found


IMPORT = """
import os, random, sys, warnings
import numpy as np, torch
def state():
    return (torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate(), os.getcwd(),
            dict(os.environ), torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled(),
            np.geterr(), torch.are_deterministic_algorithms_enabled(), sorted(os.listdir()))
before, filters = state(), list(warnings.filters)
import mvtheory, mvtheory.sweeps
assert state() == before, "import changed the state of the process"
assert set(warnings.filters) >= set(filters), "import silenced warnings"
def refuse(*slow):
    assert not set(slow) & set(sys.modules), f"import loads {set(slow) & set(sys.modules)}"
refuse("IPython", "dask", "distributed", "joblib", "llvmlite", "loky", "matplotlib.pyplot", "numba", "pandas")
import mvtheory.experiments.digit_images, mvtheory.experiments.practice, mvtheory.images.digits, mvtheory.images.planted
refuse("pooch")
refuse("sklearn")  # the digits are read when they are used
"""


@pytest.mark.slow
def test_import_has_no_side_effects(tmp_path):
    run = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:mvtheory", "-c", IMPORT],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(mvtheory.__file__).parents[1]), "PATH": "", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_the_test_run_checks_shapes():
    nets = mvtheory.PatchNets.init(2, k=3, m=4, d=5, sigma_0=0.1, seed=0)
    with pytest.raises(jaxtyping.TypeCheckError):
        nets(torch.zeros(2, 5))
    with pytest.raises(jaxtyping.TypeCheckError):
        mvtheory.average(torch.zeros(2, 3, 4, dtype=torch.int64))
