"""The innermost loops of a training step: products of tiles by wide vector instructions, and what lies between.

Written by hand, since a library's matrix product ends in memory; here a tile goes on to the activation and the second
product while it is in registers and caches.

Matrices lie in panels: as many columns as two vector registers hold, row after row. A tile of up to `ROWS` rows of a
panel stays in registers while a product is summed. The compiler behind numba turns this into machine code for vectors
of 512 or 256 bits; where it can use neither, `WIDE` is False and the trainer leaves the products to torch.

All of it is one module, since numba compiles anew what has changed in a function's own file alone.
"""

from __future__ import annotations

# mypy: disable-error-code="call-arg"
# (numba passes the typing context of an intrinsic by itself)
import itertools
from collections.abc import Callable, Iterable
from typing import Any

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from mvtheory.engine.jit import njit

__all__ = [
    "PANEL_BYTES",
    "ROWS",
    "WIDE",
    "accumulate",
    "backward",
    "forward",
    "forward_backward",
    "multiply",
    "nonzero_patches",
]


def _features() -> set[str]:
    """Return what numba may use of this processor: all, or what ``NUMBA_CPU_FEATURES`` says."""
    said: str | None = getattr(numba.config, "CPU_FEATURES", None)
    if said is not None:
        return {feature[1:] for feature in said.split(",") if feature.startswith("+")}
    return {name for name, has in llvmlite.binding.get_host_cpu_features().items() if has}


# 28 of 32 registers hold a tile, or 12 of 16; what is multiplied takes three more.
_HAS = _features()
VECTOR_BYTES, ROWS = (64, 14) if "avx512f" in _HAS else (32, 6)
WIDE = "avx512f" in _HAS or {"avx2", "fma"} <= _HAS
PANEL_BYTES = 2 * VECTOR_BYTES

# Rows that are worked on at one go, so that they stay in the innermost caches.
FEW, MANY = 112 // ROWS * ROWS, 224 // ROWS * ROWS

INT = ir.IntType(64)


