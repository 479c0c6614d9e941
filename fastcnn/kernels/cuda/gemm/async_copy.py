"""Copies from global into shared memory that go on while a thread does other work.

A thread starts copies, closes what it has started as a group, and later waits until no more than
so many of its last groups are on their way. Then it sees the numbers of the others itself; other
threads do after they have met. The instructions are written out as PTX. In the simulator a copy
arrives as late as it may, when its thread waits for it; until then NaN stands in its place.

NVIDIA, PTX ISA, "cp.async"; compute capability 8.0 and above.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

from fastcnn.kernels.cuda.runtime.device import SIMULATED, cuda

__all__ = ["close_group", "copying", "waiting"]

if SIMULATED:

    class _Started(threading.local):
        """A thread's copies by group, as functions that finish them; the last group is open."""

        def __init__(self) -> None:
            self.groups: list[list[Callable]] = [[]]

    _STARTED = _Started()

    def copying(floats: int) -> Callable:
        """Return the function that starts a copy of 1 or 4 floats.

        copy(shared, start, further, array, address, offset, valid) sets the floats from
        shared[start + further] to those so many numbers behind an address in the array, or to 0
        where not `valid`. Four floats begin at a multiple of 16 bytes in both memories.
        """

        def copy(
            shared: Any, start: int, further: int, array: Any, address: int, offset: int, valid: Any
        ) -> None:
            at, there = start + further, address + offset
            if at % floats or (valid and there % floats):
                raise ValueError(f"{floats} floats are copied from {there} to {at}, no multiples.")
            numbers = np.array(array[there : there + floats]) if valid else np.float32(0)
            shared[at : at + floats] = np.nan
            _STARTED.groups[-1].append(partial(shared.__setitem__, slice(at, at + floats), numbers))

        return copy

    def close_group() -> None:
        """Make the copies started since the last time a group."""
        _STARTED.groups.append([])

    def waiting(groups: int) -> Callable:
        """Return the function that waits until at most so many of the last groups remain."""

        def wait() -> None:
            while len(_STARTED.groups) - 1 > groups:
                for finish in _STARTED.groups.pop(0):
                    finish()

        return wait

else:
    from llvmlite import ir
    from numba import types

    _VOID, _LONG, _INT = ir.VoidType(), ir.IntType(64), ir.IntType(32)
    _SHARED = 3  # the address space
    # Of the bytes of a copy those beyond the last operand become zeros: here all of them or none.
    # Four floats leave out the cache of the multiprocessor: no other thread of the block has them.
    _COPY = """{
        .reg .u64 address;
        mad.wide.s32 address, $2, 4, $1;
        cp.async.%s.shared.global [$0], [address], %d, $3;
    }"""

    def _instruct(builder: Any, text: str, constraints: str, *args: Any) -> None:
        """Write an instruction that no reading or writing of memory may be moved across."""
        kind = ir.FunctionType(_VOID, [argument.type for argument in args])
        constraints = ",".join([*constraints.split(), "~{memory}"])
        builder.call(ir.InlineAsm(kind, text, constraints, side_effect=True), args)

    @cache
    def copying(floats: int) -> Callable:
        """Return the function that starts a copy of 1 or 4 floats.

        copy(shared, start, further, array, address, offset, valid) sets the floats from
        shared[start + further] to those so many numbers behind an address in the array, or to 0
        where not `valid`. Four floats begin at a multiple of 16 bytes in both memories.
        """
        text = _COPY % ("cg" if floats == 4 else "ca", 4 * floats)

        @cuda.extending.intrinsic
        def copy(typing, shared, start, further, array, address, offset, valid):
            def code(context, builder, signature, args):
                shared, start, further, _, address, offset, valid = args
                data = context.make_array(signature.args[0])(context, builder, shared).data
                kind = ir.PointerType(data.type.pointee, _SHARED)
                to = builder.ptrtoint(builder.addrspacecast(data, kind), _INT)
                for index in (start, further):
                    to = builder.add(to, builder.mul(index, _INT(4)))
                size = builder.select(valid, _INT(4 * floats), _INT(0))
                _instruct(builder, text, "r l r r", to, address, offset, size)
                return context.get_dummy_value()

            integer = types.int32
            kinds = (shared, integer, integer, array, types.int64, integer, types.boolean)
            return types.void(*kinds), code

        return copy

    @cuda.extending.intrinsic
    def close_group(typing):
        """Make the copies started since the last time a group."""

        def code(context, builder, signature, args):
            _instruct(builder, "cp.async.commit_group;", "")
            return context.get_dummy_value()

        return types.void(), code

    @cache
    def waiting(groups: int) -> Callable:
        """Return the function that waits until at most so many of the last groups remain."""

        @cuda.extending.intrinsic
        def wait(typing):
            def code(context, builder, signature, args):
                _instruct(builder, f"cp.async.wait_group {groups};", "")
                return context.get_dummy_value()

            return types.void(), code

        return wait
