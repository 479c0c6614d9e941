"""Memory, barriers and copies of the machine that executes PTX: what it lets threads do.

Of each program that is wrong it says what is wrong.
"""

from __future__ import annotations

import numpy as np
import pytest
from ptx_machine.handwritten import execute, floats, integers
from ptx_machine.machine import MachineError

REVERSED = """
    cvt.rn.f32.u32 %f1, %r2;
    st.shared.f32 [%rd7], %f1;
    {barrier}
    sub.s32 %r3, 31, %r2; mul.wide.s32 %rd8, %r3, 4; add.s64 %rd9, %rd6, %rd8;
    ld.shared.f32 %f2, [%rd9];
    st.global.f32 [%rd4], %f2;"""


def test_shared_memory_and_a_barrier():
    found = execute(REVERSED.format(barrier="bar.sync 0;"), floats())
    assert np.array_equal(found, np.arange(32)[::-1])


FAULTS = {
    "no barrier before a read": (REVERSED.format(barrier=""), "another thread writes at byte"),
    "no barrier before the next write": (
        REVERSED.format(barrier="bar.sync 0;") + "st.shared.f32 [%rd7], %f2;",
        "where another thread reads at byte",
    ),
    "two threads write different numbers": (
        "st.shared.u32 [%rd6], %r2;",
        "two threads write different numbers",
    ),
    "shared memory that is not written": (
        "ld.shared.f32 %f1, [%rd6];",
        "what nobody has written",
    ),
    "shared memory beyond an array": (
        "st.shared.u32 [%rd7+124], %r2;",
        "accesses 4 bytes of shared_a at byte 128, but it has 128 bytes",
    ),
    "a vector that is not aligned": (
        "ld.global.v4.f32 {%f1, %f2, %f3, %f4}, [%rd5];",
        "at byte 4, an address that is not a multiple of 16",
    ),
    "an array no better aligned than it is declared": (
        "mov.u64 %rd8, shared_b; st.shared.v2.f32 [%rd8], {%f1, %f2};",
        "of shared_b at byte 0, an address that is not a multiple of 8",
    ),
    "beyond an array": (
        "ld.global.f32 %f1, [%rd5+4];",
        "accesses 4 bytes of in at byte 128, but it has 128 bytes",
    ),
    "before an array": ("ld.global.f32 %f1, [%rd5+-4];", "at byte -4"),
    "no array": ("mov.u64 %rd8, 64; ld.global.f32 %f1, [%rd8];", "0x40, where no array is"),
    "some threads at a barrier": (
        "setp.lt.u32 %p1, %r2, 7; @%p1 bar.sync 0;",
        "25 threads have ended while others wait",
    ),
    "threads at two barriers": (
        """setp.lt.u32 %p1, %r2, 7; @%p1 bra $L_other;
        bar.sync 0; ret;
        $L_other: bar.sync 0;""",
        "threads wait at 2 different barriers",
    ),
    "no end": ("$L_loop: bra $L_loop;", "does not end"),
    "half a warp": (
        """setp.lt.u32 %p1, %r2, 16;
        @%p1 mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32
        {%f1,%f2,%f3,%f4}, {%r3,%r4,%r5,%r6}, {%r7,%r8}, {%f1,%f2,%f3,%f4};""",
        "all threads of a warp",
    ),
}


@pytest.mark.parametrize(("body", "message"), FAULTS.values(), ids=FAULTS)
def test_fault(body, message, monkeypatch):
    monkeypatch.setattr("ptx_machine.machine.MOST_TURNS", 1000)
    with pytest.raises(MachineError, match=message) as raised:
        execute(body, floats(), np.zeros(32, np.float32))
    assert "test, block (0, 0, 0)" in str(raised.value)


def test_blocks_must_not_write_what_others_read_or_write():
    with pytest.raises(MachineError, match="where another thread wrote"):
        execute("mov.u32 %r3, %ctaid.x; st.global.u32 [%rd4], %r3;", integers(), blocks=2)
    with pytest.raises(MachineError, match="what another thread writes"):
        body = """mov.u32 %r3, %ctaid.x; setp.eq.s32 %p1, %r3, 0;
            @%p1 st.global.u32 [%rd4], %r3; ld.global.u32 %r4, [%rd4];"""
        execute(body, integers(), blocks=2)


def test_threads_may_write_the_same_number():
    assert execute("mov.u32 %r3, 7; st.global.u32 [%rd1], %r3;", integers(1), blocks=3)[0] == 7


def test_vectors():
    body = """
        mul.wide.u32 %rd8, %r2, 16; add.s64 %rd9, %rd2, %rd8; add.s64 %rd10, %rd1, %rd8;
        ld.global.v4.f32 {%f1, %f2, %f3, %f4}, [%rd9];
        st.global.v4.f32 [%rd10], {%f4, %f3, %f2, %f1};"""
    given = np.arange(32, dtype=np.float32)
    found = execute(body, floats(), given, threads=8)
    assert np.array_equal(found.reshape(8, 4), given.reshape(8, 4)[:, ::-1])


