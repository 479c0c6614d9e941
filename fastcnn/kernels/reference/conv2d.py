"""Convolution as its definition says: loops over plain arrays, to be read first.

A convolution slides a window of KH x KW taps over each image. At every place the window's pixels,
all C channels of them, are multiplied by the kernel of each of F filters and summed:

    y[n, i, j, f] = sum over a, b, c of x[n, row, column, c] * kernel[a, b, c, f]
    where row = i * SH + a * DH - top and column = j * SW + b * DW - left

A tap is one place (a, b) of the window. The strides SH, SW say how far the window moves, the
dilation DH, DW how far its taps lie apart, the padding ((top, bottom), (left, right)) how many
zeros surround the image. `conv2d_direct` is exactly these loops;
`kernels/reference/conv2d_matmul.py` computes the same as a matrix product.

Beside it stand its gradients: `dx` of the images and `dw` of the kernel, given `dy`, the gradient
of y. `@njit` has Numba make machine code of a function at its first call, which takes some seconds;
`prange` is a range whose steps several threads share. The engine's fast kernels are tested against
these, and `Conv2D(strategy="reference")` trains with them.

Shapes, in every function: x [N, H, W, C], kernel [KH, KW, C, F], y and dy [N, OH, OW, F], with
OH = (H + top + bottom - DH*(KH - 1) - 1) // SH + 1, and OW likewise.

References:
    V. Dumoulin and F. Visin, A guide to convolution arithmetic for deep learning, 2016.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

NO_PADDING = ((0, 0), (0, 0))
CHANNELS = "x [N, H, W, C] and kernel [KH, KW, C, F] have not the same number of channels C."
FILTERS = "dy [N, OH, OW, F] and kernel [KH, KW, C, F] have not the same number of filters F."
IMAGES = "x [N, H, W, C] and dy [N, OH, OW, F] have not the same number of images N."


@njit
def output_size(size, taps, stride, margins, dilation):
    """Return how many places a window has along one axis of an image.

    Args:
        size: Pixels of the image, H or W.
        taps: Pixels that the window takes, KH or KW.
        stride: Pixels between neighbouring windows.
        margins: Zeros before and after the image, (top, bottom) or (left, right).
        dilation: Pixels between neighbouring taps.

    Returns:
        OH or OW, a whole number; not positive where the window does not fit into the image.
    """
    return (size + margins[0] + margins[1] - dilation * (taps - 1) - 1) // stride + 1


@njit
def zeros_of_products(shape, a, b):
    """Return zeros in the type of a product of a's and b's numbers: whole times real is real."""
    return np.zeros(shape, (np.zeros(1, a.dtype) * np.zeros(1, b.dtype)).dtype)


@njit(parallel=True)
def conv2d_direct(x, kernel, strides=(1, 1), padding=NO_PADDING, dilation=(1, 1)):
    """Return the convolution of images with a kernel.

    Args:
        x: Images.
        kernel: Kernels of all filters.
        strides: Pixels between neighbouring windows, (SH, SW).
        padding: Zeros around an image, ((top, bottom), (left, right)).
        dilation: Pixels between neighbouring taps, (DH, DW).

    Returns:
        y, in the type of a product of x and the kernel.

    Raises:
        ValueError: x and the kernel differ in their channels.

    Shape:
        x [N, H, W, C], kernel [KH, KW, C, F] -> y [N, OH, OW, F].
        OH = (H + top + bottom - DH * (KH - 1) - 1) // SH + 1, and OW likewise.

    References:
        V. Dumoulin and F. Visin, A guide to convolution arithmetic for deep learning, 2016.
    """
    images, height, width, channels = x.shape
    taps_h, taps_w, _, filters = kernel.shape
    if kernel.shape[2] != channels:
        raise ValueError(CHANNELS)
    rows = output_size(height, taps_h, strides[0], padding[0], dilation[0])
    columns = output_size(width, taps_w, strides[1], padding[1], dilation[1])
    (stride_h, stride_w), (dilation_h, dilation_w) = strides, dilation
    top, left = padding[0][0], padding[1][0]
    y = zeros_of_products((images, rows, columns, filters), x, kernel)
    for n in prange(images):
        for i in range(rows):
            for j in range(columns):
                for a in range(taps_h):
                    row = i * stride_h + a * dilation_h - top
                    for b in range(taps_w):
                        column = j * stride_w + b * dilation_w - left
                        if 0 <= row < height and 0 <= column < width:
                            for c in range(channels):
                                for f in range(filters):
                                    y[n, i, j, f] += x[n, row, column, c] * kernel[a, b, c, f]
    return y


@njit(parallel=True)
def conv2d_direct_dx(dy, kernel, size, strides=(1, 1), padding=NO_PADDING, dilation=(1, 1)):
    """Return the gradient of the images: each place of dy is spread over its window.

    Args:
        dy: Gradient of the convolution's result.
        kernel: Kernels of all filters.
        size: Height and width of the images, (H, W).
        strides: Pixels between neighbouring windows, (SH, SW).
        padding: Zeros around an image, ((top, bottom), (left, right)).
        dilation: Pixels between neighbouring taps, (DH, DW).

    Returns:
        dx, in the type of a product of dy and the kernel.

    Raises:
        ValueError: dy and the kernel differ in their filters.

    Shape:
        dy [N, OH, OW, F], kernel [KH, KW, C, F] -> dx [N, H, W, C].
    """
    images, rows, columns, filters = dy.shape
    taps_h, taps_w, channels, _ = kernel.shape
    if kernel.shape[3] != filters:
        raise ValueError(FILTERS)
    height, width = size
    (stride_h, stride_w), (dilation_h, dilation_w) = strides, dilation
    top, left = padding[0][0], padding[1][0]
    dx = zeros_of_products((images, height, width, channels), dy, kernel)
    for n in prange(images):
        for i in range(rows):
            for j in range(columns):
                for a in range(taps_h):
                    row = i * stride_h + a * dilation_h - top
                    for b in range(taps_w):
                        column = j * stride_w + b * dilation_w - left
                        if 0 <= row < height and 0 <= column < width:
                            for c in range(channels):
                                for f in range(filters):
                                    dx[n, row, column, c] += dy[n, i, j, f] * kernel[a, b, c, f]
    return dx


@njit(parallel=True)
def conv2d_direct_dw(x, dy, taps, strides=(1, 1), padding=NO_PADDING, dilation=(1, 1)):
    """Return the gradient of the kernel: each tap sums over all images and places.

    A thread has a tap for itself, so that no two threads add to the same number.

    Args:
        x: Images.
        dy: Gradient of the convolution's result.
        taps: Height and width of the kernel, (KH, KW).
        strides: Pixels between neighbouring windows, (SH, SW).
        padding: Zeros around an image, ((top, bottom), (left, right)).
        dilation: Pixels between neighbouring taps, (DH, DW).

    Returns:
        dw, in the type of a product of x and dy.

    Raises:
        ValueError: x and dy differ in their number of images.

    Shape:
        x [N, H, W, C], dy [N, OH, OW, F] -> dw [KH, KW, C, F].
    """
    images, height, width, channels = x.shape
    _, rows, columns, filters = dy.shape
    if dy.shape[0] != images:
        raise ValueError(IMAGES)
    taps_h, taps_w = taps
    (stride_h, stride_w), (dilation_h, dilation_w) = strides, dilation
    top, left = padding[0][0], padding[1][0]
    dw = zeros_of_products((taps_h, taps_w, channels, filters), x, dy)
    for tap in prange(taps_h * taps_w):
        a, b = tap // taps_w, tap % taps_w
        for n in range(images):
            for i in range(rows):
                row = i * stride_h + a * dilation_h - top
                for j in range(columns):
                    column = j * stride_w + b * dilation_w - left
                    if 0 <= row < height and 0 <= column < width:
                        for c in range(channels):
                            for f in range(filters):
                                dw[a, b, c, f] += x[n, row, column, c] * dy[n, i, j, f]
    return dw
