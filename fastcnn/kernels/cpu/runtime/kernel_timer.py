"""A kernel that times another, for the lab.

It stands in a table in the other kernel's place. The two words before the record say which kernel
that is, and how many ticks of the processor's clock it has run for on this thread.
"""

from __future__ import annotations

from llvmlite import ir

from fastcnn.kernels.cpu.runtime.intrinsic import intrinsic
from fastcnn.kernels.cpu.runtime.kernel import kernel, record
from fastcnn.kernels.cpu.runtime.njit_cache import cached_njit
from fastcnn.kernels.cpu.simd.pointers import INT64, address_of, call, longs
from fastcnn.kernels.lazy_numba import cgutils, types

KERNEL, TICKS = range(2)
WORDS = 2


@intrinsic
def ticks(typing):
    """Return the processor's clock, which counts at one constant rate on every core."""

    def emit(context, builder, signature, arguments):
        kind = ir.FunctionType(INT64, [])
        counter = cgutils.get_or_insert_function(builder.module, kind, "llvm.readcyclecounter")
        return builder.call(counter, [])

    return types.int64(), emit


@cached_njit()
def now():
    """Return the processor's clock."""
    return ticks()


@kernel(record())
def stopwatch(pointer):
    """Run the kernel named before the record and add its ticks to those noted there."""
    at = address_of(pointer)
    words = longs(at - 8 * WORDS, WORDS)
    begun = ticks()
    call(words[KERNEL], at)
    words[TICKS] += ticks() - begun
