"""What a GPU adds, in a run of under eight minutes: the trainer's speed, the book's setting, residual nets on pictures.

    python benchmarks/gpu.py

writes `book/reference/gpu.json`, part by part, so that what is done is kept if the machine is taken away. The page of
the convolutional nets shows it. `--small` tries every part in a minute on any machine, and writes nothing there.

The nets in use are residual nets of 18 layers, half as wide as usual, trained by SGD with momentum and a falling rate.
Nothing was chosen by results: temperature and weight are those of the book's small nets.
"""

from __future__ import annotations

import argparse
import datetime
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from mvtheory import PatchNets, Schedule, SReLU, average, train
from mvtheory.controls.no_views import GaussianMixture
from mvtheory.distillation import Temperature
from mvtheory.experiments.base import DRAWS
from mvtheory.experiments.nets import Draw
from mvtheory.experiments.settings import SETTING
from mvtheory.images.convolution import MIXTURES
from mvtheory.images.fashion import load

RECORD = Path(__file__).parents[1] / "book/reference/gpu.json"
RULE, WEIGHT = Temperature(4.0), 9.0


class Size(NamedTuple):
    """How much of everything; the second line is that of ``--small``."""

    draws: int
    steps: int
    nets: int
    epochs: int
    pictures: int
    width: int
    step_sizes: tuple[tuple[int, int, int, int, int, int], ...]  # k, m, d, P, N, L


STEPS = ((10, 10, 220, 20, 500, 10), (20, 8, 64, 40, 1200, 10), (20, 8, 64, 40, 1200, 100))
WHOLE = Size(60, SETTING.schedule.steps, 10, 6, 60_000, 32, STEPS)
SMALL = Size(1, 2, 2, 1, 130, 4, ((3, 2, 8, 4, 20, 2),))


class Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(outputs) for _ in range(2))
        same = inputs == outputs and stride == 1
        self.short = (
            nn.Identity()
            if same
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the features."""
        z = self.norms[0](self.first(x)).relu()
        return (self.norms[1](self.second(z)) + self.short(x)).relu()


def resnet(pictures: int, width: int, seed: int, device: str) -> nn.Module:
    """Return a residual net of 18 layers for inputs of some pictures stacked as channels."""
    torch.manual_seed(seed)
    widths = [width, width, 2 * width, 4 * width, 8 * width]
    stem = [nn.Conv2d(pictures, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    blocks = [
        Block(before if first else after, after, stride if first else 1)
        for before, after, stride in zip(widths, widths[1:], (1, 2, 2, 2), strict=False)
        for first in (True, False)
    ]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], 10)]
    return nn.Sequential(*stem, *blocks, *head).to(device, memory_format=torch.channels_last)


Loss = Callable[[Tensor, Tensor], Tensor]


def fit(nets: list[nn.Module], x: Tensor, loss: Loss, epochs: int, mixture: str | None = None) -> None:
    """Train nets together: `loss` takes their outputs [L, b, 10] and the rows."""
    parameters = [p for net in nets for p in net.parameters()]
    steps = epochs * max(1, len(x) // 128)
    optimizer = torch.optim.SGD(parameters, 0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
    falling = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=steps, pct_start=0.2)
    rng = torch.Generator().manual_seed(0)
    order = torch.cat([torch.randperm(len(x), generator=rng)[: max(128, len(x) // 128 * 128)] for _ in range(epochs)])
    for net in nets:
        net.train()
    for rows in order.to(x.device).split(128)[:steps]:
        share = MIXTURES[mixture](rng) if mixture else 1.0
        partners = rows.flip(0)
        inputs = share * x[rows] + (1 - share) * x[partners] if mixture else x[rows]
        with torch.autocast(x.device.type, torch.bfloat16):
            F = torch.stack([net(inputs) for net in nets])
        F = F.float()
        total = share * loss(F, rows) + ((1 - share) * loss(F, partners) if mixture else 0)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        falling.step()


@torch.no_grad()
def outputs(nets: list[nn.Module], x: Tensor) -> Tensor:
    """Return the outputs [L, n, 10]."""
    for net in nets:
        net.eval()
    with torch.autocast(x.device.type, torch.bfloat16):
        return torch.stack([torch.cat([net(part) for part in x.split(1000)]) for net in nets]).float()


def of_labels(y: Tensor) -> Loss:
    """Return the cross-entropy, summed over nets."""
    return lambda F, rows: sum((nnf.cross_entropy(f, y[rows]) for f in F), torch.zeros((), device=F.device))


def of_teacher(y: Tensor, G: Tensor) -> Loss:
    """Return the loss of students of the outputs G [n, 10] of a teacher, scaled to that of labels."""

    def loss(F: Tensor, rows: Tensor) -> Tensor:
        T = RULE.T
        soft = nnf.kl_div((F[0] / T).log_softmax(-1), (G[rows] / T).softmax(-1), reduction="batchmean")
        return (nnf.cross_entropy(F[0], y[rows]) + WEIGHT * T**2 * soft) / (1 + WEIGHT)

    return loss


def of_average(y: Tensor) -> Loss:
    """Return the cross-entropy of the nets' average, times their number so that steps are as large."""
    return lambda F, rows: len(F) * nnf.cross_entropy(F.mean(0), y[rows])


def error(F: Tensor, y: Tensor) -> list[float]:
    """Return the error of each net."""
    return [float((f.argmax(-1) != y).double().mean()) for f in F]


def speed(size: Size, device: str) -> list[dict[str, Any]]:
    """Time a training step of ours, of torch.func.vmap, and of its two matrix products alone."""
    found = []
    for k, m, d, P, N, L in size.step_sizes:
        activation = SReLU(q=4, varrho=4.0)
        nets = PatchNets.init(L, k=k, m=m, d=d, sigma_0=0.1, seed=0, activation=activation).to(device)
        data = GaussianMixture(k=k, P=P, d=d, separation=1.0).sample(N, seed=1).to(device)
        x, W = data.x.reshape(-1, d), nets.W.reshape(-1, d)
        net = Plain(nets.W[0], activation)

        def one(w: Tensor, net: nn.Module = net, x: Tensor = data.x, y: Tensor = data.y) -> Tensor:
            return nnf.cross_entropy(functional_call(net, {"W": w}, (x,)), y)

        step = vmap(grad(one))
        work = {
            "mvtheory": lambda steps, nets=nets, data=data: train(
                nets, data, schedule=Schedule(steps=steps, stop_loss=0, eta=1e-3, max_change=1.0, record_every=10**6)
            ),
            "torch.func.vmap": lambda steps, step=step, W=nets.W: [step(W) for _ in range(steps)],
            "matrix products": lambda steps, x=x, W=W: [((x @ W.T).T @ x) for _ in range(steps)],
        }
        seconds = {name: timed(run, device, 50 if size == WHOLE else 2) for name, run in work.items()}
        flops = 4.0 * N * P * d * L * k * m
        found.append({"k": k, "m": m, "d": d, "P": P, "N": N, "L": L, "seconds": seconds,
                      "TFLOPS of the products": flops / seconds["matrix products"] / 1e12})  # fmt: skip
    return found


class Plain(nn.Module):
    """One net, as one would write it."""

    def __init__(self, W: Tensor, activation: SReLU) -> None:
        super().__init__()
        self.W, self.activation = nn.Parameter(W.clone()), activation

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs [n, k]."""
        k, m, d = self.W.shape
        z, (q, cut) = x @ self.W.reshape(k * m, d).T, (self.activation.q, self.activation.varrho)
        t = z.clamp(0, cut)
        return (z.clamp(min=0) - t + t**q / (q * cut ** (q - 1))).sum(1).view(-1, k, m).sum(-1)


def timed(run: Callable[[int], object], device: str, steps: int) -> float:
    """Return the seconds of a step: the best of three."""
    best = float("inf")
    for _ in range(4):  # the first compiles
        start = time.perf_counter()
        run(steps)
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return best / steps


def setting(size: Size, device: str) -> dict[str, Any]:
    """Train the book's nets on as many data sets as full mode has."""
    single, ensemble = [], []
    schedule = replace(SETTING.schedule, steps=size.steps, warn=size == WHOLE)
    for number in range(DRAWS[0], DRAWS[0] + size.draws):
        draw = Draw(number)
        start, data = draw.init(0, SETTING.members), draw.train
        nets = train(start.to(device), data.to(device), schedule=schedule).nets.to("cpu")
        test = draw.test_single_view
        F = nets(test.x)
        single.append(sum(error(F, test.y)) / len(F))
        ensemble.append(error(average(F)[None], test.y)[0])
    return {"single": single, "ensemble": ensemble}


def methods(x: Tensor, y: Tensor, tests: dict[str, Tensor], test_y: Tensor, size: Size, device: str) -> dict[str, Any]:
    """Return the errors of single nets, their average, its student, a self-distilled net and a trained average."""

    def new(seed: int) -> nn.Module:
        return resnet(x.shape[1], size.width, seed, device)

    singles = [new(seed) for seed in range(size.nets)]
    for net in singles:
        fit([net], x, of_labels(y), size.epochs)
    G = outputs(singles, x)
    student, own, joint = new(500), new(600), [new(seed) for seed in range(size.nets)]
    fit([student], x, of_teacher(y, G.mean(0)), size.epochs)
    fit([own], x, of_teacher(y, G[0]), size.epochs)
    fit(joint, x, of_average(y), size.epochs)
    found = {}
    for name, inputs in tests.items():
        F = outputs(singles, inputs)
        found[name] = {
            "single": error(F, test_y),
            "ensemble": error(F.mean(0, keepdim=True), test_y),
            "distilled": error(outputs([student], inputs), test_y),
            "self-distilled": error(outputs([own], inputs), test_y),
            "trained average": error(outputs(joint, inputs).mean(0, keepdim=True), test_y),
        }
    return found


def pictures(size: Size, device: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return training and test pictures [n, 1, 28, 28] with their labels."""
    data = load()
    x, test = (images[:, None].float() / 255 for images in (data.train_images, data.test_images))
    mean, scale = x.mean(), x.std()
    some, few = size.pictures, max(100, size.pictures // 6)
    return (
        ((x - mean) / scale)[:some].to(device),
        data.train_y[:some].to(device),
        ((test - mean) / scale)[:few].to(device),
        data.test_y[:few].to(device),
    )


def plain(size: Size, device: str) -> dict[str, Any]:
    """All methods on all pictures."""
    x, y, test, test_y = pictures(size, device)
    return methods(x, y, {"test": test}, test_y, size, device)


def stacked(size: Size, device: str) -> dict[str, Any]:
    """All methods, and nets trained on mixtures, on pairs stacked as channels: tests have one blank channel."""
    x, y, test, test_y = pictures(size, device)

    def paired(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(1)).to(device)
        order = order[y[order].argsort(stable=True)]
        first, second = order[: len(order) // 2 * 2].view(-1, 2).T
        same = y[first] == y[second]
        return torch.cat([x[first[same]], x[second[same]]], 1), y[first[same]]

    (pairs, y), (both, test_y) = paired(x, y), paired(test, test_y)
    blank = both.clone()
    blank[:, 1] = 0
    tests = {"both": both, "one blank": blank}
    found = methods(pairs, y, tests, test_y, size, device)
    for mixture in MIXTURES:
        mixed = resnet(2, size.width, 700, device)
        fit([mixed], pairs, of_labels(y), 2 * size.epochs, mixture)
        for name, inputs in tests.items():
            found[name][mixture] = error(outputs([mixed], inputs), test_y)
    return found


def main() -> None:
    """Run all parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="try every part, and keep nothing")
    small = parser.parse_args().small
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and not small:
        raise SystemExit("no GPU was found; --small tries the script without one")
    machine = torch.cuda.get_device_name() if device == "cuda" else "no GPU"
    record: dict[str, Any] = {"date": datetime.date.today().isoformat(), "machine": machine, "torch": torch.__version__,
                              "book's setting": repr(SETTING)}  # fmt: skip
    for part in (speed, setting, plain, stacked):
        start = time.perf_counter()
        record[part.__name__] = part(SMALL if small else WHOLE, device)
        record[f"seconds of {part.__name__}"] = time.perf_counter() - start
        print(part.__name__, json.dumps(record[part.__name__]), flush=True)
        if not small:
            RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
