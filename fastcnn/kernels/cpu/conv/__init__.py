"""The CPU's strategies: ways to compute a convolution and its gradients, in a table.

Each stands in a file of its own, as three functions that emit calls; what these take stands at
`EmitForward`, `EmitInputGradient` and `EmitKernelGradient` in `kernels/registry.py`. A strategy
declines what it cannot do with a reason in words.
"""

from __future__ import annotations

from fastcnn.kernels.cpu.conv import (
    direct,
    fft,
    im2col,
    im2col_blas,
    reference,
    sparse_gradients,
    winograd,
)
from fastcnn.kernels.registry import DIRECTIONS, Strategy, strategy, table

__all__ = ["DIRECTIONS", "STRATEGIES", "Strategy", "sparse_gradients"]

# The errors are those of the longest sums, ten thousand products and more, with room to spare: six
# times what F(4x4, 5x5) errs there, 1.6e-5, is winograd's.
STRATEGIES = table(
    strategy("direct", direct, 1e-5),
    strategy("im2col", im2col, 1e-5),
    strategy("im2col-blas", im2col_blas, 1e-5),
    strategy("winograd", winograd, 1e-4, m=4),
    strategy("winograd-2x2", winograd, 1e-5, m=2),
    strategy("fft", fft, 1e-5),
    strategy("reference", reference, 1e-5, automatic=False, columns=False),
    strategy("reference-im2col", reference, 1e-5, automatic=False, columns=True),
)
