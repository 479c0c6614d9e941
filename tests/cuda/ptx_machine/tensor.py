"""Tensor cores: mma.sync of a warp.

PTX ISA, "Matrix Fragments for mma.m16n8k8": with groupID = laneid >> 2 and
threadID_in_group = laneid % 4, a thread holds of

    A [16, 8]  a0 a2: row groupID, a1 a3: row groupID + 8
               a0 a1: column threadID_in_group, a2 a3: column threadID_in_group + 4
    B [8, 8]   b0: row threadID_in_group, b1: row threadID_in_group + 4; column groupID
    C [16, 8]  c0 c1: row groupID, c2 c3: row groupID + 8
               column 2 * threadID_in_group + (i & 1) of ci
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ptx_machine.accesses import registers
from ptx_machine.conversions import TF32_LEFT_OUT
from ptx_machine.frame import WARP, Frame
from ptx_machine.memory import Fault
from ptx_machine.parsing import Instruction

TF32_PRODUCT = "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32"
GROUP, PLACE = np.arange(WARP) // 4, np.arange(WARP) % 4
A_ROWS = [GROUP, GROUP + 8, GROUP, GROUP + 8]
A_COLUMNS = [PLACE, PLACE, PLACE + 4, PLACE + 4]
B_ROWS = [PLACE, PLACE + 4]
C_ROWS = [GROUP, GROUP, GROUP + 8, GROUP + 8]
C_COLUMNS = [2 * PLACE, 2 * PLACE + 1, 2 * PLACE, 2 * PLACE + 1]


def multiply_add(frame: Frame, one: Instruction) -> Callable[[np.ndarray], None]:
    """D = A @ B + C in TF32: products are exact, sums are rounded to float32 at their end."""
    if one.opcode != TF32_PRODUCT:
        raise KeyError(one.opcode)
    d, a, b, c = one.operands
    of_d = [frame.target(name, "f32")[0] for name in registers(d, 4)]
    of_a = [frame.source(name, "b32") for name in registers(a, 4)]
    of_b = [frame.source(name, "b32") for name in registers(b, 2)]
    of_c = [frame.source(name, "f32") for name in registers(c, 4)]

    def step(lanes: np.ndarray) -> None:
        warps = whole_warps(lanes)
        left, right = np.zeros((len(warps), 16, 8)), np.zeros((len(warps), 8, 8))
        for i, source in enumerate(of_a):
            left[:, A_ROWS[i], A_COLUMNS[i]] = _tf32(source)[warps]
        for i, source in enumerate(of_b):
            right[:, B_ROWS[i], GROUP] = _tf32(source)[warps]
        product = left @ right
        sums = [product[:, C_ROWS[i], C_COLUMNS[i]] + of_c[i][warps] for i in range(4)]
        for target, found in zip(of_d, sums, strict=True):
            target[warps] = found

    return step


def whole_warps(lanes: np.ndarray) -> np.ndarray:
    """Return the threads of the warps that take part, [warps, 32]; each must be whole."""
    if len(lanes) % WARP:
        raise Fault(f"needs whole warps, but the block has {len(lanes)} threads")
    by_warp = lanes.reshape(-1, WARP)
    taking_part = by_warp.any(axis=1)
    if not by_warp[taking_part].all():
        raise Fault("needs all threads of a warp at once")
    return np.arange(len(lanes)).reshape(-1, WARP)[taking_part]


def _tf32(bits: np.ndarray) -> np.ndarray:
    """The numbers that tensor cores see: the last bits are left out."""
    kept = np.uint32(0xFFFFFFFF >> TF32_LEFT_OUT << TF32_LEFT_OUT)
    return (bits & kept).view(np.float32).astype(float)
