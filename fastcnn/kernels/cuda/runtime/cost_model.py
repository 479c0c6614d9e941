"""What the cost models of the CUDA strategies reckon with: an H200-class card, in nanoseconds.

The constants are its data sheet's, rounded down, and a guess for a launch: nothing was measured.
"""

from __future__ import annotations

PROCESSORS = 132
MULTIPLY_ADDS = 30_000.0  # a nanosecond, float32, all multiprocessors busy with nothing else
BYTES = 4_000.0  # a nanosecond, from and to global memory
LAUNCH = 3_000.0  # nanoseconds


def kernel_time(multiply_adds: float, traffic: float, blocks: int, share: float) -> float:
    """Estimate a kernel's nanoseconds.

    `share` is the part of the instructions that are multiply-adds; blocks beyond a multiple of the
    multiprocessors leave some of them idle.
    """
    waves = -(-blocks // PROCESSORS)
    busy = blocks / (waves * PROCESSORS)
    return LAUNCH + max(multiply_adds / (MULTIPLY_ADDS * share * busy), traffic / BYTES)
