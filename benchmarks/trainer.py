"""How fast is a training step? Ours, its peers, and the matrix products that none can do without, in one run.

    make bench

prints a table and writes `_build/bench.json`. Times are medians of interleaved repeats; ratios are formed repeat by
repeat, so that what else the machine does falls on both sides. Before anything is timed, all must agree on the weights.
Compiling is not timed. All run on the same cores. Shares are those of the fastest matrix products there are: by torch,
by numpy, or by the trainer's own tiles with nothing between them.
"""

# ruff: noqa: E402
from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

# numpy's library of matrix products shall choose its code for this machine, whatever the environment says.
for variable in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.pop(variable, None)

import numba
import numpy as np
import torch
from peers import PEERS
from threadpoolctl import threadpool_limits

from mvtheory import PatchNets, Schedule, SReLU, train
from mvtheory.controls.no_views import GaussianMixture
from mvtheory.engine import backend
from mvtheory.engine.compiled import panels_of
from mvtheory.engine.tiles import ROWS, WIDE, accumulate, multiply

SRELU, ETA = SReLU(q=4, varrho=4.0), 1e-3


@dataclass(frozen=True)
class Problem:
    """Sizes of a training step."""

    k: int
    m: int
    d: int
    P: int
    N: int
    L: int

    @property
    def flops(self) -> float:
        """Of the two matrix products, forward and backward."""
        return 2 * 2.0 * self.N * self.P * self.d * self.L * self.k * self.m


PROBLEMS = (
    Problem(k=10, m=10, d=220, P=20, N=500, L=10),
    Problem(k=20, m=10, d=400, P=20, N=1000, L=10),
    Problem(k=10, m=8, d=64, P=22, N=500, L=20),  # the book's nets
)


def make(p: Problem):
    """Return nets and data of that size; no patch is empty, so nothing can be skipped."""
    nets = PatchNets.init(p.L, k=p.k, m=p.m, d=p.d, sigma_0=0.1, seed=0, activation=SRELU)
    return nets, GaussianMixture(k=p.k, P=p.P, d=p.d, separation=1.0).sample(p.N, seed=1)


def ours(nets: PatchNets, data, steps: int) -> np.ndarray:
    """Train by the package: constant rate, as the peers do."""
    schedule = Schedule(steps=steps, stop_loss=0, eta=ETA, max_change=1.0, record_every=10**6)
    return train(nets, data, schedule=schedule).nets.W.numpy()


def by_torch(nets: PatchNets, data, steps: int) -> np.ndarray:
    """Train by the package without compiled code."""
    with backend("torch"):
        return ours(nets, data, steps)


def products(nets: PatchNets, data) -> dict[str, Callable[[int], None]]:
    """Return the two matrix products of a step by each library, at one go, into memory that is there."""
    d = data.x.shape[-1]
    x, W = data.x.reshape(-1, d), nets.W.reshape(-1, d)
    z, g = torch.empty(len(x), len(W)), torch.empty_like(W)
    X, V, Z, G = x.numpy(), W.numpy(), z.numpy(), g.numpy()

    def torch_mm(steps: int) -> None:
        for _ in range(steps):
            torch.mm(x, W.T, out=z)
            torch.mm(z.T, x, out=g)

    def numpy_dot(steps: int) -> None:
        for _ in range(steps):
            np.dot(X, V.T, out=Z)
            np.dot(Z.T, X, out=G)

    found = {"products by torch": torch_mm, "products by numpy": numpy_dot}
    return found | ({"products by our tiles": tiled(x, W)} if WIDE else {})


