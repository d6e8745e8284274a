"""Training: gradients against autograd, steps against gradient flow, controls against torch.optim, all in float64."""

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as nnf
from reference import (
    clean_task,
    cross_entropy,
    gradient,
    outputs,
    refused,
    small_problem,
    untouched_global_state,
)
from torch import Tensor, nn

from mvtheory import (
    AverageCrossEntropy,
    CrossEntropy,
    Distillation,
    MultiView,
    PatchNets,
    Sample,
    Schedule,
    SReLU,
    train,
)
from mvtheory.engine import backend
from mvtheory.persistence.store import StoreError, save
from mvtheory.reduced.reduction import reduce_to_own_views
from mvtheory.run import Run
from mvtheory.training import Diverged, loss_and_gradient

EXACT = {"rtol": 1e-10, "atol": 1e-12}  # two orders of summation in float64
VIEWS = MultiView(k=3, P=6, d=8, s=1).views.double()


def learnable(L: int = 3, sigma_0: float = 0.1, seed: int = 0) -> tuple[PatchNets, Sample]:
    """Return a noise-free problem that nets learn at different speeds."""
    nets, _ = small_problem(L, seed=seed, sigma_0=sigma_0, noise_signal=0.0, noise_background=0.0)
    return nets, small_problem(L, n=40, seed=seed, noise_signal=0.0, noise_background=0.0)[1]


# The gradient


@pytest.mark.parametrize("name", ["auto", "torch"])
@pytest.mark.parametrize("n", [24, 12_000], ids=["one block", "blocks"])
@pytest.mark.parametrize("q", [1, 2, 3, 4])
def test_gradient_of_the_cross_entropy_agrees_with_autograd(q, n, name):
    nets, data = small_problem(n=n)
    nets = PatchNets(nets.W, SReLU(q, 0.5))
    with backend(name):
        stats, got = loss_and_gradient(nets, data.x, CrossEntropy(data.y), torch.arange(n), torch.arange(3))
    torch.testing.assert_close(got, gradient(nets, data.x, lambda F: cross_entropy(F, data.y)), **EXACT)
    torch.testing.assert_close(stats["loss"], cross_entropy(nets(data.x), data.y), **EXACT)


def test_gradient_of_some_rows_and_some_nets():
    nets, data = small_problem()
    rows, part = torch.tensor([3, 17, 4, 9]), torch.tensor([0, 2])
    stats, got = loss_and_gradient(nets[part], data.x, CrossEntropy(data.y), rows, part)
    expected = gradient(nets, data.x[rows], lambda F: cross_entropy(F, data.y[rows]))[part]
    torch.testing.assert_close(got, expected, **EXACT)
    torch.testing.assert_close(stats["loss"], cross_entropy(nets(data.x), data.y).new_tensor(
        [float(nnf.cross_entropy(nets(data.x)[net, rows], data.y[rows])) for net in (0, 2)]), **EXACT)  # fmt: skip


@pytest.mark.parametrize("joint", [False, True])
def test_error_and_residual_agree_with_loops(joint):
    nets, data = small_problem()
    objective = (AverageCrossEntropy if joint else CrossEntropy)(data.y)
    stats, _ = loss_and_gradient(nets, data.x, objective, torch.arange(24), torch.arange(3))
    F = nets(data.x)
    if joint:
        F = ((F[0] + F[1] + F[2]) / 3).expand(3, -1, -1)
    wrong, residual = [0.0] * 3, [0.0] * 3
    for net in range(3):
        for f, y in zip(F[net].tolist(), data.y.tolist(), strict=True):
            wrong[net] += (max(range(3), key=f.__getitem__) != y) / 24
            residual[net] += (1 - math.exp(f[y]) / sum(map(math.exp, f))) / 24
    assert stats["error"].tolist() == pytest.approx(wrong, abs=1e-12)
    assert stats["residual"].tolist() == pytest.approx(residual, abs=1e-12)
    assert 0 < min(wrong) < max(wrong) or joint


