"""Raw memory for kernels: arrays at addresses, calls through addresses, atomic counters."""

from __future__ import annotations

import os
from collections.abc import Callable

from llvmlite import ir
from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

INT64 = ir.IntType(64)


def _pointer_to(element: types.Type) -> Callable:
    @intrinsic
    def pointer(typing, address):
        def emit(context, builder, signature, arguments):
            return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

        return types.CPointer(element)(types.int64), emit

    return pointer


_float_pointer = _pointer_to(types.float32)
_int_pointer = _pointer_to(types.int32)
long_pointer = _pointer_to(types.int64)
_double_pointer = _pointer_to(types.float64)


@njit
def floats(address, size):
    """Return float32[size] at an address."""
    return carray(_float_pointer(address), (size,))


@njit
def float_rows(address, rows, stride):
    """Return float32[rows, stride], side by side, at an address."""
    return carray(_float_pointer(address), (rows, stride))


@njit
def ints(address, size):
    """Return int32[size] at an address."""
    return carray(_int_pointer(address), (size,))


@njit
def longs(address, size):
    """Return int64[size] at an address."""
    return carray(long_pointer(address), (size,))


@njit
def doubles(address, size):
    """Return float64[size] at an address."""
    return carray(_double_pointer(address), (size,))


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


@intrinsic
def fetch_add(typing, address, amount):
    """Add to the int64 at an address atomically and return what it held before."""

    def emit(context, builder, signature, arguments):
        place = builder.inttoptr(arguments[0], INT64.as_pointer())
        return builder.atomic_rmw("add", place, arguments[1], "seq_cst")

    return types.int64(types.int64, types.int64), emit


@intrinsic
def load_atomic(typing, address):
    """Read the int64 at an address after everything that was written before it."""

    def emit(context, builder, signature, arguments):
        place = builder.inttoptr(arguments[0], INT64.as_pointer())
        return builder.load_atomic(place, "seq_cst", 8)

    return types.int64(types.int64), emit


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
