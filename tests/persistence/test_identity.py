"""What tells two computations apart: functions and types by what they do, values by what they hold."""

import builtins
import io
import os
import re
import runpy
import subprocess
import sys
import textwrap
import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import mvtheory
from mvtheory import MultiView, SReLU, train
from mvtheory.persistence import sources
from mvtheory.persistence.identity import identity as of

FACTOR = 2


def scaled(x):
    return FACTOR * x


def uses_scaled(x):
    return scaled(x) + 1


def make(code: str, **scope):
    """Return the function f of a piece of code, as a notebook or script would define it."""
    names = {"__name__": "__main__", **scope}
    exec(textwrap.dedent(code), names)
    return names["f"]


DIFFERENT = {
    "constants": ("f = lambda x: x + 1", "f = lambda x: x * 10"),
    "a constant": ("f = lambda x: x + 1", "f = lambda x: x + 2"),
    "types of constants": ("f = lambda: 1", "f = lambda: 1.0"),
    "truth and one": ("f = lambda: (1, True)", "f = lambda: (True, 1)"),
    "operators": ("f = lambda x, y: x < y", "f = lambda x, y: x <= y"),
    "defaults": ("def f(x=1): return x", "def f(x=2): return x"),
    "keyword defaults": ("def f(*, x=1): return x", "def f(*, x=2): return x"),
    "argument names": ("def f(x, y): return x", "def f(y, x): return y"),
    "kinds of arguments": ("def f(x): return x", "def f(*x): return x"),
    "globals": ("a = 1\ndef f(): return a", "a = 2\ndef f(): return a"),
    "helpers": ("def g(): return 1\ndef f(): return g()", "def g(): return 2\ndef f(): return g()"),
    "helpers of helpers": (
        "a = [1]\ndef g(): return a\nh = lambda: g()\ndef f(): return h()",
        "a = [2]\ndef g(): return a\nh = lambda: g()\ndef f(): return h()",
    ),
    "closures": ("def o(a): return lambda: a\nf = o(1)", "def o(a): return lambda: a\nf = o(2)"),
    "inner functions": ("def f():\n def g(): return 1\n return g", "def f():\n def g(): return 2\n return g"),
    "comprehensions": ("def f(x): return [i + 1 for i in x]", "def f(x): return [i + 2 for i in x]"),
    "functions of modules": (
        "import torch\ndef f(x): return torch.sin(x)", "import torch\ndef f(x): return torch.cos(x)",
    ),
    "imports inside": (
        "def f(x):\n import math\n return math.sin(x)", "def f(x):\n import cmath as math\n return math.sin(x)",
    ),
    "names from modules": (
        "from math import sin as g\ndef f(x): return g(x)",
        "from math import cos as g\ndef f(x): return g(x)",
    ),
    "the package's functions": (
        "import mvtheory as mv\ndef f(x): return mv.average(x)",
        "import mvtheory as mv\ndef f(x): return mv.error_rate(x)",
    ),
    "methods": (
        "class A:\n def g(self): return 1\ndef f(): return A().g()",
        "class A:\n def g(self): return 2\ndef f(): return A().g()",
    ),
    "base classes": (
        "class B:\n a = 1\nclass A(B): pass\ndef f(): return A().a",
        "class B:\n a = 2\nclass A(B): pass\ndef f(): return A().a",
    ),
    "exceptions that are caught": (
        "def f(g):\n try: return g()\n except ValueError: return 1",
        "def f(g):\n try: return g()\n except TypeError: return 1",
    ),
    "async and plain": ("def f(): return 1", "async def f(): return 1"),
}  # fmt: skip


@pytest.mark.parametrize("pair", DIFFERENT.values(), ids=DIFFERENT)
def test_functions_that_differ_never_share_an_identity(pair):
    one, other = map(make, pair)
    assert of(one) != of(other)
    assert of(one) == of(make(pair[0]))


ALIKE = {
    "docstrings": ("def f(x):\n return x", "def f(x):\n 'What it does.'\n return x"),
    "comments and lines": ("def f(x): return x", "\n\n# why\ndef f(x):\n    # how\n    return (\n        x\n    )"),
    "docstrings of helpers": (
        "def g(): return 1\ndef f(): return g()",
        "def g():\n 'one'\n return 1\ndef f(): return g()",
    ),
    "docstrings of inner classes": (
        "def f():\n class A:\n  'a'\n  x = 1\n return A", "def f():\n class A:\n  'b'\n  x = 1\n return A",
    ),
    "annotations": ("def f(x): return x", "def f(x: int) -> int: return x"),
    "unused globals": ("a = 1\ndef f(): return 3", "a = 2\ndef f(): return 3"),
}  # fmt: skip


