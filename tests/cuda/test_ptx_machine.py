"""The machine that executes PTX, on programs written by hand whose results are known."""

from __future__ import annotations

import numpy as np
import pytest
from ptx_machine.handwritten import execute, floats, integers

LETTERS = {"pred": "%p", "16": "%rs", "32": "%r", "64": "%rd", "f32": "%f", "f64": "%fd"}
# Opcode, sources as PTX has them, the type of the result, the result.
RESULTS = [
    ("add.s32", "2147483647, 1", "s32", -(2**31)),
    ("sub.s32", "3, 5", "s32", -2),
    ("add.s64", "4294967296, -1", "s64", 2**32 - 1),
    ("mul.lo.s32", "65537, 65536", "s32", 65536),
    ("mul.hi.s32", "-1, 2", "s32", -1),
    ("mul.hi.u32", "-1, 2", "u32", 1),
    ("mul.wide.s32", "-65536, 65536", "s64", -(2**32)),
    ("mul.wide.u32", "-1, -1", "u64", (2**32 - 1) ** 2),
    ("mad.lo.s32", "3, -4, 5", "s32", -7),
    ("mad.wide.s32", "-3, 4, 5", "s64", -7),
    ("div.s32", "-7, 2", "s32", -3),
    ("div.s64", "7, -2", "s64", -3),
    ("div.u32", "-1, 2", "u32", 2**31 - 1),
    ("rem.s32", "-7, 2", "s32", -1),
    ("rem.u32", "-1, 10", "u32", 5),
    ("min.s32", "-1, 1", "s32", -1),
    ("min.u32", "-1, 1", "u32", 1),
    ("max.s64", "-1, 1", "s64", 1),
    ("neg.s32", "5", "s32", -5),
    ("abs.s32", "-5", "s32", 5),
    ("not.b32", "0", "s32", -1),
    ("xor.b32", "12, 10", "s32", 6),
    ("shl.b32", "3, 31", "u32", 2**31),
    ("shl.b32", "3, 32", "u32", 0),
    ("shr.s32", "-8, 1", "s32", -4),
    ("shr.s32", "-8, 40", "s32", -1),
    ("shr.u32", "-8, 28", "u32", 15),
    ("shr.u64", "-8, 64", "u64", 0),
    ("bfi.b64", "5, -1, 4, 3", "u64", 2**64 - 1 - 0x20),
    ("fma.rn.f32", "0f3F800800, 0f3F800800, 0fBF801000", "f32", 2.0**-24),
    ("fma.rm.f32", "0f3F800000, 0f3F800000, 0f33000000", "f32", 1.0),
    ("fma.rm.f32", "0f3F800000, 0f3F800000, 0fB3000000", "f32", 1 - 2.0**-24),
    ("add.rz.f32", "0f3F800000, 0fB3000000", "f32", 1 - 2.0**-24),
    ("add.rn.f32", "0f3F800000, 0fB2800000", "f32", 1.0),
    ("mul.ftz.f32", "0f00000001, 0f4F000000", "f32", 0.0),
    ("mul.f32", "0f00000001, 0f4F000000", "f32", 2.0**-118),
    ("max.f32", "0f7FC00000, 0fBF800000", "f32", -1.0),
    ("copysign.f32", "0f80000000, 0f40000000", "f32", -2.0),
    ("div.rn.f32", "0f3F800000, 0f40400000", "f32", np.float32(1) / np.float32(3)),
    ("sqrt.rn.f64", "0d4000000000000000", "f64", np.sqrt(2)),
    ("ex2.approx.ftz.f32", "0f00000000", "f32", 1.0),
    ("cvt.rni.f32.f32", "0f40200000", "f32", 2.0),
    ("cvt.rzi.s32.f32", "0fC0200000", "s32", -2),
    ("cvt.rzi.s32.f32", "0f7F800000", "s32", 2**31 - 1),
    ("cvt.rzi.s32.f32", "0f7FC00000", "s32", 0),
    ("cvt.s64.s32", "-5", "s64", -5),
    ("cvt.u64.u32", "-5", "s64", 2**32 - 5),
    ("cvt.u32.u64", "4294967301", "u32", 5),
    ("cvt.rn.f32.s64", "16777217", "f32", 2.0**24),
    ("cvt.rn.f32.f64", "0d3FF0000010000001", "f32", 1 + 2.0**-23),
    ("cvt.sat.f32.f32", "0f40000000", "f32", 1.0),
    # TF32: halves away from zero, in both directions.
    ("cvt.rna.tf32.f32", "0f3F801000", "b32", 0x3F802000),
    ("cvt.rna.tf32.f32", "0fBF801000", "b32", 0xBF802000),
    ("cvt.rna.tf32.f32", "0f3F800FFF", "b32", 0x3F800000),
]


