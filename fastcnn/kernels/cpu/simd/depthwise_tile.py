"""Register tiles of depthwise convolutions: LLVM vector code for a few pixels of one row.

A vector holds LANES neighbouring channels of a pixel. The tile of sums keeps those of several
neighbouring pixels in registers while it walks the taps; the tile of the kernel's gradient keeps
those of several taps while it walks the pixels. Most instructions are then multiply-adds that read
one factor from the first-level cache. Strides, dilation and the number of taps are address steps
and counts, so that one tile serves them all.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from llvmlite import ir

from fastcnn.kernels.cpu.runtime.intrinsic import intrinsic
from fastcnn.kernels.cpu.simd.emission import field_offsets
from fastcnn.kernels.cpu.simd.memory import Memory
from fastcnn.kernels.cpu.simd.vector_unit import (
    INT32,
    INT64,
    LANES,
    POINTER,
    VECTOR,
    VECTOR_BYTES,
    rectified,
    splat_lanes,
)
from fastcnn.kernels.lazy_numba import cgutils, types

PIXELS = 8  # in a tile of sums at most
TAPS = 3  # rows of taps, and taps of a row, in a gradient's tile at most

NARROW = 1
UNROLLED = (3, 5)

Values = list[ir.Value]


class _Code:
    """The code of one tile, `void tile(record, ...)`.

    A narrow one is for images with fewer channels than lanes.
    """

    def __init__(self, function: ir.Function, offsets: dict[str, int], narrow: bool):
        self.builder = ir.IRBuilder(function.append_basic_block())
        self._record, self._offsets, self._narrow = function.args[0], offsets, narrow
        self.channels = self.field("channels")
        self._memory = Memory(self.builder, self.channels)
        kind = ir.FunctionType(VECTOR, [VECTOR] * 3)
        self._fma = self._function(f"llvm.fma.v{LANES}f32", kind)
        numbers = [INT32] * 3
        self._prefetch = self._function(
            "llvm.prefetch.p0", ir.FunctionType(ir.VoidType(), [POINTER, *numbers])
        )

    def _function(self, name: str, kind: ir.FunctionType) -> ir.Function:
        return cgutils.get_or_insert_function(self.builder.module, kind, name)

    def field(self, name: str) -> ir.Value:
        builder, place = self.builder, [INT64(self._offsets[name])]
        address = builder.gep(self._record, place, source_etype=ir.IntType(8))
        return builder.load(builder.bitcast(address, INT64.as_pointer()), align=8)

    def step(self, value: ir.Value, by: ir.Value) -> ir.Value:
        """Return value + by, hidden from LLVM.

        LLVM would otherwise keep a pointer of its own for every load of a loop, more than there
        are registers, and step each of them.
        """
        kind = ir.FunctionType(INT64, [INT64])
        return self.builder.asm(kind, "", "=r,0", [self.builder.add(value, by)], False)

    def load(self, address: ir.Value) -> ir.Value:
        return (self._memory.load_last if self._narrow else self._memory.load)(address)

    def store(self, value: ir.Value, address: ir.Value) -> None:
        if self._narrow:
            self._memory.store_last([value], [address])
        else:
            self._memory.store(value, address)

    def prefetch(self, address: ir.Value, step: ir.Value, count: int, write: int) -> None:
        """Ask for `count` cache lines, `step` bytes apart, before they are needed."""
        for number in range(count):
            address = self.step(address, step) if number else address
            settings = [INT32(write), INT32(3), INT32(1)]  # into the first level, data
            self.builder.call(self._prefetch, [self.builder.inttoptr(address, POINTER), *settings])

    def fma(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        return self.builder.call(self._fma, [a, b, c])

    def loop(self, count: ir.Value, carried: Values, body: Callable[[Values], Values]) -> Values:
        """Emit `for _ in range(count): carried = body(carried)` and return the final values."""
        builder, before = self.builder, self.builder.block
        head, inside, after = (builder.append_basic_block(name) for name in ("head", "in", "after"))
        builder.branch(head)
        builder.position_at_end(head)
        phis = [builder.phi(value.type) for value in (count, *carried)]
        for phi, value in zip(phis, (count, *carried), strict=True):
            phi.add_incoming(value, before)
        builder.cbranch(builder.icmp_signed(">", phis[0], INT64(0)), inside, after)
        builder.position_at_end(inside)
        updated = [self.step(phis[0], INT64(-1)), *body(phis[1:])]
        for phi, value in zip(phis, updated, strict=True):
            phi.add_incoming(value, builder.block)
        builder.branch(head)
        builder.position_at_end(after)
        return phis[1:]

    def vectors(self, first: ir.Value, count: ir.Value, weight: ir.Value, body: Callable) -> None:
        """Emit `body(offset, weight, new)` for `count` vectors of channels.

        `offset` is in bytes, from a pixel's first channel. The last vector begins early enough to
        be whole; `new` marks its lanes that the one before did not hold. `weight` is stepped by
        w_vector.
        """
        builder = self.builder
        last = builder.mul(builder.sub(self.channels, INT64(LANES)), INT64(4))
        last = builder.select(builder.icmp_signed("<", last, INT64(0)), INT64(0), last)
        w_vector = self.field("w_vector")

        def next_vector(values: Values) -> Values:
            at, weight = values
            offset = builder.select(builder.icmp_signed("<", at, last), at, last)
            lanes = ir.Constant(ir.VectorType(INT32, LANES), list(range(0, VECTOR_BYTES, 4)))
            old = splat_lanes(builder, builder.trunc(builder.sub(at, offset), INT32), lanes.type)
            body(offset, weight, builder.icmp_signed(">=", lanes, old))
            return [self.step(at, INT64(VECTOR_BYTES)), self.step(weight, w_vector)]

        self.loop(count, [builder.mul(first, INT64(VECTOR_BYTES)), weight], next_vector)


def _filled(builder: ir.IRBuilder, number: float) -> ir.Value:
    """Return the address of a vector full of one number."""
    place = builder.alloca(VECTOR)
    builder.store(ir.Constant(VECTOR, [number] * LANES), place)
    return builder.ptrtoint(place, INT64)


def _emit_sums(function: ir.Function, size: tuple[int, int], offsets: dict[str, int]) -> None:
    """Fill `void tile(record, x, weight, y, x_step, y_step, rows, taps, first, vectors)`."""
    pixels, kind = size
    code = _Code(function, offsets, kind == NARROW)
    builder = code.builder
    _, x, weight, y, x_step, y_step, rows, taps, first, vectors = function.args
    x_tap, x_row, w_tap, w_row = (code.field(n) for n in ("x_tap", "x_row", "w_tap", "w_row"))
    bias, zeros = code.field("bias"), _filled(builder, 0.0)
    biased = builder.icmp_signed("!=", bias, INT64(0))
    relu = code.field("relu")

    def tap(values: Values) -> Values:
        at, w_at, *sums = values
        factor, result, pixel = code.load(w_at), [], at
        for number, total in enumerate(sums):
            pixel = code.step(pixel, x_step) if number else pixel
            result.append(code.fma(code.load(pixel), factor, total))
        return [code.step(at, x_tap), code.step(w_at, w_tap), *result]

    def unrolled_taps(values: Values) -> Values:
        at, w_at, *sums = values
        factors = []
        for _ in range(kind):
            factors.append(code.load(w_at))
            w_at = code.step(w_at, w_tap)
        for column in range(pixels + kind - 1):
            at = code.step(at, x_tap) if column else at
            value = code.load(at)
            for t in range(kind):
                if 0 <= column - t < pixels:
                    sums[column - t] = code.fma(value, factors[t], sums[column - t])
        return sums

    def row(values: Values) -> Values:
        at, w_at, *sums = values
        if kind in UNROLLED:
            return [code.step(at, x_row), code.step(w_at, w_row), *unrolled_taps(values)]
        _, _, *sums = code.loop(taps, [at, w_at, *sums], tap)
        return [code.step(at, x_row), code.step(w_at, w_row), *sums]

    def tile_of_vector(offset: ir.Value, w_at: ir.Value, new: ir.Value) -> None:
        x_at, to = builder.add(x, offset), builder.add(y, offset)
        below = builder.add(x_at, builder.mul(x_row, rows))
        code.prefetch(below, x_step, pixels, 0)
        code.prefetch(builder.add(to, code.field("y_row")), y_step, pixels, 1)
        start = code.load(builder.select(biased, builder.add(bias, offset), zeros))
        _, _, *sums = code.loop(rows, [x_at, w_at, *[start] * pixels], row)
        for value in rectified(builder, relu, sums):
            code.store(value, to)
            to = code.step(to, y_step)

    code.vectors(first, vectors, weight, tile_of_vector)
    builder.ret_void()


def _emit_gradient(
    function: ir.Function, size: tuple[int, int, int], offsets: dict[str, int]
) -> None:
    """Fill `void tile(record, x, dy, gradient, x_step, y_step, pixels, first, vectors)`."""
    rows, taps, narrow = size
    code = _Code(function, offsets, bool(narrow))
    builder = code.builder
    _, x, dy, gradient, x_step, y_step, pixels, first, vectors = function.args
    x_tap, x_row, w_tap, w_row = (code.field(n) for n in ("x_tap", "x_row", "w_tap", "w_row"))

    def pixel(values: Values) -> Values:
        at, dy_at, *sums = values
        factor, result, row_at = code.load(dy_at), [], at
        for number, total in enumerate(sums):
            r, t = divmod(number, taps)
            row_at = code.step(row_at, x_row) if r and not t else row_at
            place = builder.add(row_at, builder.mul(x_tap, INT64(t)))
            result.append(code.fma(code.load(place), factor, total))
        return [code.step(at, x_step), code.step(dy_at, y_step), *result]

    def tile_of_vector(offset: ir.Value, to: ir.Value, new: ir.Value) -> None:
        places = []
        for r in range(rows):
            at = builder.add(to, builder.mul(w_row, INT64(r)))
            places += [builder.add(at, builder.mul(w_tap, INT64(t))) for t in range(taps)]
        start = [builder.add(x, offset), builder.add(dy, offset)]
        _, _, *sums = code.loop(pixels, [*start, *map(code.load, places)], pixel)
        for place, value in zip(places, sums, strict=True):
            code.store(value, place)

    code.vectors(first, vectors, gradient, tile_of_vector)
    builder.ret_void()


def sum_sizes() -> list[tuple[int, int]]:
    """Return every (pixels, kind) of a tile of sums."""
    unrolled = [(pixels, taps) for taps in UNROLLED for pixels in range(4, PIXELS + 1)]
    return [*((pixels, 0) for pixels in range(1, PIXELS + 1)), (1, NARROW), *unrolled]


def gradient_sizes() -> list[tuple[int, int, int]]:
    """Return every (rows, taps, narrow) of a gradient's tile."""
    few = range(1, TAPS + 1)
    return [*((rows, taps, 0) for rows in few for taps in few), (1, 1, 1)]


