"""Winograd's transforms on vectors: a matrix from both sides of a tile, in straight-line code.

The matrices and the order of their operations stand in `fastcnn/kernels/shared/winograd.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastcnn.kernels.cpu.simd.memory import Memory
from fastcnn.kernels.cpu.simd.vector import vector_type
from fastcnn.kernels.cpu.simd.vector_unit import INT64, LANES, VECTOR
from fastcnn.kernels.shared.winograd import Sums

Values = list[ir.Value]
Place = tuple[ir.Value, ir.Value, ir.Value]  # an address, and the steps of rows and columns


class _Vectors:
    """Arithmetic on vectors, emitted at a builder."""

    def __init__(self, builder: ir.IRBuilder):
        self.builder = builder
        kind = ir.FunctionType(VECTOR, [VECTOR] * 3)
        name = f"llvm.fma.v{LANES}f32"
        self._fma = cgutils.get_or_insert_function(builder.module, kind, name)

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


def two_sided(name: str, matrices: Sequence[np.ndarray], finished: bool = False) -> Callable:
    """Return `transform(form, source, row, column, lanes, target, row, column)`.

    Writes matrix @ d @ matrix^T for the matrix of number `form` and a square block d of vectors:
    d[i][j] lies at source + i * row + j * column, steps in bytes; so does the result at target.
    `lanes` floats of each vector count. With `finished` come two vectors more: one is added to
    every result, and what is less than the other becomes it.
    """
    # Each matrix once: the first form that has it gives the function its name.
    firsts = [
        next(i for i, other in enumerate(matrices) if np.array_equal(other, matrix))
        for matrix in matrices
    ]
    kind = ir.FunctionType(ir.VoidType(), [INT64] * 7 + [VECTOR] * (2 if finished else 0))

    def function_of(module: ir.Module, form: int) -> ir.Function:
        own_name = f"{name}_{form}"
        function = module.globals.get(own_name)
        if function is None:
            function = ir.Function(module, kind, own_name)
            function.linkage = "internal"
            function.attributes.add("noinline")
            _fill(function, matrices[form])
        return function

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Values) -> ir.Value:
        form, *operands = arguments
        end = builder.append_basic_block(f"{name}_end")
        # The last form's block is the default, so that no other number leads nowhere.
        blocks = [builder.append_basic_block(f"{name}_{i}") for i in range(len(matrices))]
        switch = builder.switch(form, blocks[-1])
        for i, block in enumerate(blocks):
            if i + 1 < len(blocks):
                switch.add_case(INT64(i), block)
            builder.position_at_end(block)
            builder.call(function_of(builder.module, firsts[i]), operands)
            builder.branch(end)
        builder.position_at_end(end)
        return context.get_dummy_value()

    numbers = [types.int64] * 8

    if finished:

        @intrinsic
        def transform(
            typing, form, source, row, column, lanes, target, to_row, to_column, start, floor
        ):
            return types.void(*numbers, vector_type, vector_type), emit

    else:

        @intrinsic
        def transform(typing, form, source, row, column, lanes, target, to_row, to_column):
            return types.void(*numbers), emit

    return transform


def _fill(function: ir.Function, matrix: np.ndarray) -> None:
    """Write the body of a function that multiplies by a matrix from both sides.

    Vectors that count as wholes have code of their own, without masks.
    """
    builder = ir.IRBuilder(function.append_basic_block())
    source, row, column, lanes, target, to_row, to_column, *ends = function.args
    places = (source, row, column), (target, to_row, to_column)
    whole = builder.icmp_signed("==", lanes, INT64(LANES))
    with builder.if_else(whole, likely=True) as (all_lanes, first_lanes):
        with all_lanes:
            _multiply_both_sides(Memory(builder, INT64(LANES)), matrix, *places, ends)
        with first_lanes:
            _multiply_both_sides(Memory(builder, lanes), matrix, *places, ends)
    builder.ret_void()


def _multiply_both_sides(
    memory: Memory, matrix: np.ndarray, source: Place, target: Place, ends: Values
) -> None:
    """Emit target = matrix @ source @ matrix^T."""
    outputs, inputs = matrix.shape
    builder, sums = memory.builder, Sums(_Vectors(memory.builder))
    at, to = _places(builder, source, inputs), _places(builder, target, outputs)
    half = [
        sums.product(matrix, [memory.load_last(at[i][j]) for i in range(inputs)])
        for j in range(inputs)
    ]
    for i in range(outputs):
        row = sums.product(matrix, [column[i] for column in half])
        memory.store_last([_finished(builder, value, *ends) for value in row], to[i])


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
