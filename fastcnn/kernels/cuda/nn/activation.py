"""Element-wise kernels: softmax, dropout, sums of buffers; `activation_functions` has the rest."""

from math import ceil
from typing import Any

import numpy as np

from fastcnn.kernels.cuda.nn.row_reduction import ROW_THREADS, teamed
from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.indexing import channelwise, per_image, quotient
from fastcnn.kernels.cuda.runtime.kernel import (
    MOST_BLOCKS,
    Float,
    Floats,
    Int,
    Longs,
    Word,
    elements,
    inline,
    kernel,
)
from fastcnn.kernels.cuda.runtime.memory_access import (
    is_aligned,
    read,
    read_vector,
    write,
    write_vector,
)
from fastcnn.kernels.cuda.runtime.reduction import sum_rows
from fastcnn.kernels.shared.losses import softmax as softmax_of

f32 = np.float32
ZERO = f32(0)

NARROW = 32  # columns up to which a row has a single thread


@inline
def rectified(value, relu):
    """Return value, or 0 where ReLU is asked and value is below; NaN stays."""
    return ZERO if relu and value <= ZERO else value


def _row_launch(count: int, values: dict[str, Any]) -> tuple[int, int]:
    """Launch a thread for each narrow row, a block for each wide one."""
    rows = count * values["rows"]
    blocks = ceil(rows / ROW_THREADS) if values["columns"] <= NARROW else rows
    return max(1, min(MOST_BLOCKS, blocks)), ROW_THREADS


_softmax_of, _softmax_by_block = inline(softmax_of), teamed(softmax_of)


@kernel(_row_launch)
def softmax(count: Int, x: Floats, y: Floats, rows: Int, columns: Int):
    """y = softmax(x) along rows of `columns`."""
    if columns <= NARROW:
        for row in range(cuda.grid(1), count * rows, cuda.gridsize(1)):
            at, end = row * columns, (row + 1) * columns
            _softmax_of(x[at:end], y[at:end])
        return
    for row in range(cuda.blockIdx.x, count * rows, cuda.gridDim.x):
        at, end = row * columns, (row + 1) * columns
        _softmax_by_block(x[at:end], y[at:end])


@kernel(_row_launch)
def softmax_dx(count: Int, y: Floats, dy: Floats, dx: Floats, rows: Int, columns: Int):
    """dx = y * (dy - sum(y * dy)) along rows of `columns`."""
    if columns <= NARROW:
        for row in range(cuda.grid(1), count * rows, cuda.gridsize(1)):
            at, end = row * columns, (row + 1) * columns
            total = ZERO
            for i in range(at, end):
                total += y[i] * dy[i]
            for i in range(at, end):
                dx[i] = y[i] * (dy[i] - total)
        return
    shared = cuda.shared.array(ROW_THREADS, f32)
    thread = cuda.threadIdx.x
    for row in range(cuda.blockIdx.x, count * rows, cuda.gridDim.x):
        at, end = row * columns + thread, (row + 1) * columns
        total = ZERO
        for i in range(at, end, ROW_THREADS):
            total += y[i] * dy[i]
        shared[thread] = total
        sum_rows(shared, thread, 1)
        total = shared[0]
        cuda.syncthreads()
        for i in range(at, end, ROW_THREADS):
            dx[i] = y[i] * (dy[i] - total)


@kernel(elements("size"))
def add(count: Int, a: Floats, b: Floats, y: Floats, size: Int, relu: Int):
    """y = a + b, then ReLU where asked."""
    total = count * size
    i = cuda.grid(1)
    if is_aligned(a) and is_aligned(b) and is_aligned(y):
        at = 4 * i
        while at + 3 < total:
            u, v = read_vector(a, at, 0), read_vector(b, at, 0)
            first, second = rectified(u[0] + v[0], relu), rectified(u[1] + v[1], relu)
            third, fourth = rectified(u[2] + v[2], relu), rectified(u[3] + v[3], relu)
            write_vector(y, at, 0, (first, second, third, fourth))
            at += 4 * cuda.gridsize(1)
        i += total // 4 * 4
    while i < total:
        write(y, i, 0, rectified(read(a, i, 0) + read(b, i, 0), relu))
        i += cuda.gridsize(1)


@inline
def _scaled(x, numbers, residual, relu):
    return rectified(x * numbers[0] + numbers[1] + residual, relu)


@kernel(channelwise)
def affine(
    count: Int, x: Floats, scale: Floats, offset: Floats, y: Floats, residual: Floats, pixels: Int,
    channels: Int, relu: Int,
):  # fmt: skip
    """y[p, c] = x[p, c] * scale[c] + offset[c] (+ residual[p, c]), then ReLU where asked."""
    size = count * pixels * channels
    step = cuda.gridsize(1)
    at = cuda.grid(1)
    adds = residual.size > 0
    if channels % 4 == 0 and is_aligned(x) and is_aligned(y) and is_aligned(residual):
        at, step = 4 * at, 4 * step
        c = at - quotient(at, channels) * channels
        first, second = (scale[c], offset[c]), (scale[c + 1], offset[c + 1])
        third, fourth = (scale[c + 2], offset[c + 2]), (scale[c + 3], offset[c + 3])
        more = (ZERO, ZERO, ZERO, ZERO)
        while at < size:
            value = read_vector(x, at, 0)
            if adds:
                more = read_vector(residual, at, 0)
            results = (
                _scaled(value[0], first, more[0], relu),
                _scaled(value[1], second, more[1], relu),
                _scaled(value[2], third, more[2], relu),
                _scaled(value[3], fourth, more[3], relu),
            )
            write_vector(y, at, 0, results)
            at += step
        return
    c = at - quotient(at, channels) * channels
    numbers = (scale[c], offset[c])
    while at < size:
        added = read(residual, at, 0) if adds else ZERO
        write(y, at, 0, _scaled(read(x, at, 0), numbers, added, relu))
        at += step


@inline
def random_bits(counter, key):
    """Return 32 bits that depend on a counter and a key alone (the mixer of Wellons, 2018)."""
    # The products are of 64 bits, which are cut back to 32, as 32-bit ones would overflow.
    wide = np.uint64(np.uint32(counter)) * np.uint64(0x9E3779B9) + np.uint64(np.uint32(key))
    z = np.uint32(wide)
    z = np.uint32(np.uint64(z ^ (z >> np.uint32(16))) * np.uint64(0x7FEB352D))
    z = np.uint32(np.uint64(z ^ (z >> np.uint32(15))) * np.uint64(0x846CA68B))
    return np.uint32(z ^ (z >> np.uint32(16)))


@kernel(per_image("size"))
def dropout(
    count: Int,
    x: Floats,
    y: Floats,
    random: Longs,
    size: Int,
    decisions: Int,
    stream: Int,
    threshold: Word,
    scale: Float,
):
    """y = x * scale where an element's random bits reach the threshold, else 0.

    Elements `decisions` apart have the same bits: all have their own where there are `size`.
    `random` holds (seed, step, number in the batch of the first image). Forward and backward
    draw the same bits, so no mask is stored.
    """
    key = random_bits(stream, random_bits(random[0], random[1]))
    i, image = cuda.grid(2)
    if i >= size:
        return
    decision = i - quotient(i, decisions) * decisions
    while image < count:
        at = image * size + i
        bits = random_bits(decision, random_bits(random[2] + image, key))
        write(y, at, 0, read(x, at, 0) * scale if bits >= threshold else ZERO)
        image += cuda.gridDim.y
