"""The GPU's strategies, in a table like the CPU's; `cycles` are nanoseconds here."""

from __future__ import annotations

from fastcnn.kernels.cuda.conv import direct, im2col, reference, winograd
from fastcnn.kernels.registry import DIRECTIONS, Strategy, strategy, table

__all__ = ["DIRECTIONS", "STRATEGIES", "Strategy"]

STRATEGIES = table(
    strategy("direct", direct, 1e-5),
    strategy("im2col", im2col, 1e-5),
    strategy("winograd", winograd, 4e-5, m=4),
    strategy("winograd-2x2", winograd, 1e-5, m=2),
    strategy("reference", reference, 1e-5, automatic=False, columns=False),
    strategy("reference-im2col", reference, 1e-5, automatic=False, columns=True),
)
