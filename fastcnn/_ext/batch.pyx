"""Assembling a training batch: chosen images, converted to float32, written side by side."""

from libc.string cimport memcpy

import numpy as np

ctypedef unsigned char byte

ctypedef fused pixel:
    byte
    float


def gather(x, indices, out):
    """Write the images ``x[indices]`` into ``out`` as float32, with the GIL released.

    x: C-contiguous uint8 or float32 [N, ...]; indices: int64 [n], each from 0 to N - 1, in any
    order and repeated as wished; out: C-contiguous float32 [n, ...]. Pixel values are kept as
    they are (0 to 255 for uint8). Returns ``out``. Raises TypeError for another dtype,
    ValueError for shapes or layouts that do not fit, IndexError for an index outside the images;
    nothing is written then.
    """
    _check_arrays(x, indices, out)
    cdef const long long[::1] chosen = indices
    cdef Py_ssize_t bad = _first_outside(chosen, x.shape[0])
    if bad >= 0:
        raise IndexError(
            f"gather: every index must be from 0 to {x.shape[0] - 1} ({x.shape[0]} images). "
            f"Received {chosen[bad]} at position {bad}."
        )
    if out.size == 0:
        return out
    cdef Py_ssize_t row = out.size // out.shape[0]
    if x.dtype == np.uint8:
        _copy_rows[byte](x.reshape(-1), chosen, out.reshape(-1), row)
    else:
        _copy_rows[float](x.reshape(-1), chosen, out.reshape(-1), row)
    return out


def _check_arrays(x, indices, out):
    """Raise TypeError or ValueError in words unless the three arrays fit together."""
    for name, array, dtypes in (
        ("x", x, ("uint8", "float32")),
        ("indices", indices, ("int64",)),
        ("out", out, ("float32",)),
    ):
        if not isinstance(array, np.ndarray) or array.dtype.name not in dtypes:
            kind = array.dtype.name if isinstance(array, np.ndarray) else type(array).__name__
            raise TypeError(
                f"gather: {name} must be an array of {' or '.join(dtypes)}. Received {kind}."
            )
        if array.ndim == 0 or not array.flags.c_contiguous or not array.dtype.isnative:
            raise ValueError(
                f"gather: {name} must be a C-contiguous array in native byte order with at least "
                f"one axis. Received shape {array.shape}, strides {array.strides}."
            )
    if indices.ndim != 1 or out.shape != indices.shape + x.shape[1:]:
        raise ValueError(
            f"gather: out must have the shape (number of indices, *shape of an image). Received "
            f"out {out.shape} for indices {indices.shape} and images {x.shape}."
        )
    if not out.flags.writeable:
        raise ValueError("gather: out must be writeable. Received a read-only array.")


cdef Py_ssize_t _first_outside(const long long[::1] indices, Py_ssize_t count) except -2 nogil:
    """Position of the first index that is not in [0, count), or -1."""
    cdef Py_ssize_t i
    for i in range(indices.shape[0]):
        if indices[i] < 0 or indices[i] >= count:
            return i
    return -1


cdef int _copy_rows(
    const pixel[::1] x, const long long[::1] indices, float[::1] out, Py_ssize_t row
) except -1:
    """out[i * row : (i + 1) * row] = x[indices[i] * row : ...], for every i."""
    cdef Py_ssize_t i
    with nogil:
        for i in range(indices.shape[0]):
            _copy_row(&x[<Py_ssize_t>indices[i] * row], &out[i * row], row)
    return 0


cdef void _copy_row(const pixel* source, float* target, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t j
    if pixel is float:
        memcpy(target, source, count * sizeof(float))
    else:
        for j in range(count):
            target[j] = source[j]
