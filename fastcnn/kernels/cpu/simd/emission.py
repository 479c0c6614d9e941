"""What the tiles are emitted with: loops, the fields of a record, multiply-adds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from llvmlite import ir

from fastcnn.kernels.cpu.simd.vector_unit import INT64, LANES, VECTOR
from fastcnn.kernels.lazy_numba import cgutils

Values = list[ir.Value]


def zeros() -> ir.Constant:
    """Return a vector of zeros."""
    return ir.Constant(VECTOR, [0.0] * LANES)


def fma_of(module: ir.Module) -> ir.Function:
    """Return the fused multiply-add of vectors, a * b + c rounded once, in a module."""
    kind = ir.FunctionType(VECTOR, [VECTOR] * 3)
    return cgutils.get_or_insert_function(module, kind, f"llvm.fma.v{LANES}f32")


def loop(
    builder: ir.IRBuilder, count: ir.Value, carried: list[ir.Value], body: Callable
) -> list[ir.Value]:
    """Emit `for _ in range(count): carried = body(carried)` and return the final values.

    A phi is a value as it was carried into a round, from before the loop or the round before.
    """
    before = builder.block
    head, inside, after = (builder.append_basic_block(name) for name in ("head", "body", "after"))
    builder.branch(head)
    builder.position_at_end(head)
    index = builder.phi(INT64)
    index.add_incoming(INT64(0), before)
    values = []
    for value in carried:
        phi = builder.phi(value.type)
        phi.add_incoming(value, before)
        values.append(phi)
    builder.cbranch(builder.icmp_signed("<", index, count), inside, after)
    builder.position_at_end(inside)
    updated = body(values)
    index.add_incoming(builder.add(index, INT64(1)), builder.block)
    for phi, value in zip(values, updated, strict=True):
        phi.add_incoming(value, builder.block)
    builder.branch(head)
    builder.position_at_end(after)
    return values


def loop_in_turns(
    builder: ir.IRBuilder,
    count: ir.Value,
    carried: Values,
    sets: int,
    turns: Callable[[int], Callable[[Values], Values]],
) -> Values:
    """Emit a loop of which `turns(n)` makes the body for n steps: so many sets of sums take turns,
    and the first one has the steps that are left."""
    if sets == 1:
        return loop(builder, count, carried, turns(1))
    carried = loop(builder, builder.sdiv(count, INT64(sets)), carried, turns(sets))
    return loop(builder, builder.srem(count, INT64(sets)), carried, turns(1))


def sets_of_sums(accumulators: int) -> int:
    """Return how many sets of sums a tile with this many accumulators keeps."""
    return 4 if accumulators <= 2 else 2 if accumulators < 8 else 1


def field_offsets(record: np.dtype) -> dict[str, int]:
    """Return where each field of a record begins, in bytes."""
    return {name: place[1] for name, place in (record.fields or {}).items()}


def field_of(builder: ir.IRBuilder, record: ir.Value, offset: int) -> ir.Value:
    """Emit the loading of a record's field, so many bytes from its beginning."""
    place = builder.gep(record, [INT64(offset)], source_etype=ir.IntType(8))
    return builder.load(builder.bitcast(place, INT64.as_pointer()), align=8)
