"""The tiles' machine code, a function a size, and the table by which kernels call them.

Numba's optimizer would take most of a network's compile time for them, and make them slower: it
keeps every row's address in a register, until sums no longer have one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir

from fastcnn.kernels.cpu.runtime.function import kernel_function
from fastcnn.kernels.cpu.runtime.object_code import EmittedCode
from fastcnn.kernels.cpu.simd import register_tile, sparse_tile
from fastcnn.kernels.cpu.simd.emission import field_offsets
from fastcnn.kernels.cpu.simd.pointers import call_sparse_tile, call_tile, longs, words_at

HALVES, HEIGHTS = 3, register_tile.TALLEST + 1  # numbers from 0 on of a size's halves and height
SIZES = (register_tile.WIDEST + 1) * HALVES * HEIGHTS
SPARSE_HEIGHTS = sparse_tile.TALLEST + 1

Size = tuple[int, ...]


class Tile(NamedTuple):
    """A kind of tile: its functions' type, what emits one of a size, and the sizes' places in the
    table, which kernels find in the field `table` of their records."""

    kind: ir.FunctionType
    emit: Callable[[ir.Function, Any, dict[str, int]], None]
    indices: dict[Size, int]
    table: str


class TileCode(EmittedCode):
    """The functions of all sizes of a tile. `table`, int64[], has their addresses once loaded."""

    def __init__(self, name: str, tile: Tile, record: np.dtype):
        super().__init__(name, __name__, self._emit_tiles)
        self.field = tile.table
        self.table = np.zeros(max(tile.indices.values()) + 1, np.int64)
        self._tile = tile
        self._offsets = field_offsets(record)

    @property
    def address_of_table(self) -> int:
        """Where kernels find the table."""
        return int(self.table.ctypes.data)

    def _keep_addresses(self, address: Callable[[str], int], more: dict[str, Any]) -> None:
        for size, index in self._tile.indices.items():
            self.table[index] = address(self._name(size))

    def _emit_tiles(self, module: ir.Module) -> None:
        for size in self._tile.indices:
            function = ir.Function(module, self._tile.kind, self._name(size))
            self._tile.emit(function, size, self._offsets)

    def _name(self, size: Size) -> str:
        return f"fastcnn_{self.name}_{'x'.join(map(str, size))}"


def table_index(height: int, halves: int, width: int) -> int:
    """Return a size's place in the table of register tiles."""
    return (width * HALVES + halves) * HEIGHTS + height


def sparse_table_index(height: int, width: int) -> int:
    """Return a size's place in the table of sparse tiles."""
    return width * SPARSE_HEIGHTS + height


REGISTER_TILE = Tile(
    register_tile.TILE_TYPE,
    register_tile.emit_tile,
    {size: table_index(*size) for size in register_tile.tile_sizes()},
    "tile_table",
)
SPARSE_TILE = Tile(
    sparse_tile.SPARSE_TILE_TYPE,
    sparse_tile.emit_sparse_tile,
    {size: sparse_table_index(*size) for size in sparse_tile.sparse_tile_sizes()},
    "sparse_tile_table",
)

_table_index = kernel_function(table_index)
_sparse_table_index = kernel_function(sparse_table_index)


@kernel_function
def run_tiles(table, height, halves, width, grid, a, b, c, bias, count):
    """Compute `count` tiles of a size, one below the other, by the table at an address.

    Strides and loop counts are read from the record at `grid`: k2, k1, k0 with a_k*, b_k*; a_inner
    and c_inner between rows, a_outer and c_outer between halves; b_vector between vectors; lanes of
    the last vector; accumulate; relu.
    """
    tile = longs(table, SIZES)[_table_index(height, halves, width)]
    call_tile(tile, grid, a, b, c, bias, count)


@kernel_function
def run_sparse_tile(table, height, width, record, values, offsets, source, target, rows, columns):
    """Compute a sparse tile of a size, of rows x columns values, by the table at an address.

    The record has the strides: step, row_step, column_step, source_row, target_row.
    """
    tile = words_at(table)[_sparse_table_index(height, width)]
    call_sparse_tile(tile, record, values, offsets, source, target, rows, columns)
