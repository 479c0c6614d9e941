"""Products of a map and a number for each of its channels, and the gradient of these numbers."""

from math import ceil
from typing import Any

import numpy as np

from fastcnn.kernels.cuda.nn.channel_sums import CHANNELS, THREADS, seat, tile
from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.indexing import MOST_ROWS, quotient
from fastcnn.kernels.cuda.runtime.kernel import Floats, Int, elements, kernel
from fastcnn.kernels.cuda.runtime.memory_access import read, write
from fastcnn.kernels.cuda.runtime.reduction import sum_rows

f32 = np.float32
ZERO = f32(0)


@kernel(elements("pixels", "channels"))
def multiply(count: Int, x: Floats, gate: Floats, y: Floats, pixels: Int, channels: Int):
    """y[p, c] = x[p, c] * gate[c], of images x[P, C]."""
    size = pixels * channels
    for i in range(cuda.grid(1), count * size, cuda.gridsize(1)):
        c = i - quotient(i, channels) * channels
        write(y, i, 0, read(x, i, 0) * read(gate, quotient(i, size) * channels, c))


def _by_image(count: int, values: dict[str, Any]) -> tuple[tuple[int, int], int]:
    """Launch a block for a tile of channels of an image; a row of blocks takes several images."""
    channels = values["channels"]
    return (ceil(channels / tile(channels, CHANNELS)), max(1, min(count, MOST_ROWS))), THREADS


@kernel(_by_image)
def product_sums(count: Int, x: Floats, dy: Floats, sums: Floats, pixels: Int, channels: Int):
    """sums[c] = the sum over pixels of x[p, c] * dy[p, c], of each image."""
    shared = cuda.shared.array(THREADS, f32)
    thread = cuda.threadIdx.x
    width, rows, row, lane = seat(thread, channels, CHANNELS)
    c = cuda.blockIdx.x * width + lane
    for image in range(cuda.blockIdx.y, count, cuda.gridDim.y):
        total = ZERO
        if c < channels:
            at = image * pixels * channels + c
            for pixel in range(row, pixels, rows):
                total += read(x, at, pixel * channels) * read(dy, at, pixel * channels)
        shared[thread] = total
        sum_rows(shared, thread, width)
        if row == 0 and c < channels:
            write(sums, image * channels, c, shared[lane])
        cuda.syncthreads()
