"""Matrix products of a dense layer: y = x @ kernel + bias and its gradients, on the grid of tiles.

Rows are images. A small product runs with each block of images, while the block is in the cache;
one whose kernel outgrows the cache runs once for the whole batch, each part taking some of the
columns.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from fastcnn.kernels.call import BATCH, BLOCK, Calls, LayerOperands, Region
from fastcnn.kernels.cpu.gemm.packing import packed_matrix
from fastcnn.kernels.cpu.gemm.panels import multiply
from fastcnn.kernels.cpu.gemm.tiled import SPLIT_COLUMNS, SPLIT_INNER, grid_values, tiles
from fastcnn.kernels.cpu.simd.vector_unit import LANES, VECTOR_BYTES

BLOCK_ROWS = 8  # images of a block, for which tiles are chosen
LARGE = 512 << 10  # bytes of a kernel that should be read once a batch
HUGE = 64 << 20  # bytes of a kernel of which no copy is made


def _product(
    calls: Calls, operands: LayerOperands, inner: int, columns: int, **values: int
) -> None:
    """Emit y = x @ kernel for a kernel in the tiles' order, or in rows that are not far apart."""
    large = 4 * inner * columns > LARGE
    parts = min(16, ceil(columns / LANES)) if large else 1
    grid = _images_by_columns(operands, inner, columns) | {"relu": operands.relu}
    calls.emit(
        tiles,
        BATCH if large else BLOCK,
        "c",
        {"a": operands.x, "b": operands.kernel, "c": operands.y, "bias": operands.bias},
        parts=parts,
        **{**grid, **values},
        split=SPLIT_COLUMNS if large else 0,
    )


def _panels(
    calls: Calls, operands: LayerOperands, inner: int, columns: int, s_i: int, s_o: int
) -> None:
    """Emit y = x @ kernel for a large kernel, whose element (i, o) lies at i * s_i + o * s_o."""
    places = {"a": operands.x, "matrix": operands.kernel, "c": operands.y, "bias": operands.bias}
    grid = _images_by_columns(operands, inner, columns)
    multiply(calls, BATCH, places, grid, s_i=s_i, s_o=s_o, rectified=operands.relu)


def _images_by_columns(operands: LayerOperands, inner: int, columns: int) -> dict[str, int]:
    """Return the grid of a product whose rows are images."""
    x, y = operands.x, operands.y
    strides = {"a_inner": x.stride, "c_inner": y.stride, "k0": inner, "a_k0": 4}
    return grid_values(BLOCK_ROWS, columns, **strides, rows_are_images=1)


def forward(
    calls: Calls, operands: LayerOperands, sizes: tuple[int, int], training: bool = False
) -> None:
    """Emit y[units] = x[features] @ kernel + bias; sizes = (features, units).

    Where the weights stay, a large kernel is packed, so that each thread reads one stream.
    """
    features, units = sizes
    size = 4 * features * units
    if operands.scale is not None or (not training and LARGE < size < HUGE):
        layout = {"inner": features, "outputs": units, "s_i": units, "s_o": 1}
        packed = packed_matrix(calls, operands.kernel, layout, scale=operands.scale)
        steps = {"b_k0": VECTOR_BYTES, "b_vector": features * VECTOR_BYTES}
        _product(calls, replace(operands, kernel=packed), features, units, **steps)
    elif size > LARGE:
        _panels(calls, operands, features, units, units, 1)
    else:
        _product(calls, operands, features, units, b_k0=4 * units)


def dx(calls: Calls, dy: Region, kernel: Region, out: Region, sizes: tuple[int, int]) -> None:
    """Emit dx[features] = dy[units] @ kernel^T."""
    features, units = sizes
    if 4 * features * units > LARGE:
        _panels(calls, LayerOperands(dy, kernel, out), units, features, 1, units)
        return
    layout = {"inner": units, "outputs": features, "s_i": 1, "s_o": units}
    transposed = packed_matrix(calls, kernel, layout)
    steps = {"b_k0": VECTOR_BYTES, "b_vector": units * VECTOR_BYTES}
    _product(calls, LayerOperands(dy, transposed, out), units, features, **steps)


def dw(calls: Calls, x: Region, dy: Region, gradient: Region, sizes: tuple[int, int]) -> None:
    """Emit the kernel's gradient x^T @ dy: rows are features, the inner dimension is the batch."""
    features, units = sizes
    calls.emit(
        tiles,
        BATCH,
        "c",
        {"a": x, "b": dy, "c": gradient},
        parts=max(1, min(32, features // 14)),
        **grid_values(
            min(features, 14),
            units,
            k0_is_images=1,
            a_k0=x.stride,
            b_k0=dy.stride,
            a_inner=4,
            c_inner=4 * units,
            split=SPLIT_INNER,
        )
        | {"rows_inner": features},
    )


def bias_dw(calls: Calls, dy: Region, gradient: Region, units: int) -> None:
    """Emit the bias's gradient: a row of ones times dy, over the batch."""
    steps = {"k0_is_images": 1, "a_k0": 0, "b_k0": dy.stride}
    places = {"a": Region(4, "one"), "b": dy, "c": gradient}
    calls.emit(tiles, BATCH, "c", places, **grid_values(1, units, **steps))
