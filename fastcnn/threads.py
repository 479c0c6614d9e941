"""How many threads the CPU engine uses."""

from __future__ import annotations

import numba

from fastcnn.arguments import is_whole


def num_threads() -> int:
    """Return the number of threads in use."""
    return numba.get_num_threads()


def set_num_threads(count: int) -> None:
    """Use `count` threads, from 1 to the number the process started with (NUMBA_NUM_THREADS)."""
    most: int = vars(numba.config)["NUMBA_NUM_THREADS"]
    if not is_whole(count) or not 1 <= count <= most:
        raise ValueError(
            f"set_num_threads: expected a whole number from 1 to {most}. Received {count!r}. "
            "Set NUMBA_NUM_THREADS before Python starts to allow more."
        )
    numba.set_num_threads(int(count))
