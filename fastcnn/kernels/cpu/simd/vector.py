"""Vector values for kernels: LANES floats in one register, loaded and stored at integer addresses.

For loops over channels that a compiler would not vectorise well: few channels, several results a
loop. `lanes` is how many floats of a vector count; those beyond are neither read nor written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from llvmlite import ir

from fastcnn.kernels.cpu.runtime.function import kernel_function
from fastcnn.kernels.cpu.runtime.intrinsic import intrinsic
from fastcnn.kernels.cpu.simd.emission import fma_of
from fastcnn.kernels.cpu.simd.memory import Memory
from fastcnn.kernels.cpu.simd.vector_unit import (
    LANES,
    VECTOR,
    splat_lanes,
)
from fastcnn.kernels.lazy_numba import LazyModule, types

if TYPE_CHECKING:
    from fastcnn.kernels.cpu.simd import vector_type as vectors
else:
    vectors = LazyModule("fastcnn.kernels.cpu.simd.vector_type")


Condition = Callable[[ir.IRBuilder, ir.Value, ir.Value], ir.Value]


@intrinsic
def load(typing, address, lanes):
    """Return the vector at an address; zero beyond `lanes`."""

    def emit(context, builder, signature, arguments):
        return Memory(builder, arguments[1]).load_last(arguments[0])

    return vectors.VECTOR_TYPE(types.int64, types.int64), emit


@intrinsic
def load_between(typing, address, first, end):
    """Return the vector at an address with zero in the lanes outside first..end, which are not
    read."""

    def emit(context, builder, signature, arguments):
        address, first, end = arguments
        memory = Memory(builder, end)
        memory.mask = builder.and_(memory.mask, builder.not_(Memory(builder, first).mask))
        return memory.load_last(address)

    return vectors.VECTOR_TYPE(types.int64, types.int64, types.int64), emit


@intrinsic
def store(typing, value, address, lanes):
    """Write the first `lanes` floats of a vector."""

    def emit(context, builder, signature, arguments):
        value, address, lanes = arguments
        Memory(builder, lanes).store_last([value], [address])
        return context.get_dummy_value()

    return types.void(vectors.VECTOR_TYPE, types.int64, types.int64), emit


@intrinsic
def stream(typing, value, address):
    """Write a vector to an address that is a multiple of its size, past the caches."""

    def emit(context, builder, signature, arguments):
        value, address = arguments
        Memory(builder, ir.Constant(ir.IntType(64), LANES)).stream(value, address)
        return context.get_dummy_value()

    return types.void(vectors.VECTOR_TYPE, types.int64), emit


@intrinsic
def first_lanes(typing, value, lanes):
    """Return a vector with its first lanes, and zero beyond."""

    def emit(context, builder, signature, arguments):
        value, lanes = arguments
        return builder.select(
            Memory(builder, lanes).mask, value, ir.Constant(VECTOR, [0.0] * LANES)
        )

    return vectors.VECTOR_TYPE(vectors.VECTOR_TYPE, types.int64), emit


@intrinsic
def splat(typing, number):
    """Return a vector with one number in every lane."""

    def emit(context, builder, signature, arguments):
        return splat_lanes(builder, arguments[0], VECTOR)

    return vectors.VECTOR_TYPE(types.float32), emit


@kernel_function
def fill(address, size, value):
    """Set `size` floats."""
    for i in range(0, size, LANES):
        store(value, address + 4 * i, min(LANES, size - i))


@kernel_function
def copy(target, source, size):
    """Copy `size` floats."""
    for i in range(0, size, LANES):
        lanes = min(LANES, size - i)
        store(load(source + 4 * i, lanes), target + 4 * i, lanes)


@intrinsic
def transpose(typing, source, source_step, target, target_step):
    """Write a block of LANES x LANES floats transposed; steps are the bytes between its rows."""

    def emit(context, builder, signature, arguments):
        source, source_step, target, target_step = arguments
        pointer = VECTOR.as_pointer()
        rows = []
        for _ in range(LANES):
            rows.append(builder.load(builder.inttoptr(source, pointer), align=4))
            source = builder.add(source, source_step)
        for row in _transposed(builder, rows):
            builder.store(row, builder.inttoptr(target, pointer), align=4)
            target = builder.add(target, target_step)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, types.int64), emit


def _transposed(builder: ir.IRBuilder, rows: list) -> list:
    """Emit log2(LANES) rounds that swap ever larger blocks between pairs of rows."""
    indices = ir.VectorType(ir.IntType(32), LANES)
    size = 1
    while size < LANES:
        # In groups of 2 * size lanes: the first halves of both rows, then the second halves.
        first = [i + (LANES - size if i // size % 2 else 0) for i in range(LANES)]
        second = [i + (LANES if i // size % 2 else size) for i in range(LANES)]
        swapped = list(rows)
        for low in range(LANES):
            if low // size % 2 == 0:
                pair = rows[low], rows[low + size]
                swapped[low] = builder.shuffle_vector(*pair, ir.Constant(indices, first))
                swapped[low + size] = builder.shuffle_vector(*pair, ir.Constant(indices, second))
        rows = swapped
        size *= 2
    return rows


def _binary(instruction: str) -> Callable:
    @intrinsic
    def operation(typing, a, b):
        def emit(context, builder, signature, arguments):
            return getattr(builder, instruction)(*arguments)

        return vectors.VECTOR_TYPE(vectors.VECTOR_TYPE, vectors.VECTOR_TYPE), emit

    return operation


add = _binary("fadd")
multiply = _binary("fmul")


@intrinsic
def fma(typing, a, b, c):
    """Return a * b + c, rounded once."""

    def emit(context, builder, signature, arguments):
        return builder.call(fma_of(builder.module), arguments)

    return vectors.VECTOR_TYPE(vectors.VECTOR_TYPE, vectors.VECTOR_TYPE, vectors.VECTOR_TYPE), emit


@intrinsic
def sum_of_lanes(typing, vector):
    """Return the sum of a vector's lanes, in float64 and in order."""

    def emit(context, builder, signature, arguments):
        wide = ir.DoubleType()
        total = ir.Constant(wide, 0.0)
        for lane in range(LANES):
            number = builder.extract_element(arguments[0], ir.IntType(32)(lane))
            total = builder.fadd(total, builder.fpext(number, wide))
        return total

    return types.float64(vectors.VECTOR_TYPE), emit