@dataclasses.dataclass(frozen=True)
class Squares:
    """An objective of a reader's own: the squared distance to the one-hot label."""

    y: Tensor
    joint: bool = False

    def __call__(self, F: Tensor, rows: Tensor, nets: Tensor) -> tuple[Tensor, Tensor]:
        gap = F - nnf.one_hot(self.y[rows], F.shape[-1])[:, None]
        return (gap**2).sum(-1), 2 * gap


def test_any_objective_can_be_trained():
    nets, data = small_problem()
    run = train(nets, data, Squares(data.y), Schedule(steps=1, stop_loss=0, eta=1e-3))
    label = nnf.one_hot(data.y, 3)
    by_autograd = gradient(nets, data.x, lambda F: ((F - label) ** 2).sum((1, 2)) / 24)
    torch.testing.assert_close(run.nets.W, nets.W - 1e-3 * by_autograd, **EXACT)


# Steps


def test_no_neuron_moves_by_more_than_max_change_and_one_moves_so_far():
    nets, data = small_problem()
    schedule = Schedule(steps=1, stop_loss=0, eta=1e9, max_change=0.07)
    for _ in range(15):
        after = train(nets, data, schedule=schedule).nets
        change = ((after.W - nets.W).norm(dim=-1) / nets.W.norm(dim=-1)).flatten(1).amax(1)
        torch.testing.assert_close(change, torch.full((3,), 0.07, dtype=torch.float64), rtol=1e-9, atol=0)
        nets = after


def test_below_the_largest_change_eta_is_the_learning_rate():
    nets, data = small_problem()
    run = train(nets, data, schedule=Schedule(steps=7, stop_loss=0, eta=0.02))
    for _ in range(7):
        nets = PatchNets(nets.W - 0.02 * gradient(nets, data.x, lambda F: cross_entropy(F, data.y)), nets.activation)
    torch.testing.assert_close(run.nets.W, nets.W, **EXACT)
    torch.testing.assert_close(run.history.time[-1], torch.full((3,), 0.14, dtype=torch.float64))


def flow(nets: PatchNets, data: Sample, time: Tensor, steps: int = 60) -> Tensor:
    """Return the weights after `time` of the gradient flow dW/dt = -grad, by the classical Runge-Kutta rule."""
    h = (time / steps)[:, None, None, None]

    def slope(W: Tensor) -> Tensor:
        return -gradient(PatchNets(W, nets.activation), data.x, lambda F: cross_entropy(F, data.y))

    W = nets.W
    for _ in range(steps):
        a = slope(W)
        b = slope(W + h / 2 * a)
        c = slope(W + h / 2 * b)
        W = W + h / 6 * (a + 2 * b + 2 * c + slope(W + h * c))
    return W


def test_rescaled_steps_follow_the_path_of_plain_gradient_descent():
    """At equal re-scaled time the weights agree with gradient flow, up to an error proportional to the step."""
    nets, data = learnable(sigma_0=0.2)
    errors = []
    for max_change, steps in ((0.02, 100), (0.01, 200)):
        run = train(nets, data, schedule=Schedule(steps=steps, stop_loss=0, eta=1e9, max_change=max_change))
        path = flow(nets, data, run.history.time[-1])
        errors.append(float((run.nets.W - path).norm() / (path - nets.W).norm()))
    assert errors[1] < 0.02
    assert 1.7 < errors[0] / errors[1] < 2.3


def test_a_net_of_no_weight_or_no_gradient_stays():
    nets, data = small_problem()
    W = nets.W.clone()
    W[0], W[1, 0, 0] = 0, 0
    run = train(PatchNets(W, nets.activation), data, schedule=Schedule(steps=5, stop_loss=0))
    assert (run.nets.W[0] == 0).all()
    assert (run.nets.W[1, 0, 0] == 0).all()
    assert (run.nets.W[1:, 1:] != W[1:, 1:]).any(-1).all()


