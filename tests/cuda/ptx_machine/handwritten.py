"""Programs written by hand for the machine: a body of instructions, and what they work on."""

from __future__ import annotations

import numpy as np

from ptx_machine.frame import GLOBAL_SPACING
from ptx_machine.machine import Machine
from ptx_machine.memory import Clock, Space
from ptx_machine.parsing import parse

MODULE = """
.version 9.0
.target sm_90
.address_size 64
// A comment; with a semicolon.
.visible .shared .align 16 .b8 shared_a[128];
.visible .shared .align 4 .b8 shared_b[16];
.visible .entry test(
    .param .u64 test_out,
    .param .u64 test_in,
    .param .u32 test_n
)
{
    .reg .pred  %p<6>;
    .reg .b16   %rs<6>;
    .reg .b32   %r<30>;
    .reg .b64   %rd<20>;
    .reg .f32   %f<30>;
    .reg .f64   %fd<10>;

    ld.param.u64  %rd1, [test_out];
    ld.param.u64  %rd2, [test_in];
    ld.param.u32  %r1, [test_n];
    mov.u32       %r2, %tid.x;
    mul.wide.u32  %rd3, %r2, 4;
    add.s64       %rd4, %rd1, %rd3;   // &out[thread]
    add.s64       %rd5, %rd2, %rd3;   // &in[thread]
    mov.u64       %rd6, shared_a;
    add.s64       %rd7, %rd6, %rd3;   // &shared_a[thread]
"""


def execute(body, out, given=None, n=0, threads=32, blocks=1, skipped=0):
    """Run a body with `out` and `given` in memory; return what `out` holds then."""
    memory = Space(Clock(), GLOBAL_SPACING)
    addresses = []
    for name, array in (("out", out), ("in", given)):
        data = np.zeros(0, np.uint8) if array is None else array.reshape(-1).view(np.uint8)
        unit = 4 if array is None else min(4, array.itemsize)
        addresses.append(memory.add(data, name, unit, skipped))
    Machine(parse(MODULE + body + "\n ret;\n}"), threads, memory).launch(blocks, (*addresses, n))
    return out


def floats(count=32):
    return np.full(count, np.nan, np.float32)


def integers(count=32):
    return np.full(count, -99, np.int32)
