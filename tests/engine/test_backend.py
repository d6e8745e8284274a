"""The choice of what computes, what it refuses, and what it loads."""

import dataclasses
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from reference import refused, small_problem

import mvtheory
from mvtheory import CrossEntropy, MultiView, PatchNets, Schedule, SReLU, train
from mvtheory.distillation import Distillation, OnOff
from mvtheory.engine import backend
from mvtheory.engine.choice import chosen
from mvtheory.engine.compiled import Gate
from mvtheory.engine.tiles import WIDE
from mvtheory.persistence import sources
from mvtheory.reduced.reduction import reduce_to_all_views, reduce_to_own_views
from mvtheory.reduced.sparse_training import train_reduced
from mvtheory.training import loss_and_gradient

wide = pytest.mark.skipif(not WIDE, reason="needs vectors of 256 bits")
VIEWS = MultiView(k=3, P=6, d=8, s=1).views.double()
SHORT = Schedule(steps=9, stop_loss=0, eta=0.3)


def stacks(nets, data):
    """Nets of three kinds with inputs of theirs."""
    return [(nets, data), *(reduce(nets, data, VIEWS)[:2] for reduce in (reduce_to_all_views, reduce_to_own_views))]


def test_the_choice_holds_inside_its_block_and_ends_with_it():
    assert chosen() == "auto"
    with backend("torch"):
        with backend("compiled"):
            assert chosen() == "compiled"
        assert chosen() == "torch"
        with pytest.raises(KeyError), backend("auto"):
            raise KeyError
        assert chosen() == "torch"
    assert chosen() == "auto"


def test_an_unknown_backend_is_refused():
    with (
        pytest.raises(ValueError, match="backend must be one of 'auto', 'torch', 'compiled'; got 'cuda'"),
        backend("cuda"),
    ):
        pass


@wide
def test_the_two_backends_round_differently_and_auto_is_the_compiled_one():
    nets, data = small_problem()
    F = {}
    for name in ("auto", "torch", "compiled"):
        with backend(name):
            F[name] = train(nets, data, schedule=SHORT).nets(data.x)
    assert torch.equal(F["auto"], F["compiled"])
    assert not torch.equal(F["auto"], F["torch"])
    torch.testing.assert_close(F["auto"], F["torch"], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("reduce", [reduce_to_all_views, reduce_to_own_views])
def test_the_choice_reaches_reduced_nets(reduce):
    nets, data = small_problem(noise_signal=0.0, noise_background=0.0)
    nets = dataclasses.replace(nets, activation=SReLU(4, 0.7))  # a cut whose inverse is rounded
    small, reduced, _ = reduce(nets, data, VIEWS)
    W = {}
    for name in ("auto", "torch", "compiled"):
        with backend(name):
            W[name] = train(small, reduced, schedule=SHORT).nets.W
    assert torch.equal(W["auto"], W["compiled"])
    assert not torch.equal(W["auto"], W["torch"])
    torch.testing.assert_close(W["auto"], W["torch"], rtol=1e-10, atol=1e-12)


@wide
def test_the_choice_reaches_what_an_objective_computes_in_any_thread():
    nets, data = small_problem()
    seen = set()

    @dataclasses.dataclass(frozen=True)
    class Spy:
        y: torch.Tensor
        joint: bool = False

        def __call__(self, F, rows, nets):
            seen.add((threading.current_thread().name, chosen()))
            return CrossEntropy(self.y)(F, rows, nets)

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with backend("compiled"):
            train(nets, data, Spy(data.y), SHORT)
    finally:
        torch.set_num_threads(before)
    names, choices = zip(*seen, strict=True)
    assert len(set(names)) > 1
    assert set(choices) == {"compiled"}


class Other(SReLU):
    """Another class."""


@wide
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda nets: nets.to("meta"), "for tensors on meta"),
        (
            lambda nets: dataclasses.replace(nets, W=nets.W.clone().requires_grad_()),
            "for tensors that require gradients",
        ),
        (lambda nets: nets.to(torch.bfloat16), r"for tensors of torch.bfloat16"),
        (lambda nets: dataclasses.replace(nets, activation=Other(3, 0.5)), "for the activation Other"),
        (lambda nets: dataclasses.replace(nets, activation=SReLU(3, 1e-310)), "for varrho = 1e-310 in torch.float64"),
        (lambda nets: dataclasses.replace(nets, activation=SReLU(3, 1e308)), "for varrho = 1e.308 in torch.float64"),
    ],
)
def test_what_compiled_code_cannot_serve_is_refused_where_it_is_asked_for_and_left_to_torch_elsewhere(change, reason):
    nets, data = small_problem(noise_signal=0.0, noise_background=0.0)
    kinds = stacks(nets, data) if "meta" not in reason else [(nets, data)]  # there nothing says which views are present
    for start, inputs in kinds:
        changed = change(start)
        x = inputs.x.to(changed.W.device, changed.W.dtype)
        message = f"backend must be 'auto' or 'torch' {reason}.*; got 'compiled'"
        with backend("compiled"), pytest.raises(ValueError, match=message):
            changed.gradient(x, lambda rows, F: F)
        assert changed.gradient(x, lambda rows, F: F.detach()).shape == start.W.shape


