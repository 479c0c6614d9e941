"""Random numbers of the images of a batch; random.pxd says how they are made."""

import numpy as np

from fastcnn._ext.checks import check_array


def hashed(number):
    """SplitMix64's finaliser of a whole number below 2^64: a well mixed one below 2^64."""
    return mix(number)


def uniforms(keys, streams, counts):
    """float64 [n, sum of counts] in [0, 1): for each stream of int64 [n] the first counts[0]
    numbers under keys[0], then the first counts[1] under keys[1], and so on.

    keys: uint64 [m]; counts: int64 [m], each at least 0.
    """
    check_array("uniforms", "keys", keys, ("uint64",), (None,))
    check_array("uniforms", "streams", streams, ("int64",), (None,))
    check_array("uniforms", "counts", counts, ("int64",), (len(keys),))
    out = np.empty((len(streams), _total(counts)))
    _draw(keys, streams, counts, out)
    return out


cdef Py_ssize_t _total(const long long[::1] counts) except -1:
    cdef Py_ssize_t k, total = 0
    for k in range(counts.shape[0]):
        if counts[k] < 0:
            raise ValueError(f"uniforms: counts must be at least 0. Received {counts[k]}.")
        total += counts[k]
    return total


cdef int _draw(
    const word[::1] keys, const long long[::1] streams, const long long[::1] counts,
    double[:, ::1] out,
) except -1:
    cdef Py_ssize_t i, k, place
    cdef long long turn
    cdef word state
    for i in range(streams.shape[0]):
        place = 0
        for k in range(keys.shape[0]):
            state = beginning(keys[k], streams[i])
            for turn in range(counts[k]):
                out[i, place] = unit(mix(state + steps(<word>(turn + 1))))
                place += 1
    return 0
