"""Raw memory for kernels: arrays at addresses, calls through addresses, atomic counters."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from fastcnn.kernels.cpu.runtime.intrinsic import intrinsic
from fastcnn.kernels.cpu.simd.register_tile import TILE_TYPE
from fastcnn.kernels.cpu.simd.sparse_tile import SPARSE_TILE_TYPE
from fastcnn.kernels.cpu.simd.vector_unit import INT64, POINTER
from fastcnn.kernels.lazy_numba import cgutils, types


def emit_array(
    context: Any,
    builder: ir.IRBuilder,
    kind: types.Array,
    address: ir.Value,
    shape: Sequence[ir.Value],
) -> ir.Value:
    """Return a C-ordered array of a shape at an address, without an owner.

    Numba's `carray` does the same, but compiles two functions more for each kind of its arguments.
    """
    array = context.make_array(kind)(context, builder)
    item = context.get_abi_sizeof(context.get_data_type(kind.dtype))
    strides = [INT64(item)] if shape else []
    for size in shape[:0:-1]:
        strides.insert(0, builder.mul(strides[0], size))
    context.populate_array(
        array,
        data=builder.inttoptr(address, array.data.type),
        shape=cgutils.pack_array(builder, shape, INT64),
        strides=cgutils.pack_array(builder, strides, INT64),
        itemsize=INT64(item),
        meminfo=None,
    )
    return array._getvalue()


def _array_of(element: str) -> Callable:
    @intrinsic
    def array(typing, address, size):
        kind = types.Array(getattr(types, element), 1, "C")

        def emit(context, builder, signature, arguments):
            return emit_array(context, builder, kind, arguments[0], arguments[1:])

        return kind(types.int64, types.int64), emit

    return array


def _matrix_of(element: str) -> Callable:
    @intrinsic
    def matrix(typing, address, rows, columns):
        kind = types.Array(getattr(types, element), 2, "C")

        def emit(context, builder, signature, arguments):
            return emit_array(context, builder, kind, arguments[0], arguments[1:])

        return kind(types.int64, types.int64, types.int64), emit

    return matrix


# Arrays at addresses, `(address, size)` and `(address, rows, columns)`; the rows of a matrix lie
# side by side.
floats, float_rows = _array_of("float32"), _matrix_of("float32")
longs = _array_of("int64")
ints = _array_of("int32")
doubles = _array_of("float64")


def _pointer_to(element: str) -> Callable:
    @intrinsic
    def pointer(typing, address):
        kind = types.CPointer(getattr(types, element))

        def emit(context, builder, signature, arguments):
            return builder.inttoptr(arguments[0], context.get_value_type(kind))

        return kind(types.int64), emit

    return pointer


# Numbers from an address on: a C pointer, of which no end is known. It compiles in a fraction of an
# array's time, and knows no index from the end.
words_at = _pointer_to("int64")
half_words_at = _pointer_to("int32")
floats_at = _pointer_to("float32")


@intrinsic
def record_at(typing, pointer):
    """Return the record that a C pointer points to."""

    def emit(context, builder, signature, arguments):
        kind = context.get_value_type(signature.return_type)
        return builder.bitcast(arguments[0], kind)

    return pointer.dtype(pointer), emit


@intrinsic
def address_of(typing, pointer):
    """Return a C pointer's address as int64."""

    def emit(context, builder, signature, arguments):
        return builder.ptrtoint(arguments[0], INT64)

    return types.int64(pointer), emit


@intrinsic
def call(typing, address, argument):
    """Call the `void(record *)` at an address."""

    def emit(context, builder, signature, arguments):
        pointer = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer])
        function = builder.inttoptr(arguments[0], kind.as_pointer())
        builder.call(function, [builder.inttoptr(arguments[1], pointer)])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), emit


def _caller(kind: ir.FunctionType) -> tuple[Any, Callable]:
    """Return the signature and the emitter of a call of a tile's function of a type: of its
    address, a record's and further numbers."""

    def emit(
        context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]
    ) -> ir.Value:
        tile, record, *numbers = arguments
        function = builder.inttoptr(tile, kind.as_pointer())
        builder.call(function, [builder.inttoptr(record, POINTER), *numbers])
        return context.get_dummy_value()

    return types.void(*[types.int64] * (len(kind.args) + 1)), emit


