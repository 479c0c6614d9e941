"""Effects on augmented images, in place: what `_ext/effects.pyx` does on the host, bit for bit.

Random numbers are counted as in `_ext/random.pxd`: each is a hash of a key, a stream and its place
in the stream.
"""

import numpy as np

from fastcnn.kernels.cuda.runtime.device import SIMULATED, cuda
from fastcnn.kernels.cuda.runtime.indexing import own_element, per_image
from fastcnn.kernels.cuda.runtime.kernel import Float, Floats, Int, Longs, inline, kernel
from fastcnn.kernels.cuda.runtime.rounding import cut, product

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST = np.uint64(0xBF58476D1CE4E5B9)
SECOND = np.uint64(0x94D049BB133111EB)
UNIT = np.float64(2.0**-53)
LEVEL = np.uint64(4095)
TWELVE, HALF_WORD = np.uint64(12), np.uint64(32)

if SIMULATED:
    _MASK = 2**64 - 1

    @inline
    def times(a, b):
        """Return a * b, whole numbers of 64 bits without a sign, cut to as many."""
        return np.uint64(int(a) * int(b) & _MASK)

    @inline
    def plus(a, b):
        """Return a + b, likewise."""
        return np.uint64(int(a) + int(b) & _MASK)

else:

    @inline
    def times(a, b):
        """Return a * b, whole numbers of 64 bits without a sign, cut to as many."""
        return a * b

    @inline
    def plus(a, b):
        """Return a + b, likewise."""
        return a + b


@inline
def mix(z):
    """SplitMix64's finaliser."""
    z = times(z ^ (z >> np.uint64(30)), FIRST)
    z = times(z ^ (z >> np.uint64(27)), SECOND)
    return z ^ (z >> np.uint64(31))


@inline
def counted(key, stream, turn):
    """Return the random word at a place, counted from 1, of a stream under a key."""
    state = mix(plus(np.uint64(key), times(GOLDEN, np.uint64(stream + 1))))
    return mix(plus(state, times(GOLDEN, np.uint64(turn))))


@kernel(per_image("size"))
def add_noise(
    count: Int,
    x: Floats,
    keys: Longs,
    streams: Longs,
    stddev: Floats,
    levels: Floats,
    size: Int,
    low: Float,
    high: Float,
):
    """x[n, size] += stddev[n] times a normal number, cut to low and high.

    Each is the sum of two of levels[4096]; keys: [1], streams: [count].
    """
    i, n = cuda.grid(2)
    if i >= size:
        return
    while n < count:
        if stddev[n] != 0:
            # Each hash of 64 bits gives two numbers.
            bits = counted(keys[0], streams[n], i // 2 + 1)
            if i % 2 == 1:
                bits = bits >> HALF_WORD
            number = levels[np.int64(bits & LEVEL)]
            number += levels[np.int64((bits >> TWELVE) & LEVEL)]
            at = n * size + i
            x[at] = cut(x[at] + product(stddev[n], number), low, high)
        n += cuda.gridDim.y


@kernel(per_image("height", "width", "channels"))
def erase_boxes(
    count: Int,
    x: Floats,
    keys: Longs,
    streams: Longs,
    boxes: Longs,
    fill: Floats,
    height: Int,
    width: Int,
    channels: Int,
    low: Float,
    high: Float,
):
    """x[n, height, width, channels] = fill[channels] within boxes[n, 4], (first row, end row, first
    column, end column); without a fill, numbers that are uniform from low to high."""
    size = height * width * channels
    i, n, row, column, channel = own_element(height, width, channels, count)
    while n < count:
        top, left = max(boxes[4 * n], 0), max(boxes[4 * n + 2], 0)
        right = min(boxes[4 * n + 3], width)
        if row >= top and row < boxes[4 * n + 1] and column >= left and column < right:
            if fill.size > 0:
                number = fill[channel]
            else:
                turn = ((row - top) * (right - left) + column - left) * channels + channel + 1
                bits = counted(keys[0], streams[n], turn)
                part = np.float32(np.float64(np.int64(bits >> np.uint64(11))) * UNIT)
                number = low + product(high - low, part)
            x[n * size + i] = number
        n += cuda.gridDim.y
