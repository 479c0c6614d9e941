"""Convolution as its definition says: loops over plain arrays, to be read first.

A convolution slides a window of KH x KW taps over each image. At every place the window's pixels,
all C channels of them, are multiplied by the kernel of each of F filters and summed:

    y[n, i, j, f] = sum over a, b, c of x[n, row, column, c] * kernel[a, b, c, f]
    where row = i * SH + a * DH - top and column = j * SW + b * DW - left

The strides SH, SW say how far the window moves, the dilation DH, DW how far its taps lie apart, the
padding ((top, bottom), (left, right)) how many zeros surround the image. Two ways to compute it:

- *direct*: exactly these loops.
- *im2col*: every window is copied into a row of a matrix, so that one matrix product does the rest.

Beside each stand its gradients: `dx` of the images and `dw` of the kernel, given `dy`, the gradient
of y. Every function is compiled for several threads by Numba at its first call. The engine's fast
kernels are tested against these, and `Conv2D(strategy="reference")` trains with them.

Shapes, in every function: x [N, H, W, C], kernel [KH, KW, C, F], y and dy [N, OH, OW, F], with
OH = (H + top + bottom - DH*(KH - 1) - 1) // SH + 1, and OW likewise.

References:
    V. Dumoulin and F. Visin, A guide to convolution arithmetic for deep learning, 2016.
    K. Chellapilla et al., High performance convolutional neural networks for document processing,
    2006 (im2col).
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

NO_PADDING = ((0, 0), (0, 0))


@njit
def output_size(size, taps, stride, margins, dilation):
    """Return how many places a window has along one axis."""
    return (size + margins[0] + margins[1] - dilation * (taps - 1) - 1) // stride + 1


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
        y, in x's type.

    Shape:
        x [N, H, W, C], kernel [KH, KW, C, F] -> y [N, OH, OW, F].
    """
    images, height, width, channels = x.shape
    taps_h, taps_w, _, filters = kernel.shape
    rows = output_size(height, taps_h, strides[0], padding[0], dilation[0])
    columns = output_size(width, taps_w, strides[1], padding[1], dilation[1])
    (stride_h, stride_w), (dilation_h, dilation_w) = strides, dilation
    top, left = padding[0][0], padding[1][0]
    y = np.zeros((images, rows, columns, filters), x.dtype)
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
        strides: As in `conv2d_direct`; so are padding and dilation.

    Returns:
        dx, in dy's type.

    Shape:
        dy [N, OH, OW, F], kernel [KH, KW, C, F] -> dx [N, H, W, C].
    """
    images, rows, columns, filters = dy.shape
    taps_h, taps_w, channels, _ = kernel.shape
    height, width = size
    (stride_h, stride_w), (dilation_h, dilation_w) = strides, dilation
    top, left = padding[0][0], padding[1][0]
    dx = np.zeros((images, height, width, channels), dy.dtype)
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
        strides: As in `conv2d_direct`; so are padding and dilation.

    Returns:
        dw, in x's type.

    Shape:
        x [N, H, W, C], dy [N, OH, OW, F] -> dw [KH, KW, C, F].
    """
    images, height, width, channels = x.shape
    _, rows, columns, filters = dy.shape
    taps_h, taps_w = taps
    (stride_h, stride_w), (dilation_h, dilation_w) = strides, dilation
    top, left = padding[0][0], padding[1][0]
    dw = np.zeros((taps_h, taps_w, channels, filters), x.dtype)
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


@njit(parallel=True)
def im2col(x, taps, strides=(1, 1), padding=NO_PADDING, dilation=(1, 1)):
    """Return every window of the images as a row of a matrix.

    Args:
        x: Images.
        taps: Height and width of the window, (KH, KW).
        strides: As in `conv2d_direct`; so are padding and dilation.

    Returns:
        The matrix, in x's type: neighbouring pixels stand in it KH * KW times.

    Shape:
        x [N, H, W, C] -> [N, OH, OW, KH, KW, C].
    """
    images, height, width, channels = x.shape
    rows = output_size(height, taps[0], strides[0], padding[0], dilation[0])
    columns = output_size(width, taps[1], strides[1], padding[1], dilation[1])
    taps_h, taps_w = taps
    (stride_h, stride_w), (dilation_h, dilation_w) = strides, dilation
    top, left = padding[0][0], padding[1][0]
    windows = np.zeros((images, rows, columns, taps_h, taps_w, channels), x.dtype)
    for n in prange(images):
        for i in range(rows):
            for j in range(columns):
                for a in range(taps_h):
                    row = i * stride_h + a * dilation_h - top
                    for b in range(taps_w):
                        column = j * stride_w + b * dilation_w - left
                        if 0 <= row < height and 0 <= column < width:
                            for c in range(channels):
                                windows[n, i, j, a, b, c] = x[n, row, column, c]
    return windows