# Errors that are left


def test_training_errors_that_are_left_are_warned_of_once_a_call():
    nets, data = small_problem()
    short = Schedule(steps=1)
    error = train(nets, data, schedule=dataclasses.replace(short, stop_loss=0)).history.error[-1]
    assert 0 < float(error.min()) < float(error.max())
    said = rf"3 of 3 nets have training errors left after 1 steps \(up to {float(error.max()):.2%}\); more steps, a"
    with pytest.warns(UserWarning, match=said) as caught:
        train(nets, data, schedule=short)
    assert len(caught) == 1
    train(nets, data, schedule=dataclasses.replace(short, warn=False))


def test_a_net_that_stops_or_has_no_errors_left_is_not_warned_of(tmp_path):
    nets, data = learnable(L=4)
    full = Schedule(steps=400)
    history = train(nets, data, schedule=full).history
    with pytest.warns(UserWarning, match=r"^2 of 4 nets"):
        train(nets, data, schedule=dataclasses.replace(full, steps=30))
    right = dataclasses.replace(full, stop_loss=1e-9, steps=int(history.step[-1]))
    assert (train(nets, data, schedule=right).history.error[-1] == 0).all()


def test_a_finished_checkpoint_is_warned_of_as_its_training_was(tmp_path):
    nets, data = small_problem()
    for _ in range(2):
        with pytest.warns(UserWarning, match="3 of 3 nets have training errors left") as caught:
            train(nets, data, schedule=Schedule(steps=1), checkpoint=tmp_path / "run")
        assert len(caught) == 1


# A stack of nets


def test_a_stack_trains_as_its_nets_do_alone():
    nets, data = learnable(L=4)
    schedule = Schedule(steps=150, record_every=1)
    whole = train(nets, data, schedule=schedule, views=VIEWS)
    for pick in ([1], [3, 0]):
        part = train(nets[pick], data, schedule=schedule, views=VIEWS)
        torch.testing.assert_close(part.nets.W, whole.nets.W[pick], rtol=1e-8, atol=1e-10)
        T = len(part.history.step)
        for key in ("time", "loss", "error", "residual", "overlap"):
            a, b = getattr(part.history, key), getattr(whole.history, key)[:, pick]
            torch.testing.assert_close(a, b[:T], rtol=1e-8, atol=1e-10)
            torch.testing.assert_close(a[-1], b[-1], rtol=1e-8, atol=1e-10)


def test_each_net_stops_when_it_has_learned():
    nets, data = learnable(L=4)
    run = train(nets, data, schedule=Schedule(steps=400, stop_loss=0.05, record_every=1))
    history, stops = run.history, []
    for net in range(4):
        done = (history.loss[:, net] < 0.05) & (history.error[:, net] == 0)
        stop = int(done.int().argmax())
        stops.append(stop)
        assert done[stop:].all()
        for key in ("time", "loss", "error", "residual"):
            values = getattr(history, key)[:, net]
            assert (values[stop:] == values[stop]).all()
        assert (history.time[: stop + 1, net].diff() > 0).all()
        early = train(nets, data, schedule=Schedule(steps=stop, stop_loss=0)).nets
        torch.testing.assert_close(run.nets.W[net], early.W[net], rtol=1e-8, atol=1e-10)
    assert len(set(stops)) > 1
    assert int(history.step[-1]) == max(stops) < 400


def test_a_net_does_not_stop_while_a_training_input_is_wrong():
    nets, data = learnable(L=2)
    history = train(nets, data, schedule=Schedule(steps=400, stop_loss=1e9, record_every=1)).history
    assert (history.error[0] > 0).all()
    for net in range(2):
        right = history.error[:, net] == 0
        stop = int(right.int().argmax())
        assert stop > 1
        assert right[-1]
        assert (history.time[stop:, net] == history.time[stop, net]).all()


