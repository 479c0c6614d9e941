"""Runs of pixels: converted, turned round, blended, coloured.

These work on bare pointers; whoever calls them takes the pointers from views, so that the debug
build checks both ends of every run. Three channels are moved as four floats where the fourth is
overwritten by the pixel that follows; only the last pixel of a run is then moved exactly.
"""

from libc.string cimport memcpy

ctypedef unsigned char byte

ctypedef fused pixel:
    byte
    float


cdef inline void widen(const pixel* source, float* target, Py_ssize_t count) noexcept nogil:
    """target = source as float, ``count`` numbers."""
    cdef Py_ssize_t k
    if pixel is float:
        memcpy(target, source, count * sizeof(float))
    else:
        for k in range(count):
            target[k] = source[k]


cdef inline void rescale(
    const pixel* source, float* target, const float* scale, const float* shift, Py_ssize_t count
) noexcept nogil:
    """target = source * scale + shift, number by number."""
    cdef Py_ssize_t k
    for k in range(count):
        target[k] = source[k] * scale[k] + shift[k]


cdef inline void turn(
    const pixel* source, pixel* target, Py_ssize_t count, Py_ssize_t channels
) noexcept nogil:
    """The pixels in the opposite order."""
    cdef Py_ssize_t k, last = channels * (count - 1)
    if channels == 3 and count > 1:
        memcpy(target, &source[last], 3 * sizeof(pixel))
        for k in range(1, count - 1):
            memcpy(&target[3 * k], &source[last - 3 * k], 4 * sizeof(pixel))
        memcpy(&target[last], source, 3 * sizeof(pixel))
    elif channels == 1:
        for k in range(count):
            target[k] = source[last - k]
    else:
        for k in range(count):
            memcpy(&target[channels * k], &source[last - channels * k], channels * sizeof(pixel))


cdef inline void spread(const float* source, float* target, Py_ssize_t count) noexcept nogil:
    """Pixels of three floats to cells of four; ``source`` is read one float past its end."""
    cdef Py_ssize_t k
    for k in range(count):
        memcpy(&target[4 * k], &source[3 * k], 4 * sizeof(float))


cdef inline void blend(
    const float* upper, const float* upper_right, const float* lower, const float* lower_right,
    float across, float down, float* target, Py_ssize_t channels,
) noexcept nogil:
    """One pixel between four others; four floats are written for three channels."""
    cdef Py_ssize_t k
    cdef float top, bottom
    cdef float[4] values
    if channels == 3 or channels == 4:
        for k in range(4):
            top = upper[k] + across * (upper_right[k] - upper[k])
            bottom = lower[k] + across * (lower_right[k] - lower[k])
            values[k] = top + down * (bottom - top)
        memcpy(target, &values[0], 4 * sizeof(float))
    else:
        for k in range(channels):
            top = upper[k] + across * (upper_right[k] - upper[k])
            bottom = lower[k] + across * (lower_right[k] - lower[k])
            target[k] = top + down * (bottom - top)


cdef inline void colour_common(
    const float* row, float* target, float factor, const float* added, float low, float high,
    const float* scale, const float* shift, Py_ssize_t count,
) noexcept nogil:
    """target = cut(row * factor + added) * scale + shift, number by number. The cut, of all in this
    file, leaves a NaN a NaN."""
    cdef Py_ssize_t k
    cdef float value
    for k in range(count):
        value = row[k] * factor + added[k]
        value = low if low > value else value
        value = high if high < value else value
        target[k] = value * scale[k] + shift[k]


cdef inline void colour_mixed(
    const float* row, float* target, const float* matrix, const float* added, float low,
    float high, const float* scale, const float* shift, Py_ssize_t count,
) noexcept nogil:
    """target = cut(matrix row + added) * scale + shift, pixel by pixel; matrix is [3, 3]."""
    cdef Py_ssize_t k, c
    cdef float red, green, blue, value
    cdef float[4] of_red, of_green, of_blue, term, factor, moved, values
    for c in range(4):
        # The fourth column is only there to fill the register.
        of_red[c] = matrix[3 * min(c, 2)]
        of_green[c] = matrix[3 * min(c, 2) + 1]
        of_blue[c] = matrix[3 * min(c, 2) + 2]
        term[c], factor[c], moved[c] = added[min(c, 2)], scale[c], shift[c]
    for k in range(count):
        red, green, blue = row[3 * k], row[3 * k + 1], row[3 * k + 2]
        for c in range(4):
            value = of_red[c] * red + of_green[c] * green + of_blue[c] * blue + term[c]
            value = low if low > value else value
            value = high if high < value else value
            values[c] = value * factor[c] + moved[c]
        if k < count - 1:
            memcpy(&target[3 * k], &values[0], 4 * sizeof(float))
        else:
            memcpy(&target[3 * k], &values[0], 3 * sizeof(float))