@njit(parallel=True)
def col2im(windows, size, strides=(1, 1), padding=NO_PADDING, dilation=(1, 1)):
    """Return images in which every pixel is the sum of its copies in the windows.

    It is the gradient of `im2col`.

    Args:
        windows: The gradient of what `im2col` returned.
        size: Height and width of the images, (H, W).
        strides: As in `conv2d_direct`; so are padding and dilation.

    Returns:
        The images, in the windows' type.

    Shape:
        windows [N, OH, OW, KH, KW, C] -> [N, H, W, C].
    """
    images, rows, columns, taps_h, taps_w, channels = windows.shape
    height, width = size
    (stride_h, stride_w), (dilation_h, dilation_w) = strides, dilation
    top, left = padding[0][0], padding[1][0]
    x = np.zeros((images, height, width, channels), windows.dtype)
    for n in prange(images):
        for i in range(rows):
            for j in range(columns):
                for a in range(taps_h):
                    row = i * stride_h + a * dilation_h - top
                    for b in range(taps_w):
                        column = j * stride_w + b * dilation_w - left
                        if 0 <= row < height and 0 <= column < width:
                            for c in range(channels):
                                x[n, row, column, c] += windows[n, i, j, a, b, c]
    return x


@njit(parallel=True)
def matmul(a, b):
    """Return a @ b: [I, K] and [K, J] give [I, J]."""
    product = np.zeros((a.shape[0], b.shape[1]), a.dtype)
    for i in prange(a.shape[0]):
        for k in range(a.shape[1]):
            for j in range(b.shape[1]):
                product[i, j] += a[i, k] * b[k, j]
    return product


@njit
def conv2d_im2col(x, kernel, strides=(1, 1), padding=NO_PADDING, dilation=(1, 1)):
    """Return the convolution of images with a kernel, as one matrix product.

    Args, result and shape are those of `conv2d_direct`.
    """
    taps_h, taps_w, channels, filters = kernel.shape
    windows = im2col(x, (taps_h, taps_w), strides, padding, dilation)
    images, rows, columns = windows.shape[:3]
    inner = taps_h * taps_w * channels
    matrix = windows.reshape(images * rows * columns, inner)
    weights = np.ascontiguousarray(kernel).reshape(inner, filters)
    return matmul(matrix, weights).reshape(images, rows, columns, filters)


@njit
def conv2d_im2col_dx(dy, kernel, size, strides=(1, 1), padding=NO_PADDING, dilation=(1, 1)):
    """Return the gradient of the images: the product with the kernel's transpose, then `col2im`.

    Args, result and shape are those of `conv2d_direct_dx`.
    """
    images, rows, columns, filters = dy.shape
    taps_h, taps_w, channels, _ = kernel.shape
    inner = taps_h * taps_w * channels
    gradients = np.ascontiguousarray(dy).reshape(images * rows * columns, filters)
    weights = np.ascontiguousarray(kernel).reshape(inner, filters)
    matrix = matmul(gradients, np.ascontiguousarray(weights.T))
    windows = matrix.reshape(images, rows, columns, taps_h, taps_w, channels)
    return col2im(windows, size, strides, padding, dilation)


@njit
def conv2d_im2col_dw(x, dy, taps, strides=(1, 1), padding=NO_PADDING, dilation=(1, 1)):
    """Return the gradient of the kernel: the transposed windows, times the gradient.

    Args, result and shape are those of `conv2d_direct_dw`.
    """
    images, rows, columns, filters = dy.shape
    inner = taps[0] * taps[1] * x.shape[3]
    windows = im2col(x, taps, strides, padding, dilation)
    matrix = windows.reshape(images * rows * columns, inner)
    gradients = np.ascontiguousarray(dy).reshape(images * rows * columns, filters)
    dw = matmul(np.ascontiguousarray(matrix.T), gradients)
    return dw.reshape(taps[0], taps[1], x.shape[3], filters)
