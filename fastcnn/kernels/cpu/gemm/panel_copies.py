"""Copies in the order in which tiles read: rows as vectors of columns, and rows as columns."""

from __future__ import annotations

from fastcnn.kernels.cpu.runtime.function import kernel_function
from fastcnn.kernels.cpu.simd.pointers import floats
from fastcnn.kernels.cpu.simd.vector import load, store, transpose
from fastcnn.kernels.cpu.simd.vector_unit import LANES, VECTOR_BYTES


@kernel_function
def pack_rows(source, step, rows, columns, target, vector_step):
    """target[vector][row][LANES] = source[row, columns of the vector].

    `step` is the bytes between rows, `vector_step` those between vectors. Row by row, since
    columns lie side by side; what the last vector has beyond the columns is left.
    """
    whole = columns - columns % LANES
    for row in range(rows):
        at, to = source + row * step, target + row * VECTOR_BYTES
        for _ in range(0, whole, LANES):
            store(load(at, LANES), to, LANES)
            at += VECTOR_BYTES
            to += vector_step
        if whole < columns:
            store(load(at, columns - whole), to, columns - whole)


@kernel_function
def transpose_rows(source, step, rows, columns, target, target_step):
    """target[column, row] = source[row, column]; steps are the bytes between rows of each."""
    if rows < LANES or columns < LANES:
        for row in range(rows):
            numbers = floats(source + row * step, columns)
            for column in range(columns):
                floats(target + column * target_step + 4 * row, 1)[0] = numbers[column]
        return
    for row in range(0, rows, LANES):
        # The last blocks lie over those before them.
        first = min(row, rows - LANES)
        at, to = source + first * step, target + 4 * first
        for column in range(0, columns, LANES):
            left = min(column, columns - LANES)
            transpose(at + 4 * left, step, to + left * target_step, target_step)
