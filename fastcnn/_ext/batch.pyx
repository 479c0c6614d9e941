"""Assembling a training batch: chosen images, converted to float32, written side by side."""

from fastcnn._ext.rows cimport byte, pixel, widen

import numpy as np

from fastcnn._ext.checks import check_array, check_indices, check_target


def gather(x, indices, out):
    """Write the images ``x[indices]`` into ``out`` as float32, with the GIL released.

    x: C-contiguous uint8 or float32 [N, ...]; indices: int64 [n], each from 0 to N - 1, in any
    order and repeated as wished; out: C-contiguous float32 [n, ...]. Pixel values are kept as
    they are (0 to 255 for uint8). Returns ``out``. Raises TypeError for another dtype,
    ValueError for shapes or layouts that do not fit, IndexError for an index outside the images;
    nothing is written then.
    """
    check_array("gather", "x", x, ("uint8", "float32"), (None, ...))
    check_indices("gather", indices, len(x))
    check_target("gather", "out", out, (len(indices), *x.shape[1:]))
    if out.size == 0:
        return out
    cdef Py_ssize_t row = out.size // out.shape[0]
    if x.dtype == np.uint8:
        _copy_rows[byte](x.reshape(-1), indices, out.reshape(-1), row)
    else:
        _copy_rows[float](x.reshape(-1), indices, out.reshape(-1), row)
    return out


cdef int _copy_rows(
    const pixel[::1] x, const long long[::1] indices, float[::1] out, Py_ssize_t row
) except -1:
    """out[i * row : (i + 1) * row] = x[indices[i] * row : ...], for every i."""
    cdef Py_ssize_t i
    with nogil:
        for i in range(indices.shape[0]):
            widen(&x[<Py_ssize_t>indices[i] * row], &out[i * row], row)
    return 0
