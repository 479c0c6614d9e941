"""Loads and stores of vectors, of which the last may have fewer lanes that count."""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from fastcnn.kernels.cpu.simd.vector_unit import (
    INT32,
    INT64,
    LANES,
    MASK,
    MASKED_STORES,
    VECTOR,
    VECTOR_BYTES,
    splat_lanes,
)
from fastcnn.kernels.lazy_numba import cgutils


class Memory:
    """Loads and stores of vectors at integer addresses, emitted at a builder.

    `lanes` is how many lanes count of the vectors that are called last: those beyond are neither
    read nor written.
    """

    def __init__(self, builder: ir.IRBuilder, lanes: ir.Value):
        self.builder = builder
        self._lanes = lanes
        numbers = ir.VectorType(INT32, LANES)
        limit = splat_lanes(builder, builder.trunc(lanes, INT32), numbers)
        self.mask = builder.icmp_signed("<", ir.Constant(numbers, list(range(LANES))), limit)

    def load(self, address: ir.Value, offset: int = 0) -> ir.Value:
        """Return the vector at an address and so many bytes."""
        return self.builder.load(self._pointer(address, offset), align=4)

    def load_last(self, address: ir.Value, offset: int = 0) -> ir.Value:
        """Return the vector at an address and so many bytes, zero in the lanes beyond."""
        pointer = self._pointer(address, offset)
        zeros = ir.Constant(VECTOR, [0.0] * LANES)
        masked_load = self._intrinsic("load", VECTOR, pointer.type, INT32, MASK, VECTOR)
        return self.builder.call(masked_load, [pointer, INT32(4), self.mask, zeros])

    def store(self, value: ir.Value, address: ir.Value, offset: int = 0) -> None:
        """Write a vector to an address and so many bytes."""
        self.builder.store(value, self._pointer(address, offset), align=4)

    def stream(self, value: ir.Value, address: ir.Value, offset: int = 0) -> None:
        """Write a vector past the caches, to a multiple of its size."""
        written = self.builder.store(value, self._pointer(address, offset), align=VECTOR_BYTES)
        once = self.builder.module.add_metadata([INT32(1)])
        written.set_metadata("nontemporal", once)

    def store_last(self, values: Sequence[ir.Value], addresses: Sequence[ir.Value]) -> None:
        """Write the lanes that count of vectors, each to its address."""
        if MASKED_STORES:
            self._store_masked(values, addresses)
            return
        whole = self.builder.icmp_signed(">=", self._lanes, INT64(LANES))
        with self.builder.if_else(whole, likely=True) as (all_lanes, first_lanes):
            with all_lanes:
                for value, address in zip(values, addresses, strict=True):
                    self.store(value, address)
            with first_lanes:
                self._store_pieces(list(values), list(addresses))

    def _store_masked(self, values: Sequence[ir.Value], addresses: Sequence[ir.Value]) -> None:
        for value, address in zip(values, addresses, strict=True):
            pointer = self._pointer(address, 0)
            none = ir.VoidType()
            masked_store = self._intrinsic("store", none, VECTOR, pointer.type, INT32, MASK)
            self.builder.call(masked_store, [value, pointer, INT32(4), self.mask])

    def _store_pieces(self, values: list[ir.Value], addresses: list[ir.Value]) -> None:
        """Write fewer lanes than all as the digits of their number say: four, two, one of them."""
        builder, piece = self.builder, LANES // 2
        while piece:
            digit = builder.and_(self._lanes, INT64(piece))
            has_piece = builder.icmp_signed("!=", digit, INT64(0))
            before = builder.block
            with builder.if_then(has_piece):
                for value, address in zip(values, addresses, strict=True):
                    first = self._lanes_from(value, 0, piece)
                    place = builder.inttoptr(address, first.type.as_pointer())
                    builder.store(first, place, align=4)
                rest = [self._lanes_from(value, piece, LANES) for value in values]
                further = [builder.add(address, INT64(4 * piece)) for address in addresses]
                inside = builder.block
            values = self._merged(values, before, rest, inside)
            addresses = self._merged(addresses, before, further, inside)
            piece //= 2

    def _lanes_from(self, value: ir.Value, first: int, count: int) -> ir.Value:
        """Return `count` lanes of a vector from one on, any number in those beyond its last."""
        numbers = ir.VectorType(INT32, count)
        lanes = [min(first + lane, LANES - 1) for lane in range(count)]
        empty = ir.Constant(VECTOR, ir.Undefined)
        return self.builder.shuffle_vector(value, empty, ir.Constant(numbers, lanes))

    def _merged(
        self, values: list[ir.Value], before: ir.Block, others: list[ir.Value], inside: ir.Block
    ) -> list[ir.Value]:
        """Return what each value is behind a branch."""
        merged = []
        for value, other in zip(values, others, strict=True):
            phi = self.builder.phi(value.type)
            phi.add_incoming(value, before)
            phi.add_incoming(other, inside)
            merged.append(phi)
        return merged

    def _pointer(self, address: ir.Value, offset: int) -> ir.Value:
        moved = self.builder.add(address, INT64(offset)) if offset else address
        return self.builder.inttoptr(moved, VECTOR.as_pointer())

    def _intrinsic(self, name: str, result: ir.Type, *parameters: ir.Type) -> ir.Function:
        kind = ir.FunctionType(result, parameters)
        full_name = f"llvm.masked.{name}.v{LANES}f32.p0"
        return cgutils.get_or_insert_function(self.builder.module, kind, full_name)
