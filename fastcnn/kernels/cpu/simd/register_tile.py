"""The register tile, the heart of the engine.

It holds M rows x V vectors of a result in registers
and runs through the inner dimension:

    C[m, :] = sum over k of A[m, k] * B[k, :]        m < M, V * LANES columns

One number of A is broadcast, one row of B is loaded as V vectors, and M * V fused multiply-adds
follow, with nothing going back to memory until the sum is complete. The inner dimension is three
nested loops with strides of their own, so the same tile serves convolutions (kernel row, kernel
column, channel), their gradients (image, row, pixel) and matrix products. It is emitted as LLVM
vector code, since no loop that a compiler vectorises by itself keeps 28 accumulators in registers.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from llvmlite import ir
from numba.core import cgutils

from fastcnn.kernels.cpu.simd.memory import Memory
from fastcnn.kernels.cpu.simd.vector_unit import (
    FLOAT,
    INT64,
    LANES,
    POINTER,
    REGISTERS,
    VECTOR,
    VECTOR_BYTES,
    splat_lanes,
)

# `void tile(grid, a, b, c, bias)`: addresses of a record, of numbers, and of a bias or 0.
TILE_TYPE = ir.FunctionType(ir.VoidType(), [POINTER, INT64, INT64, INT64, INT64])
WIDEST = 2  # vectors in a tile at most
ROWS_A_REGISTER = 5  # rows of A whose addresses are made from one in a register
TALLEST = 14  # rows of one half of a tile at most


def tile_rows(width: int) -> int:
    """Return the most rows, in both halves together, that a tile of `width` vectors can hold."""
    # The accumulators, one row of B and one broadcast number must fit; one register stays spare.
    return min(2 * TALLEST // width, (REGISTERS - width - 2) // width)


def tile_sizes() -> list[tuple[int, int, int]]:
    """Return every (height, halves, width) that a tile can have."""
    return [
        (height, halves, width)
        for width in range(1, WIDEST + 1)
        for halves in (1, 2)
        for height in range(1, min(TALLEST, tile_rows(width) // halves) + 1)
    ]


def _zeros() -> ir.Constant:
    return ir.Constant(VECTOR, [0.0] * LANES)


def _opaque(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """Return a number of which LLVM is to know nothing, at no cost.

    LLVM would keep each row's distance from the first in a register of its own, of which there are
    too few, so that it then keeps sums in memory.
    """
    kind = ir.FunctionType(INT64, [INT64])
    return builder.asm(kind, "", "=r,0", [value], side_effect=False)


def _llvm_function(
    builder: ir.IRBuilder, name: str, result: ir.Type, *parameters: ir.Type
) -> ir.Function:
    kind = ir.FunctionType(result, parameters)
    return cgutils.get_or_insert_function(builder.module, kind, name)


def _loop(
    builder: ir.IRBuilder, count: ir.Value, carried: list[ir.Value], body: Callable
) -> list[ir.Value]:
    """Emit `for _ in range(count): carried = body(carried)` and return the final values.

    A phi is a value as it was carried into a round, from before the loop or the round before.
    """
    before = builder.block
    head, inside, after = (builder.append_basic_block(name) for name in ("head", "body", "after"))
    builder.branch(head)
    builder.position_at_end(head)
    index = builder.phi(INT64)
    index.add_incoming(INT64(0), before)
    values = []
    for value in carried:
        phi = builder.phi(value.type)
        phi.add_incoming(value, before)
        values.append(phi)
    builder.cbranch(builder.icmp_signed("<", index, count), inside, after)
    builder.position_at_end(inside)
    updated = body(values)
    index.add_incoming(builder.add(index, INT64(1)), builder.block)
    for phi, value in zip(values, updated, strict=True):
        phi.add_incoming(value, builder.block)
    builder.branch(head)
    builder.position_at_end(after)
    return values


def emit_tile(function: ir.Function, size: tuple[int, int, int], offsets: dict[str, int]) -> None:
    """Fill a function of TILE_TYPE: one tile of size (height, halves, width).

    `offsets` tells where the grid's record has each field, in bytes.
    """
    height, halves, width = size
    rows = height * halves
    builder = ir.IRBuilder(function.append_basic_block())
    grid, a, b, c, bias = function.args

    def field(name: str) -> ir.Value:
        place = builder.gep(grid, [INT64(offsets[name])], source_etype=ir.IntType(8))
        return builder.load(builder.bitcast(place, INT64.as_pointer()), align=8)

    memory = Memory(builder, field("lanes"))
    fma = _llvm_function(builder, f"llvm.fma.v{LANES}f32", VECTOR, VECTOR, VECTOR, VECTOR)
    a_row, b_vector = field("a_inner"), field("b_vector")
    a_row_3 = builder.mul(a_row, INT64(3))
    c_rows = []
    for half in range(halves):
        at = builder.add(c, field("c_outer")) if half else c
        c_rows += [builder.add(at, builder.mul(field("c_inner"), INT64(i))) for i in range(height)]

    def columns(address: ir.Value, load_last: bool) -> list[ir.Value]:
        last = memory.load_last if load_last else memory.load
        firsts = [memory.load(address, VECTOR_BYTES * v) for v in range(width - 1)]
        return [*firsts, last(address, VECTOR_BYTES * (width - 1))]

    # Five rows share an address in a register: an x86 load adds 1, 2 or 4 times another to it.
    # The second half's rows lie one outer step further on: the next image row, say.
    first_rows = []
    for half in range(halves):
        at = builder.add(a, field("a_outer")) if half else a
        for row in range(0, height, ROWS_A_REGISTER):
            first_rows.append(builder.add(at, builder.mul(a_row, INT64(row))))
    in_groups = -(-height // ROWS_A_REGISTER)

    def row_address(bases: list[ir.Value], row: int) -> ir.Value:
        half, row = divmod(row, height)
        group, row = divmod(row, ROWS_A_REGISTER)
        base = bases[half * in_groups + group]
        if row == 3:
            return builder.add(base, a_row_3)
        return builder.add(base, builder.mul(a_row, INT64(row))) if row else base

    def multiply_add(bases: list[ir.Value], b_at: ir.Value, sums: list[ir.Value]) -> list[ir.Value]:
        row_of_b = [memory.load(b_at)]
        if width == 2:
            row_of_b.append(memory.load(builder.add(b_at, b_vector)))
        result = []
        for row in range(rows):
            place = builder.inttoptr(row_address(bases, row), FLOAT.as_pointer())
            spread = splat_lanes(builder, builder.load(place, align=4), VECTOR)
            for v in range(width):
                result.append(builder.call(fma, [spread, row_of_b[v], sums[row * width + v]]))
        return result

    start = _starting_sums(builder, field("accumulate"), bias, c_rows, width, columns)

    # A fused multiply-add takes four cycles: a small tile needs more than one set of sums to keep
    # both units busy. The sets take turns at the steps of the innermost loop.
    sets = sets_of_sums(rows * width)
    more_sets = [_zeros()] * (len(start) * (sets - 1))
    a_step, b_step = field("a_k0"), field("b_k0")

    groups = len(first_rows)

    def step(bases: list[ir.Value], size: ir.Value) -> list[ir.Value]:
        return [builder.add(base, size) for base in bases]

    def opaque(bases: list[ir.Value]) -> list[ir.Value]:
        return [_opaque(builder, base) for base in bases]

    def innermost(values: list[ir.Value]) -> list[ir.Value]:
        bases, b_at, sums = values[:groups], values[groups], values[groups + 1 :]
        result = []
        for number in range(sets):
            part = sums[number * len(start) : (number + 1) * len(start)]
            bases = opaque(bases)
            result += multiply_add(bases, b_at, part)
            bases, b_at = step(bases, a_step), builder.add(b_at, b_step)
        return [*bases, b_at, *result]

    def step_left_over(values: list[ir.Value]) -> list[ir.Value]:
        bases, b_at, sums = values[:groups], values[groups], values[groups + 1 :]
        bases = opaque(bases)
        first_set = multiply_add(bases, b_at, sums[: len(start)])
        ahead = *step(bases, a_step), builder.add(b_at, b_step)
        return [*ahead, *first_set, *sums[len(start) :]]

    def inner_loop(values: list[ir.Value]) -> list[ir.Value]:
        steps = field("k0")
        if sets == 1:
            return _loop(builder, steps, values, innermost)
        values = _loop(builder, builder.sdiv(steps, INT64(sets)), values, innermost)
        return _loop(builder, builder.srem(steps, INT64(sets)), values, step_left_over)

    def nested(level: int, values: list[ir.Value]) -> list[ir.Value]:
        if level == 0:
            return inner_loop(values)
        a_step, b_step = field(f"a_k{level}"), field(f"b_k{level}")

        def body(values: list[ir.Value]) -> list[ir.Value]:
            sums = nested(level - 1, values)[groups + 1 :]
            ahead = step([*values[:groups]], a_step), builder.add(values[groups], b_step)
            return [*ahead[0], ahead[1], *sums]

        return _loop(builder, field(f"k{level}"), values, body)

    sums = nested(2, [*first_rows, b, *start, *more_sets])[groups + 1 :]
    for number in range(1, sets):
        more = sums[number * len(start) : (number + 1) * len(start)]
        sums[: len(start)] = [builder.fadd(x, y) for x, y in zip(sums, more, strict=False)]
    del sums[len(start) :]
    _store_sums(builder, memory, field("relu"), sums, c_rows, width)
    builder.ret_void()


def sets_of_sums(accumulators: int) -> int:
    """Return how many sets of sums a tile with this many accumulators keeps."""
    return 4 if accumulators <= 2 else 2 if accumulators < 8 else 1


def _starting_sums(
    builder: ir.IRBuilder,
    accumulate: ir.Value,
    bias: ir.Value,
    c_rows: list[ir.Value],
    width: int,
    columns: Callable,
) -> list[ir.Value]:
    """Emit the tile's first values: what C holds, else the bias, else zero."""
    names = ("from_c", "not_c", "from_bias", "from_zero", "start")
    from_c, not_c, from_bias, from_zero, start = map(builder.append_basic_block, names)
    builder.cbranch(builder.icmp_signed("!=", accumulate, INT64(0)), from_c, not_c)
    builder.position_at_end(from_c)
    held = [value for row in c_rows for value in columns(row, load_last=True)]
    builder.branch(start)
    builder.position_at_end(not_c)
    builder.cbranch(builder.icmp_signed("!=", bias, INT64(0)), from_bias, from_zero)
    builder.position_at_end(from_bias)
    biased = columns(bias, load_last=False) * len(c_rows)
    builder.branch(start)
    builder.position_at_end(from_zero)
    builder.branch(start)
    builder.position_at_end(start)
    sums = []
    for held_value, bias_value in zip(held, biased, strict=True):
        phi = builder.phi(VECTOR)
        phi.add_incoming(held_value, from_c)
        phi.add_incoming(bias_value, from_bias)
        phi.add_incoming(_zeros(), from_zero)
        sums.append(phi)
    return sums


def _store_sums(
    builder: ir.IRBuilder,
    memory: Memory,
    relu: ir.Value,
    sums: list[ir.Value],
    c_rows: list[ir.Value],
    width: int,
) -> None:
    """Emit the tile's end: ReLU where asked (a NaN stays one), then the stores."""
    flag = builder.icmp_signed("!=", relu, INT64(0))
    floor = builder.select(flag, ir.Constant(FLOAT, 0.0), ir.Constant(FLOAT, float("-inf")))
    floors = splat_lanes(builder, floor, VECTOR)
    sums = [builder.select(builder.fcmp_ordered("<", sum_, floors), floors, sum_) for sum_ in sums]
    last = VECTOR_BYTES * (width - 1)
    for index, value in enumerate(sums):
        row, v = divmod(index, width)
        if v < width - 1:
            memory.store(value, c_rows[row], VECTOR_BYTES * v)
    memory.store_last(sums[width - 1 :: width], [builder.add(row, INT64(last)) for row in c_rows])


def field_offsets(record: np.dtype) -> dict[str, int]:
    """Return where each field of a record begins, in bytes."""
    return {name: place[1] for name, place in (record.fields or {}).items()}