def tiled(x: torch.Tensor, W: torch.Tensor) -> Callable[[int], None]:
    """Return both products by the trainer's tiles alone, a few rows at a time, from operands laid out in advance.

    Rows beyond the last whole group, less than a hundredth, are left out, in favour of this yardstick.
    """
    (n, d), few = x.shape, 10 * ROWS
    panels = panels_of(W)
    rows = x[: n // few * few].view(-1, 10, ROWS, d).transpose(2, 3).contiguous().numpy()
    threads = torch.get_num_threads()
    z = torch.empty(threads, few, panels.shape[-1]).numpy()
    sums = torch.zeros(threads, *panels.shape).numpy()
    parts = np.array_split(rows, threads)
    left = x[: len(rows) * few].view(len(rows), few, d)
    back = np.array_split(left.numpy(), threads)

    def run(steps: int) -> None:
        with ThreadPoolExecutor(threads) as team:
            for _ in range(steps):
                list(team.map(_tiles, [np.float32(0)] * threads, parts, back, [panels.numpy()] * threads, z, sums))

    return run


@numba.njit(nogil=True)
def _tiles(zero, rows, right, W, z, sums):
    panels, d, width = W.shape
    line, few = width * W.itemsize, z.shape[0]
    cuts = (d + ROWS - 1) // ROWS
    for i in range(len(rows)):
        for p in range(panels):
            for t in range(rows.shape[1]):
                multiply(
                    zero, rows[i, t].ctypes.data, ROWS, W.ctypes.data + p * d * line, d,
                    z.ctypes.data + t * ROWS * line, ROWS, 0,
                )  # fmt: skip
            for t in range(cuts):
                lo, hi = d * t // cuts, d * (t + 1) // cuts
                accumulate(
                    zero, right[i].ctypes.data + lo * W.itemsize, d, z.ctypes.data, few,
                    sums.ctypes.data + (p * d + lo) * line, hi - lo, 0,
                )  # fmt: skip


def interleaved(
    work: dict[str, Callable[[], object]], repeats: int, clock: Callable[[], float]
) -> dict[str, np.ndarray]:
    """Time each piece of work in turn, `repeats` times over."""
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(repeats):
        for name, run in work.items():
            start = clock()
            run()
            times[name].append(clock() - start)
    return {name: np.array(column) for name, column in times.items()}


def measure(problem: Problem, repeats: int, steps: int, clock: Callable[[], float]) -> dict:
    """Time a step of each on one problem."""
    nets, data = make(problem)
    peers = {name: start(nets.W, data.x, data.y, ETA, SRELU.q, SRELU.varrho) for name, start in PEERS.items()}
    expected = ours(nets, data, 2)
    for name, run in peers.items():  # also the place where they compile
        if not np.allclose(run(2), expected, rtol=1e-4, atol=1e-6):
            raise SystemExit(f"{name}: other weights after two steps, so its time would mean nothing")
    gemm = products(nets, data)
    trainers = {"mvtheory": ours, "mvtheory, torch alone": by_torch}
    work = {name: lambda run=run: run(nets, data, steps) for name, run in trainers.items()}
    work |= {name: lambda run=run: run(steps) for name, run in (gemm | peers).items()}
    for run in (*gemm.values(), lambda steps: by_torch(nets, data, steps)):
        run(1)
    # Training computes outputs and gradient once more than it steps.
    count = {name: steps + (name in trainers) for name in work}
    times = {name: column / count[name] for name, column in interleaved(work, repeats, clock).items()}
    best = min(gemm, key=lambda name: np.median(times[name]))
    rows = [
        {
            "name": name,
            "seconds": float(np.median(column)),
            "ratio_to_ours": float(np.median(column / times["mvtheory"])),
            "share_of_gemm": float(np.median(times[best] / column)),
        }
        for name, column in times.items()
    ]
    gflops = problem.flops / 1e9 / float(np.median(times[best]))
    return {
        "problem": asdict(problem),
        "threads": torch.get_num_threads(),
        "gemm": best,
        "gemm_gflops": gflops,
        "rows": rows,
    }


def slope(problem: Problem, repeats: int, clock: Callable[[], float]) -> dict:
    """Measure what one more net costs, against its share of the matrix products."""
    counts = (1, 2, 5, 10, 20)
    nets, data = make(Problem(**{**asdict(problem), "L": counts[-1]}))
    work = {f"{L}": lambda L=L: ours(nets[:L], data, 4) for L in counts}
    gemm = "products by our tiles" if WIDE else "products by torch"
    gemms = {L: products(nets[:L], data)[gemm] for L in counts[-2:]}
    work |= {f"gemm {L}": lambda run=run: run(5) for L, run in gemms.items()}
    seconds = {name: float(np.median(column)) / 5 for name, column in interleaved(work, repeats, clock).items()}
    net = float(np.polyfit(counts, [seconds[f"{L}"] for L in counts], 1)[0])
    share = (seconds["gemm 20"] - seconds["gemm 10"]) / 10
    return {"nets": counts, "seconds": [seconds[f"{L}"] for L in counts], "net": net, "products_of_a_net": share}


def capacity(problem: Problem, memory: int = 2**32) -> int:
    """Return how many inputs fit into memory: their patches, and a dozen arrays of the size of the nets' outputs."""
    fixed = 2**29  # the libraries, the blocks of the threads, weights and gradients
    return (memory - fixed) // (4 * problem.P * problem.d + 12 * 4 * problem.L * problem.k)


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="cpu: with one thread on a machine that others use, too",
    )
    parser.add_argument("--out", type=Path, default=Path("_build/bench.json"))
    args = parser.parse_args()
    clock = {"wall": time.perf_counter, "cpu": time.process_time}[args.clock]
    if hasattr(os, "sched_setaffinity"):  # else some peers may use more cores
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.threads])
    torch.set_num_threads(args.threads)
    with threadpool_limits(args.threads):
        results = [measure(problem, args.repeats, args.steps, clock) for problem in PROBLEMS]
        line = slope(PROBLEMS[0], args.repeats, clock)
    for result in results:
        print(", ".join(f"{name} = {value}" for name, value in result["problem"].items()), end="; ")
        print(f"{result['threads']} threads, {result['gemm']} {result['gemm_gflops']:.0f} GFLOPS")
        for row in result["rows"]:
            times = "{seconds:8.4f} s  x {ratio_to_ours:5.2f}  {share_of_gemm:4.0%}".format(**row)
            print(f"  {row['name']:28s} {times} of the products' rate")
    print(f"one more net costs {line['net']:.4f} s a step, its products alone {line['products_of_a_net']:.4f} s")
    for problem in PROBLEMS:
        print(f"4 GiB hold {capacity(problem):,} inputs of k = {problem.k}, d = {problem.d}")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    report = {
        "machine": f"{platform.machine()}, torch {torch.__version__}",
        "clock": args.clock,
        "problems": results,
        "slope": line,
    }
    report["inputs_in_4_GiB"] = [capacity(problem) for problem in PROBLEMS]
    args.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
