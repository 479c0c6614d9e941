"""Pooling as its definition says: loops over plain arrays, to be read first.

A window of PH x PW pixels slides over each channel of an image; its largest number, or its mean,
is one number of the result. Pixels outside the image do not count, neither for the largest nor,
unless it is asked for, for the mean.

Shapes, in every function: x and dx [N, H, W, C], y and dy [N, OH, OW, C].

References:
    V. Dumoulin and F. Visin, A guide to convolution arithmetic for deep learning, 2016.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from fastcnn.kernels.reference.conv2d import NO_PADDING, output_size, zeros_of_products

IMAGES = "x [N, H, W, C] and dy [N, OH, OW, C] have not the same number of images N or channels C."


@njit
def _window(place, size, stride, margin, length):
    """Return the first pixel of a window along one axis and the one behind its last."""
    first = place * stride - margin
    return max(first, 0), min(first + size, length)


@njit
def _count(place, size, stride, margin, length, before, after):
    """Return how many pixels of a window along one axis count: the image's and so many around."""
    first = place * stride - margin
    return min(first + size, length + after) - max(first, -before)


@njit(parallel=True)
def max_pool2d(x, size, strides, padding=NO_PADDING):
    """Return the largest number under each window.

    Args:
        x: Images.
        size: Height and width of the window, (PH, PW).
        strides: Pixels between neighbouring windows, (SH, SW).
        padding: Pixels outside the image that windows may reach, ((top, bottom), (left, right)).

    Returns:
        y, in x's type; minus infinity for a window that lies outside altogether.

    Shape:
        x [N, H, W, C] -> y [N, OH, OW, C].
        OH = (H + top + bottom - PH) // SH + 1, and OW likewise.
    """
    images, height, width, channels = x.shape
    size_h, size_w = size
    stride_h, stride_w = strides
    top, left = padding[0][0], padding[1][0]
    rows = output_size(height, size_h, stride_h, padding[0], 1)
    columns = output_size(width, size_w, stride_w, padding[1], 1)
    y = np.full((images, rows, columns, channels), -np.inf, x.dtype)
    for n in prange(images):
        for i in range(rows):
            first_row, end_row = _window(i, size_h, stride_h, top, height)
            for j in range(columns):
                first_column, end_column = _window(j, size_w, stride_w, left, width)
                for row in range(first_row, end_row):
                    for column in range(first_column, end_column):
                        for c in range(channels):
                            y[n, i, j, c] = max(y[n, i, j, c], x[n, row, column, c])
    return y


@njit(parallel=True)
def max_pool2d_dx(x, dy, size, strides, padding=NO_PADDING):
    """Return the gradient of the images: all of it goes to each window's first largest number.

    Args:
        x: Images.
        dy: Gradient of the pooling's result.
        size: Height and width of the window, (PH, PW).
        strides: Pixels between neighbouring windows, (SH, SW).
        padding: Pixels outside the image that windows may reach, ((top, bottom), (left, right)).

    Returns:
        dx, in dy's type.

    Raises:
        ValueError: x and dy differ in their images or channels.

    Shape:
        x [N, H, W, C], dy [N, OH, OW, C] -> dx [N, H, W, C].
    """
    images, height, width, channels = x.shape
    _, rows, columns, _ = dy.shape
    if dy.shape[0] != images or dy.shape[3] != channels:
        raise ValueError(IMAGES)
    size_h, size_w = size
    stride_h, stride_w = strides
    top, left = padding[0][0], padding[1][0]
    dx = np.zeros(x.shape, dy.dtype)
    for n in prange(images):
        for i in range(rows):
            first_row, end_row = _window(i, size_h, stride_h, top, height)
            for j in range(columns):
                first_column, end_column = _window(j, size_w, stride_w, left, width)
                for c in range(channels):
                    best_row, best_column = first_row, first_column
                    for row in range(first_row, end_row):
                        for column in range(first_column, end_column):
                            if x[n, row, column, c] > x[n, best_row, best_column, c]:
                                best_row, best_column = row, column
                    if first_row < end_row and first_column < end_column:
                        dx[n, best_row, best_column, c] += dy[n, i, j, c]
    return dx


@njit(parallel=True)
def average_pool2d(x, size, strides, padding=NO_PADDING, counted=NO_PADDING):
    """Return the mean of the numbers under each window, of those within the image.

    Args:
        x: Images.
        size: Height and width of the window, (PH, PW).
        strides: Pixels between neighbouring windows, (SH, SW).
        padding: Pixels outside the image that windows may reach, ((top, bottom), (left, right)).
        counted: How many of these pixels count as zeros in the mean, likewise.

    Returns:
        y, in x's type, for whole numbers in float32; 0 for a window that lies outside altogether.

    Shape:
        x [N, H, W, C] -> y [N, OH, OW, C].
        OH = (H + top + bottom - PH) // SH + 1, and OW likewise.
    """
    images, height, width, channels = x.shape
    size_h, size_w = size
    stride_h, stride_w = strides
    top, left = padding[0][0], padding[1][0]
    (above, below), (before, after) = counted
    rows = output_size(height, size_h, stride_h, padding[0], 1)
    columns = output_size(width, size_w, stride_w, padding[1], 1)
    y = zeros_of_products((images, rows, columns, channels), x, np.ones(1, np.float32))
    for n in prange(images):
        for i in range(rows):
            first_row, end_row = _window(i, size_h, stride_h, top, height)
            counted_rows = _count(i, size_h, stride_h, top, height, above, below)
            for j in range(columns):
                first_column, end_column = _window(j, size_w, stride_w, left, width)
                counted_columns = _count(j, size_w, stride_w, left, width, before, after)
                count = max(1, counted_rows * counted_columns)
                for row in range(first_row, end_row):
                    for column in range(first_column, end_column):
                        for c in range(channels):
                            y[n, i, j, c] += x[n, row, column, c] / count
    return y


@njit(parallel=True)
def average_pool2d_dx(dy, image, size, strides, padding=NO_PADDING, counted=NO_PADDING):
    """Return the gradient of the images: each window shares its own out among its pixels.

    Args:
        dy: Gradient of the pooling's result.
        image: Height and width of the images, (H, W).
        size: Height and width of the window, (PH, PW).
        strides: Pixels between neighbouring windows, (SH, SW).
        padding: Pixels outside the image that windows may reach, ((top, bottom), (left, right)).
        counted: How many of these pixels count as zeros in the mean, likewise.

    Returns:
        dx, in dy's type.

    Shape:
        dy [N, OH, OW, C] -> dx [N, H, W, C].
    """
    images, rows, columns, channels = dy.shape
    height, width = image
    size_h, size_w = size
    stride_h, stride_w = strides
    top, left = padding[0][0], padding[1][0]
    (above, below), (before, after) = counted
    dx = np.zeros((images, height, width, channels), dy.dtype)
    for n in prange(images):
        for i in range(rows):
            first_row, end_row = _window(i, size_h, stride_h, top, height)
            counted_rows = _count(i, size_h, stride_h, top, height, above, below)
            for j in range(columns):
                first_column, end_column = _window(j, size_w, stride_w, left, width)
                counted_columns = _count(j, size_w, stride_w, left, width, before, after)
                count = max(1, counted_rows * counted_columns)
                for row in range(first_row, end_row):
                    for column in range(first_column, end_column):
                        for c in range(channels):
                            dx[n, row, column, c] += dy[n, i, j, c] / count
    return dx