@pytest.mark.parametrize(("opcode", "sources", "kind", "expected"), RESULTS)
def test_result(opcode, sources, kind, expected):
    register = LETTERS[kind if kind[0] == "f" else kind[1:]] + "9"
    stored = kind if kind[0] != "b" else "u32"
    out = np.zeros(1, f"{stored[0].replace('s', 'i')}{int(stored[1:]) // 8}")
    execute(f"{opcode} {register}, {sources}; st.global.{kind} [%rd1], {register};", out, threads=1)
    assert out[0] == expected


ONE, NAN = "0f3F800000", "0f7FC00000"
COMPARISONS = [
    ("lt.s32", "-1, 1", True),
    ("lt.u32", "-1, 1", False),
    ("ge.s64", "-1, 1", False),
    ("eq.f32", f"{ONE}, {ONE}", True),
    ("ne.f32", f"{ONE}, {NAN}", False),
    ("neu.f32", f"{ONE}, {NAN}", True),
    ("equ.f32", f"{ONE}, {NAN}", True),
    ("lt.f32", f"{ONE}, {NAN}", False),
    ("ltu.f32", f"{ONE}, {NAN}", True),
    ("geu.f32", "0f00000000, 0f3F800000", False),
    ("nan.f32", f"{ONE}, {NAN}", True),
    ("num.f32", f"{ONE}, {NAN}", False),
    ("lt.and.s32", "-1, 1, %p0", False),
    ("gt.or.s32", "-1, 1, %p0", False),
    ("lt.xor.s32", "-1, 1, %p0", True),
]


@pytest.mark.parametrize(("comparison", "sources", "expected"), COMPARISONS)
def test_comparison(comparison, sources, expected):
    body = f"""mov.pred %p0, 0; setp.{comparison} %p1, {sources};
        selp.s32 %r9, 1, 0, %p1; st.global.u32 [%rd1], %r9;"""
    assert execute(body, integers(1), threads=1)[0] == expected


def test_approximations_are_off_by_what_is_allowed():
    given = np.linspace(0.5, 4, 32, dtype=np.float32)
    body = "ld.global.f32 %f1, [%rd5]; rcp.approx.ftz.f32 %f2, %f1; st.global.f32 [%rd4], %f2;"
    error = np.abs(execute(body, floats(), given) * given.astype(float) - 1)
    assert 2**-24 < error.max() <= 1.5 * 2**-23


def test_threads_take_branches_apart_and_meet_again():
    """Odd threads add 10, even ones 20; then all count how many are with them."""
    body = """
        and.b32 %r3, %r2, 1; setp.eq.s32 %p1, %r3, 1;
        mov.u32 %r4, 1;
        @%p1 bra $L_odd;
        bra.uni $L_even;
    $L_odd:
        add.s32 %r4, %r4, 10;
        bra $L_end;
    $L_even:
        add.s32 %r4, %r4, 20;
    $L_end:
        bar.sync 0;
        st.global.u32 [%rd4], %r4;"""
    expected = np.where(np.arange(64) % 2, 11, 21)
    assert np.array_equal(execute(body, integers(64), threads=64), expected)


