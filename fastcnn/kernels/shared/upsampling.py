"""Where the pixels of an enlarged image come from, along one axis."""

import numpy as np

from fastcnn.kernels.lazy_numba import register_jitable


@register_jitable
def source(i, scale, size, linear):
    """Return the two pixels of `size` that pixel i of the enlarged axis lies between, and the
    second one's weight; without `linear` the first one alone counts.

    Pixels are squares whose centres are interpolated between, as in Keras and PyTorch: pixel i
    lies at (i + 1 / 2) / scale - 1 / 2, and beyond the outermost centres nothing changes.
    """
    if not linear:
        return i // scale, i // scale, np.float32(0)
    position = np.float32(2 * i + 1 - scale) / np.float32(2 * scale)
    position = min(max(position, np.float32(0)), np.float32(size - 1))
    low = int(position)
    return low, min(low + 1, size - 1), position - np.float32(low)


@register_jitable
def share(i, pixel, scale, size, linear):
    """Return the weight that a pixel has in pixel i of the enlarged axis."""
    low, high, weight = source(i, scale, size, linear)
    first = np.float32(1) - weight if low == pixel else np.float32(0)
    return first + weight if high == pixel else first


@register_jitable
def first_reader(pixel, scale, linear):
    """Return the first pixel of the enlarged axis that a pixel may have a weight in."""
    return max(0, (pixel - 1) * scale) if linear else pixel * scale


@register_jitable
def end_of_readers(pixel, scale, size, linear):
    """Return the pixel of the enlarged axis behind the last that a pixel may have a weight in."""
    return min(size * scale, (pixel + 2) * scale) if linear else (pixel + 1) * scale
