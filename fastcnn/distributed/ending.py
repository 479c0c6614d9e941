"""How an error on one of several processes ends all, which would wait for it for ever."""

from __future__ import annotations

import os
import signal
import sys
import time
from types import TracebackType

# What launchers say of the number of processes: Open MPI, MPICH and Intel MPI, MVAPICH, Slurm's
# srun (which tells a program that it starts by itself, in a batch script, of no step).
SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")
# What they say of the number of this one.
NUMBERS = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "MV2_COMM_WORLD_RANK", "SLURM_PROCID")
TOLD = 0.5
"""Seconds in which a launcher passes on what was said: one that ends all at once drops it."""
_apart = False
"""Whether this process was told to train by itself."""
_watching = False


def started() -> int:
    """Return how many processes a launcher says that it started; 1 where there is none."""
    values = (os.environ.get(name, "") for name in SIZES)
    return max((int(value) for value in values if value.isdecimal()), default=1)


def is_first() -> bool:
    """Say whether this is the first process, or the only one."""
    return started() == 1 or _number("0") == "0"


def _number(otherwise: str) -> str:
    """Return the number of this process; `otherwise` where no launcher says one."""
    return next((os.environ[name] for name in NUMBERS if name in os.environ), otherwise)


def work_apart() -> None:
    """Note that this process trains by itself: an error of it is no matter of the others."""
    global _apart
    _apart = True


def watch_if_started() -> None:
    """Let an error end all where a launcher started several processes."""
    if started() > 1:
        watch()


def watch() -> None:
    """Let an error that ends a script on one of several ranks end all."""
    global _watching
    if _watching:
        return
    _watching, usual = True, sys.excepthook

    def tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        usual(kind, error, trace)
        if not _apart:
            _end_others(error)

    sys.excepthook = tell


def end_all(error: BaseException) -> None:
    """Tell which rank an error ended, and end all."""
    sys.__excepthook__(type(error), error, error.__traceback__)
    _end_others(error)


def _end_others(error: BaseException) -> None:
    mpi = sys.modules.get("mpi4py.MPI")
    joined = mpi is not None and mpi.Is_initialized()
    rank = mpi.COMM_WORLD.rank if mpi is not None and joined else _number("?")
    end = f"Rank {rank} ended with {type(error).__name__}, and so do all."
    print(end, file=sys.stderr, flush=True)
    sys.stdout.flush()
    time.sleep(TOLD)
    if mpi is not None and joined:
        mpi.COMM_WORLD.Abort(1)
    # Launchers end all where a process is ended by a signal, whether it had joined or not.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)
