"""Split-K: sums in a fixed number of slices of the inner dimension, added in order afterwards.

What CUTLASS calls split_k_slices. Their number is chosen on the host for the largest batch, so that
the bits of a result do not change from run to run.
"""

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
MOST_PARTS = (
    8  # threads that share the K slices of a sum: a warp still reads 128 bytes side by side
)


def _launch(count: int, values: dict[str, Any]) -> tuple[int, int]:
    size = values["size"] + count * values["each_image"]
    return max(1, ceil(size * values["parts"] / THREADS)), THREADS


@kernel(_launch)
def fold_k_slices(
    count: Int, partial: Floats, scale: Floats, bias: Floats, c: Floats, size: Int, each_image: Int,
    step: Int, columns: Int, k_slices: Int, parts: Int, relu: Int,
):  # fmt: skip
    """c[i] = the sum over the K slices of partial[k_slice * step + i], with the scale and bias of
    column i % columns, and ReLU; for `size` numbers, and `each_image` of every image.

    `parts` threads, a power of two, sum consecutive K slices in order; then their sums are added in
    order.
    """
    sums = cuda.shared.array(THREADS, float32)
    thread, wide = int32(cuda.threadIdx.x), quotient(THREADS, parts)
    part = quotient(thread, wide)
    lane = int32(thread - part * wide)
    at = cuda.blockIdx.x * wide + lane
    numbers = int32(size + count * each_image)
    each = quotient(k_slices + parts - 1, parts)
    total = float32(0)
    if at < numbers:
        for k_slice in range(int32(part * each), int32(min(k_slices, (part + 1) * each))):
            total += read(partial, int64(k_slice) * step, at)
    sums[thread] = total
    cuda.syncthreads()
    if part == 0 and at < numbers:
        for other in range(1, parts):
            total += sums[other * wide + lane]
        column = int32(at - quotient(at, columns) * columns)
        write(c, at, 0, finish(total, scale, bias, column, relu))


def k_slices_region(k_slices: int, size: int) -> Region:
    """Return memory for the sums of every K slice, of `size` floats each."""
    return Region(4 * k_slices * size, GLOBAL, per_image=False, label="k_slices")


def fold(
    calls: Calls,
    partial: Region,
    c: Region | Address,
    k_slices: int,
    size: int,
    each_image: int = 0,
    step: int | None = None,
    columns: int | None = None,
    scale: Region | Address | None = None,
    bias: Region | Address | None = None,
    relu: bool = False,
) -> None:
    """Emit c = the sum of the K slices, of `size` floats and `each_image` for every image.

    From one K slice to the next lie `step` floats, by default `size`. The scale and bias of
    `columns` begin anew at every multiple of it.
    """
    parts = min(MOST_PARTS, 1 << (k_slices.bit_length() - 1))
    calls.emit(
        fold_k_slices,
        BATCH,
        "c",
        {"partial": partial, "scale": scale, "bias": bias, "c": c},
        size=size,
        each_image=each_image,
        step=size if step is None else step,
        columns=size if columns is None else columns,
        k_slices=k_slices,
        parts=parts,
        relu=relu,
    )


def fold_time(size: int, k_slices: int) -> float:
    """Estimate the nanoseconds of adding up the K slices; what one K slice needs is nothing."""
    return LAUNCH + 4 * (k_slices + 1) * size / BYTES if k_slices > 1 else 0.0
