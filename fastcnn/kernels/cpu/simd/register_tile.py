"""The register tile, the heart of the engine.

It holds M rows x V vectors of a result in registers
and runs through the inner dimension:

    C[m, :] = sum over k of A[m, k] * B[k, :]        m < M, V * LANES columns

One number of A is broadcast, one row of B is loaded as V vectors, and M * V fused multiply-adds
follow, with nothing going back to memory until the sum is complete. The inner dimension is three
nested loops with strides of their own, so the same tile serves convolutions (kernel row, kernel
column, channel), their gradients (image, row, pixel) and matrix products. It is emitted as LLVM
vector code, since no loop that a compiler vectorises by itself keeps 28 accumulators in registers.
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
    INT64,
    POINTER,
    REGISTERS,
    VECTOR,
    VECTOR_BYTES,
    rectified,
    splat_lanes,
)

# `void tile(grid, a, b, c, bias, count)`: addresses of a record, of numbers and of a bias or 0, and
# how many tiles there are one below the other.
TILE_TYPE = ir.FunctionType(ir.VoidType(), [POINTER, INT64, INT64, INT64, INT64, INT64])
# Vectors in a tile at most. Few registers make short tiles, which are worth their time if wide.
WIDEST = 3 if REGISTERS == 16 else 2
ROWS_A_REGISTER = 5  # rows of A whose addresses are made from one in a register
TALLEST = 14  # rows of one half of a tile at most


def tile_rows(width: int) -> int:
    """Return the most rows, in both halves together, that a tile of `width` vectors can hold."""
    # The accumulators, one row of B and one broadcast number must fit. One register stays spare,
    # but not of sixteen: four rows of three vectors take them all.
    spare = 1 if width < 3 else 0
    return min(2 * TALLEST // width, (REGISTERS - width - 1 - spare) // width)


def tile_sizes() -> list[tuple[int, int, int]]:
    """Return every (height, halves, width) that a tile can have."""
    return [
        (height, halves, width)
        for width in range(1, WIDEST + 1)
        for halves in (1, 2)
        for height in range(1, min(TALLEST, tile_rows(width) // halves) + 1)
    ]


def _opaque(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """Return a number of which LLVM is to know nothing, at no cost.

    LLVM would keep each row's distance from the first in a register of its own, of which there are
    too few, so that it then keeps sums in memory.
    """
    kind = ir.FunctionType(INT64, [INT64])
    return builder.asm(kind, "", "=r,0", [value], side_effect=False)


def emit_tile(function: ir.Function, size: tuple[int, int, int], offsets: dict[str, int]) -> None:
    """Fill a function of TILE_TYPE: tiles of size (height, halves, width), one below the other.

    `offsets` tells where the grid's record has each field, in bytes.
    """
    builder = ir.IRBuilder(function.append_basic_block())
    grid, a, b, c, bias, count = function.args
    tile = _Tile(builder, size, grid, offsets)
    down_a = builder.mul(tile.field("a_inner"), INT64(tile.height))
    down_c = builder.mul(tile.field("c_inner"), INT64(tile.height))

    def one_tile(addresses: Values) -> Values:
        a, c = addresses
        tile.emit(a, b, c, bias)
        return [builder.add(a, down_a), builder.add(c, down_c)]

    loop(builder, count, [a, c], one_tile)
    builder.ret_void()


class _Tile:
    """A tile of `height` rows in each of `halves` halves, `width` vectors wide."""

    def __init__(
        self,
        builder: ir.IRBuilder,
        size: tuple[int, int, int],
        grid: ir.Value,
        offsets: dict[str, int],
    ):
        self.height, self.halves, self.width = size
        self._builder, self._grid, self._offsets = builder, grid, offsets
        self._memory = Memory(builder, self.field("lanes"))
        self._fma = fma_of(builder.module)
        # Rows of A share an address in a register: `groups` of them, and the rows' step.
        self._groups_a_half = -(-self.height // ROWS_A_REGISTER)
        self._groups = self.halves * self._groups_a_half
        self._a_row = self.field("a_inner")
        # A fused multiply-add takes four cycles: a small tile needs more than one set of sums to
        # keep both units busy. The sets take turns at the steps of the innermost loop.
        self._sums = self.height * self.halves * self.width
        self._sets = sets_of_sums(self._sums)

    def field(self, name: str) -> ir.Value:
        """Emit the loading of a field of the grid's record."""
        return field_of(self._builder, self._grid, self._offsets[name])

    def emit(self, a: ir.Value, b: ir.Value, c: ir.Value, bias: ir.Value) -> None:
        """Emit the computing of the tile at these addresses."""
        builder = self._builder
        start = self._starting_sums(bias, c)
        more_sets = [zeros()] * (self._sums * (self._sets - 1))
        values = self._nested(2, [*self._first_rows_of_a(a), b, *start, *more_sets])
        sums = values[self._groups + 1 :]
        for number in range(1, self._sets):
            more = sums[number * self._sums : (number + 1) * self._sums]
            sums[: self._sums] = map(builder.fadd, sums[: self._sums], more)
        # No register is free to keep the rows' addresses meanwhile: they are worked out anew.
        self._store_sums(sums[: self._sums], self._rows_of_c(_opaque(builder, c)))

    def _rows_of_c(self, c: ir.Value) -> Values:
        builder, rows = self._builder, []
        for half in range(self.halves):
            at = builder.add(c, self.field("c_outer")) if half else c
            step = self.field("c_inner")
            rows += [builder.add(at, builder.mul(step, INT64(i))) for i in range(self.height)]
        return rows

    def _first_rows_of_a(self, a: ir.Value) -> Values:
        """Five rows share an address in a register: an x86 load adds 1, 2 or 4 times another to it.

        The second half's rows lie one outer step further on: the next image row, say.
        """
        builder, addresses = self._builder, []
        for half in range(self.halves):
            at = builder.add(a, self.field("a_outer")) if half else a
            for row in range(0, self.height, ROWS_A_REGISTER):
                addresses.append(builder.add(at, builder.mul(self._a_row, INT64(row))))
        return addresses

    def _row_of_a(self, first_rows: Values, row: int) -> ir.Value:
        half, row = divmod(row, self.height)
        group, row = divmod(row, ROWS_A_REGISTER)
        base = first_rows[half * self._groups_a_half + group]
        return self._builder.add(base, self._builder.mul(self._a_row, INT64(row))) if row else base

    def _starting_sums(self, bias: ir.Value, c: ir.Value) -> Values:
        """Emit the tile's first values: what C holds, else the bias, else zero."""
        builder = self._builder
        names = ("from_c", "not_c", "from_bias", "from_zero", "start")
        from_c, not_c, from_bias, from_zero, start = map(builder.append_basic_block, names)
        accumulate = builder.icmp_signed("!=", self.field("accumulate"), INT64(0))
        builder.cbranch(accumulate, from_c, not_c)
        builder.position_at_end(from_c)
        c_rows = self._rows_of_c(c)
        held = [value for row in c_rows for value in self._columns(row, self._memory.load_last)]
        builder.branch(start)
        builder.position_at_end(not_c)
        builder.cbranch(builder.icmp_signed("!=", bias, INT64(0)), from_bias, from_zero)
        builder.position_at_end(from_bias)
        biased = self._columns(bias, self._memory.load) * len(c_rows)
        builder.branch(start)
        builder.position_at_end(from_zero)
        builder.branch(start)
        builder.position_at_end(start)
        sums = []
        for held_value, bias_value in zip(held, biased, strict=True):
            phi = builder.phi(VECTOR)
            phi.add_incoming(held_value, from_c)
            phi.add_incoming(bias_value, from_bias)
            phi.add_incoming(zeros(), from_zero)
            sums.append(phi)
        return sums

    def _columns(self, address: ir.Value, load_last: Callable) -> Values:
        """Emit the loading of one row of the tile."""
        firsts = [self._memory.load(address, VECTOR_BYTES * v) for v in range(self.width - 1)]
        return [*firsts, load_last(address, VECTOR_BYTES * (self.width - 1))]

    def _nested(self, level: int, values: Values) -> Values:
        """Emit the loops over the inner dimension, from a level down."""
        if level == 0:
            return self._innermost_loop(values)
        steps = self.field(f"a_k{level}"), self.field(f"b_k{level}")

        def body(values: Values) -> Values:
            inside = self._nested(level - 1, values)
            return [*self._stepped(values, *steps), *inside[self._groups + 1 :]]

        return loop(self._builder, self.field(f"k{level}"), values, body)

    def _innermost_loop(self, values: Values) -> Values:
        a_step, b_step = self.field("a_k0"), self.field("b_k0")
        steps, size = self.field("k0"), self._sums

        def turns(sets: int) -> Callable[[Values], Values]:
            def body(values: Values) -> Values:
                places, sums = values[: self._groups + 1], values[self._groups + 1 :]
                for number in range(sets):
                    first_rows = [_opaque(self._builder, row) for row in places[:-1]]
                    part = slice(number * size, (number + 1) * size)
                    sums[part] = self._multiply_add(first_rows, places[-1], sums[part])
                    places = self._stepped([*first_rows, places[-1]], a_step, b_step)
                return [*places, *sums]

            return body

        return loop_in_turns(self._builder, steps, values, self._sets, turns)

    def _stepped(self, places: Values, a_step: ir.Value, b_step: ir.Value) -> Values:
        """Emit the next addresses of the rows of A and of B."""
        builder, b = self._builder, places[self._groups]
        return [
            *(builder.add(row, a_step) for row in places[: self._groups]),
            builder.add(b, b_step),
        ]

    def _multiply_add(self, first_rows: Values, b: ir.Value, sums: Values) -> Values:
        """Emit one step of the inner dimension."""
        builder, width = self._builder, self.width
        vectors = [b]
        for _ in range(width - 1):
            vectors.append(builder.add(vectors[-1], self.field("b_vector")))
        row_of_b = [self._memory.load(vector) for vector in vectors]
        result = []
        for row in range(self.height * self.halves):
            place = builder.inttoptr(self._row_of_a(first_rows, row), FLOAT.as_pointer())
            spread = splat_lanes(builder, builder.load(place, align=4), VECTOR)
            for v in range(width):
                operands = [spread, row_of_b[v], sums[row * width + v]]
                result.append(builder.call(self._fma, operands))
        return result

    def _store_sums(self, sums: Values, c_rows: Values) -> None:
        """Emit the tile's end: ReLU or ReLU6 where asked, then the stores."""
        builder = self._builder
        sums = rectified(builder, self.field("relu"), sums)
        past_caches = builder.icmp_signed("!=", self.field("stream"), INT64(0))
        with builder.if_else(past_caches, likely=False) as (stream, store):
            with stream:
                for index, value in enumerate(sums):
                    row, v = divmod(index, self.width)
                    self._memory.stream(value, c_rows[row], VECTOR_BYTES * v)
            with store:
                self._store_near(sums, c_rows)

    def _store_near(self, sums: Values, c_rows: Values) -> None:
        builder, width = self._builder, self.width
        last = VECTOR_BYTES * (width - 1)
        for index, value in enumerate(sums):
            row, v = divmod(index, width)
            if v < width - 1:
                self._memory.store(value, c_rows[row], VECTOR_BYTES * v)
        lasts = [builder.add(row, INT64(last)) for row in c_rows]
        self._memory.store_last(sums[width - 1 :: width], lasts)
