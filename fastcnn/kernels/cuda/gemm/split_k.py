"""Sums in a fixed number of splits, which are added in order afterwards."""

from __future__ import annotations

from math import ceil
from typing import Any

from numba import float32, int32, int64

from fastcnn.kernels.call import BATCH, GLOBAL, Address, Calls, Region
from fastcnn.kernels.cuda.gemm.tile import finish
from fastcnn.kernels.cuda.runtime.cost_model import BYTES, LAUNCH
from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.indexing import quotient
from fastcnn.kernels.cuda.runtime.kernel import Floats, Int, kernel
from fastcnn.kernels.cuda.runtime.memory_access import read, write

THREADS = 256
MOST_PARTS = 8  # threads that share the splits of a sum: a warp still reads 128 bytes side by side


def _launch(count: int, values: dict[str, Any]) -> tuple[int, int]:
    size = values["size"] + count * values["each_image"]
    return max(1, ceil(size * values["parts"] / THREADS)), THREADS


@kernel(_launch)
def fold_splits(
    count: Int,
    partial: Floats,
    scale: Floats,
    bias: Floats,
    c: Floats,
    size: Int,
    each_image: Int,
    step: Int,
    columns: Int,
    splits: Int,
    parts: Int,
    relu: Int,
):
    """c[i] = the sum over the splits of partial[split * step + i], with the scale and bias of
    column i % columns, and ReLU; for `size` numbers, and `each_image` of every image.

    `parts` threads, a power of two, sum consecutive splits in order; then their sums are added in
    order.
    """
    sums = cuda.shared.array(THREADS, float32)
    thread, wide = int32(cuda.threadIdx.x), quotient(THREADS, parts)
    part = quotient(thread, wide)
    lane = int32(thread - part * wide)
    at = cuda.blockIdx.x * wide + lane
    numbers = int32(size + count * each_image)
    each = quotient(splits + parts - 1, parts)
    total = float32(0)
    if at < numbers:
        for split in range(int32(part * each), int32(min(splits, (part + 1) * each))):
            total += read(partial, int64(split) * step, at)
    sums[thread] = total
    cuda.syncthreads()
    if part == 0 and at < numbers:
        for other in range(1, parts):
            total += sums[other * wide + lane]
        column = int32(at - quotient(at, columns) * columns)
        write(c, at, 0, finish(total, scale, bias, column, relu))


def split_region(splits: int, size: int) -> Region:
    """Return memory for the sums of every split, of `size` floats each."""
    return Region(4 * splits * size, GLOBAL, per_image=False, label="splits")


def fold(
    calls: Calls,
    partial: Region,
    c: Region | Address,
    splits: int,
    size: int,
    each_image: int = 0,
    step: int | None = None,
    columns: int | None = None,
    scale: Region | Address | None = None,
    bias: Region | Address | None = None,
    relu: bool = False,
) -> None:
    """Emit c = the sum of the splits, of `size` floats and `each_image` for every image.

    From one split to the next lie `step` floats, by default `size`. The scale and bias of `columns`
    begin anew at every multiple of it.
    """
    parts = min(MOST_PARTS, 1 << (splits.bit_length() - 1))
    calls.emit(
        fold_splits,
        BATCH,
        "c",
        {"partial": partial, "scale": scale, "bias": bias, "c": c},
        size=size,
        each_image=each_image,
        step=size if step is None else step,
        columns=size if columns is None else columns,
        splits=splits,
        parts=parts,
        relu=relu,
    )


def fold_time(size: int, splits: int) -> float:
    """Estimate the nanoseconds of adding up the splits; what one split needs is nothing."""
    return LAUNCH + 4 * (splits + 1) * size / BYTES if splits > 1 else 0.0
