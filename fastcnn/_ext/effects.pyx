"""Effects on finished images, in place: blur, noise, erased boxes."""

from fastcnn._ext.random cimport beginning, mix, steps, unit, word

import numpy as np

from fastcnn._ext.checks import check_array, check_target

# Quantiles of the normal distribution that a normal number is made of; a power of two.
LEVELS = 4096


def add_noise(images, key, streams, stddev, levels, limits):
    """Add normal noise to float32 [n, H, W, C] in place and cut to ``limits``, (low, high).

    Each image takes its own stream of int64 [n]; stddev: float32 [n], in units of the pixels. A
    normal number is the sum of two of ``levels``, float32 [4096]: the quantiles of a normal
    distribution with variance 1/2.
    """
    check_target("add_noise", "images", images, (None, None, None, None))
    check_array("add_noise", "streams", streams, ("int64",), (len(images),))
    check_array("add_noise", "stddev", stddev, ("float32",), (len(images),))
    check_array("add_noise", "levels", levels, ("float32",), (LEVELS,))
    low, high = limits
    if images.size:
        _add_noise(images.reshape(len(images), -1), key, streams, stddev, levels, low, high)


def erase(images, boxes, key, streams, fill_value, limits):
    """Overwrite one box of each image of float32 [n, H, W, C] in place.

    boxes: int64 [n, 4], (first row, end row, first column, end column), cut to the image; an empty
    one erases nothing. fill_value: float32 [C], or None for numbers that are uniform in
    ``limits``, (low, high), from each image's stream of int64 [n].
    """
    check_target("erase", "images", images, (None, None, None, None))
    check_array("erase", "boxes", boxes, ("int64",), (len(images), 4))
    check_array("erase", "streams", streams, ("int64",), (len(images),))
    noisy = fill_value is None
    if noisy:
        fill_value = np.zeros(images.shape[3], np.float32)
    check_array("erase", "fill_value", fill_value, ("float32",), (images.shape[3],))
    low, high = limits
    if images.size:
        _erase(images, boxes, key, streams, fill_value, noisy, low, high)


def blur(images, weights):
    """Blur float32 [n, H, W, C] in place, along the columns and then along the rows.

    weights: float32 [n, k], k odd: one symmetric kernel an image, whose first weight is its
    centre's and whose others are those at 1, 2, ... pixels on either side. 1, 0, 0, ... leaves the
    image as it is. Outside of the image is its reflection (d c b a | a b c d).
    """
    check_target("blur", "images", images, (None, None, None, None))
    check_array("blur", "weights", weights, ("float32",), (len(images), None))
    if not weights.shape[1]:
        raise ValueError("blur: weights must hold at least one weight an image.")
    if not images.size:
        return
    height, width, channels = images.shape[1:]
    radius = weights.shape[1] - 1
    padded = np.empty((width + 2 * radius) * channels, np.float32)
    smooth = np.empty((height, width * channels), np.float32)
    rows, columns = (_reflected(size, radius) for size in (height, width))
    flat = images.reshape(len(images), height, width * channels)
    _blur(flat, weights, rows, columns, padded, smooth, channels)


def _reflected(size, radius):
    """intc [size + 2 radius]: the pixel that is shown at each place from -radius on."""
    place = np.arange(-radius, size + radius) % (2 * size)
    return np.minimum(place, 2 * size - 1 - place).astype(np.intc)


cdef int _add_noise(
    float[:, ::1] images, word key, const long long[::1] streams, const float[::1] stddev,
    const float[::1] levels, float low, float high,
) except -1:
    cdef Py_ssize_t i
    with nogil:
        for i in range(images.shape[0]):
            if stddev[i] != 0:
                _add_noise_to(
                    images[i], beginning(key, streams[i]), stddev[i], levels, low, high
                )
    return 0