class _Vectors:
    """Vector instructions on addresses, for one floating-point type."""

    def __init__(self, context: Any, builder: ir.IRBuilder, number: types.Float) -> None:
        self.builder, self.scalar = builder, context.get_value_type(number)
        self.lanes = VECTOR_BYTES * 8 // number.bitwidth
        self.type = ir.VectorType(self.scalar, self.lanes)
        name = f"llvm.fma.v{self.lanes}f{number.bitwidth}"
        self.fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(self.type, [self.type] * 3), name)

    def pointer(self, address: ir.Value, scalar: bool = False) -> ir.Value:
        return self.builder.inttoptr(address, (self.scalar if scalar else self.type).as_pointer())

    def at(self, pointer: ir.Value, i: int) -> ir.Value:
        return self.builder.gep(pointer, [ir.Constant(INT, i)])

    def load(self, pointer: ir.Value, i: int = 0) -> ir.Value:
        value = self.builder.load(self.at(pointer, i))
        value.align = 4
        return value

    def store(self, value: ir.Value, pointer: ir.Value, i: int = 0) -> None:
        self.builder.store(value, self.at(pointer, i)).align = 4

    def constant(self, value: float) -> ir.Value:
        return ir.Constant(self.type, [value] * self.lanes)

    def spread(self, value: ir.Value) -> ir.Value:
        nothing, lane = ir.Constant(self.type, ir.Undefined), ir.IntType(32)
        first = self.builder.insert_element(nothing, value, ir.Constant(lane, 0))
        return self.builder.shuffle_vector(
            first, nothing, ir.Constant(ir.VectorType(lane, self.lanes), [0] * self.lanes)
        )

    def loop(self, count: ir.Value, state: list[ir.Value], body: Callable[[list[ir.Value]], list[ir.Value]]) -> list:
        """Run `body` on the state `count` >= 1 times, and return the last state."""
        before, inside = self.builder.block, self.builder.append_basic_block("loop")
        self.builder.branch(inside)
        self.builder.position_at_end(inside)
        start = [ir.Constant(INT, 0), *state]
        phis = [self.builder.phi(value.type) for value in start]
        values = [self.builder.add(phis[0], ir.Constant(INT, 1)), *body(phis[1:])]
        for phi, first, value in zip(phis, start, values, strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(value, self.builder.block)
        after = self.builder.append_basic_block("after")
        self.builder.cbranch(self.builder.icmp_signed("<", values[0], count), inside, after)
        self.builder.position_at_end(after)
        return values[1:]


def _tiles(sizes: Iterable[int], *, add: bool) -> Any:
    """Return the product of a tile for each number of rows in `sizes`, of a whole panel or its left half."""

    @intrinsic
    def product(typing: Any, zero: Any, A: Any, step: Any, B: Any, count: Any, C: Any, rows: Any, half: Any) -> Any:
        """Multiply the tiles A and B, and write the product to C, or add it."""

        def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
            v, (_, A, step, B, count, C, rows, half) = _Vectors(context, builder, zero), args
            done = builder.append_basic_block("done")
            switch = builder.switch(builder.add(builder.add(rows, rows), half), done)
            for size, halved in itertools.product(sizes, (False, True)):
                switch.add_case(ir.Constant(INT, 2 * size + halved), builder.append_basic_block("rows"))
                builder.position_at_end(switch.cases[-1][1])
                _tile(v, A, step, B, count, C, size, 1 if halved else 2, add)
                builder.branch(done)
            builder.position_at_end(done)
            return context.get_dummy_value()

        return types.void(zero, *[types.intp] * 7), generate

    return product


def _tile(
    v: _Vectors, A: ir.Value, step: ir.Value, B: ir.Value, count: ir.Value, C: ir.Value,
    rows: int, width: int, add: bool,
) -> None:  # fmt: skip
    """Multiply `rows` by `width` vectors of a panel."""

    def body(state: list[ir.Value]) -> list[ir.Value]:
        a, b, *sums = state
        right = [v.load(b, j) for j in range(width)]
        for i in range(rows):  # in this order few registers are in use at a time
            left = v.spread(v.load(a, i))
            for j in range(width):
                sums[width * i + j] = v.builder.call(v.fma, [left, right[j], sums[width * i + j]])
        return [v.builder.gep(a, [step]), v.at(b, 2), *sums]

    state = [v.pointer(A, scalar=True), v.pointer(B), *[v.constant(0.0)] * (width * rows)]
    _, _, *sums = v.loop(count, state, body)
    c = v.pointer(C)
    for n, part in enumerate(sums):
        at = n // width * 2 + n % width
        v.store(v.builder.fadd(part, v.load(c, at)) if add else part, c, at)


#: ``multiply(zero, A, step, B, count, C, rows, half)`` writes C[i] = sum_t A[t][i] B[t] for i < `rows` = ROWS. A, B and
#: C are addresses, A[t + 1] lies `step` numbers after A[t]; B and C are panels, or their left halves if `half` is 1.
#: `zero` gives the type of number.
multiply = _tiles([ROWS], add=False)
#: The same for any `rows` from 1 to ROWS, added to what C holds.
accumulate = _tiles(range(1, ROWS + 1), add=True)


@intrinsic
def activate(typing: Any, zero: Any, Z: Any, count: Any, total: Any, q: Any, varrho: Any) -> Any:
    """Replace `count` rows of a panel Z by the slopes of the smoothed ReLU, and write the sum of its values to `total`.

    A NaN in Z is a NaN in the sum.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        v, (_, Z, count, total, q, varrho) = _Vectors(context, builder, zero), args
        any_q, done = builder.append_basic_block("any"), builder.append_basic_block("done")
        switch = builder.switch(q, any_q)
        for known in (1, 2, 3, 4):
            switch.add_case(ir.Constant(INT, known), builder.append_basic_block("q"))
            builder.position_at_end(switch.cases[-1][1])
            _activate(v, Z, count, total, q, varrho, known)
            builder.branch(done)
        builder.position_at_end(any_q)
        _activate(v, Z, count, total, q, varrho, None)
        builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return types.void(zero, types.intp, types.intp, types.intp, types.intp, zero), generate


def _activate(
    v: _Vectors, Z: ir.Value, count: ir.Value, total: ir.Value, q: ir.Value, varrho: ir.Value, known: int | None
) -> None:
    """Do the work of `activate`, where q is `known` or, if None, larger."""
    builder, one = v.builder, ir.Constant(v.scalar, 1.0)
    cut, inverse = v.spread(varrho), v.spread(builder.fdiv(one, varrho))
    share = v.spread(builder.fdiv(varrho, builder.sitofp(q, v.scalar)))
    nil, unit = v.constant(0.0), v.constant(1.0)

    def positive(z: ir.Value) -> ir.Value:
        return builder.select(builder.fcmp_ordered("<", z, nil), nil, z)  # NaN stays NaN

    def power(u: ir.Value, z: ir.Value) -> ir.Value:
        if known == 1:
            return builder.select(builder.fcmp_ordered(">", z, nil), unit, nil)
        slope = u
        for _ in range(2, known or 2):
            slope = builder.fmul(slope, u)
        if known is None:
            times = builder.sub(q, ir.Constant(INT, 2))
            (slope,) = v.loop(times, [slope], lambda state: [builder.fmul(state[0], u)])
        return slope

    def body(state: list[ir.Value]) -> list[ir.Value]:
        pointer, *sums = state
        for i in range(2):
            z = v.load(pointer, i)
            low = positive(z)
            u = builder.fmul(low, inverse)
            u = builder.select(builder.fcmp_ordered(">", u, unit), unit, u)  # NaN stays NaN
            slope = power(u, z)
            value = builder.call(v.fma, [builder.fmul(u, slope), share, positive(builder.fsub(low, cut))])
            sums[i] = builder.fadd(sums[i], value)
            v.store(slope, pointer, i)
        return [v.at(pointer, 2), *sums]

    _, *sums = v.loop(count, [v.pointer(Z), nil, nil], body)
    for i in range(2):
        v.store(sums[i], v.pointer(total), i)


@intrinsic
def weigh(typing: Any, zero: Any, Z: Any, count: Any, factor: Any) -> Any:
    """Multiply `count` rows of a panel Z by the row at `factor`."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        v, (_, Z, count, factor) = _Vectors(context, builder, zero), args
        factors = [v.load(v.pointer(factor), i) for i in range(2)]

        def body(state: list[ir.Value]) -> list[ir.Value]:
            for i in range(2):
                v.store(builder.fmul(v.load(state[0], i), factors[i]), state[0], i)
            return [v.at(state[0], 2)]

        v.loop(count, [v.pointer(Z)], body)
        return context.get_dummy_value()

    return types.void(zero, types.intp, types.intp, types.intp), generate


@njit(nogil=True)
def nonzero_patches(x, P):  # type: ignore[no-untyped-def]
    """Return the patches that hold anything but zeros, and where those of each input begin among them."""
    patches, first = np.empty(len(x), np.int64), np.zeros(len(x) // P + 1, np.int64)
    count = 0
    for p in range(len(x)):
        for value in x[p]:
            if value != 0:
                patches[count] = p
                count += 1
                break
        if p % P == P - 1:
            first[p // P + 1] = count
    return patches[:count], first


@njit(nogil=True)
def _group_end(first, i, stop):  # type: ignore[no-untyped-def]
    """Return the end of a group of inputs from `i` on: few rows, and such that they fill whole tiles if possible."""
    best, waste = i + 1, 1.0
    for j in range(i + 1, min(stop, i + MANY) + 1):
        rows = first[j] - first[i]
        if j > i + 1 and rows > MANY:
            break
        if rows < FEW or -rows % ROWS <= waste * rows:
            best, waste = j, 1.0 if rows < FEW else (-rows % ROWS) / rows
    return best


@numba.njit
def _half_empty(p, panels, width, columns):  # type: ignore[no-untyped-def]
    """Return whether panel p is the last and has nothing but padding in its right half, which is left alone then."""
    return int(p == panels - 1 and columns <= panels * width - width // 2)


@njit(nogil=True)
def _group_forward(zero, x, patches, first, i, j, at, height, F, W, m, q, varrho):  # type: ignore[no-untyped-def]
    """Write the outputs F of a group of inputs, and the slopes of their pre-activations.

    The slopes begin at the address `at`; from panel to panel there are `height` rows, a whole number of tiles at least.
    """
    panels, d, width = W.shape
    line = width * W.itemsize
    rows = first[j] - first[i]
    tiles = (rows + ROWS - 1) // ROWS
    left = np.zeros((tiles, d, ROWS), x.dtype)
    for r in range(rows):
        source = x[patches[first[i] + r]]
        for e in range(d):
            left[r // ROWS, e, r % ROWS] = source[e]
    total = np.zeros((j - i, panels, width), x.dtype)
    for p in range(panels):
        half = _half_empty(p, panels, width, F.shape[1] * m)
        for t in range(tiles):
            multiply(
                zero, left.ctypes.data + t * d * ROWS * x.itemsize, ROWS, W.ctypes.data + p * d * line, d,
                at + (p * height + t * ROWS) * line, ROWS, half,
            )  # fmt: skip
        for h in range(i, j):
            if first[h + 1] > first[h]:
                activate(
                    zero, at + (p * height + first[h] - first[i]) * line, first[h + 1] - first[h],
                    total.ctypes.data + ((h - i) * panels + p) * line, q, varrho,
                )  # fmt: skip
    for h in range(i, j):
        values = total[h - i].reshape(-1)
        for g in range(F.shape[1]):
            sum_ = zero
            for c in range(g * m, (g + 1) * m):
                sum_ += values[c]
            F[h, g] = sum_


@njit(nogil=True)
def _group_backward(zero, x, patches, first, i, j, at, height, dF, m, gradient):  # type: ignore[no-untyped-def]
    """Add to the gradient what a group of inputs adds, given dF of their outputs; overwrites the slopes."""
    panels, d, width = gradient.shape
    line = width * gradient.itemsize
    cuts = (d + ROWS - 1) // ROWS
    rows = first[j] - first[i]
    # Patches that follow each other in memory are used where they are.
    there = rows > 0 and patches[first[j] - 1] - patches[first[i]] == rows - 1
    left = np.empty((0 if there else rows, d), x.dtype)
    for r in range(len(left)):
        left[r] = x[patches[first[i] + r]]
    factor = np.zeros((j - i, panels * width), x.dtype)
    for h in range(j - i):
        for g in range(dF.shape[1]):
            for c in range(g * m, (g + 1) * m):
                factor[h, c] = dF[h, g]
    for p in range(panels if rows > 0 else 0):
        half = _half_empty(p, panels, width, dF.shape[1] * m)
        for h in range(i, j):
            if first[h + 1] > first[h]:
                weigh(
                    zero, at + (p * height + first[h] - first[i]) * line, first[h + 1] - first[h],
                    factor.ctypes.data + ((h - i) * panels + p) * line,
                )  # fmt: skip
        for t in range(cuts):
            lo, hi = d * t // cuts, d * (t + 1) // cuts
            # Arrays whose addresses are in use are named inside the loop: numba frees them after the last mention.
            source = x.ctypes.data + patches[first[i]] * d * x.itemsize if there else left.ctypes.data
            accumulate(
                zero, source + lo * x.itemsize, d, at + p * height * line, rows,
                gradient.ctypes.data + (p * d + lo) * line, hi - lo, half,
            )  # fmt: skip


@njit(nogil=True)
def forward(zero, x, patches, first, start, stop, slopes, F, W, m, q, varrho):  # type: ignore[no-untyped-def]
    """Write the outputs F of inputs start ... stop - 1, and the slopes of all their pre-activations."""
    line = W.shape[2] * W.itemsize
    height = first[stop] - first[start] + ROWS
    i = start
    while i < stop:
        j = _group_end(first, i, stop)
        at = slopes.ctypes.data + (first[i] - first[start]) * line
        _group_forward(zero, x, patches, first, i, j, at, height, F, W, m, q, varrho)
        i = j


@njit(nogil=True)
def backward(zero, x, patches, first, start, stop, slopes, dF, m, gradient):  # type: ignore[no-untyped-def]
    """Add to the gradient what inputs start ... stop - 1 add, given dF of their outputs; overwrites the slopes."""
    line = gradient.shape[2] * gradient.itemsize
    height = first[stop] - first[start] + ROWS
    i = start
    while i < stop:
        j = _group_end(first, i, stop)
        at = slopes.ctypes.data + (first[i] - first[start]) * line
        _group_backward(zero, x, patches, first, i, j, at, height, dF[i - start : j - start], m, gradient)
        i = j


@njit(nogil=True)
def forward_backward(  # type: ignore[no-untyped-def]
    zero, x, patches, first, start, stop, slopes, F, W, m, q, varrho, y, k, share, joint, on, gate, gradient
):
    """Write the outputs F of inputs start ... stop - 1, and add the gradient of their loss times `share`.

    The loss is the cross-entropy of the labels y: of each net, or of the average of all nets if `joint`. If `on`
    [n, L k] is not empty, the penalty of the on/off rule is added, with `gate`: its cut, slack and weight. The slopes
    of each group overwrite those before, and nothing waits for Python between the two products.
    """
    i = start
    nets = F.shape[1] // k
    mean = np.empty(k, F.dtype)
    while i < stop:
        j = _group_end(first, i, stop)
        height = first[j] - first[i] + ROWS
        _group_forward(zero, x, patches, first, i, j, slopes.ctypes.data, height, F, W, m, q, varrho)
        dF = np.empty((j - i, F.shape[1]), F.dtype)
        for h in range(i, j):
            own = dF[h - i].reshape(nets, k)
            if joint:
                mean[:] = F[h].reshape(nets, k).sum(0) / nets
                _residual(mean, y[h], share / nets, own[0])
                for net in range(1, nets):
                    own[net] = own[0]
            else:
                for net in range(nets):
                    _residual(F[h, net * k : net * k + k], y[h], share, own[net])
            if len(on) > 0:
                _add_gate(F[h], on[h], gate, share, dF[h - i])
        _group_backward(zero, x, patches, first, i, j, slopes.ctypes.data, height, dF, m, gradient)
        i = j


@numba.njit
def _residual(F, y, share, dF):  # type: ignore[no-untyped-def]
    """Write to dF the softmax of F minus one at the label, times `share`."""
    top = F.max()
    for c in range(len(F)):
        dF[c] = np.exp(F[c] - top)
    dF *= share / dF.sum()
    dF[y] -= share


@numba.njit
def _add_gate(F, on, gate, share, dF):  # type: ignore[no-untyped-def]
    """Add to dF the gradient of the on/off rule, times its weight and `share`."""
    cut, slack, weight = gate
    for c in range(len(F)):
        if on[c]:
            dF[c] -= share * weight / cut * max(1 - F[c] / cut, 0)
        else:
            dF[c] += share * weight / cut * min(max(F[c] / cut - slack, 0), 1)