def test_a_tie_is_a_training_error():
    """All outputs of nets of zeros are equal: they have learned nothing."""
    nets, data = learnable(L=2)
    nets = dataclasses.replace(nets, W=torch.zeros_like(nets.W))
    history = train(nets, data, schedule=Schedule(steps=1, stop_loss=1e9, record_every=1, warn=False)).history
    assert history.step.tolist() == [0, 1]
    assert (history.error == 1).all()


def test_a_net_stops_below_the_stop_loss_and_not_at_it():
    nets, data = learnable(L=1)
    learned = train(nets, data, schedule=Schedule(steps=400, stop_loss=0.1)).nets
    loss = float(train(learned, data, schedule=Schedule(steps=1, stop_loss=0)).history.loss[0, 0])
    for stop_loss, steps in ((loss, 1), (math.nextafter(loss, 1), 0)):
        history = train(learned, data, schedule=Schedule(steps=1, stop_loss=stop_loss)).history
        assert history.step[-1] == steps


def test_stop_loss_zero_never_stops():
    nets, data = learnable(L=1)
    history = train(nets, data, schedule=Schedule(steps=300, stop_loss=0, record_every=100)).history
    assert history.step.tolist() == [0, 100, 200, 300]
    assert history.loss[-1] < 0.01


# The history


def test_history_tells_the_state_after_each_recorded_step():
    nets, data = small_problem()
    run = train(nets, data, schedule=Schedule(steps=8, stop_loss=0, record_every=3, eta=0.1), views=VIEWS)
    assert run.history.step.tolist() == [0, 3, 6, 8]
    for row, step in enumerate([0, 3, 6, 8]):
        then = nets if step == 0 else train(nets, data, schedule=Schedule(steps=step, stop_loss=0, eta=0.1)).nets
        F = outputs(then.W, data.x, then.activation)
        p = F.softmax(-1)[:, torch.arange(24), data.y]
        history = run.history
        torch.testing.assert_close(history.time[row], torch.full((3,), 0.1 * step, dtype=torch.float64))
        torch.testing.assert_close(history.loss[row], cross_entropy(F, data.y), **EXACT)
        torch.testing.assert_close(history.residual[row], (1 - p).mean(1), **EXACT)
        torch.testing.assert_close(history.error[row], (F.argmax(-1) != data.y).double().mean(1))
        torch.testing.assert_close(history.overlap[row], then.own_view_overlap(VIEWS), **EXACT)
    assert torch.equal(run.nets.own_view_overlap(VIEWS), run.history.overlap[-1])


def test_history_has_no_overlap_without_views():
    nets, data = small_problem()
    assert train(nets, data, schedule=Schedule(steps=2, stop_loss=0)).history.overlap.shape == (2, 3, 0, 0)


def test_training_is_deterministic_and_changes_nothing_else():
    nets, data = small_problem()
    W, x = nets.W.clone(), data.x.clone()
    schedule = Schedule(steps=5, stop_loss=0, optimizer="adam", eta=0.01, batch=7)
    with untouched_global_state():
        first, again = (train(nets, data, schedule=schedule) for _ in range(2))
    assert torch.equal(first.nets.W, again.nets.W)
    assert torch.equal(nets.W, W)
    assert torch.equal(data.x, x)
    assert not torch.equal(first.nets.W, train(nets, data, schedule=dataclasses.replace(schedule, seed=1)).nets.W)


def test_weights_that_track_gradients_are_trained_without():
    nets, data = small_problem()
    run = train(
        PatchNets(nets.W.clone().requires_grad_(), nets.activation), data, schedule=Schedule(steps=2, stop_loss=0)
    )
    assert not run.nets.W.requires_grad
    assert torch.equal(run.nets.W, train(nets, data, schedule=Schedule(steps=2, stop_loss=0)).nets.W)


