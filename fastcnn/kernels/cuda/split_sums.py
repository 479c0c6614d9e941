"""Sums over the batch in a fixed number of splits, which are added in order afterwards."""

from __future__ import annotations

from math import ceil
from typing import Any

from numba import float32, int32

from fastcnn.kernels.call import BATCH, GLOBAL, Calls, Region
from fastcnn.kernels.cuda.access import read, write
from fastcnn.kernels.cuda.device import cuda
from fastcnn.kernels.cuda.kernel import Floats, Int, kernel
from fastcnn.kernels.cuda.machine import BYTES, LAUNCH

THREADS, PARTS = 256, 8
COLUMNS = THREADS // PARTS


def _launch(count: int, values: dict[str, Any]) -> tuple[int, int]:
    return ceil(values["size"] / COLUMNS), THREADS


@kernel(_launch)
def fold_splits(count: Int, partial: Floats, gradient: Floats, size: Int, splits: Int):
    """gradient[size] = the sum of partial[splits, size] over the splits.

    Each of a few threads sums consecutive splits in order, then their sums are added in order.
    """
    sums = cuda.shared.array(THREADS, float32)
    thread = cuda.threadIdx.x
    column, part = int32(thread % COLUMNS), int32(thread // COLUMNS)
    at = cuda.blockIdx.x * COLUMNS + column
    each = (splits + PARTS - 1) // PARTS
    total = float32(0)
    if at < size:
        for split in range(part * each, min(splits, (part + 1) * each)):
            total += read(partial, split * size, at)
    sums[thread] = total
    cuda.syncthreads()
    if part == 0 and at < size:
        for other in range(1, PARTS):
            total += sums[other * COLUMNS + column]
        write(gradient, at, 0, total)


def split_region(splits: int, size: int) -> Region:
    """Return memory for the sums of every split, of `size` floats each."""
    return Region(4 * splits * size, GLOBAL, per_image=False, label="partial dw")


def fold(calls: Calls, partial: Region, gradient: Region, size: int, splits: int) -> None:
    """Emit gradient = the sum of the splits."""
    places = {"partial": partial, "gradient": gradient}
    calls.emit(fold_splits, BATCH, "gradient", places, size=size, splits=splits)


def fold_time(size: int, splits: int) -> float:
    """Estimate the nanoseconds of adding up the splits; what one split needs is nothing."""
    return LAUNCH + 4 * (splits + 1) * size / BYTES if splits > 1 else 0.0
