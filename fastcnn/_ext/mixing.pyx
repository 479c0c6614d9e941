"""Mixing the images of a batch with each other, in place and in one pass.

Every image has another one of the batch as its partner, and is the partner of one: the images form
rings. Along a ring each is changed before its partner is; only the first one of a ring has to be
kept as it was.
"""

from libc.string cimport memcpy

import numpy as np

from fastcnn._ext.checks import check_array, check_target


def blend(images, partners, shares):
    """images[i] = shares[i] * images[i] + (1 - shares[i]) * images[partners[i]], all at once.

    images: float32 [n, ...], changed in place; partners: int64 [n], a permutation; shares:
    float32 [n]. The GIL is released. TypeError or ValueError for what does not fit, before
    anything is written.
    """
    _check("blend", images, (None, ...), partners)
    check_array("blend", "shares", shares, ("float32",), (len(images),))
    if images.size:
        flat = images.reshape(len(images), -1)
        _blend(flat, partners, shares, np.empty(flat.shape[1], np.float32))


def paste(images, partners, boxes):
    """In each image a box becomes that of its partner, all at once.

    images: float32 [n, H, W, C]; partners: as blend(); boxes: int64 [n, 4], (first row, end row,
    first column, end column), each within the image; an empty one changes nothing.
    """
    _check("paste", images, (None, None, None, None), partners)
    check_array("paste", "boxes", boxes, ("int64",), (len(images), 4))
    height, width, channels = images.shape[1:]
    if not images.size:
        return
    if (boxes < 0).any() or (boxes > [height, height, width, width]).any():
        raise ValueError(f"paste: boxes must lie within images of {height} x {width} pixels.")
    rows = images.reshape(len(images), height, -1)
    _paste(rows, partners, boxes, np.empty(rows.shape[1:], np.float32), channels)


def _check(owner, images, shape, partners):
    check_target(owner, "images", images, shape)
    check_array(owner, "partners", partners, ("int64",), (len(images),))
    if not np.array_equal(np.sort(partners), np.arange(len(images))):
        raise ValueError(f"{owner}: partners must be a permutation. Received {partners.tolist()}.")


cdef int _blend(
    float[:, ::1] images, const long long[::1] partners, const float[::1] shares, float[::1] kept
) except -1:
    cdef Py_ssize_t first, here, there, k, length = images.shape[1]
    cdef float own, other
    cdef float* target
    cdef const float* source
    cdef unsigned char[::1] done = np.zeros(images.shape[0], np.uint8)
    with nogil:
        for first in range(images.shape[0]):
            if done[first]:
                continue
            memcpy(&kept[0], &images[first, 0], length * sizeof(float))
            here = first
            while not done[here]:
                done[here] = 1
                there = partners[here]
                target = &images[here, 0]
                source = &kept[0] if there == first else &images[there, 0]
                own, other = shares[here], 1 - shares[here]
                for k in range(length):
                    target[k] = own * target[k] + other * source[k]
                here = there
    return 0


cdef int _paste(
    float[:, :, ::1] images, const long long[::1] partners, const long long[:, ::1] boxes,
    float[:, ::1] kept, Py_ssize_t channels,
) except -1:
    cdef Py_ssize_t first, here, there, y, start, count
    cdef const float* source
    cdef unsigned char[::1] done = np.zeros(images.shape[0], np.uint8)
    with nogil:
        for first in range(images.shape[0]):
            if done[first]:
                continue
            memcpy(&kept[0, 0], &images[first, 0, 0], kept.shape[0] * kept.shape[1] * sizeof(float))
            here = first
            while not done[here]:
                done[here] = 1
                there = partners[here]
                start = boxes[here, 2] * channels
                count = (boxes[here, 3] - boxes[here, 2]) * channels
                if count > 0:
                    for y in range(boxes[here, 0], boxes[here, 1]):
                        source = &kept[y, 0] if there == first else &images[there, y, 0]
                        memcpy(&images[here, y, start], source + start, count * sizeof(float))
                here = there
    return 0
