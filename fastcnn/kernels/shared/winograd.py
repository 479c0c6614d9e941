"""Winograd's minimal filtering: its matrices, and how to multiply by them with few operations.

F(m x m, r x r) computes m x m outputs of an r x r correlation with s^2 multiplications in place of
r^2 m^2, s = m + r - 1. A tile d of s x s inputs and a kernel g become

    Y = A^T [ (G g G^T) * (B^T d B) ] A            * element by element

The matrices come from polynomials: a correlation is the transpose of a polynomial product, which is
found by evaluating both factors at s points, one of them infinity, and interpolating (Toom-Cook).
The points decide the rounding error; for s = 6, 5/8 and 3/2 err three times less than the usual 1
and 2 and cost the same; for s = 8 none with few digits err less than the usual. They alone decide
B, so that the 3 x 3 and the 5 x 5 kernels' tiles of 6 x 6 inputs are transformed alike.

References:
    A. Lavin and S. Gray, Fast Algorithms for Convolutional Neural Networks, 2015.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import cache
from math import prod
from typing import Generic, Protocol, TypeVar

import numpy as np

from fastcnn.graph.problem import Problem

TAPS = 3
"""The usual kernel's side."""

POINTS = {
    4: (0.0, 1.0, -1.0),
    6: (0.0, 5 / 8, -5 / 8, 3 / 2, -3 / 2),
    8: (0.0, 1 / 2, -1 / 2, 1.0, -1.0, 2.0, -2.0),
}
"""The finite points of tiles of s x s inputs, by s."""

FORMS = ((2, 3), (4, 3), (2, 5), (4, 5))
"""(m, r) of each F(m x m, r x r) that there is."""

Value = TypeVar("Value")


def matrices(m: int, taps: int = TAPS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return A^T [m, s], G [s, taps] and B^T [s, s] of F(m, taps), s = m + taps - 1."""
    return _matrices(m, taps, POINTS[m + taps - 1])


@cache
def _matrices(
    m: int, taps: int, points: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    size = m + taps - 1
    a_t, g, b_t = np.zeros((m, size)), np.zeros((size, taps)), np.zeros((size, size))
    for j, point in enumerate(points):
        others = [other for other in points if other != point]
        a_t[:, j] = [point**i for i in range(m)]
        g[j] = [point**k / prod(point - other for other in others) for k in range(taps)]
        b_t[j, :-1] = np.poly(others)[::-1]
    a_t[-1, -1] = g[-1, -1] = 1
    b_t[-1] = np.poly(points)[::-1]
    for matrix in (a_t, g, b_t):
        matrix.flags.writeable = False  # all who ask have the same ones
    return a_t, g, b_t


def declines(problem: Problem, sides: Collection[int] = (TAPS,)) -> str | None:
    """Return why F(m x m, r x r) for kernels of these sides r cannot do a problem, or None."""
    height, width = problem.kernel
    if height != width or height not in sides:
        kernels = " and ".join(f"{side}x{side}" for side in sides)
        return f"it takes {kernels} kernels only, not {height}x{width}"
    if problem.strides != (1, 1) or problem.dilation != (1, 1):
        return "it takes strides and dilation of 1 only"
    if problem.groups != 1:
        return "it takes one group of channels only"
    return None


class Arithmetic(Protocol[Value]):
    """What a device does with values that exist only once its code runs."""

    def multiply(self, factor: float, value: Value) -> Value: ...

    def add(self, a: Value, b: Value) -> Value: ...

    def subtract(self, a: Value, b: Value) -> Value: ...

    def multiply_add(self, factor: float, value: Value, total: Value) -> Value: ...


class Sums(Generic[Value]):
    """Sums of values times constants, in a device's arithmetic."""

    def __init__(self, arithmetic: Arithmetic[Value]):
        self.arithmetic = arithmetic

    def combine(self, factors: Iterable[float], values: Sequence[Value | None]) -> Value | None:
        """Emit sum of factor * value; None where every factor is zero."""
        terms = [(f, v) for f, v in zip(factors, values, strict=True) if f and v is not None]
        # A term with factor 1 starts the sum: it costs nothing.
        terms.sort(key=lambda term: (term[0] != 1, term[0] != -1))
        total: Value | None = None
        for factor, value in terms:
            if total is None:
                total = value if factor == 1 else self.arithmetic.multiply(factor, value)
            elif abs(factor) == 1:
                total = self.add(total, value, factor)
            else:
                total = self.arithmetic.multiply_add(factor, value, total)
        return total

    def add(self, a: Value | None, b: Value | None, sign: float = 1.0) -> Value | None:
        """Emit a + sign * b; None is zero."""
        if b is None:
            return a
        if a is None:
            return b if sign > 0 else self.arithmetic.multiply(-1.0, b)
        return self.arithmetic.add(a, b) if sign > 0 else self.arithmetic.subtract(a, b)

    def product(self, matrix: np.ndarray, values: Sequence[Value]) -> list[Value | None]:
        """Emit matrix @ values, sharing work where points come in pairs p and -p.

        Two inputs whose columns differ only in signs enter as their sum and difference; two rows
        that differ only in signs are the sum and difference of their even and odd parts.
        """
        matrix, inputs = self._pair_columns(matrix, list(values))
        result: list[Value | None] = [None] * len(matrix)
        for i, row in enumerate(matrix):
            if result[i] is not None:
                continue
            partner = _twin(matrix, i)
            if partner is None:
                result[i] = self.combine(row, inputs)
                continue
            same = row == matrix[partner]
            even = self.combine(np.where(same, row, 0), inputs)
            odd = self.combine(np.where(same, 0, row), inputs)
            result[i] = self.add(even, odd)
            result[partner] = self.add(even, odd, -1.0)
        return result

    def _pair_columns(
        self, matrix: np.ndarray, values: list[Value]
    ) -> tuple[np.ndarray, list[Value | None]]:
        paired: list[Value | None] = list(values)
        # The inputs of an odd number of rows only: pairs of rows are the better bargain otherwise.
        if any(_twin(matrix, i) is not None for i in range(len(matrix))):
            return matrix, paired
        matrix, done = matrix.copy(), set()
        for i in range(matrix.shape[1]):
            j = _twin(matrix.T, i)
            if j is None or i in done or j in done:
                continue
            done |= {i, j}
            same = matrix[:, i] == matrix[:, j]
            column = matrix[:, i].copy()
            paired[i] = self.add(values[i], values[j])
            paired[j] = self.add(values[i], values[j], -1)
            matrix[:, i], matrix[:, j] = np.where(same, column, 0), np.where(same, 0, column)
        return matrix, paired


def pairs_of_rows(matrix: np.ndarray) -> list[list[int]]:
    """Return the rows in groups of one or two, each of which shares the most work in a product:
    twins, then those with the even and those with the odd powers of the points."""
    twins = [_twin(matrix, i) for i in range(len(matrix))]
    pairs = [[i, j] for i, j in enumerate(twins) if j is not None and i < j]
    alone = [i for i, j in enumerate(twins) if j is None]
    powers = alone[::2], alone[1::2]
    return pairs + [part[i : i + 2] for part in powers for i in range(0, len(part), 2)]


def _twin(rows: np.ndarray, i: int) -> int | None:
    """Return another row that equals row i but for some signs."""
    for j in range(len(rows)):
        if j != i and np.array_equal(np.abs(rows[i]), np.abs(rows[j])):
            return j
    return None