@wide
def test_training_refuses_what_compiled_code_cannot_serve():
    nets, data = small_problem()
    with (
        backend("compiled"),
        pytest.raises(ValueError, match="backend must be 'auto' or 'torch' for the activation Other"),
    ):
        train(PatchNets(nets.W, Other(3, 0.5)), data)
    small, reduced, _ = reduce_to_own_views(nets, data, VIEWS)
    small = dataclasses.replace(small, activation=Other(3, 0.5))
    with (
        backend("compiled"),
        pytest.raises(ValueError, match="backend must be 'auto' or 'torch' for the activation Other"),
    ):
        train_reduced(small, reduced)


def test_a_checkpoint_says_which_backend_it_goes_on_with(tmp_path):
    nets, data = small_problem()
    with backend("torch"):
        train(nets, data, schedule=SHORT, checkpoint=tmp_path / "run")
    with pytest.warns(UserWarning, match="goes on with other backend; the last bits may differ"):
        train(nets, data, schedule=SHORT, checkpoint=tmp_path / "run")


# What is loaded


def python(program: str, folder: Path = Path(mvtheory.__file__).parents[1], **env: str) -> str:
    env = os.environ | env | {"PYTHONPATH": str(folder)}
    done = subprocess.run([sys.executable, "-P", "-c", program], env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


LOADED = """
import sys
import mvtheory
from mvtheory import *
from mvtheory.reduced.reduction import reduce_to_all_views, reduce_to_own_views
from mvtheory.engine import backend
from mvtheory.linear.feature_maps import tangent_features
from mvtheory.persistence import sources as code
from mvtheory.reduced.sparse_training import train_reduced

def loaded():
    return {"numba", "llvmlite"} & set(sys.modules)

sources = code.digest(["mvtheory.reduced.sparse_training"])
task = MultiView(k=3, P=6, d=8, s=1, noise_signal=0, noise_background=0)
nets, data = PatchNets.init(2, k=3, m=4, d=8, sigma_0=0.5, seed=0), task.sample(20, seed=0)
with backend("torch"):
    for some, inputs in [(nets, data), *(reduce(nets, data, task.views)[:2] for reduce in
                                         (reduce_to_all_views, reduce_to_own_views))]:
        train(some, inputs, schedule=Schedule(steps=2, stop_loss=0)).nets(inputs.x)
    train_reduced(some, inputs, Schedule(steps=2, stop_loss=0))
    tangent_features(nets, data.x)
assert not loaded(), "torch alone loads numba"
nets(data.x)
train_reduced(some, inputs, Schedule(steps=2, stop_loss=0))
assert loaded()
code._digest.cache_clear()
assert code.digest(["mvtheory.reduced.sparse_training"]) == sources, "the hash depends on what was used before"
"""


@pytest.mark.slow
def test_numba_is_loaded_when_compiled_code_is_first_used():
    python(LOADED)


@pytest.mark.parametrize(
    ("module", "first"),
    [("tiles", "forward"), ("loops", "pool"), ("jit", "Lazy"), ("compiled", "CompiledStep")],
)
def test_the_source_of_compiled_code_counts_among_those_of_training(module, first, monkeypatch):
    caches = (sources._digest, sources._parse, sources._module, sources._unit)
    before = sources.digest(["mvtheory.training.train"])
    name = f"mvtheory.engine.{module}"
    assert first in sources._module(name).definitions
    monkeypatch.setitem(sources._TEXTS, name, f"{sources._TEXTS[name]}\n{first} = None\n")
    for cache in caches:
        cache.cache_clear()
    after = sources.digest(["mvtheory.training.train"])
    monkeypatch.undo()
    for cache in caches:
        cache.cache_clear()
    assert after != before


NO_FOLDER = """
import warnings
import torch
from mvtheory import MultiView, PatchNets
from mvtheory.engine import backend

nets = PatchNets.init(2, k=3, m=4, d=8, sigma_0=0.5, seed=0)
x = MultiView(k=3, P=6, d=8, s=1).sample(20, seed=0).x
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    with backend("compiled"):
        F, slopes = nets(x), [slope for _, _, slope in nets.forward_blocks(x)]
with backend("torch"):
    torch.testing.assert_close(F, nets(x))
print(len(caught), caught[0].category.__name__, caught[0].message)
"""


@pytest.mark.slow
@wide
def test_without_a_folder_for_machine_code_it_is_compiled_anew_and_said_once(tmp_path):
    """As in a container that runs as a user without a home, and may not write where the package lies."""
    package = Path(mvtheory.__file__).parent
    shutil.copytree(package, tmp_path / "mvtheory", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "mvtheory/engine/__pycache__").write_text("a file, so that nobody, root included, can write here")
    nowhere = {"HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null", "PYTHONDONTWRITEBYTECODE": "1"}
    said = python(NO_FOLDER, tmp_path, **nowhere)
    assert said.startswith("1 UserWarning compiled code cannot be cached")


# What is given to compiled code is checked


@pytest.fixture(params=["auto", "torch"])
def path(request):
    with backend(request.param):
        yield


@dataclasses.dataclass(frozen=True)
class Faulty:
    """An objective that returns something else than loss and gradient."""

    y: torch.Tensor
    change: object
    joint: bool = False

    def __call__(self, F, rows, nets):
        return self.change(*CrossEntropy(self.y)(F, rows, nets))


FAULTS = {
    "too wide": (lambda loss, dF: (loss, torch.cat([dF, dF], -1)), r"gradient of the objective Faulty must have shape"),
    "one net": (lambda loss, dF: (loss, dF[:, :1]), r"gradient of the objective Faulty must have shape"),
    "transposed": (lambda loss, dF: (loss, dF.mT), r"gradient of the objective Faulty must have shape"),
    "flat": (lambda loss, dF: (loss, dF.flatten()), r"gradient of the objective Faulty must have shape"),
    "dtype": (
        lambda loss, dF: (loss, dF.float()),
        r"gradient of the objective Faulty.dtype .* must be one of .*float64",
    ),
    "mean loss": (lambda loss, dF: (loss.mean(), dF), r"loss of the objective Faulty must have shape"),
    "loss of a net": (lambda loss, dF: (loss[:, :1], dF), r"loss of the objective Faulty must have shape"),
}


@pytest.mark.parametrize(("change", "match"), FAULTS.values(), ids=FAULTS.keys())
def test_an_objective_that_returns_something_else_is_named(change, match, path):
    for nets, data in stacks(*small_problem(L=2)):  # 2 nets, 3 classes
        with refused(ValueError, match):
            train(nets, data, Faulty(data.y, change), SHORT)


@pytest.mark.parametrize(
    "change", [lambda dF: dF[..., :2], lambda dF: dF[:, :1], lambda dF: dF.mT, lambda dF: dF.float()]
)
def test_a_gradient_of_the_outputs_has_their_shape_and_dtype(change, path):
    for nets, data in stacks(*small_problem(L=2)):  # 2 nets, 3 classes
        with refused(ValueError, r"output_grad\(rows, F\)"):
            nets.gradient(data.x, lambda rows, F: change(F))


@wide
def test_labels_are_checked():
    nets, data = small_problem()
    y = data.y.clone()
    expected = nets.label_gradient(data.x, y)
    for same in (y.int(), torch.stack([y, y], 1)[:, 0]):
        assert all(map(torch.equal, nets.label_gradient(data.x, same), expected))
    for value, got in [
        (3, "0 to 3"),
        (2**40, "0 to 1099511627776"),
        (-1, "-1 to 2"),
        (-(2**40), "-1099511627776 to 2"),
    ]:
        y[5] = value
        with refused(ValueError, f"y must hold classes 0 to 2; got {got}"):
            nets.label_gradient(data.x, y)
    with refused(TypeError, "y must hold integers; got dtype torch.float64"):
        nets.label_gradient(data.x, data.y.double())
    with refused(TypeError, "y must hold integers; got dtype torch.bool"):
        nets.label_gradient(data.x, data.y == 1)
    with refused(ValueError, r"y must have shape \[24\]"):
        nets.label_gradient(data.x, data.y[:20])
    with backend("torch"), refused(ValueError, "compiled code"):
        nets.label_gradient(data.x, data.y)


@pytest.mark.parametrize("varrho", [1e-39, 1e-45, 1e38])
def test_a_cut_whose_inverse_single_precision_does_not_hold_changes_nothing(varrho):
    nets, data = small_problem(noise_signal=0.0, noise_background=0.0)
    for large, inputs in stacks(dataclasses.replace(nets, activation=SReLU(3, varrho)), data):
        small, x = large.to(torch.float32), inputs.x.float()
        torch.testing.assert_close(small(x), large(inputs.x).float(), rtol=1e-5, atol=1e-5)
        ones = lambda rows, F: torch.ones_like(F)  # noqa: E731
        got, expected = small.gradient(x, ones), large.gradient(inputs.x, ones).float()
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("reduce", [reduce_to_all_views, reduce_to_own_views])
def test_strengths_of_another_shape_or_dtype_are_refused(reduce):
    small, reduced, _ = reduce(*small_problem(), VIEWS)
    with refused(ValueError, "x must have shape"):
        small(reduced.x[:, :2])
    with refused(ValueError, "x.dtype"):
        small(reduced.x.float())


def test_own_view_nets_read_no_memory_that_is_not_theirs():
    small, reduced, _ = reduce_to_own_views(*small_problem(), VIEWS)
    wider = torch.cat([reduced.x, reduced.x], 1)
    with refused(ValueError, r"x must have shape \[n, 3, 2, 2\]"):
        small.gradient(wider, lambda rows, F: F)


class _OnlyUp(OnOff):
    """The on/off rule without its gradient downwards."""

    def __call__(self, F, G):
        penalty, output_grad = super().__call__(F, G)
        return penalty, output_grad.clamp(max=0)


@wide
def test_compiled_code_serves_the_rules_and_objectives_that_it_knows_and_calls_all_others():
    nets, data = small_problem(sigma_0=2.0)
    n, (L, k) = len(data), nets.W.shape[:2]
    G = torch.randn(L, n, k, dtype=nets.W.dtype, generator=torch.Generator().manual_seed(1))
    rows, stack = torch.arange(n), torch.arange(L)
    gradients = {}
    for rule in (OnOff(0.1, 0.7, 0.4), _OnlyUp(0.1, 0.7, 0.4)):
        for name in ("auto", "torch"):
            with backend(name):
                objective = Distillation(data.y, G, rule, 3.0)
                gradients[type(rule), name] = loss_and_gradient(nets, data.x, objective, rows, stack)[1]
        torch.testing.assert_close(gradients[type(rule), "auto"], gradients[type(rule), "torch"])
    assert (gradients[OnOff, "auto"] - gradients[_OnlyUp, "auto"]).abs().max() > 1e-3


@wide
def test_a_gate_fits_the_outputs():
    nets, data = small_problem()
    on = torch.ones(len(data), *nets.W.shape[:2], dtype=torch.bool)
    for bad, error, match in [
        (on[:5], ValueError, r"gate.on must have shape \[24, 3, 3\]"),
        (on.float(), TypeError, "gate.on must have a dtype among torch.bool"),
    ]:
        with refused(error, match):
            nets.label_gradient(data.x, data.y, gate=Gate(bad, 0.5, 0.5, 1.0))