@pytest.mark.parametrize("progress", [True, False])
def test_progress_bar_shows_only_when_asked_for(progress, capsys):
    nets, data = small_problem(L=1)
    train(nets, data, schedule=Schedule(steps=3, stop_loss=0), progress=progress)
    assert ("/4" in capsys.readouterr().err) == progress


# Joint training


def test_joint_training_moves_all_nets_by_one_clock():
    nets, data = learnable()
    run = train(nets, data, AverageCrossEntropy(data.y), Schedule(steps=300, eta=1e9, record_every=1))
    history = run.history
    for key in ("time", "loss", "error", "residual"):
        assert (getattr(history, key) == getattr(history, key)[:, :1]).all()
    assert history.loss[-1, 0] < 0.05 <= history.loss[-2, 0]
    W = nets.W
    for t in range(10):  # gradient descent of the one model that the average is, in the recorded steps
        now = PatchNets(W, nets.activation)
        step = gradient(now, data.x, lambda F: nnf.cross_entropy(F.mean(0), data.y))
        eta = float(0.2 * (W.norm(dim=-1) / step.norm(dim=-1)).min())
        assert float(history.time[t + 1, 0] - history.time[t, 0]) == pytest.approx(eta, rel=1e-6)
        W = W - eta * step
    after = train(nets, data, AverageCrossEntropy(data.y), Schedule(steps=10, stop_loss=0, eta=1e9)).nets
    torch.testing.assert_close(after.W, W, rtol=1e-8, atol=1e-10)


# The controls


class Reference(nn.Module):
    """One patch network, as a reader would write it."""

    def __init__(self, W: Tensor, activation: SReLU) -> None:
        super().__init__()
        self.W, self.activation = nn.Parameter(W.clone()), activation

    def forward(self, x: Tensor) -> Tensor:
        return outputs(self.W[None], x, self.activation)[0]


@pytest.mark.parametrize("batch", [None, 7, 100])
@pytest.mark.parametrize(("name", "kind", "eta"), [("sgd", torch.optim.SGD, 0.1), ("adam", torch.optim.Adam, 0.02)])
def test_controls_agree_with_torch_optim(name, kind, eta, batch):
    nets, data = small_problem()
    schedule = Schedule(steps=12, stop_loss=0, optimizer=name, eta=eta, batch=batch, seed=3, record_every=1)
    run = train(nets, data, schedule=schedule)
    for net in range(3):
        module = Reference(nets.W[net], nets.activation)
        optimizer, rng, rows = kind(module.parameters(), lr=eta), torch.Generator().manual_seed(3), []
        for step in range(12):
            if batch is not None and not rows:
                rows = list(torch.randperm(24, generator=rng).split(batch))
            here = torch.arange(24) if batch is None else rows.pop(0)
            loss = nnf.cross_entropy(module(data.x[here]), data.y[here])
            assert float(run.history.loss[step, net]) == pytest.approx(loss.item(), rel=1e-9)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        torch.testing.assert_close(run.nets.W[net], module.W.detach(), rtol=1e-8, atol=1e-10)
    assert run.history.time[-1].tolist() == pytest.approx([12 * eta] * 3)


def test_the_nets_of_a_control_stop_together():
    nets, data = learnable()
    history = train(nets, data, schedule=Schedule(steps=500, optimizer="adam", eta=0.05, record_every=1)).history
    below = (history.loss < 0.05) & (history.error == 0)
    assert below[-1].all()
    assert not below[:-1].all(1).any()
    assert below[-2].any()


def test_gradient_descent_learns_in_single_precision():
    task = clean_task()
    nets = PatchNets.init(2, k=4, m=5, d=task.d, sigma_0=0.1, seed=0, activation=SReLU(3, 2.0))
    run = train(nets, task.sample(200, seed=0))
    assert run.nets.W.dtype == torch.float32
    test = task.sample(500, seed=1)
    assert (run.nets(test.x).argmax(-1) == test.y).all()