@pytest.mark.parametrize("pair", ALIKE.values(), ids=ALIKE)
def test_what_says_nothing_of_the_result_does_not_count(pair):
    assert of(make(pair[0])) == of(make(pair[1]))


def test_functions_may_call_themselves_and_each_other():
    text = "def g(n): return f(n - 1)\ndef f(n): return n and g(n) + {}"
    assert of(make(text.format(1))) == of(make(text.format(1))) != of(make(text.format(2)))


def test_partial_bound_and_cached_functions_count_by_all_that_they_hold():
    assert of(partial(scaled, 1)) != of(partial(scaled, 2))
    cached = "from functools import lru_cache\n@lru_cache\ndef f(x): return x + {}"
    assert of(make(cached.format(1))) == of(make(cached.format(1))) != of(make(cached.format(2)))
    bound = "class A:\n def __init__(self, a): self.a = a\n def g(self): return self.a\nf = A({}).g"
    assert of(make(bound.format(1))) == of(make(bound.format(1))) != of(make(bound.format(2)))


def test_a_changed_global_of_a_helper_is_seen(monkeypatch):
    before = of(uses_scaled)
    monkeypatch.setattr(sys.modules[__name__], "FACTOR", 3)
    assert of(uses_scaled) != before


@dataclass(frozen=True)
class Plain(MultiView):
    """The same fields, another type."""


def test_dataclasses_count_by_type_and_fields():
    assert of(MultiView(k=3, P=6, d=12, s=1)) == of(MultiView(k=3, P=6, d=12, s=1))
    assert of(MultiView(k=3, P=6, d=12, s=1)) != of(Plain(k=3, P=6, d=12, s=1))
    assert of(SReLU(3, 1.0)) != of(SReLU(4, 1.0))


def test_a_subclass_with_a_method_of_its_own_is_another_type():
    text = "import mvtheory\nclass f(mvtheory.SReLU):\n def value_and_slope(self, z): return z, z + {}"
    assert of(make(text.format(1))()) == of(make(text.format(1))()) != of(make(text.format(2))())


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(), inner, max_size=4)
        | st.frozensets(st.integers(), max_size=4)
    ),
    max_leaves=12,
)


@given(VALUES, VALUES)
def test_values_have_the_same_identity_exactly_if_they_have_the_same_form(a, b):
    """`repr` tells -0.0 from 0.0 and True from 1, as identities do; sets and dicts are sorted for it."""

    def form(value):
        if isinstance(value, dict):
            return ["dict", sorted((k, form(v)) for k, v in value.items())]
        if isinstance(value, frozenset):
            return ["set", sorted(value)]
        return [type(value).__name__, [form(v) for v in value]] if isinstance(value, list | tuple) else repr(value)

    assert (of(a) == of(b)) == (repr(form(a)) == repr(form(b)))


def test_sharing_does_not_count():
    a = [1, 2]
    assert of([a, a]) == of([[1, 2], [1, 2]])


def test_what_holds_itself_can_be_told_apart():
    a, b = [1], [2]
    a.append(a)
    b.append(b)
    assert of(a) != of(b)


def test_arrays_count_by_bits_shape_and_dtype():
    x = np.arange(6.0)
    different = [
        x,
        x.astype("f4"),
        x.reshape(2, 3),
        x + 1e-9,
        torch.arange(6.0),
        torch.arange(6.0).double(),
        x.tolist(),
    ]
    assert len({of(value) for value in different}) == len(different)
    assert of(x[::2]) == of(x[::2].copy())
    assert of(torch.zeros(4).t()) == of(torch.zeros(4))
    assert of(torch.zeros(2, dtype=torch.bfloat16)) != of(torch.zeros(2, dtype=torch.float16))


def test_what_cannot_be_compared_is_refused(tmp_path):
    lock = threading.Lock()
    with pytest.raises(TypeError, match=r"cannot be compared between processes: <unlocked _thread\.lock"):
        of(lambda: lock)
    with open(tmp_path / "file", "w") as file, pytest.raises(TypeError, match="cannot be compared between processes"):
        of(file)


