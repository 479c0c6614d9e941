"""A tile of the product of a sparse matrix and a dense one, for gradients that are mostly zero.

It holds H rows x V vectors of a result in registers, as the register tile does, and runs through
the numbers of a sparse matrix's row, each of which says where its row of the dense matrix lies:

    C[h, :] += sum over i of values[i] * B[offsets[i] + h * source_row, :]    h < H, V vectors

A number is spread once and multiplied with H * V vectors, which the multiply-adds read from memory
themselves. Nothing is compared or skipped on the way.
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from fastcnn.kernels.cpu.simd.emission import (
    Values,
    field_of,
    fma_of,
    loop,
    loop_in_turns,
    sets_of_sums,
    zeros,
)
from fastcnn.kernels.cpu.simd.memory import Memory
from fastcnn.kernels.cpu.simd.vector_unit import (
    FLOAT,
    INT32,
    INT64,
    LANES,
    POINTER,
    VECTOR,
    VECTOR_BYTES,
    splat_lanes,
)

# `void tile(record, values, offsets, source, target, rows, columns)`: addresses of a record and of
# numbers, and how many values there are in two nested loops.
SPARSE_TILE_TYPE = ir.FunctionType(ir.VoidType(), [POINTER, *[INT64] * 6])
TALLEST = 5
MOST_SUMS = 14  # vectors of sums; of 16 registers one more holds the spread number


def sparse_tile_sizes() -> list[tuple[int, int]]:
    """Return every (height, width) that a tile can have."""
    return [
        (height, width)
        for width in range(1, MOST_SUMS + 1)
        for height in range(1, min(TALLEST, MOST_SUMS // width) + 1)
    ]


def emit_sparse_tile(function: ir.Function, size: tuple[int, int], offsets: dict[str, int]) -> None:
    """Fill a function of SPARSE_TILE_TYPE: a tile of size (height, width).

    `offsets` tells where the record has each field, in bytes: `step` from one value to the next,
    `row_step` and `column_step` of the dense matrix with either loop, `source_row` and `target_row`
    between a tile's rows.
    """
    builder = ir.IRBuilder(function.append_basic_block())
    record, values, places, source, target, rows, columns = function.args
    tile = _SparseTile(builder, size, record, offsets)
    sums = tile.load_sums(target)
    more_sets = [zeros()] * (len(sums) * (tile.sets - 1))

    def one_row(carried: Values) -> Values:
        inside = tile.row(columns, carried)
        return [*inside[:2], builder.add(carried[2], tile.field("row_step")), *inside[3:]]

    sums = loop(builder, rows, [values, places, source, *sums, *more_sets], one_row)[3:]
    tile.store_sums(tile.added(sums), target)
    builder.ret_void()


class _SparseTile:
    """A tile of `height` rows, `width` vectors wide."""

    def __init__(
        self,
        builder: ir.IRBuilder,
        size: tuple[int, int],
        record: ir.Value,
        offsets: dict[str, int],
    ):
        self._height, self._width = size
        self._builder, self._record, self._offsets = builder, record, offsets
        self._memory = Memory(builder, INT64(LANES))
        self._fma = fma_of(builder.module)
        self._sums = self._height * self._width
        self.sets = sets_of_sums(self._sums)  # a small tile's, which take turns at the values

    def field(self, name: str) -> ir.Value:
        """Emit the loading of a field of the record."""
        return field_of(self._builder, self._record, self._offsets[name])

    def load_sums(self, target: ir.Value) -> Values:
        """Emit the loading of the sums so far."""
        return [
            self._memory.load(row, VECTOR_BYTES * v)
            for row in self._rows(target, self.field("target_row"))
            for v in range(self._width)
        ]

    def store_sums(self, sums: Values, target: ir.Value) -> None:
        """Emit their storing."""
        rows = self._rows(target, self.field("target_row"))
        for number, value in enumerate(sums):
            row, v = divmod(number, self._width)
            self._memory.store(value, rows[row], VECTOR_BYTES * v)

    def added(self, sums: Values) -> Values:
        """Emit the adding of all sets to the first one."""
        total = sums[: self._sums]
        for number in range(1, self.sets):
            more = sums[number * self._sums : (number + 1) * self._sums]
            total = [self._builder.fadd(a, b) for a, b in zip(total, more, strict=True)]
        return total

    def row(self, columns: ir.Value, carried: Values) -> Values:
        """Emit the inner loop: from `carried`, addresses and sums, to what they are behind it."""
        step, column_step = self.field("step"), self.field("column_step")
        source_row = self.field("source_row")

        def turns(sets: int) -> Callable[[Values], Values]:
            def body(carried: Values) -> Values:
                values, places, source, *sums = carried
                for number in range(sets):
                    part = slice(number * self._sums, (number + 1) * self._sums)
                    sums[part] = self._multiply_add(values, places, source, source_row, sums[part])
                    values = self._builder.add(values, step)
                    places = self._builder.add(places, step)
                    source = self._builder.add(source, column_step)
                return [values, places, source, *sums]

            return body

        return loop_in_turns(self._builder, columns, carried, self.sets, turns)

    def _multiply_add(
        self, values: ir.Value, places: ir.Value, source: ir.Value, row: ir.Value, sums: Values
    ) -> Values:
        """Emit one value's multiply-adds."""
        builder = self._builder
        value = builder.load(builder.inttoptr(values, FLOAT.as_pointer()), align=4)
        spread = splat_lanes(builder, value, VECTOR)
        offset = builder.load(builder.inttoptr(places, INT32.as_pointer()), align=4)
        first = builder.add(source, builder.sext(offset, INT64))
        operands = [
            self._memory.load(address, VECTOR_BYTES * v)
            for address in self._rows(first, row)
            for v in range(self._width)
        ]
        return [
            builder.call(self._fma, [spread, operand, total])
            for operand, total in zip(operands, sums, strict=True)
        ]

    def _rows(self, first: ir.Value, step: ir.Value) -> Values:
        rows = [first]
        for _ in range(1, self._height):
            rows.append(self._builder.add(rows[-1], step))
        return rows
