"""Tensors of other types than the usual: they give the same bits, or an error that names them."""

import dataclasses
import gc
import weakref

import jaxtyping
import numpy as np
import pytest
import torch
from reference import small_problem

from mvtheory import (
    AverageCrossEntropy,
    CrossEntropy,
    Distillation,
    MultiView,
    PatchNets,
    Schedule,
    Temperature,
    average,
    learned_views,
    predict_lottery,
    train,
    view_outputs,
)
from mvtheory._check import check_labels, check_seed
from mvtheory._tensors import once_per_tensor
from mvtheory.controls.no_views import GaussianMixture, flip_labels
from mvtheory.engine import backend
from mvtheory.linear.feature_maps import gaussian_weights, one_hot, view_feature_norm

VIEWS = MultiView(k=3, P=6, d=8, s=1).views.double()
SHORT = Schedule(steps=3, stop_loss=0, eta=0.3)
INTEGERS = [torch.int8, torch.uint8, torch.int16, torch.uint16, torch.int32]


@pytest.fixture(autouse=True)
def _without_the_shape_checks_of_the_test_run():
    """Users have none: what is taken and what is refused is up to the package."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def single():
    """The small problem in single precision, with an input for each class."""
    nets, data = small_problem()
    return nets.to(torch.float32), dataclasses.replace(data, x=data.x.float(), strength=data.strength.float())


@pytest.mark.parametrize("name", ["auto", "torch"])
@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_labels_of_any_integer_type_are_the_same_labels(dtype, name):
    nets, data = small_problem()
    other, teacher = dataclasses.replace(data, y=data.y.to(dtype)), nets(data.x).flip(0)
    with backend(name):
        for objective in (CrossEntropy, AverageCrossEntropy, lambda y: Distillation(y, teacher)):
            expected = train(nets, data, objective(data.y), SHORT).nets.W
            assert torch.equal(train(nets, other, objective(other.y), SHORT).nets.W, expected)
    assert torch.equal(flip_labels(other.y, 3, 0.5, seed=0), flip_labels(data.y, 3, 0.5, seed=0))
    assert torch.equal(one_hot(other.y, 3), one_hot(data.y, 3))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8], ids=str)
def test_labels_of_small_types_are_no_mask(dtype):
    nets, data = small_problem()
    rows = torch.stack([(data.y == i).nonzero()[0, 0] for i in (0, 1, 1)] + [(data.y == 2).nonzero()[0, 0]])
    for data_ in (data, data[rows], data[rows[[0, 2, 3]]]):  # the last has as many inputs as classes
        other = dataclasses.replace(data_, y=data_.y.to(dtype))
        assert torch.equal(predict_lottery(nets, VIEWS, other), predict_lottery(nets, VIEWS, data_))


@pytest.mark.parametrize(
    "y", [torch.zeros(24), torch.zeros(24, dtype=torch.bool), [0] * 24, np.zeros(24, int)], ids=str
)
def test_labels_of_other_kinds_are_refused_by_name(y):
    nets, data = small_problem()
    for make in (CrossEntropy, AverageCrossEntropy, lambda y: Distillation(y, nets(data.x))):
        with pytest.raises(
            TypeError, match=r"^y must (hold integers|be a torch tensor); got (dtype torch\.|list|ndarray)"
        ):
            make(y)
    with pytest.raises(TypeError, match=r"^data\.y must (hold integers|be a torch tensor); got"):
        predict_lottery(nets, VIEWS, dataclasses.replace(data, y=y))


def test_unsigned_labels_out_of_range_are_refused():
    for y in (torch.tensor([3], dtype=torch.uint16), np.array([2**64 - 1], np.uint64)):
        with pytest.raises(ValueError, match="y must hold classes 0 to 2; got"):
            check_labels("y", y, 3)


def test_views_are_taken_in_the_precision_of_the_nets():
    nets, data = small_problem()
    exact = VIEWS.float().double()
    for function in (view_outputs, learned_views, PatchNets.products, PatchNets.own_view_overlap, view_feature_norm):
        assert torch.equal(function(nets, VIEWS.float()), function(nets, exact))
    assert torch.equal(predict_lottery(nets, VIEWS.float(), data), predict_lottery(nets, exact, data))
    histories = [train(nets, data, schedule=SHORT, views=views).history.overlap for views in (VIEWS.float(), exact)]
    assert torch.equal(*histories)


def test_a_teacher_of_another_precision_is_taken():
    nets, data = single()
    teacher = nets(data.x).flip(0)
    for G in (teacher.double(), teacher.half(), teacher.bfloat16()):
        rule = Temperature(2.0)
        expected = train(nets, data, Distillation(data.y, G.float(), rule), SHORT).nets.W
        got = train(nets, data, Distillation(data.y, G, rule), SHORT).nets.W
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_nets_in_half_precision_compute_and_are_not_trained(dtype):
    nets, data = small_problem()
    half, x = nets.to(dtype), data.x.to(dtype)
    torch.testing.assert_close(half(x).double(), half.to(torch.float64)(x.double()), rtol=0.05, atol=0.01)
    with pytest.raises(
        TypeError, match=rf"nets\.W must have a dtype among torch\.float32, torch\.float64; got {dtype}"
    ):
        train(half, dataclasses.replace(data, x=x))


def test_what_is_no_tensor_of_real_numbers_is_refused_by_name():
    nets, data = small_problem()
    F = nets(data.x)
    for call, match in {
        lambda: PatchNets(nets.W.numpy()): "W must be a torch tensor; got ndarray",
        lambda: nets.to(torch.int64): r"W must have a dtype among .*; got torch\.int64",
        lambda: nets(data.x.numpy()): "x must be a torch tensor; got ndarray",
        lambda: average([*F]): "F must be a torch tensor; got list",
        lambda: Distillation(data.y, F.numpy()): "G must be a torch tensor; got ndarray",
        lambda: Distillation(data.y, F.long()): r"G must have a dtype among .*; got torch\.int64",
        lambda: Distillation(data.y, F, rule=Temperature): "rule must be of type Rule; got <class",
        lambda: learned_views(nets, VIEWS.numpy()): "views must be a torch tensor; got ndarray",
        lambda: train(
            nets, dataclasses.replace(data, x=data.x.numpy())
        ): r"data\.x must be a torch tensor; got ndarray",
        lambda: train(nets, data, "labels"): "objective must be of type Objective; got 'labels'",
        lambda: train(nets, data, schedule=None): "schedule must be of type Schedule; got None",
        lambda: train(nets, data, progress="no"): "progress must be True or False; got 'no'",
        lambda: Schedule(warn="no"): "warn must be True or False; got 'no'",
    }.items():
        with pytest.raises(TypeError, match=match):
            call()


def test_views_that_are_not_finite_are_refused():
    nets, data = small_problem()
    bad = VIEWS.clone()
    bad[0, 0, 0] = float("nan")
    for call in (
        lambda: train(nets, data, views=bad),
        lambda: predict_lottery(nets, bad, data),
        lambda: learned_views(nets, bad),
        lambda: nets.own_view_overlap(bad),
    ):
        with pytest.raises(ValueError, match="views must be finite; got 1 non-finite"):
            call()
    broken = PatchNets(nets.W * float("nan"), nets.activation)
    for call in (lambda: predict_lottery(broken, VIEWS, data), lambda: learned_views(broken, VIEWS)):
        with pytest.raises(ValueError, match=r"of nets (and|on) views must be finite"):
            call()


def test_what_tracks_gradients_trains_as_what_does_not():
    nets, data = small_problem()
    for rule in (Temperature(2.0), None):
        G = nets(data.x).flip(0)
        rules = {} if rule is None else {"rule": rule}
        plain = train(nets, data, Distillation(data.y, G, **rules), SHORT, views=VIEWS)
        tracked = train(
            PatchNets(nets.W.clone().requires_grad_(), nets.activation),
            dataclasses.replace(data, x=data.x.clone().requires_grad_()),
            Distillation(data.y, G.clone().requires_grad_(), **rules),
            SHORT,
            views=VIEWS.clone().requires_grad_(),
        )
        assert torch.equal(tracked.nets.W, plain.nets.W)
        for part in (tracked.nets.W, *vars(tracked.history).values()):
            assert not part.requires_grad


def test_draws_do_not_depend_on_the_default_dtype():
    def drawn():
        task = MultiView(k=3, P=6, d=8, s=1, gamma=0.1, frame="axes")
        samples = [task.sample(4, 2, seed=1), GaussianMixture(k=3, P=2, d=8).sample(4, seed=1)]
        nets = PatchNets.init(2, k=3, m=2, d=8, sigma_0=0.1, seed=3)
        parts = [tensor for sample in samples for tensor in vars(sample).values()]
        return [*parts, task.views, nets.W, gaussian_weights(2, 3, 4, seed=0)]

    expected = drawn()
    torch.set_default_dtype(torch.float64)
    try:
        got = drawn()
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(got, expected, strict=True))


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8])
def test_seeds_may_be_integers_of_numpy(kind):
    task = MultiView(k=3, P=6, d=8, s=1)
    assert torch.equal(task.sample(4, seed=kind(3)).x, task.sample(4, seed=3).x)
    assert torch.equal(
        dataclasses.replace(task, frame_seed=kind(3)).views, dataclasses.replace(task, frame_seed=3).views
    )
    init = {"k": 3, "m": 2, "d": 8, "sigma_0": 0.1}
    assert torch.equal(PatchNets.init(2, seed=kind(3), **init).W, PatchNets.init(2, seed=3, **init).W)
    nets, data = small_problem()
    runs = [
        train(nets, data, schedule=dataclasses.replace(SHORT, optimizer="sgd", batch=4, seed=s)) for s in (kind(3), 3)
    ]
    assert torch.equal(runs[0].nets.W, runs[1].nets.W)


def test_seeds_beyond_those_of_torch_are_refused():
    assert check_seed("seed", 2**64 - 1) == 2**64 - 1
    with pytest.raises(ValueError, match=f"seed must be an integer <= {2**64 - 1}; got {2**64}"):
        MultiView(k=3, P=6, d=8, s=1).sample(4, seed=2**64)
    with pytest.raises(ValueError, match=f"seed must be an integer <= {2**64 - 2}; got {2**64 - 1}"):
        PatchNets.init(2, k=3, m=2, d=8, sigma_0=0.1, seed=2**64 - 1)
    with pytest.raises(ValueError, match=f"seed must be an integer <= {2**64 - 1}; got {2**64}"):
        Schedule(seed=2**64)


def test_what_is_read_from_a_tensor_is_read_once_and_again_after_a_change_in_place():
    read = []

    @once_per_tensor
    def total(x):
        """Sum."""
        read.append(len(x))
        return float(x.sum())

    x, other = torch.ones(3), torch.ones(3)
    assert [total(x), total(x), total(other), total(x)] == [3.0] * 4
    assert read == [3, 3]
    x[0] = 5
    assert [total(x), total(x)] == [7.0] * 2
    assert len(read) == 3
    assert (total.__name__, total.__doc__) == ("total", "Sum.")
    with torch.inference_mode():
        y = torch.ones(2)
        y[0] = 2
    assert [total(y), total(y)] == [3.0] * 2  # such a tensor does not tell whether it was changed
    assert len(read) == 5


def test_what_was_read_is_forgotten_with_the_tensor():
    @once_per_tensor
    def parts(x):
        return Part()

    class Part:
        pass

    x = torch.ones(3)
    kept = weakref.ref(parts(x))
    assert kept() is parts(x)
    del x
    gc.collect()
    assert kept() is None


@pytest.mark.parametrize("name", ["auto", "torch"])
def test_inputs_that_change_in_place_are_seen_anew_by_the_next_step(name):
    nets, data = single()
    data.x[:, 0] = 0
    with backend(name):
        before = nets(data.x)
        data.x[:, 0] = 1
        after, copied = nets(data.x), nets(data.x.clone())
        once = train(nets, data, schedule=SHORT).nets.W
        data.x[:, 0] = 0
        again = train(nets, data, schedule=SHORT).nets.W
        assert torch.equal(again, train(nets, dataclasses.replace(data, x=data.x.clone()), schedule=SHORT).nets.W)
    assert torch.equal(after, copied)
    assert (after - before).abs().max() > 1e-3
    assert not torch.equal(once, again)
