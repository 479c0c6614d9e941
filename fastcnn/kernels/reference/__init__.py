"""Start here: convolution and pooling as loops, each the definition of what faster kernels compute.

    from fastcnn.kernels.reference import conv2d_direct, max_pool2d
    y = conv2d_direct(x, kernel, (1, 1), ((1, 1), (1, 1)))  # x [N, H, W, C]
    largest = max_pool2d(y, (2, 2), (2, 2))

They take and return plain NumPy arrays, and are compiled at their first call for each type of
argument, for some seconds. Sizes and strides are pairs (rows, columns), paddings two pairs; one
number, a list or an array of fewer axes ends in Numba's `TypingError`. They run on Numba's own
threads, which cannot be used in the child of a fork once the parent has used them: there Numba ends
the child. Models, whose threads are fastcnn's, work in it.
"""

from fastcnn.kernels.reference.conv2d import (
    conv2d_direct,
    conv2d_direct_dw,
    conv2d_direct_dx,
)
from fastcnn.kernels.reference.conv2d_matmul import (
    col2im,
    conv2d_im2col,
    conv2d_im2col_dw,
    conv2d_im2col_dx,
    im2col,
    matmul,
)
from fastcnn.kernels.reference.pool2d import (
    average_pool2d,
    average_pool2d_dx,
    max_pool2d,
    max_pool2d_dx,
)

__all__ = [
    "average_pool2d",
    "average_pool2d_dx",
    "col2im",
    "conv2d_direct",
    "conv2d_direct_dw",
    "conv2d_direct_dx",
    "conv2d_im2col",
    "conv2d_im2col_dw",
    "conv2d_im2col_dx",
    "im2col",
    "matmul",
    "max_pool2d",
    "max_pool2d_dx",
]