def _make(name: str, dtype: np.dtype, sizes: list, fill: Callable, numbers: int) -> Callable:
    """Return `emit(builder, size, record, numbers)`: a call of the tile of that size."""
    offsets = field_offsets(dtype)
    kind = ir.FunctionType(ir.VoidType(), [POINTER] + [INT64] * numbers)

    def emit(builder: ir.IRBuilder, size: Values, record: ir.Value, arguments: Values) -> None:
        done = builder.append_basic_block("tile_done")
        case = INT64(0)
        for number in size:
            case = builder.add(builder.mul(case, INT64(16)), number)
        switch = builder.switch(case, done)
        for numbers in sizes:
            label = "_".join(map(str, (name, *numbers)))
            function = ir.Function(builder.module, kind, label)
            function.linkage = "internal"
            function.attributes.add("noinline")
            fill(function, numbers, offsets)
            block = builder.append_basic_block(label)
            number = 0
            for digit in numbers:
                number = 16 * number + digit
            switch.add_case(INT64(number), block)
            builder.position_at_end(block)
            builder.call(function, [builder.inttoptr(record, POINTER), *arguments])
            builder.branch(done)
        builder.position_at_end(done)

    return emit


def make_sums(dtype: np.dtype) -> Callable:
    """Return `sums(pixels, kind, record, x, weight, y, x_step, y_step, rows, taps, first, count)`.

    `first` and `count` say which vectors of channels.
    """
    emit_tile = _make("depthwise_sums", dtype, sum_sizes(), _emit_sums, 9)

    @intrinsic
    def sums(
        typing, pixels, narrow, record, x, weight, y, x_step, y_step, rows, taps, first, vectors
    ):
        def emit(context, builder, signature, arguments):
            pixels, narrow, record, *rest = arguments
            emit_tile(builder, [pixels, narrow], record, rest)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 12), emit

    return sums


def make_gradient(dtype: np.dtype) -> Callable:
    """Return `gradient(rows, taps, narrow, record, x, dy, to, x_step, y_step, pixels, first,
    count)`; `first` and `count` say which vectors of channels.
    """
    emit_tile = _make("depthwise_gradient", dtype, gradient_sizes(), _emit_gradient, 8)

    @intrinsic
    def gradient(
        typing, rows, taps, narrow, record, x, dy, to, x_step, y_step, pixels, first, vectors
    ):
        def emit(context, builder, signature, arguments):
            rows, taps, narrow, record, *rest = arguments
            emit_tile(builder, [rows, taps, narrow], record, rest)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 12), emit

    return gradient