@intrinsic
def call_tile(typing, address, grid, a, b, c, bias, count):
    """Call the register tile at an address, for `count` tiles one below the other."""
    return _caller(TILE_TYPE)


@intrinsic
def call_sparse_tile(typing, address, record, values, offsets, source, target, rows, columns):
    """Call the sparse tile at an address, for rows x columns values."""
    return _caller(SPARSE_TILE_TYPE)


@intrinsic
def call_lock(typing, address, lock, argument):
    """Call the `int(lock, int)` at an address, as Python's thread locks have it."""

    def emit(context, builder, signature, arguments):
        pointer = ir.IntType(8).as_pointer()
        number = ir.IntType(32)
        kind = ir.FunctionType(number, [pointer, number])
        function = builder.inttoptr(arguments[0], kind.as_pointer())
        flag = builder.trunc(arguments[2], number)
        builder.call(function, [builder.inttoptr(arguments[1], pointer), flag])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), emit


def _read_modify_write(operation: str) -> Any:
    """Return the signature and the emitter of one of LLVM's atomic operations."""

    def emit(
        context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]
    ) -> ir.Value:
        place = builder.inttoptr(arguments[0], INT64.as_pointer())
        return builder.atomic_rmw(operation, place, arguments[1], "seq_cst")

    return types.int64(types.int64, types.int64), emit


@intrinsic
def fetch_add(typing, address, amount):
    """Add to the int64 at an address atomically and return what it held before."""
    return _read_modify_write("add")


@intrinsic
def load_atomic(typing, address):
    """Read the int64 at an address after everything that was written before it."""

    def emit(context, builder, signature, arguments):
        place = builder.inttoptr(arguments[0], INT64.as_pointer())
        return builder.load_atomic(place, "seq_cst", 8)

    return types.int64(types.int64), emit


@intrinsic
def store_atomic(typing, address, value):
    """Write the int64 at an address before everything that is read or written after it."""

    def emit(context, builder, signature, arguments):
        place = builder.inttoptr(arguments[0], INT64.as_pointer())
        builder.store_atomic(arguments[1], place, "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), emit


@intrinsic
def exchange(typing, address, value):
    """Write the int64 at an address atomically and return what it held before."""
    return _read_modify_write("xchg")


@intrinsic
def compare_exchange(typing, address, expected, value):
    """Write the int64 at an address if it holds what is expected, atomically; say whether."""

    def emit(context, builder, signature, arguments):
        place = builder.inttoptr(arguments[0], INT64.as_pointer())
        pair = builder.cmpxchg(place, arguments[1], arguments[2], "seq_cst", "seq_cst")
        return builder.extract_value(pair, 1)

    return types.boolean(types.int64, types.int64, types.int64), emit


@intrinsic
def prefetch(typing, address):
    """Ask for the cache line at an address to be brought into the second-level cache."""

    def emit(context, builder, signature, arguments):
        pointer = ir.IntType(8).as_pointer()
        numbers = [ir.IntType(32)] * 3
        kind = ir.FunctionType(ir.VoidType(), [pointer, *numbers])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        settings = [ir.IntType(32)(value) for value in (0, 2, 1)]  # read, level 2, data
        builder.call(function, [builder.inttoptr(arguments[0], pointer), *settings])
        return context.get_dummy_value()

    return types.void(types.int64), emit


@intrinsic
def relax(typing):
    """Tell the CPU that this is a waiting loop."""

    def emit(context, builder, signature, arguments):
        triple = builder.module.triple
        if triple.startswith(("x86_64", "i686")):
            kind = ir.FunctionType(ir.VoidType(), [])
            pause = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause")
            builder.call(pause, [])
        return context.get_dummy_value()

    return types.void(), emit


@intrinsic
def give_way(typing):
    """Let the system run another thread on this core."""

    def emit(context, builder, signature, arguments):
        if os.name == "posix":
            kind = ir.FunctionType(ir.IntType(32), [])
            function = cgutils.get_or_insert_function(builder.module, kind, "sched_yield")
            builder.call(function, [])
        return context.get_dummy_value()

    return types.void(), emit
