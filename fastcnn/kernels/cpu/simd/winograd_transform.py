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
from fastcnn.kernels.cpu.simd.vector_unit import INT64, LANES, VECTOR
from fastcnn.kernels.lazy_numba import types
from fastcnn.kernels.shared.winograd import Sums

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
    name: str, matrix: np.ndarray, finished: bool = False, padded: bool = False
) -> Callable:
    """Return `transform(source, row, column, lanes, target, row, column)`.

    Writes matrix @ d @ matrix^T for a square block d of vectors: d[i][j] lies at
    source + i * row + j * column, steps in bytes; so does the result at target. `lanes` floats of
    each vector count; where `padded`, zeros are written behind them. With `finished` come two
    vectors more: one is added to every result, and what is less than the other becomes it.
    """
    kind = ir.FunctionType(ir.VoidType(), [INT64] * 7 + [VECTOR] * (2 if finished else 0))

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, operands: Values) -> ir.Value:
        function = builder.module.globals.get(name)
        if function is None:
            function = ir.Function(builder.module, kind, name)
            function.linkage = "internal"
            function.attributes.add("noinline")
            _fill(function, matrix, padded)
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


def _fill(function: ir.Function, matrix: np.ndarray, padded: bool) -> None:
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
            _multiply_both_sides(*both, matrix, *places, ends)
        with first_lanes:
            partial = Memory(builder, lanes)
            written = Memory(builder, every) if padded else partial
            _multiply_both_sides(partial, written, matrix, *places, ends)
    builder.ret_void()


def _multiply_both_sides(
    read: Memory, written: Memory, matrix: np.ndarray, source: Place, target: Place, ends: Values
) -> None:
    """Emit target = matrix @ source @ matrix^T."""
    outputs, inputs = matrix.shape
    builder, sums = read.builder, Sums(_Vectors(read.builder))
    at, to = _places(builder, source, inputs), _places(builder, target, outputs)
    half = [
        sums.product(matrix, [read.load_last(at[i][j]) for i in range(inputs)])
        for j in range(inputs)
    ]
    for i in range(outputs):
        row = sums.product(matrix, [column[i] for column in half])
        written.store_last([_finished(builder, value, *ends) for value in row], to[i])


def _places(builder: ir.IRBuilder, place: Place, size: int) -> list[Values]:
    """Return the addresses of a block of size x size vectors."""
    start, row, column = place
    rows = [builder.add(start, builder.mul(row, INT64(i))) for i in range(size)]
    steps = [builder.mul(column, INT64(j)) for j in range(size)]
    return [[builder.add(at, step) for step in steps] for at in rows]


def _finished(builder: ir.IRBuilder, value: ir.Value, *ends: ir.Value) -> ir.Value:
    """Return max(value + start, floor) where ends = (start, floor), else the value."""
    if not ends:
        return value
    start, floor = ends
    value = builder.fadd(value, start)
    return builder.select(builder.fcmp_ordered("<", value, floor), floor, value)
