"""Arrays that vector code may work on: on a cache line, and readable a little past their end."""

from __future__ import annotations

import numpy as np

LINE = 64  # bytes
UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
SLACK = 256  # bytes that vector loads may read past an array's end


def bytes_text(count: int) -> str:
    """A number of bytes for people: "3.5 GiB"."""
    power = min((max(count, 1).bit_length() - 1) // 10, len(UNITS) - 1)
    tenths = 10 * count // 1024**power
    return f"{count} bytes" if not power else f"{tenths // 10:,}.{tenths % 10} {UNITS[power]}"


def vector_zeros(size: int) -> np.ndarray:
    """Return zeroed float32[size] that begins on a cache line and has slack behind it.

    MemoryError with the bytes where there is no room for it.
    """
    try:
        raw = np.zeros(size + (SLACK + LINE) // 4, np.float32)
    except (MemoryError, OverflowError, ValueError):
        raise MemoryError(
            f"The model needs an array of {bytes_text(4 * size)}, more than this computer can "
            "give. Make its layers or images smaller, or the batch."
        ) from None
    return raw[(-raw.ctypes.data % LINE) // 4 :][:size]
