"""Winograd's transforms on vectors: a matrix from both sides of a tile, in straight-line code.

The matrices and the order of their operations stand in `fastcnn/kernels/shared/winograd.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastcnn.kernels.cpu.simd.register_tile import INT64, LANES, VECTOR, Memory
from fastcnn.kernels.cpu.simd.vector import vector_type
from fastcnn.kernels.shared.winograd import Sums

Values = list[ir.Value]


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


def two_sided(name: str, matrix: np.ndarray, finished: bool = False) -> Callable:
    """Return `transform(source, row, column, lanes, target, row, column)`.

    Writes matrix @ d @ matrix^T for a square block d of vectors: d[i][j] lies at source + i * row +
    j * column, steps in bytes; so does the result at target. `lanes` floats of each vector count.
    With `finished` come two vectors more: one is added to every result, and what is less than the
    other becomes it.
    """
    outputs, inputs = matrix.shape
    kind = ir.FunctionType(ir.VoidType(), [INT64] * 7 + [VECTOR] * (2 if finished else 0))

    def finish(
        builder: ir.IRBuilder, value: ir.Value, start: ir.Value, floor: ir.Value
    ) -> ir.Value:
        value = builder.fadd(value, start)
        return builder.select(builder.fcmp_ordered("<", value, floor), floor, value)

    def fill(function: ir.Function) -> None:
        builder = ir.IRBuilder(function.append_basic_block())
        source, row, column, lanes, target, to_row, to_column, *ends = function.args
        memory, sums = Memory(builder, lanes), Sums(_Vectors(builder))

        def places(address: ir.Value, row: ir.Value, column: ir.Value, size: int) -> list[Values]:
            rows = [builder.add(address, builder.mul(row, INT64(i))) for i in range(size)]
            steps = [builder.mul(column, INT64(j)) for j in range(size)]
            return [[builder.add(at, step) for step in steps] for at in rows]

        at = places(source, row, column, inputs)
        half = [
            sums.product(matrix, [memory.load_last(at[i][j], 0) for i in range(inputs)])
            for j in range(inputs)
        ]
        to = places(target, to_row, to_column, outputs)
        for i in range(outputs):
            for j, value in enumerate(sums.product(matrix, [column[i] for column in half])):
                value = finish(builder, value, *ends) if finished else value
                memory.store_last(value, to[i][j], 0)
        builder.ret_void()

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Values) -> ir.Value:
        function = builder.module.globals.get(name)
        if function is None:
            function = ir.Function(builder.module, kind, name)
            function.linkage = "internal"
            function.attributes.add("noinline")
            fill(function)
        builder.call(function, arguments)
        return context.get_dummy_value()

    numbers = [types.int64] * 7

    if finished:

        @intrinsic
        def transform(typing, source, row, column, lanes, target, to_row, to_column, start, floor):
            return types.void(*numbers, vector_type, vector_type), emit

    else:

        @intrinsic
        def transform(typing, source, row, column, lanes, target, to_row, to_column):
            return types.void(*numbers), emit

    return transform
