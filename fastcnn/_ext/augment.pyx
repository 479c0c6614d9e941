"""One pass over the images of a batch: gathered, resampled, coloured, scaled, written as float32.

Each image goes row by row through a line of floats that stays in the first cache. A matrix that
only flips and moves by whole pixels copies runs of pixels; any other one samples a float copy of
the image, whose coordinates are whole numbers of 2^-32 pixels: adding steps never rounds.
"""

from libc.math cimport fabs, floor, isfinite
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
# With places below this, in pixels, all arithmetic on them stays within 64 bits.
LONGEST = 1 << 30
cdef double STEEPEST = LONGEST
# Places are whole numbers of 2^-32 pixels.
cdef enum:
    PLACES = 32
cdef double PER_PIXEL = 4294967296.0
cdef long long HALF_PIXEL = 1LL << (PLACES - 1)
# Pixels of three channels are moved as four floats: what is moved so needs room behind it.
cdef Py_ssize_t SPILL = 4
# So many floats are made in 50 to 200 microseconds.
cdef Py_ssize_t SHORT = 1 << 17


cdef class _Job:
    """What all images of a call share: sizes, options, index tables and room to work in."""

    cdef Py_ssize_t height, width, channels, cell, out_height, out_width, reach
    cdef FillMode fill_mode
    cdef Colour colour
    cdef bint nearest, scaled, has_mean, ringed
    cdef float low, high
    cdef const double[:, :, ::1] matrices
    cdef const float[:, :, ::1] linear, mean
    cdef const float[:, ::1] offset
    cdef float[::1] fill, scale, shift, source, line, spare, sums, added, painted
    cdef int[::1] rows, columns


def resample(
    x, indices, out, *, matrices=None, fill_mode="constant", fill_value=0.0, nearest=False,
    linear=None, offset=None, mean=None, limits=(0.0, 255.0), scale=None, shift=None,
):
    """Write the augmented images ``x[indices]`` into ``out``, with the GIL released but for small
    batches.

    x: uint8 or float32 [N, H, W, C]; indices: int64 [n], each from 0 to N - 1; out: float32
    [n, H2, W2, C]; all C-contiguous, out in memory of its own.

    matrices: float64 [n, 2, 3], output pixel (row, column, 1) to the place in the image that it
    shows, in pixels; None moves nothing. Between pixels values are bilinear, or those of the
    nearest pixel. fill_mode: what lies outside, "constant" (fill_value, a number or one a
    channel), "nearest", "reflect" (d c b a | a b c d | d c b a) or "wrap".

    linear: float32 [n, 1, 1] or, for three channels, [n, 3, 3]; with it offset: float32 [n, C], and
    mean: None or as linear. A colour v becomes linear v + offset + mean m, where m is the mean
    colour of the whole image before resampling, cut to ``limits``, (lowest, highest). scale, shift:
    a number or one a channel; what is written is value * scale + shift.

    Returns ``out``. TypeError, ValueError or IndexError, and nothing written, for
    arguments that do not fit or a matrix that reaches more than 32768 pixels outside the image.
    """
    _check_arrays(x, indices, out)
    if out.size == 0:
        return out
    job = _Job()
    job.height, job.width, job.channels = x.shape[1:]
    job.cell = 4 if job.channels == 3 else job.channels
    job.out_height, job.out_width = out.shape[1:3]
    _set_scratch(job)
    _set_geometry(job, len(indices), matrices, fill_mode, fill_value, nearest)
    _set_colour(job, len(indices), linear, offset, mean, limits)
    _set_scale(job, scale, shift)
    _paint(job)
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
    if max(x.shape[1:3]) >= LONGEST:
        raise ValueError(
            f"resample: images must have less than {LONGEST} rows and columns. "
            f"Received the shape {x.shape}."
        )
    if np.may_share_memory(x, out):
        raise ValueError("resample: out must not share memory with x.")


cdef int _all_images(
    const pixel[::1] x, const long long[::1] indices, float[::1] out, _Job job
) except -1:
    """The GIL is kept where the work is short: to get it back, a thread may wait longer than that
    for another one that prepares small batches too."""
    if out.shape[0] <= SHORT:
        _each_image(x, indices, out, job)
    else:
        with nogil:
            _each_image(x, indices, out, job)
    return 0


cdef int _each_image(
    const pixel[::1] x, const long long[::1] indices, float[::1] out, _Job job
) except -1 nogil:
    cdef Py_ssize_t i, start
    cdef Py_ssize_t size = job.height * job.width * job.channels
    cdef double[6] matrix
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


include "arguments.pxi"
include "moves.pxi"
include "samples.pxi"
include "colours.pxi"