cdef int _add_noise_to(
    float[::1] image, word state, float stddev, const float[::1] levels, float low, float high
) except -1 nogil:
    """Each hash of 64 bits gives two numbers, each the sum of two levels that 12 bits choose."""
    cdef Py_ssize_t k
    cdef word bits = 0
    cdef float value
    for k in range(image.shape[0]):
        if k % 2 == 0:
            bits = mix(state + steps(<word>(k // 2 + 1)))
        else:
            bits >>= 32
        value = image[k] + stddev * (levels[bits & 4095] + levels[(bits >> 12) & 4095])
        # In this order a NaN stays one.
        value = low if low > value else value
        image[k] = high if high < value else value
    return 0


cdef int _erase(
    float[:, :, :, ::1] images, const long long[:, ::1] boxes, word key,
    const long long[::1] streams, const float[::1] fill, bint noisy, float low, float high,
) except -1:
    cdef Py_ssize_t i, y, x, c, channels = images.shape[3]
    cdef Py_ssize_t top, bottom, left, right
    cdef word state
    with nogil:
        for i in range(images.shape[0]):
            state = beginning(key, streams[i])
            top, bottom = max(boxes[i, 0], 0), min(boxes[i, 1], images.shape[1])
            left, right = max(boxes[i, 2], 0), min(boxes[i, 3], images.shape[2])
            for y in range(top, bottom):
                for x in range(left, right):
                    for c in range(channels):
                        if noisy:
                            state += steps(1)
                            images[i, y, x, c] = low + (high - low) * <float>unit(mix(state))
                        else:
                            images[i, y, x, c] = fill[c]
    return 0


cdef int _blur(
    float[:, :, ::1] images, const float[:, ::1] weights, const int[::1] rows,
    const int[::1] columns, float[::1] padded, float[:, ::1] smooth, Py_ssize_t channels,
) except -1:
    cdef Py_ssize_t i, y, radius = weights.shape[1] - 1
    with nogil:
        for i in range(images.shape[0]):
            if _is_identity(weights[i]):
                continue
            for y in range(images.shape[1]):
                _blur_row(images[i, y], weights[i], columns, padded, smooth[y], channels)
            for y in range(images.shape[1]):
                _mix_rows(images[i, y], weights[i], rows, y + radius, smooth)
    return 0


cdef bint _is_identity(const float[::1] weights) except -1 nogil:
    cdef Py_ssize_t k
    for k in range(weights.shape[0]):
        if weights[k] != (1 if k == 0 else 0):
            return False
    return True


cdef int _blur_row(
    const float[::1] row, const float[::1] weights, const int[::1] columns, float[::1] padded,
    float[::1] target, Py_ssize_t channels,
) except -1 nogil:
    """target = the row, each pixel mixed with those beside it."""
    cdef Py_ssize_t k, c, distance, radius = weights.shape[0] - 1, count = row.shape[0]
    cdef const float* centre
    cdef float* into = &target[0]
    cdef float weight
    for k in range(columns.shape[0]):
        for c in range(channels):
            padded[k * channels + c] = row[columns[k] * channels + c]
    centre = &padded[radius * channels]
    weight = weights[0]
    for k in range(count):
        into[k] = weight * centre[k]
    for distance in range(1, radius + 1):
        weight = weights[distance]
        c = distance * channels
        for k in range(count):
            into[k] += weight * (centre[k - c] + centre[k + c])
    return 0


cdef int _mix_rows(
    float[::1] target, const float[::1] weights, const int[::1] rows, Py_ssize_t place,
    const float[:, ::1] smooth,
) except -1 nogil:
    """target = the row at ``place`` of the table, mixed with those above and below it."""
    cdef Py_ssize_t k, distance, count = target.shape[0]
    cdef const float* above = &smooth[rows[place], 0]
    cdef const float* below
    cdef float* into = &target[0]
    cdef float weight = weights[0]
    for k in range(count):
        into[k] = weight * above[k]
    for distance in range(1, weights.shape[0]):
        weight = weights[distance]
        above = &smooth[rows[place - distance], 0]
        below = &smooth[rows[place + distance], 0]
        for k in range(count):
            into[k] += weight * (above[k] + below[k])
    return 0
