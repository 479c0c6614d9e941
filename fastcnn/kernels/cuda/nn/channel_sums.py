"""How sums over pixels, channel by channel, are laid over chunks of images and blocks of threads.

Chunk k has the images from k * ceil(count / chunks) on, so many at most. Its pixels, image after
image, are cut into equal parts, `parts_of` them, so that a chunk keeps several blocks of threads
busy. What they find lies part by part, and is merged in that order.
"""

from math import ceil
from typing import Any

from numba.extending import register_jitable

from fastcnn.kernels.cuda.runtime.indexing import quotient
from fastcnn.kernels.cuda.runtime.kernel import inline

THREADS = 256
PAIRS = 2 * THREADS  # elements of shared memory for two sums of each thread
STRIP = 8  # pixels that a thread reads at a time
CHANNELS = 32  # of a block that goes through pixels: a warp reads 128 bytes side by side
MERGED_CHANNELS = 8  # of a block that merges parts: 32 bytes, and more rows of threads
BLOCKS = 16  # wanted of a chunk


@register_jitable
def tile(channels, most):
    """Return how many channels a block takes: a power of two."""
    width = 1
    while width < channels and width < most:
        width *= 2
    return width


@register_jitable
def parts_of(pixels, channels):
    """Return the number of parts of a chunk, for images of so many pixels."""
    width = tile(channels, CHANNELS)
    tiles = (channels + width - 1) // width
    enough = pixels * width // (2 * STRIP * THREADS)
    return max(1, min((BLOCKS + tiles - 1) // tiles, enough))


def by_part(count: int, values: dict[str, Any]) -> tuple[tuple[int, int], int]:
    channels = values["channels"]
    parts = values["chunks"] * parts_of(values["pixels"], channels)
    return (ceil(channels / tile(channels, CHANNELS)), parts), THREADS


def by_channel(count: int, values: dict[str, Any]) -> tuple[int, int]:
    channels = values["channels"]
    return ceil(channels / tile(channels, MERGED_CHANNELS)), THREADS


@inline
def seat(thread, channels, most):
    """Return a block's channels, its rows of threads, and a thread's row and place in it."""
    width = tile(channels, most)
    row = quotient(thread, width)
    return width, quotient(THREADS, width), row, thread - row * width


@inline
def span(count, chunks, pixels, parts, number):
    """Return the first and the end of a part's pixels, counted through all images."""
    chunk = number // parts
    images = (count + chunks - 1) // chunks
    first = min(chunk * images, count)
    own = (min(first + images, count) - first) * pixels
    part = number - chunk * parts
    low = first * pixels + own * part // parts
    return low, first * pixels + own * (part + 1) // parts
