"""One pass over the images of a batch: gathered, resampled, coloured, scaled, written as float32.

Each image goes row by row through a line of floats that stays in the first cache. A matrix that
only flips and moves by whole pixels copies runs of pixels; any other one samples a float copy of
the image, whose coordinates are whole numbers of 2^-32 pixels: adding steps never rounds.
"""

from libc.math cimport fabs, floor
from libc.string cimport memcpy

from fastcnn._ext.rows cimport (
    blend, byte, colour_common, colour_mixed, pixel, rescale, spread, turn, widen
)

import numpy as np

from fastcnn._ext.checks import check_array, check_indices, check_target

cdef enum FillMode:
    CONSTANT
    NEAREST
    REFLECT
    WRAP

cdef enum Colour:
    PLAIN  # values are only scaled and shifted, if at all
    COMMON  # one factor for all channels, one offset a channel
    MIXED  # a matrix over three channels

FILL_MODES = ("constant", "nearest", "reflect", "wrap")
# Farther outside than this no index table is made: such a matrix is a mistake.
REACH = 1 << 15
cdef double FARTHEST = REACH
# Places are whole numbers of 2^-32 pixels.
cdef enum:
    PLACES = 32
cdef double PER_PIXEL = 4294967296.0
cdef long long HALF_PIXEL = 1LL << (PLACES - 1)
# Pixels of three channels are moved as four floats: what is moved so needs room behind it.
cdef Py_ssize_t SPILL = 4


cdef class _Job:
    """What all images of a call share: sizes, options, index tables and room to work in."""

    cdef Py_ssize_t height, width, channels, cell, out_height, out_width, reach
    cdef FillMode fill_mode
    cdef Colour colour
    cdef bint nearest, scaled, has_mean
    cdef float low, high
    cdef const double[:, :, ::1] matrices
    cdef const float[:, :, ::1] linear, mean
    cdef const float[:, ::1] offset
    cdef float[::1] fill, scale, shift, source, line, spare, sums, added
    cdef int[::1] rows, columns


def resample(
    x, indices, out, *, matrices=None, fill_mode="constant", fill_value=0.0, nearest=False,
    linear=None, offset=None, mean=None, limits=(0.0, 255.0), scale=None, shift=None,
):
    """Write the augmented images ``x[indices]`` into ``out``, with the GIL released.

    x: uint8 or float32 [N, H, W, C]; indices: int64 [n], each from 0 to N - 1; out: float32
    [n, H2, W2, C]; all C-contiguous, out apart from x.

    matrices: float64 [n, 2, 3], output pixel (row, column, 1) to the place in the image that it
    shows, in pixels; None moves nothing. Between pixels values are bilinear, or those of the
    nearest pixel. fill_mode: what lies outside, "constant" (fill_value, a number or one a
    channel), "nearest", "reflect" (d c b a | a b c d | d c b a) or "wrap".

    linear: float32 [n, 1, 1] or, for three channels, [n, 3, 3]; offset: float32 [n, C]; mean: None
    or as linear. A colour v becomes linear v + offset + mean m, where m is the mean colour of the
    whole image before resampling, cut to ``limits``. scale, shift: a number or one a channel; what
    is written is value * scale + shift.

    Returns ``out``. TypeError, ValueError or IndexError in words, and nothing written, for
    arguments that do not fit or a matrix that reaches more than 32768 pixels outside the image.
    """
    _check_arrays(x, indices, out)
    if out.size == 0:
        return out
    job = _Job()
    job.height, job.width, job.channels = x.shape[1:]
    job.cell = 4 if job.channels == 3 else job.channels
    job.out_height, job.out_width = out.shape[1:3]
    _set_geometry(job, len(indices), matrices, fill_mode, fill_value, nearest)
    _set_colour(job, len(indices), linear, offset, mean, limits)
    _set_scale(job, scale, shift)
    flat = out.reshape(-1)
    if x.dtype == np.uint8:
        _all_images[byte](x.reshape(-1), indices, flat, job)
    else:
        _all_images[float](x.reshape(-1), indices, flat, job)
    return out


def _check_arrays(x, indices, out):
    check_array("resample", "x", x, ("uint8", "float32"), (None, None, None, None))
    check_indices("resample", indices, len(x))
    check_target("resample", "out", out, (len(indices), None, None, x.shape[3]))
    if len(indices) and x.size == 0:
        raise ValueError(f"resample: images must have pixels. Received the shape {x.shape}.")


def _per_channel(name, value, channels):
    """float32 [channels] of one number or of one for each channel; ValueError otherwise."""
    given = np.asarray(value, np.float32).reshape(-1)
    if given.size not in (1, channels) or not np.isfinite(given).all():
        raise ValueError(
            f"resample: {name} must be one finite number or one for each of the {channels} "
            f"channels. Received {value!r}."
        )
    return np.array(np.broadcast_to(given, (channels,)))


