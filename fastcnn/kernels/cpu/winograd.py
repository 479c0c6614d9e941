"""Winograd's minimal filtering: its matrices, and their two-sided products on vectors.

F(m x m, 3 x 3) computes m x m outputs of a 3 x 3 correlation with (m + 2)^2 multiplications in
place of 9 m^2. A tile d of (m + 2) x (m + 2) inputs and a kernel g become

    Y = A^T [ (G g G^T) * (B^T d B) ] A            * element by element

The matrices come from polynomials: a correlation is the transpose of a polynomial product, which is
found by evaluating both factors at m + 2 points, one of them infinity, and interpolating
(Toom-Cook). The points decide the rounding error; for m = 4, 5/8 and 3/2 err three times less than
the usual 1 and 2 and cost the same.

Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2015.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastcnn.kernels.cpu.simd import INT64, LANES, VECTOR, Memory
from fastcnn.kernels.cpu.vector import vector_type

TAPS = 3
POINTS = {2: (0.0, 1.0, -1.0), 4: (0.0, 5 / 8, -5 / 8, 3 / 2, -3 / 2)}
Values = list[ir.Value]


def matrices(m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return A^T [m, m + 2], G [m + 2, 3] and B^T [m + 2, m + 2] of F(m, 3)."""
    points, size = POINTS[m], m + TAPS - 1
    a_t, g, b_t = np.zeros((m, size)), np.zeros((size, TAPS)), np.zeros((size, size))
    for j, point in enumerate(points):
        others = [other for other in points if other != point]
        a_t[:, j] = [point**i for i in range(m)]
        g[j] = [point**k / prod(point - other for other in others) for k in range(TAPS)]
        b_t[j, :-1] = np.poly(others)[::-1]
    a_t[-1, -1] = g[-1, -1] = 1
    b_t[-1] = np.poly(points)[::-1]
    return a_t, g, b_t


class _Arithmetic:
    """Sums of vectors times constants."""

    def __init__(self, builder: ir.IRBuilder):
        self.builder = builder
        kind = ir.FunctionType(VECTOR, [VECTOR] * 3)
        name = f"llvm.fma.v{LANES}f32"
        self._fma = cgutils.get_or_insert_function(builder.module, kind, name)

    def combine(self, factors: Sequence[float], values: Values) -> ir.Value | None:
        """Emit sum of factor * value; None where every factor is zero."""
        terms = [(f, v) for f, v in zip(factors, values, strict=True) if f]
        # A term with factor 1 starts the sum: it costs nothing.
        terms.sort(key=lambda term: (term[0] != 1, term[0] != -1))
        total = None
        for factor, value in terms:
            if total is None and factor == 1:
                total = value
            elif total is None:
                total = self.builder.fmul(_constant(factor), value)
            elif abs(factor) == 1:
                total = self.add(total, value, factor)
            else:
                total = self.builder.call(self._fma, [_constant(factor), value, total])
        return total

    def add(self, a: ir.Value | None, b: ir.Value | None, sign: float = 1.0) -> ir.Value:
        """Emit a + sign * b, where not both are None."""
        if b is None:
            return a
        if a is None:
            return b if sign > 0 else self.builder.fmul(_constant(-1.0), b)
        return self.builder.fadd(a, b) if sign > 0 else self.builder.fsub(a, b)

    def product(self, matrix: np.ndarray, values: Values) -> Values:
        """Emit matrix @ values, sharing work where points come in pairs p and -p.

        Two inputs whose columns differ only in signs enter as their sum and difference; two rows
        that differ only in signs are the sum and difference of their even and odd parts.
        """
        matrix, values = self._pair_columns(matrix, list(values))
        result: list[ir.Value | None] = [None] * len(matrix)
        for i, row in enumerate(matrix):
            if result[i] is not None:
                continue
            partner = _twin(matrix, i)
            if partner is None:
                result[i] = self.combine(row, values)
                continue
            same = row == matrix[partner]
            even = self.combine(np.where(same, row, 0), values)
            odd = self.combine(np.where(same, 0, row), values)
            result[i] = self.add(even, odd)
            result[partner] = self.add(even, odd, -1.0)
        return result

    def _pair_columns(self, matrix: np.ndarray, values: Values) -> tuple[np.ndarray, Values]:
        # The inputs of an odd number of rows only: pairs of rows are the better bargain otherwise.
        if any(_twin(matrix, i) is not None for i in range(len(matrix))):
            return matrix, values
        matrix, done = matrix.copy(), set()
        for i in range(matrix.shape[1]):
            j = _twin(matrix.T, i)
            if j is None or i in done:
                continue
            done |= {i, j}
            same = matrix[:, i] == matrix[:, j]
            column = matrix[:, i].copy()
            values[i], values[j] = (
                self.add(values[i], values[j]),
                self.add(values[i], values[j], -1),
            )
            matrix[:, i], matrix[:, j] = np.where(same, column, 0), np.where(same, 0, column)
        return matrix, values


def _twin(rows: np.ndarray, i: int) -> int | None:
    """Return another row that equals row i but for some signs."""
    for j in range(len(rows)):
        if j != i and np.array_equal(np.abs(rows[i]), np.abs(rows[j])):
            return j
    return None


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

    def finish(builder: ir.IRBuilder, value: ir.Value, start: ir.Value, floor: ir.Value):
        value = builder.fadd(value, start)
        return builder.select(builder.fcmp_ordered("<", value, floor), floor, value)

    def fill(function: ir.Function) -> None:
        builder = ir.IRBuilder(function.append_basic_block())
        source, row, column, lanes, target, to_row, to_column, *ends = function.args
        memory, sums = Memory(builder, lanes), _Arithmetic(builder)

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
            for j, value in enumerate(sums.product(matrix, [one[i] for one in half])):
                value = finish(builder, value, *ends) if finished else value
                memory.store_last(value, to[i][j], 0)
        builder.ret_void()

    def emit(context, builder, signature, arguments):
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
