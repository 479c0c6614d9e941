"""How threads are laid over images and channels, and the index arithmetic that goes with it."""

from __future__ import annotations

from math import ceil, gcd, prod
from typing import Any

import numpy as np

from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.kernel import MOST_BLOCKS, THREADS, Launch, inline

WARP = 32
MOST_ROWS = 65535  # of a grid: CUDA's limit for its second dimension


def per_image(*names: str) -> Launch:
    """Return a launch with a thread for each element of an image, and images in rows of blocks.

    A thread finds out once which element it has (`own_element`), then goes through several images:
    from its row of blocks, n = cuda.grid(2)[1], in steps of cuda.gridDim.y.
    """

    def launch(count: int, values: dict[str, Any]) -> tuple[tuple[int, int], int]:
        size = prod(values[name] for name in names)
        threads = min(THREADS, ceil(size / WARP) * WARP)
        blocks = max(1, ceil(size / threads))
        return (blocks, max(1, min(count, MOST_ROWS, ceil(MOST_BLOCKS / blocks)))), threads

    return launch


def channelwise(count: int, values: dict[str, Any]) -> tuple[int, int]:
    """Launch a thread for each of count * pixels * channels floats, or four floats of as many
    channels where these come out even; so many threads that each stays with its channels."""
    channels = values["channels"]
    period = channels // gcd(channels, THREADS)
    width = 4 if channels % 4 == 0 else 1
    blocks = ceil(count * values["pixels"] * channels / width / THREADS)
    return ceil(max(1, min(MOST_BLOCKS, blocks)) / period) * period, THREADS


@inline
def quotient(a, b):
    """Return a // b for a from 0, b from 1, both below 2^31: Numba would divide in 64 bits."""
    return np.int32(np.uint32(a) // np.uint32(b))


@inline
def position(i, width, channels):
    """Return the row, the column and the channel of an image's element i."""
    pixel = quotient(i, channels)
    row = quotient(pixel, width)
    return row, pixel - row * width, i - pixel * channels


@inline
def own_element(height, width, channels, count):
    """Return which element of an image the thread has in a launch of `per_image`, and where it is.

    Returns:
        The element, the first of the thread's images, the element's row, column and channel. A
        thread with no element of its own has the last one, and no image: it begins at `count`.
    """
    e, n = cuda.grid(2)
    size = height * width * channels
    if e >= size:
        e, n = size - 1, count
    row, column, c = position(e, width, channels)
    return e, n, row, column, c