@pytest.mark.parametrize(
    ("text", "function", "how"),
    [
        ("def f(): return bad", "f", "as 'bad'"),
        ("def g(): return bad\ndef f(): return g()", "g", "as 'bad'"),
        ("holder = [bad]\ndef f(): return holder", "f", "as 'holder'"),
        ("def o(own): return lambda: own\nf = o(bad)", "o.<locals>.<lambda>", "as 'own'"),
        ("def f(x=bad): return x", "f", "as a default value"),
        ("def f(*, x=bad): return x", "f", "as a default value"),
        ("import tests as helpers\ndef f(): return print(helpers)", "f", "as 'helpers'"),
    ],
)
def test_it_is_told_which_function_uses_what_cannot_be_compared_and_by_which_name(text, function, how, tmp_path):
    told = re.escape(f"the function {function!r} uses, {how}, what has no identity: ") + r".+\. Make it inside the func"
    with open(tmp_path / "log", "w") as file:
        for bad in (file, file.buffer, threading.Lock()):
            with pytest.raises(TypeError, match=told):
                of(make(text, bad=bad))


@pytest.mark.slow
def test_another_process_finds_the_same_identity(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from mvtheory import train, SReLU\nfrom mvtheory.persistence.identity import identity\n"
        "scale = {'b': 2.0, 'a': {3, 1, 2}}\n"
        "def f(x): return train(scale, SReLU(3), x)\nfound = identity([f, set('abcdefghij'), SReLU(3)])\nprint(found)\n"
    )
    here = runpy.run_path(str(script), run_name="__main__")["found"]
    environment = {"PYTHONPATH": str(Path(mvtheory.__file__).parents[1]), "PATH": "", "HOME": str(tmp_path)}
    environment["PYTHONHASHSEED"] = "1"  # strings are hashed in another way than here, so sets have other orders
    there = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here


# The package's own sources


@pytest.fixture
def package(monkeypatch):
    """Put other texts in place of the package's modules."""

    def put(**texts):
        monkeypatch.setattr(
            sources, "_TEXTS", {f"mvtheory.{name}": textwrap.dedent(text) for name, text in texts.items()}
        )
        for function in (sources._digest, sources._parse, sources._module, sources._unit):
            function.cache_clear()
        return sources.digest(["mvtheory.a.f"])

    yield put
    for function in (sources._digest, sources._parse, sources._module, sources._unit):
        function.cache_clear()


CALLS = "from mvtheory.b import g\nfrom mvtheory import b as module\ndef f(): return g()\ndef other(): return 1\n"
USED = "x = 1\ndef g(): return x\ndef unused(): return 2\n"


@pytest.mark.parametrize(
    ("a", "b", "matters"),
    [
        (CALLS.replace("g()", "g() + 1"), USED, True),
        (CALLS, USED.replace("return x", "return -x"), True),
        (CALLS, USED.replace("x = 1", "x = 2"), True),
        (CALLS, USED + "import os\nos.umask(0)\n", True),
        (CALLS.replace("return 1", "return 2"), USED, False),
        (CALLS, USED.replace("return 2", "return 3"), False),
        (
            CALLS,
            "'''What it is.'''\n" + USED.replace("def g(): return x", "def g():\n    'g'\n    # why\n    return x"),
            False,
        ),
        (CALLS.replace("g()", "module.g()"), USED.replace("x = 1", "x = 2"), True),
        (CALLS.replace("def f(): return g()", "def f():\n    import mvtheory.b as m\n    return m.g()"), USED, True),
    ],
)
def test_the_package_counts_by_what_a_function_uses_of_it(package, a, b, matters):
    assert (package(a=a, b=b) != package(a=CALLS, b=USED)) == matters


def test_a_module_found_inside_a_function_counts_by_what_is_used_of_it(package):
    inside = "def f():\n    import mvtheory.b as m\n    return m.g()\n"
    assert package(a=inside, b=USED) != package(a=inside, b=USED.replace("x = 1", "x = 2"))
    assert package(a=inside, b=USED) == package(a=inside, b=USED.replace("return 2", "return 3"))


