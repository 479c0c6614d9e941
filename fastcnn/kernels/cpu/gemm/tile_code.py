"""The register tiles' machine code, a function a size, and the table by which kernels call them.

Numba's optimizer would take most of a network's compile time for them, and make them slower: it
keeps every row's address in a register, until sums no longer have one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir

from fastcnn.kernels.cpu.runtime.function import kernel_function
from fastcnn.kernels.cpu.runtime.object_code import EmittedCode
from fastcnn.kernels.cpu.simd.pointers import call_tile, longs
from fastcnn.kernels.cpu.simd.register_tile import (
    TALLEST,
    TILE_TYPE,
    WIDEST,
    emit_tile,
    field_offsets,
    tile_sizes,
)

HALVES, HEIGHTS = 3, TALLEST + 1  # numbers from 0 on of a size's halves and height
SIZES = (WIDEST + 1) * HALVES * HEIGHTS


class TileCode(EmittedCode):
    """The functions of all sizes. `table`, int64[SIZES], has their addresses once loaded."""

    def __init__(self, grid: np.dtype):
        super().__init__("register_tiles", __name__, self._emit_tiles)
        self.table = np.zeros(SIZES, np.int64)
        self._offsets = field_offsets(grid)

    @property
    def address_of_table(self) -> int:
        """Where kernels find the table."""
        return int(self.table.ctypes.data)

    def _keep_addresses(self, address: Callable[[str], int], more: dict[str, Any]) -> None:
        for size in tile_sizes():
            self.table[table_index(*size)] = address(_name(size))

    def _emit_tiles(self, module: ir.Module) -> None:
        for size in tile_sizes():
            emit_tile(ir.Function(module, TILE_TYPE, _name(size)), size, self._offsets)


def _name(size: tuple[int, int, int]) -> str:
    height, halves, width = size
    return f"fastcnn_tile_{halves}x{height}x{width}"


def table_index(height: int, halves: int, width: int) -> int:
    """Return a size's place in the table."""
    return (width * HALVES + halves) * HEIGHTS + height


_table_index = kernel_function(table_index)


@kernel_function
def run_tiles(table, height, halves, width, grid, a, b, c, bias, count):
    """Compute `count` tiles of a size, one below the other, by the table at an address.

    Strides and loop counts are read from the record at `grid`: k2, k1, k0 with a_k*, b_k*; a_inner
    and c_inner between rows, a_outer and c_outer between halves; b_vector between vectors; lanes of
    the last vector; accumulate; relu.
    """
    tile = longs(table, SIZES)[_table_index(height, halves, width)]
    call_tile(tile, grid, a, b, c, bias, count)
