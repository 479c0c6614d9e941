"""The sum of the chunks' partial results: pairs of neighbours first, then pairs of pairs, ...

A tree of sums, ((0 + 1) + (2 + 3)) + (4 + 5) of six chunks, can be begun by several processes, each
with the branches that it has, and ends in the same bits; it also rounds less than a row of sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from fastcnn.kernels.cpu.runtime.function import kernel_function
from fastcnn.kernels.cpu.runtime.kernel import kernel, record
from fastcnn.kernels.cpu.simd.pointers import record_at, words_at
from fastcnn.kernels.cpu.simd.vector import add, load, store
from fastcnn.kernels.cpu.simd.vector_unit import LANES

MOST_SUMMED = 16
"""Chunks that a tree may have."""
ROWS = record("rows", "stride", "pieces", "piece_count", "sums", "sum_count")
NEAR = 512  # floats of a row that stay in a core's cache while all sums of them are made


def _twice(half: Callable, most: int) -> Callable:
    """Return the sum of up to twice as many vectors as `half` adds up, which are `most`."""

    @kernel_function
    def sum_of_both(at, stride, count, lanes):
        total = half(at, stride, count, lanes)
        if count > most:
            total = add(total, half(at + most * stride, stride, count - most, lanes))
        return total

    return sum_of_both


@kernel_function
def _first(at, stride, count, lanes):
    return load(at, lanes)


_sum_of_all = _twice(_twice(_twice(_twice(_first, 1), 2), 4), 8)


@kernel_function
def pairwise_sum(at, stride, count, lanes):
    """Return the sum of `count` vectors, MOST_SUMMED at most, that lie `stride` bytes apart."""
    return _sum_of_all(at, stride, count, lanes)


def sums_of_tree(count: int) -> Iterator[tuple[int, int, int]]:
    """Yield each sum of the tree over `count` rows, in an order in which they can be made:
    (row, other, end) says that row += other, after which row is the sum of the rows up to `end`."""
    step = 1
    while step < count:
        for row in range(0, count - step, 2 * step):
            yield row, row + step, min(count, row + 2 * step)
        step *= 2


def sums_within(count: int, first: int, end: int) -> np.ndarray:
    """Return the sums (row, other) of a tree over rows that lie in first..end, int64[n, 2]."""
    own = [sums[:2] for sums in sums_of_tree(count) if first <= sums[0] and sums[2] <= end]
    return np.array(own, np.int64).reshape(-1, 2)


def roots_within(count: int, first: int, end: int) -> list[int]:
    """Return the rows that are left of first..end once `sums_within` is done."""
    added = set(sums_within(count, first, end)[:, 1].tolist())
    return [row for row in range(first, end) if row not in added]


@kernel(ROWS)
def add_rows(pointer):
    """rows[a] += rows[b] for all (a, b) of `sums`, int64[sum_count, 2], in the `pieces` of a row,
    int64[piece_count, 2] as (offset, bytes)."""
    op = record_at(pointer)
    sums, pieces = words_at(op.sums), words_at(op.pieces)
    for piece in range(op.piece_count):
        place, floats = pieces[2 * piece], pieces[2 * piece + 1] // 4
        for low in range(0, floats, NEAR):
            high = min(floats, low + NEAR)
            for number in range(op.sum_count):
                row = op.rows + sums[2 * number] * op.stride + place
                other = op.rows + sums[2 * number + 1] * op.stride + place
                for i in range(low, high, LANES):
                    lanes = min(LANES, high - i)
                    total = add(load(row + 4 * i, lanes), load(other + 4 * i, lanes))
                    store(total, row + 4 * i, lanes)