# Errors


def test_diverged_says_when():
    nets, data = small_problem()
    wild = Schedule(steps=9, stop_loss=0, optimizer="sgd", eta=1e308)
    with pytest.raises(Diverged, match=r"the loss is not finite at step \d; a smaller eta may help") as raised:
        train(nets, data, schedule=wild)
    step = int(str(raised.value).split("step ")[1][0])
    train(nets, data, schedule=dataclasses.replace(wild, steps=step - 1))
    with pytest.raises(Diverged):  # the last step is looked at, too
        train(nets, data, schedule=dataclasses.replace(wild, steps=step))
    assert issubclass(Diverged, RuntimeError)


@pytest.mark.parametrize(
    ("kwargs", "error", "match"),
    [
        ({"steps": 0}, ValueError, "steps must be an integer >= 1; got 0"),
        ({"steps": 1.5}, TypeError, "steps must be an integer >= 1; got 1.5"),
        ({"stop_loss": -1}, ValueError, "stop_loss must be .* got -1"),
        ({"eta": 0}, ValueError, r"eta must be a finite number in \(0, inf\); got 0"),
        ({"eta": math.inf}, ValueError, "eta must be .* got inf"),
        ({"max_change": 0}, ValueError, r"max_change must be a finite number in \(0, 1\]; got 0"),
        ({"max_change": 1.1}, ValueError, "max_change must be .* got 1.1"),
        ({"optimizer": "lbfgs"}, ValueError, "optimizer must be one of 'gd', 'sgd', 'adam'; got 'lbfgs'"),
        ({"batch": 0, "optimizer": "sgd"}, ValueError, "batch must be an integer >= 1; got 0"),
        ({"batch": 8}, ValueError, r"optimizer \(with batches\) must be one of 'sgd', 'adam'; got 'gd'"),
        ({"seed": -1}, ValueError, "seed must be an integer >= 0; got -1"),
        ({"record_every": 0}, ValueError, "record_every must be an integer >= 1; got 0"),
    ],
)
def test_schedule_refuses(kwargs, error, match):
    with refused(error, match):
        Schedule(**kwargs)


def change(data: Sample, **kwargs) -> dict[str, Sample]:
    return {"data": dataclasses.replace(data, **kwargs)}


TEACHERS = torch.zeros(3, 24, 3).double()
BAD = {
    "x NaN": (lambda n, d: change(d, x=d.x / 0), ValueError, "data.x must be finite; got 1152 non-finite values"),
    "x type": (lambda n, d: change(d, x=d.x.float()), ValueError, "data.x.dtype .* must be one of .*64; got .*32"),
    "x short": (lambda n, d: change(d, x=d.x[:5]), ValueError, r"data.x must have shape \[24, P, 8\].* \(5, 6, 8\)"),
    "x flat": (lambda n, d: change(d, x=d.x.flatten(1)), ValueError, r"data.x must have shape .*; got \(24, 48\)"),
    "d": (lambda n, d: {"nets": PatchNets(n.W[..., :7])}, ValueError, r"data.x must have shape \[24, P, 7\].*24, 6, 8"),
    "empty": (lambda n, d: {"data": d[:0]}, ValueError, r"data.y must have shape \[n\] with no empty axis; got \(0,\)"),
    "label": (lambda n, d: change(d, y=d.y + 1), ValueError, "data.y must hold classes 0 to 2; got 1 to 3"),
    "negative label": (lambda n, d: change(d, y=d.y - 1), ValueError, "data.y must hold classes 0 to 2; got -1 to 1"),
    "label type": (lambda n, d: change(d, y=d.y / 1), TypeError, "data.y must hold integers; got dtype torch.float"),
    "W NaN": (lambda n, d: {"nets": PatchNets(n.W / 0)}, ValueError, "nets.W must be finite; got 288 non-finite"),
    "n": (lambda n, d: {"objective": CrossEntropy(d.y[:20])}, ValueError, r"objective.y must have shape \[24\].*20"),
    "target": (lambda n, d: {"objective": CrossEntropy(d.y + 1)}, ValueError, "objective.y must hold classes 0 to 2"),
    "average": (lambda n, d: {"objective": AverageCrossEntropy(d.y[:3])}, ValueError, "objective.y must have shape"),
    "L": (lambda n, d: {"nets": n[:2], "objective": Distillation(d.y, TEACHERS)}, ValueError,
          r"objective.G must have shape \[2, 24, 3\] .*; got \(3, 24, 3\)"),
    "k": (lambda n, d: {"objective": Distillation(d.y, TEACHERS[..., [0, 1, 2, 2]])}, ValueError,
          r"objective.G must have shape \[3, 24, 3\] .*; got \(3, 24, 4\)"),
    "views": (lambda n, d: {"views": VIEWS[:2]}, ValueError, r"views must have shape \[3, M, 8\] .*; got \(2, 2, 8\)"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "error", "match"), BAD.values(), ids=BAD.keys())
