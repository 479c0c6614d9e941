"""Winograd's transforms on vectors: a matrix from both sides of a tile, in straight-line code.

The matrices and the order of their operations stand in `fastcnn/kernels/shared/winograd.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir

from fastcnn.kernels.cpu.runtime.intrinsic import intrinsic
from fastcnn.kernels.cpu.simd.emission import fma_of
from fastcnn.kernels.cpu.simd.memory import Memory
from fastcnn.kernels.cpu.simd.vector import vectors
from fastcnn.kernels.cpu.simd.vector_unit import INT64, LANES, REGISTERS, VECTOR
from fastcnn.kernels.lazy_numba import types
from fastcnn.kernels.shared.winograd import Sums, pairs_of_rows

# Registers for what is between the two sides, of 16; of 32 so few values find none that all rows go
# at once. And how often the source is loaded for that.
FREE = 12 if REGISTERS == 16 else None
MOST_PASSES = 4

Values = list[ir.Value]
Place = tuple[ir.Value, ir.Value, ir.Value]  # an address, and the steps of rows and columns


class _Vectors:
    """Arithmetic on vectors, emitted at a builder."""

    def __init__(self, builder: ir.IRBuilder):
        self.builder = builder
        self._fma = fma_of(builder.module)

    def multiply(self, factor: float, value: ir.Value) -> ir.Value:
        return self.builder.fmul(_constant(factor), value)

    def add(self, a: ir.Value, b: ir.Value) -> ir.Value:
        return self.builder.fadd(a, b)

    def subtract(self, a: ir.Value, b: ir.Value) -> ir.Value:
        return self.builder.fsub(a, b)

    def multiply_add(self, factor: float, value: ir.Value, total: ir.Value) -> ir.Value:
        return self.builder.call(self._fma, [_constant(factor), value, total])


def _constant(number: float) -> ir.Constant:
    return ir.Constant(VECTOR, [float(np.float32(number))] * LANES)


def two_sided(
    name: str,
    matrix: np.ndarray,
    finished: bool = False,
    padded: bool = False,
    added: bool = False,
) -> Callable:
    """Return `transform(source, row, column, lanes, target, row, column)`.

    Writes matrix @ d @ matrix^T for a square block d of vectors: d[i][j] lies at
    source + i * row + j * column, steps in bytes; so does the result at target. `lanes` floats of
    each vector count; where `padded`, zeros are written behind them. With `finished` come two
    vectors more: one is added to every result, and what is less than the other becomes it. Where
    `added`, without these, results are added to what stands at target.
    """
    kind = ir.FunctionType(ir.VoidType(), [INT64] * 7 + [VECTOR] * (2 if finished else 0))

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, operands: Values) -> ir.Value:
        function = builder.module.globals.get(name)
        if function is None:
            function = ir.Function(builder.module, kind, name)
            function.linkage = "internal"
            function.attributes.add("noinline")
            _fill(function, matrix, padded, added)
        builder.call(function, operands)
        return context.get_dummy_value()

    if finished:

        @intrinsic
        def transform(typing, source, row, column, lanes, target, to_row, to_column, start, floor):
            return types.void(*[types.int64] * 7, *[vectors.VECTOR_TYPE] * 2), emit

    else:

        @intrinsic
        def transform(typing, source, row, column, lanes, target, to_row, to_column):
            return types.void(*[types.int64] * 7), emit

    return transform


def _fill(function: ir.Function, matrix: np.ndarray, padded: bool, added: bool) -> None:
    """Write the body of a function that multiplies by a matrix from both sides.

    Vectors that count as wholes have code of their own, without masks.
    """
    builder = ir.IRBuilder(function.append_basic_block())
    source, row, column, lanes, target, to_row, to_column, *ends = function.args
    places = (source, row, column), (target, to_row, to_column)
    every = INT64(LANES)
    whole = builder.icmp_signed("==", lanes, every)
    with builder.if_else(whole, likely=True) as (all_lanes, first_lanes):
        with all_lanes:
            both = (Memory(builder, every),) * 2
            _multiply_both_sides(*both, matrix, *places, ends, added)
        with first_lanes:
            partial = Memory(builder, lanes)
            written = Memory(builder, every) if padded else partial
            _multiply_both_sides(partial, written, matrix, *places, ends, added)
    builder.ret_void()


def _multiply_both_sides(
    read: Memory,
    written: Memory,
    matrix: np.ndarray,
    source: Place,
    target: Place,
    ends: Values,
    added: bool,
) -> None:
    """Emit target = matrix @ source @ matrix^T, or target += that where `added`."""
    outputs, inputs = matrix.shape
    builder, sums = read.builder, Sums(_Vectors(read.builder))
    at, to = _places(builder, source, inputs), _places(builder, target, outputs)
    for rows in _passes(matrix):
        half = [
            sums.product(matrix[rows], [read.load_last(at[i][j]) for i in range(inputs)])
            for j in range(inputs)
        ]
        for i, values in zip(rows, zip(*half, strict=True), strict=True):
            row = zip(sums.product(matrix, values), to[i], strict=True)
            finished = [_finished(written, value, place, ends, added) for value, place in row]
            written.store_last(finished, to[i])


def _passes(matrix: np.ndarray) -> list[list[int]]:
    """Return the rows of a result that each pass over the source makes: all of them in one, or
    pairs, so that what is between the two sides stays in registers.

    Each pass loads the source again, which is cheaper than to write and read what has no register
    while there are few of them.
    """
    rows, columns = matrix.shape
    pairs = pairs_of_rows(matrix)
    if FREE is None or rows * columns <= FREE or 2 * columns > FREE or len(pairs) > MOST_PASSES:
        return [list(range(rows))]
    return pairs


def _places(builder: ir.IRBuilder, place: Place, size: int) -> list[Values]:
    """Return the addresses of a block of size x size vectors."""
    start, row, column = place
    rows = [builder.add(start, builder.mul(row, INT64(i))) for i in range(size)]
    steps = [builder.mul(column, INT64(j)) for j in range(size)]
    return [[builder.add(at, step) for step in steps] for at in rows]


def _finished(
    memory: Memory, value: ir.Value, place: ir.Value, ends: Values, added: bool
) -> ir.Value:
    """Return what a place is to hold: the value and what it holds now where `added`; where ends =
    (start, floor), max(value + start, floor)."""
    builder = memory.builder
    if added:
        return builder.fadd(memory.load_last(place), value)
    if not ends:
        return value
    start, floor = ends
    value = builder.fadd(value, start)
    return builder.select(builder.fcmp_ordered("<", value, floor), floor, value)
