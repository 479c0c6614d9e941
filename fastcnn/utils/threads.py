"""How many threads the CPU engine uses."""

from __future__ import annotations

from fastcnn.utils import numba_settings
from fastcnn.utils.arguments import is_whole

# The cores that this process may use, unless NUMBA_NUM_THREADS says otherwise.
MOST = numba_settings.threads()
_count = MOST


def num_threads() -> int:
    """The most threads that compute at a time.

    Returns:
        Their number, at least 1.
    """
    return _count


def set_num_threads(count: int) -> None:
    """Let up to `count` threads compute at a time.

    Results have the same bits with any.

    Args:
        count: From 1 to the number that the process started with: that of the cores, or
            NUMBA_NUM_THREADS.

    Raises:
        ValueError: `count` is no such number.
    """
    global _count
    if not is_whole(count) or not 1 <= count <= MOST:
        raise ValueError(
            f"set_num_threads: expected a whole number from 1 to {MOST}. Received {count!r}. "
            "Set NUMBA_NUM_THREADS before Python starts to allow more."
        )
    _count = int(count)