def test_each_thread_goes_round_a_loop_as_often_as_it_must():
    body = """
        mov.u32 %r3, 0; mov.u32 %r4, 0;
    $L_loop:
        setp.ge.u32 %p1, %r3, %r2;
        @%p1 bra $L_end;
        add.s32 %r3, %r3, 1; add.s32 %r4, %r4, %r3;
        bra.uni $L_loop;
    $L_end:
        st.global.u32 [%rd4], %r4;"""
    threads = np.arange(40)
    assert np.array_equal(execute(body, integers(40), threads=40), threads * (threads + 1) // 2)


def test_guards_and_scopes_within_inline_code():
    """What the compiler makes of inline PTX: declarations of their own within braces."""
    body = """
        setp.lt.u32 %p1, %r2, %r1;
        selp.u32 %r3, 1, 0, %p1;
        // begin inline asm
        {
            .reg .pred valid;
            .reg .u64 address;
            setp.ne.u32 valid, %r3, 0;
            mad.wide.s32 address, %r2, 4, %rd2;
            mov.f32 %f1, 0f00000000;
            @valid ld.global.f32 %f1, [address];
        }
        // end inline asm
        @!%p1 mov.f32 %f1, 0fBF800000;
        st.global.f32 [%rd4], %f1;"""
    given = np.arange(5, dtype=np.float32)
    found = execute(body, floats(), given, n=5)
    assert np.array_equal(found, [0, 1, 2, 3, 4] + 27 * [-1])


def test_the_grid():
    body = """
        mov.u32 %r3, %ctaid.y; mov.u32 %r4, %nctaid.x; mov.u32 %r5, %ctaid.x;
        mad.lo.s32 %r6, %r3, %r4, %r5; mov.u32 %r7, %ntid.x; mad.lo.s32 %r8, %r6, %r7, %r2;
        mul.wide.s32 %rd8, %r8, 4; add.s64 %rd9, %rd1, %rd8; st.global.u32 [%rd9], %r8;"""
    assert np.array_equal(execute(body, integers(48), threads=8, blocks=(2, 3)), np.arange(48))


def test_an_unknown_instruction_is_named():
    with pytest.raises(NotImplementedError, match=r"popc\.b32"):
        execute("popc.b32 %r3, %r2;", integers())
    with pytest.raises(NotImplementedError, match="sat"):
        execute("add.sat.s32 %r3, %r2, 1;", integers())


def test_tensor_cores_numbers_lie_where_the_document_says():
    """Two warps, each with matrices of its own; 13 bits of the factors are not looked at."""
    rng = np.random.default_rng(0)
    a = rng.integers(-8, 8, (2, 16, 8)).astype(np.float32)
    b = rng.integers(-8, 8, (2, 8, 8)).astype(np.float32)
    c = rng.integers(-8, 8, (2, 16, 8)).astype(np.float32)
    held = np.zeros((64, 10), np.float32)
    for thread in range(64):
        warp, lane = divmod(thread, 32)
        group, place = lane >> 2, lane % 4
        for i in range(4):
            held[thread, i] = a[warp, group + 8 * (i in (1, 3)), place + 4 * (i >= 2)]
            held[thread, 6 + i] = c[warp, group + 8 * (i >= 2), 2 * place + (i & 1)]
        for i in range(2):
            held[thread, 4 + i] = b[warp, place + 4 * i, group]
    held[:, :6].view(np.uint32)[...] |= 0x1FFF
    loads = "".join(f"ld.global.b32 %r{10 + i}, [%rd9+{4 * i}];" for i in range(6))
    sums = "".join(f"ld.global.f32 %f{1 + i}, [%rd9+{24 + 4 * i}];" for i in range(4))
    body = f"""
        mul.wide.u32 %rd8, %r2, 40; add.s64 %rd9, %rd2, %rd8; {loads} {sums}
        mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {{%f5, %f6, %f7, %f8}},
            {{%r10, %r11, %r12, %r13}}, {{%r14, %r15}}, {{%f1, %f2, %f3, %f4}};
        mul.wide.u32 %rd8, %r2, 16; add.s64 %rd9, %rd1, %rd8;
        st.global.v4.f32 [%rd9], {{%f5, %f6, %f7, %f8}};"""
    found = execute(body, floats(256), held, threads=64).reshape(64, 4)
    expected = a @ b + c
    for thread in range(64):
        warp, lane = divmod(thread, 32)
        for i in range(4):
            row, column = (lane >> 2) + 8 * (i >= 2), 2 * (lane % 4) + (i & 1)
            assert found[thread, i] == expected[warp, row, column]