def test_arrays_may_begin_anywhere():
    body = "ld.global.f32 %f1, [%rd5]; st.global.f32 [%rd4], %f1;"
    given = np.arange(32, dtype=np.float32)
    assert np.array_equal(execute(body, floats(), given, skipped=4), given)


def test_narrow_numbers_and_registers_in_pairs():
    body = """
        cvt.u64.u32 %rd8, %r2; add.s64 %rd9, %rd2, %rd8;
        ld.global.u8 %rs1, [%rd9]; cvt.u32.u16 %r3, %rs1;
        ld.global.s8 %r4, [%rd9];
        mov.b64 %rd10, {%r3, %r4}; mov.b64 {%r5, %r6}, %rd10;
        mul.lo.s32 %r7, %r5, 1000; add.s32 %r8, %r7, %r6; st.global.u32 [%rd4], %r8;"""
    given = np.arange(120, 152).astype(np.uint8)
    expected = given.astype(int) * 1000 + given.view(np.int8)
    assert np.array_equal(execute(body, integers(), given), expected)


def test_generic_addresses():
    body = """
        cvta.to.global.u64 %rd8, %rd5; cvta.shared.u64 %rd9, %rd7;
        ld.f32 %f1, [%rd8]; st.f32 [%rd9], %f1;
        cvta.to.shared.u64 %rd10, %rd9; ld.shared.f32 %f2, [%rd10];
        st.f32 [%rd4], %f2;"""
    given = np.arange(32, dtype=np.float32)
    assert np.array_equal(execute(body, floats(), given), given)


COPY = """
    cp.async.ca.shared.global [%rd7], [%rd5], 4, {bytes};
    cp.async.commit_group;
    {between}
    ld.shared.f32 %f1, [%rd7];
    st.global.f32 [%rd4], %f1;"""


def copied(between, many="4", threads=32):
    given = np.arange(1, 33, dtype=np.float32)
    return execute(COPY.format(between=between, bytes=many), floats(), given, threads=threads)


def test_a_copy_comes_when_it_is_waited_for():
    assert np.array_equal(copied("cp.async.wait_group 0;"), np.arange(1, 33))
    assert np.array_equal(copied("cp.async.wait_all;"), np.arange(1, 33))
    for between in ("", "bar.sync 0;", "cp.async.wait_group 1; bar.sync 0;"):
        with pytest.raises(MachineError, match="a copy is still under way"):
            copied(between)


def test_a_copy_fills_with_zeros_and_reads_nothing_for_them():
    body = """
        setp.lt.u32 %p1, %r2, %r1; selp.u32 %r3, 4, 0, %p1;
        cp.async.ca.shared.global [%rd7], [%rd5], 4, %r3;
        cp.async.wait_all; ld.shared.f32 %f1, [%rd7]; st.global.f32 [%rd4], %f1;"""
    found = execute(body, floats(), np.ones(3, np.float32), n=3)
    assert np.array_equal(found, [1, 1, 1] + 29 * [0])


def test_groups_of_copies_come_one_after_the_other():
    """Four floats a thread and group; the first group is there, the second is not."""
    body = """
        mul.wide.u32 %rd8, %r2, 16; add.s64 %rd9, %rd6, %rd8; add.s64 %rd10, %rd2, %rd8;
        cp.async.cg.shared.global [%rd9], [%rd10], 16; cp.async.commit_group;
        cp.async.cg.shared.global [%rd9+64], [%rd10+64], 16; cp.async.commit_group;
        cp.async.wait_group 1;
        ld.shared.v4.f32 {%f1, %f2, %f3, %f4}, [%rd9];
        add.s64 %rd11, %rd1, %rd8; st.global.v4.f32 [%rd11], {%f1, %f2, %f3, %f4};
        setp.ne.s32 %p1, %r1, 0; @%p1 ld.shared.f32 %f1, [%rd9+64];"""
    given = np.arange(32, dtype=np.float32)
    assert np.array_equal(execute(body, floats(16), given, threads=4), given[:16])
    with pytest.raises(MachineError, match="a copy is still under way"):
        execute(body, floats(16), given, n=1, threads=4)


def test_copies_are_seen_by_others_behind_a_barrier():
    reading = """xor.b32 %r3, %r2, 1; mul.wide.u32 %rd8, %r3, 4; add.s64 %rd7, %rd6, %rd8;"""
    found = copied(f"cp.async.wait_all; bar.sync 0; {reading}")
    assert np.array_equal(found.reshape(16, 2)[:, ::-1].ravel(), np.arange(1, 33))
    with pytest.raises(MachineError, match="another thread writes"):
        copied(f"cp.async.wait_all; {reading}")
    with pytest.raises(MachineError, match="another thread reads"):
        again = "cp.async.ca.shared.global [%rd7], [%rd5], 4; cp.async.wait_all;"
        copied(f"cp.async.wait_all; bar.sync 0; ld.shared.f32 %f2, [%rd7]; {reading} {again}")
