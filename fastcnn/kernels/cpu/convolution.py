"""The CPU's strategies: ways to compute a convolution and its gradients, in a table.

Each stands in a file of its own, `conv_<name>.py`, as three functions that emit calls. A strategy
declines what it cannot do with a reason in words.
"""

from __future__ import annotations

from fastcnn.kernels.cpu import (
    conv_direct,
    conv_fft,
    conv_im2col,
    conv_im2col_blas,
    conv_winograd,
)
from fastcnn.kernels.strategy import DIRECTIONS, Strategy, strategy

__all__ = ["DIRECTIONS", "STRATEGIES", "Strategy"]

# The errors are those of the longest sums, ten thousand products and more, with room to spare.
STRATEGIES: dict[str, Strategy] = {
    one.name: one
    for one in (
        strategy("direct", conv_direct, 1e-5),
        strategy("im2col", conv_im2col, 1e-5),
        strategy("im2col-blas", conv_im2col_blas, 1e-5),
        strategy("winograd", conv_winograd, 4e-5, m=4),
        strategy("winograd-2x2", conv_winograd, 1e-5, m=2),
        strategy("fft", conv_fft, 1e-5),
    )
}
