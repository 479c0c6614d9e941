"""Arrays that vector code may work on: on a cache line, and readable a little past their end."""

from __future__ import annotations

import numpy as np

LINE = 64  # bytes
SLACK = 256  # bytes that vector loads may read past an array's end


def vector_zeros(size: int) -> np.ndarray:
    """Return zeroed float32[size] that begins on a cache line and has slack behind it."""
    raw = np.zeros(size + (SLACK + LINE) // 4, np.float32)
    return raw[(-raw.ctypes.data % LINE) // 4 :][:size]
