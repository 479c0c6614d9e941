"""Matrix products of a dense layer on the GPU: y = x @ kernel + bias and its gradients.

Rows are images. A few images times a large kernel are few tiles: the product is then split along
its inner dimension (`gemm`).
"""

from __future__ import annotations

from fastcnn.kernels.call import Calls, LayerOperands, Region
from fastcnn.kernels.cuda.gemm.gemm import product, sum_of_products
from fastcnn.kernels.cuda.nn import bias as conv_bias


def forward(
    calls: Calls, operands: LayerOperands, sizes: tuple[int, int], training: bool = False
) -> None:
    """Emit y[units] = x[features] @ kernel + bias; sizes = (features, units)."""
    features, units = sizes
    product(
        calls,
        operands.x,
        operands.kernel,
        operands.y,
        1,
        units,
        features,
        bias=operands.bias,
        scale=operands.scale,
        relu=operands.relu,
    )


def dx(calls: Calls, dy: Region, kernel: Region, out: Region, sizes: tuple[int, int]) -> None:
    """Emit dx[features] = dy[units] @ kernel^T."""
    features, units = sizes
    product(calls, dy, kernel, out, 1, features, units, transposed=True)


def dw(calls: Calls, x: Region, dy: Region, gradient: Region, sizes: tuple[int, int]) -> None:
    """Emit the kernel's gradient x^T @ dy: the inner dimension is the batch."""
    features, units = sizes
    sum_of_products(calls, x, dy, gradient, features, units, 1)


def bias_dw(calls: Calls, dy: Region, gradient: Region, units: int) -> None:
    """Emit the bias's gradient: the sum over the images."""
    conv_bias.bias_dw(calls, 1, units, dy, gradient)
