"""The gradient of a convolution's bias."""

from __future__ import annotations

from fastcnn.kernels.call import BATCH, IMAGE, Calls, Region
from fastcnn.kernels.cpu.chunk_sums import empty_sums
from fastcnn.kernels.cpu.gemm.tiled import grid_values, tiles
from fastcnn.kernels.cpu.layout import fold_gradient
from fastcnn.kernels.cpu.simd.register_tile import WIDEST
from fastcnn.kernels.cpu.simd.vector_unit import LANES


def bias_dw(calls: Calls, pixels: int, filters: int, dy: Region, gradient: Region) -> None:
    """Emit the gradient of the bias: the sum over pixels, as a row of ones times dy.

    Several pixels side by side fill the vectors when there are few filters.
    """
    full = WIDEST * LANES
    together = max(p for p in range(1, max(1, full // filters) + 1) if pixels % p == 0)
    columns = together * filters
    partial = empty_sums(calls, columns, "partial db")
    inner = {"k0": pixels // together, "a_k0": 0, "b_k0": 4 * columns, "accumulate": 1}
    places = {"a": Region(4, "one"), "b": dy, "c": partial}
    calls.emit(tiles, IMAGE, "c", places, **grid_values(1, columns, **inner))
    calls.emit(
        fold_gradient,
        BATCH,
        "gradient",
        {"partial": partial, "gradient": gradient},
        several=1,
        taps_h=1,
        taps_w=1,
        wide_w=1,
        inner=1,
        outputs=filters,
        pixels=together,
        shift=0,
    )