def _set_geometry(_Job job, count, matrices, fill_mode, fill_value, nearest):
    if matrices is None:
        matrices = np.eye(2, 3)[np.newaxis]
    else:
        check_array("resample", "matrices", matrices, ("float64",), (count, 2, 3))
    if fill_mode not in FILL_MODES:
        raise ValueError(
            f"resample: fill_mode must be one of {', '.join(FILL_MODES)}. Received {fill_mode!r}."
        )
    job.matrices = matrices
    job.fill_mode = FILL_MODES.index(fill_mode)
    job.nearest = nearest
    job.fill = _per_channel("fill_value", fill_value, job.channels)
    job.reach = _farthest(job)
    job.rows = np.empty(job.height + 2 * job.reach, np.intc)
    job.columns = np.empty(job.width + 2 * job.reach, np.intc)
    _tabulate(job.rows, job.height, job.reach, job.fill_mode)
    _tabulate(job.columns, job.width, job.reach, job.fill_mode)
    # A ring of one pixel round the image holds the fill value.
    job.source = np.empty((job.height + 2) * (job.width + 2) * job.cell, np.float32)
    widest = max(job.width, job.out_width) * job.channels + SPILL
    job.line = np.zeros(widest, np.float32)
    job.spare = np.zeros(widest, np.float32)
    if job.fill_mode == CONSTANT:
        _fill_ring(job)


def _set_colour(_Job job, count, linear, offset, mean, limits):
    job.low, job.high = limits
    job.sums = np.empty(job.width * job.channels, np.float32)
    job.added = np.empty(max(job.out_width * job.channels, 4), np.float32)
    job.has_mean = mean is not None
    job.colour = PLAIN
    if linear is None:
        return
    side = 3 if linear.shape[1:] == (3, 3) and job.channels == 3 else 1
    check_array("resample", "linear", linear, ("float32",), (count, side, side))
    check_array("resample", "offset", offset, ("float32",), (count, job.channels))
    job.linear, job.offset = linear, offset
    if mean is not None:
        check_array("resample", "mean", mean, ("float32",), (count, side, side))
        job.mean = mean
    job.colour = MIXED if side == 3 else COMMON


def _set_scale(_Job job, scale, shift):
    job.scaled = scale is not None or shift is not None
    factors = _per_channel("scale", 1.0 if scale is None else scale, job.channels)
    terms = _per_channel("shift", 0.0 if shift is None else shift, job.channels)
    # As long as a row, and four floats longer for the last pixel.
    job.scale = np.tile(factors, job.out_width + SPILL)
    job.shift = np.tile(terms, job.out_width + SPILL)


cdef Py_ssize_t _farthest(_Job job) except -1:
    """How many pixels outside the image the matrices reach, with those next to them."""
    cdef Py_ssize_t i, axis
    cdef double low, high, size, across, down, far = 0
    for i in range(job.matrices.shape[0]):
        for axis in range(2):
            size = job.height if axis == 0 else job.width
            down = job.matrices[i, axis, 0] * (job.out_height - 1)
            across = job.matrices[i, axis, 1] * (job.out_width - 1)
            low = job.matrices[i, axis, 2] + min(down, 0.0) + min(across, 0.0)
            high = job.matrices[i, axis, 2] + max(down, 0.0) + max(across, 0.0)
            if not (low > -FARTHEST and high < FARTHEST + size):  # a NaN fails too
                raise ValueError(
                    f"resample: matrices must stay within {REACH} pixels of the image. Received "
                    f"{np.asarray(job.matrices[i]).tolist()} at position {i}."
                )
            far = max(far, max(-low, high - size + 1))
    return <Py_ssize_t>far + 3


cdef void _tabulate(int[::1] table, Py_ssize_t size, Py_ssize_t reach, FillMode mode):
    """table[reach + i]: the pixel shown for place i; -1 or ``size`` for the ring of fill."""
    cdef Py_ssize_t k, i
    for k in range(table.shape[0]):
        i = k - reach
        if mode == CONSTANT:
            i = min(max(i, -1), size)
        elif mode == NEAREST:
            i = min(max(i, 0), size - 1)
        elif mode == WRAP:
            i = (i % size + size) % size
        else:
            i = (i % (2 * size) + 2 * size) % (2 * size)
            i = min(i, 2 * size - 1 - i)
        table[k] = <int>i


cdef void _fill_ring(_Job job):
    """The fill value all over the source; images are then written inside of it."""
    cdef Py_ssize_t k
    for k in range(job.source.shape[0]):
        job.source[k] = job.fill[min(k % job.cell, job.channels - 1)]


cdef int _all_images(
    const pixel[::1] x, const long long[::1] indices, float[::1] out, _Job job
) except -1:
    cdef Py_ssize_t i, start
    cdef Py_ssize_t size = job.height * job.width * job.channels
    cdef double[6] matrix
    with nogil:
        for i in range(indices.shape[0]):
            start = <Py_ssize_t>indices[i] * size
            _read_matrix(job, i, &matrix[0])
            if job.colour != PLAIN:
                _place_colour(x, start, i, job)
            if _only_moves(&matrix[0]):
                _move(x, start, out, i, &matrix[0], job)
            else:
                _unpack(x, start, job)
                _sample(out, i, &matrix[0], job)
    return 0


cdef int _read_matrix(_Job job, Py_ssize_t image, double* matrix) except -1 nogil:
    cdef Py_ssize_t k, own = image if job.matrices.shape[0] > 1 else 0
    for k in range(6):
        matrix[k] = job.matrices[own, k // 3, k % 3]
    return 0


cdef inline float* _span(float[::1] view, Py_ssize_t start, Py_ssize_t count) except NULL nogil:
    """A pointer to ``count`` numbers from ``start``; the debug build checks the first and last."""
    cdef float* last = &view[start + count - 1]
    return last - count + 1


cdef inline const pixel* _pixels(
    const pixel[::1] view, Py_ssize_t start, Py_ssize_t count
) except NULL nogil:
    """As _span(), of the images."""
    cdef const pixel* last = &view[start + count - 1]
    return &view[start] if last != NULL else NULL


include "moves.pxi"
include "samples.pxi"
include "colours.pxi"
