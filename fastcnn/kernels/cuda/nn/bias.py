"""The gradient of a bias on the GPU: dy[N * pixels, filters] summed over its rows.

In two steps of fixed order: blocks of threads sum up parts of the rows, then the parts are added.
"""

from __future__ import annotations

from math import ceil
from typing import Any

from numba import float32, int32, int64

from fastcnn.kernels.call import BATCH, Calls, Region
from fastcnn.kernels.cuda.gemm.split_k import fold, k_slices_region
from fastcnn.kernels.cuda.runtime.cost_model import PROCESSORS
from fastcnn.kernels.cuda.runtime.device import SIMULATED, cuda
from fastcnn.kernels.cuda.runtime.kernel import Floats, Int, kernel
from fastcnn.kernels.cuda.runtime.reduction import sum_rows

THREADS = 256 if not SIMULATED else 64
WIDEST = 32  # columns of a block: a warp reads 128 bytes of a row
AT_ONCE = 4  # rows that a thread has on the way


def _launch(count: int, values: dict[str, Any]) -> tuple[tuple[int, int], int]:
    return (ceil(values["columns"] / values["width"]), values["k_slices"]), THREADS


@kernel(_launch)
def sum_columns(
    count: Int,
    matrix: Floats,
    partial: Floats,
    rows: Int,
    columns: Int,
    width: Int,
    k_slices: Int,
):
    """partial[k_slice] = the sums of the columns over a part of the rows, `rows` an image.

    A block sums up `width` columns, a power of two, of one K slice.
    """
    shared = cuda.shared.array(THREADS, float32)
    thread = int32(cuda.threadIdx.x)
    line = thread // width
    lane = thread - line * width
    lines = THREADS // width
    column = cuda.blockIdx.x * width + lane
    total = int64(count) * rows
    each = (total + k_slices - 1) // k_slices
    k_slice = int32(cuda.blockIdx.y)
    last = min(total, each * (k_slice + 1))
    first = cuda.local.array(AT_ONCE, float32)
    for i in range(AT_ONCE):
        first[i] = float32(0)
    if column < columns:
        row = each * k_slice + line
        while row + (AT_ONCE - 1) * lines < last:
            for i in range(AT_ONCE):
                first[i] += matrix[(row + i * lines) * columns + column]
            row += AT_ONCE * lines
        while row < last:
            first[0] += matrix[row * columns + column]
            row += lines
    shared[thread] = (first[0] + first[1]) + (first[2] + first[3])
    sum_rows(shared, thread, width)
    if line == 0 and column < columns:
        partial[k_slice * columns + column] = shared[thread]


def bias_dw(calls: Calls, pixels: int, filters: int, dy: Region, gradient: Region) -> None:
    """Emit the gradient of the bias: the sum over pixels and images."""
    width = min(WIDEST, 1 << (filters - 1).bit_length())
    total = calls.images * pixels
    enough = ceil(4 * PROCESSORS / ceil(filters / width))
    k_slices = max(1, min(enough, total * width // (THREADS * 2 * AT_ONCE)))
    partial = k_slices_region(k_slices, filters)
    values = {"columns": filters, "k_slices": k_slices}
    places = {"matrix": dy, "partial": partial}
    calls.emit(sum_columns, BATCH, "partial", places, rows=pixels, width=width, **values)
    fold(calls, partial, gradient, k_slices, filters)
