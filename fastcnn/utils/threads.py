"""How many threads the CPU engine uses."""

from __future__ import annotations

import os

import numba
from numba.np.ufunc import parallel

from fastcnn.utils.arguments import is_whole

_alone = False  # whether this process was forked from one whose threads ran


def num_threads() -> int:
    """Return the number of threads in use.

    It is 1 in the child of a fork whose parent had computed before: its threads are not in the
    child, and OpenMP starts no others there. Results have the same bits.
    """
    return 1 if _alone else int(numba.get_num_threads())


def set_num_threads(count: int) -> None:
    """Use `count` threads, from 1 to the number the process started with (NUMBA_NUM_THREADS).

    Raises:
        ValueError: `count` is no such number.
        RuntimeError: More than 1, in the child of a fork whose parent had computed before.
    """
    most: int = vars(numba.config)["NUMBA_NUM_THREADS"]
    if not is_whole(count) or not 1 <= count <= most:
        raise ValueError(
            f"set_num_threads: expected a whole number from 1 to {most}. Received {count!r}. "
            "Set NUMBA_NUM_THREADS before Python starts to allow more."
        )
    if not _alone:
        numba.set_num_threads(int(count))
    elif count > 1:
        raise RuntimeError(
            f"set_num_threads: received {count}, but this process was forked from one that had "
            "computed, whose threads do not live on: it computes on 1 thread. Start it with "
            "multiprocessing's 'spawn' or 'forkserver', or fork before the first computation."
        )


def _note_fork() -> None:
    global _alone
    _alone = _alone or bool(parallel._is_initialized)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)
