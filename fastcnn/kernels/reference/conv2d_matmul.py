"""Convolution as a matrix product: every window is copied into a row of a matrix, then multiplied.

    windows [N * OH * OW, KH * KW * C] @ kernel [KH * KW * C, F] = y [N * OH * OW, F]

Neighbouring windows overlap, so that a pixel is copied KH * KW times; in return, one matrix product
serves every convolution. The gradients are the products with the transposed matrices; `col2im` adds
the gradients of a pixel's copies. Arguments and results are those of `kernels/reference/conv2d.py`.

Shapes, in every function: x [N, H, W, C], kernel [KH, KW, C, F], y and dy [N, OH, OW, F].

References:
    K. Chellapilla et al., High performance convolutional neural networks for document processing,
    2006.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from fastcnn.kernels.reference.conv2d import NO_PADDING, output_size, zeros_of_products

INNER = "a [I, K] and b [K, J] have not the same inner size K."


@njit(parallel=True)
def im2col(x, taps, strides=(1, 1), padding=NO_PADDING, dilation=(1, 1)):
    """Return every window of the images as a row of a matrix.

    Args:
        x: Images.
        taps: Height and width of the window, (KH, KW).
        strides: Pixels between neighbouring windows, (SH, SW).
        padding: Zeros around an image, ((top, bottom), (left, right)).
        dilation: Pixels between neighbouring taps, (DH, DW).

    Returns:
        The matrix, in x's type: neighbouring pixels stand in it KH * KW times.

    Shape:
        x [N, H, W, C] -> [N, OH, OW, KH, KW, C].
        OH = (H + top + bottom - DH * (KH - 1) - 1) // SH + 1, and OW likewise.

    References:
        K. Chellapilla et al., High performance convolutional neural networks for document
        processing, 2006.
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
        strides: Pixels between neighbouring windows, (SH, SW).
        padding: Zeros around an image, ((top, bottom), (left, right)).
        dilation: Pixels between neighbouring taps, (DH, DW).

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
    """Return the product of two matrices.

    Args:
        a: The left matrix.
        b: The right matrix.

    Returns:
        a @ b, in the type of a product of their numbers.

    Raises:
        ValueError: The columns of a are not as many as the rows of b.

    Shape:
        a [I, K], b [K, J] -> [I, J].
    """
    if a.shape[1] != b.shape[0]:
        raise ValueError(INNER)
    product = zeros_of_products((a.shape[0], b.shape[1]), a, b)
    for i in prange(a.shape[0]):
        for k in range(a.shape[1]):
            for j in range(b.shape[1]):
                product[i, j] += a[i, k] * b[k, j]
    return product


@njit
def conv2d_im2col(x, kernel, strides=(1, 1), padding=NO_PADDING, dilation=(1, 1)):
    """Return the convolution of images with a kernel, as one matrix product.

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
    inner = taps_h * taps_w * channels
    gradients = np.ascontiguousarray(dy).reshape(images * rows * columns, filters)
    weights = np.ascontiguousarray(kernel).reshape(inner, filters)
    matrix = matmul(gradients, np.ascontiguousarray(weights.T))
    windows = matrix.reshape(images, rows, columns, taps_h, taps_w, channels)
    return col2im(windows, size, strides, padding, dilation)


@njit
def conv2d_im2col_dw(x, dy, taps, strides=(1, 1), padding=NO_PADDING, dilation=(1, 1)):
    """Return the gradient of the kernel: the transposed windows, times the gradient.

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
        ValueError: dy has not F numbers for each window of x.

    Shape:
        x [N, H, W, C], dy [N, OH, OW, F] -> dw [KH, KW, C, F].
    """
    images, rows, columns, filters = dy.shape
    inner = taps[0] * taps[1] * x.shape[3]
    windows = im2col(x, taps, strides, padding, dilation)
    matrix = windows.reshape(images * rows * columns, inner)
    gradients = np.ascontiguousarray(dy).reshape(images * rows * columns, filters)
    dw = matmul(np.ascontiguousarray(matrix.T), gradients)
    return dw.reshape(taps[0], taps[1], x.shape[3], filters)