def test_a_module_that_is_imported_by_a_string_counts_as_a_whole(package):
    lazy = "from importlib import import_module\ndef f(): return import_module('mvtheory.b').g()\n"
    assert package(a=lazy, b=USED) != package(a=lazy, b=USED.replace("x = 1", "x = 2"))
    assert package(a=lazy, b=USED) != package(a=lazy, b=USED.replace("return 2", "return 3"))


def test_sources_are_those_of_the_files_without_docstrings():
    assert sources._TEXTS["mvtheory.training"] == Path(mvtheory.training.__file__).read_text(encoding="utf-8")
    assert "mvtheory.experiments.nets" in sources._TEXTS
    assert of(train) != of(mvtheory.average)
    assert of(train, code=False) != of(mvtheory.average, code=False)


def test_versions_of_other_packages_count(monkeypatch):
    before = of(np.sin), of(train)
    monkeypatch.setattr(sources, "_version", lambda root: f"{root}==0")
    sources._digest.cache_clear()
    after = of(np.sin), of(train)
    sources._digest.cache_clear()
    assert before[1] != after[1]


@pytest.mark.parametrize(
    "text",
    [
        "import os\ndef f(): return os.environ['X']",
        "from os import environ\ndef f(): return environ['X']",
        "def f():\n from os import environ\n return environ['X']",
        "import os\ndef g(): return os.environ\ndef f(): return g()['X']",
        "from os import environ as e\ndef f(): return e['X']",
        "import os\ne = os.environ\ndef f(): return e['X']",
        "import os\ndef f(e=os.environ): return e['X']",
        "import os\ndef f(*, e=os.environ): return e['X']",
        "import os\ndef o(e): return lambda: e['X']\nf = o(os.environ)",
    ],
)
def test_what_a_function_reads_in_other_packages_does_not_count_by_its_value(text, monkeypatch):
    monkeypatch.setenv("X", "1")
    before = of(make(text))
    monkeypatch.setenv("X", "2")
    assert of(make(text)) == before != of(make(text.replace("'X'", "'Y'")))


def test_a_function_may_write_to_a_stream_of_the_system():
    text = "import sys\ndef f(): print('{}', file=sys.stderr)"
    assert of(make(text.format("a"))) == of(make(text.format("a"))) != of(make(text.format("b")))
    assert of(make("import sys\ndef f(): return sys.stderr")) != of(make("import sys\ndef f(): return sys.stdout"))


@pytest.mark.parametrize(
    "text",
    [
        "from sys import {} as s\ndef f(): print(s)",
        "import sys\ns = sys.{}\ndef f(): print(s)",
        "import sys\ndef f(s=sys.{}): print(s)",
        "import sys\ndef o(s): return lambda: print(s)\nf = o(sys.{})",
    ],
)
def test_a_stream_of_the_system_counts_by_its_name(text, monkeypatch):
    names = ("stdin", "stdout", "stderr")
    before = {of(make(text.format(name))) for name in names}
    assert len(before) == 3
    for name in names:
        monkeypatch.setattr(sys, name, io.StringIO())
    assert {of(make(text.format(name))) for name in names} == before
    assert {of(make(text.format(f"__{name}__"))) for name in names} == before


def test_two_values_that_another_module_holds_are_told_apart():
    text = "from logging import {} as a\ndef f(): return a"
    assert of(make(text.format("root"))) == of(make(text.format("root"))) != of(make(text.format("lastResort")))


def test_an_environment_that_is_passed_counts_by_its_value(monkeypatch):
    monkeypatch.setenv("X", "1")
    before = of({"environment": os.environ})
    monkeypatch.setenv("X", "2")
    assert of({"environment": os.environ}) != before


def test_what_was_shown_last_counts_by_its_value(monkeypatch):
    text = "a = {}\ndef f(): return a"
    one, other = make(text.format([1])), make(text.format([2]))
    monkeypatch.setattr(builtins, "_", one.__globals__["a"], raising=False)
    before = of(one)
    monkeypatch.setattr(builtins, "_", other.__globals__["a"], raising=False)
    assert of(other) != before


def test_a_module_of_the_users_counts_by_what_is_read_in_it(monkeypatch):
    module = sys.modules[__name__]
    text = "def f(): return module.FACTOR"
    before = of(make(text, module=module))
    monkeypatch.setattr(module, "FACTOR", 3)
    assert of(make(text, module=module)) != before