def test_train_refuses_before_any_work(make, error, match, tmp_path):
    """The first thing that training does is to write a checkpoint."""
    nets, data = small_problem()
    with refused(error, match):
        train(**{"nets": nets, "data": data, "checkpoint": tmp_path / "run"} | make(nets, data))
    assert not list(tmp_path.iterdir())


def test_a_run_comes_back_from_its_file(tmp_path):
    nets, data = learnable()
    run = train(nets, data, None, Schedule(steps=7, stop_loss=0), views=VIEWS)
    run.save(tmp_path / "run")
    again = Run.load(tmp_path / "run")
    assert again.nets.activation == nets.activation
    assert torch.equal(again.nets.W, run.nets.W)
    for name, value in vars(run.history).items():
        assert torch.equal(getattr(again.history, name), value), name


def test_a_file_that_holds_no_run_is_refused(tmp_path):
    run = train(*learnable(), None, Schedule(steps=1, stop_loss=0))
    run.save(tmp_path / "run")
    (tmp_path / "cut").write_bytes((tmp_path / "run").read_bytes()[:-9])
    save(tmp_path / "flat", {"W": run.nets.W[0], **vars(run.history)}, {"activation": {}})
    save(tmp_path / "other", {"W": run.nets.W, **vars(run.history)}, {"note": "no activation"})
    save(tmp_path / "power", {"W": run.nets.W, **vars(run.history)}, {"activation": {"p": 3}})
    save(tmp_path / "list", {"W": run.nets.W, **vars(run.history)}, {"state": ["activation"]})
    names = {
        "cut": "cut",
        "flat": "W",
        "other": "activation",
        "missing": "missing",
        "power": "'p'",
        "list": "not a run",
    }
    for name, reason in names.items():
        with pytest.raises((StoreError, FileNotFoundError), match=reason):
            Run.load(tmp_path / name)


def test_nets_of_another_class_do_not_come_back_as_plain_ones(tmp_path):
    class Other(PatchNets):
        """Nets that may compute something else."""

    nets, data = small_problem()
    plain = small_problem(noise_signal=0.0, noise_background=0.0)
    for start, inputs in [(Other(nets.W, nets.activation), data), reduce_to_own_views(*plain, VIEWS)[:2]]:
        file, name = tmp_path / type(start).__name__, type(start).__name__
        run = train(start, inputs, schedule=Schedule(steps=1, stop_loss=0), checkpoint=file)
        with pytest.raises(TypeError, match=f"nets must be PatchNets, and of no other class, to be saved; got {name}"):
            run.save(tmp_path / "run")
        with pytest.raises(StoreError, match=f"the nets must be PatchNets; got .*{name}"):
            Run.load(file)