@intrinsic
def larger(typing, a, b):
    """Return the larger of two numbers, NaN where either is one."""

    def emit(context, builder, signature, arguments):
        a, b = arguments
        # As one instruction this is b where either is NaN.
        largest = builder.select(builder.fcmp_ordered(">", a, b), a, b)
        return builder.select(builder.fcmp_unordered("uno", a, a), a, largest)

    return vectors.VECTOR_TYPE(vectors.VECTOR_TYPE, vectors.VECTOR_TYPE), emit


def _selecting(condition: Condition) -> Callable:
    @intrinsic
    def choose(typing, a, b, yes, no):
        def emit(context, builder, signature, arguments):
            a, b, yes, no = arguments
            return builder.select(condition(builder, a, b), yes, no)

        return vectors.VECTOR_TYPE(
            vectors.VECTOR_TYPE, vectors.VECTOR_TYPE, vectors.VECTOR_TYPE, vectors.VECTOR_TYPE
        ), emit

    return choose


def _replaces(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
    # A NaN wins over every number and is never replaced, as in every framework's max pooling.
    larger = builder.fcmp_ordered(">", a, b)
    return builder.or_(larger, builder.fcmp_unordered("uno", a, a))


where_larger = _selecting(_replaces)  # a > b or a is NaN ? yes : no
# a < b or either is NaN ? yes : no
where_smaller = _selecting(lambda builder, a, b: builder.fcmp_unordered("<", a, b))
where_equal = _selecting(lambda builder, a, b: builder.fcmp_ordered("==", a, b))
