"""Which of its computer's GPUs a process takes, where a launcher started several."""

from __future__ import annotations

import ctypes
import os
import sys

from fastcnn.distributed import ending

VISIBLE = "CUDA_VISIBLE_DEVICES"
# What launchers say of the number of a process among those on its computer: Open MPI, MPICH and
# Intel MPI, MVAPICH, Slurm's srun.
LOCAL_NUMBERS = (
    *("OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID"),
    *("MV2_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID"),
)


def take_own() -> None:
    """Let this process see the card of its number alone, modulo their number; nothing where it was
    started by itself. Before the driver is asked anything: it looks once."""
    if ending.started() == 1:
        return
    listed = os.environ.get(VISIBLE)
    cards = [str(card) for card in range(_count())] if listed is None else listed.split(",")
    named = [os.environ[name] for name in (*LOCAL_NUMBERS, *ending.NUMBERS) if name in os.environ]
    if cards and named:
        os.environ[VISIBLE] = cards[int(named[0]) % len(cards)]


def _count() -> int:
    """Return how many cards there are, asked of the library that manages them: asking CUDA would
    fix which of them it sees."""
    try:
        library = ctypes.CDLL("nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1")
    except OSError:
        return 0
    count = ctypes.c_uint()
    failed = library.nvmlInit_v2() or library.nvmlDeviceGetCount_v2(ctypes.byref(count))
    return 0 if failed else count.value
