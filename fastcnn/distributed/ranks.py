"""The processes that work together, and what they tell each other, by MPI."""

from __future__ import annotations

import copy
import ctypes
import os
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from fastcnn.utils import threads

Value = TypeVar("Value")
Piece = tuple[int, int]
"""A piece of memory: its address and its bytes."""


@dataclass
class Traffic:
    """What exchanges have cost this rank so far: `seconds` from the start of each to its end, which
    is also waiting for ranks that come later, and the bytes that it sent in how many
    messages."""

    exchanges: int = 0
    seconds: float = 0.0
    sent: int = 0
    messages: int = 0


class Ranks:
    """The processes of an MPI communicator, seen from one of them.

    rank, size: the number of this one, from 0, and how many there are. local_rank, local_size: the
    same among those on this computer.
    """

    def __init__(self, communicator: Any) -> None:
        from mpi4py import MPI

        self._mpi = MPI
        self._communicator = communicator.Dup()
        self.rank: int = communicator.rank
        self.size: int = communicator.size
        local = communicator.Split_type(MPI.COMM_TYPE_SHARED, communicator.rank)
        self.local_rank: int = local.rank
        self.local_size: int = local.size
        every = local.allgather(_cores())
        local.Free()
        cores = len(set().union(*every))
        bound = cores == sum(map(len, every))  # each to cores of its own, by the launcher
        self.host = platform.node()
        self.library: str = MPI.Get_library_version().splitlines()[0].strip(" \0")
        # CUDA-aware, as Open MPI and MPICH say it of themselves.
        query = getattr(ctypes.CDLL(MPI.__file__), "MPIX_Query_cuda_support", None)
        self.reads_gpu_memory = query is not None and query() == 1
        """Whether the library takes arrays as they lie on a GPU."""
        self.traffic = Traffic()
        self.by_library = False
        """Whether gradients are summed as the MPI library does it, in an order of its own."""
        self.voted = False
        """Whether they have compared what they begin with, or told why they cannot."""
        self._flag = np.zeros(1, np.int32)
        # Where ranks outnumber the cores, one that only looks keeps another from computing.
        self._patient = self.local_size > cores
        # The ranks of a computer share its cores, unless somebody said how many threads to take.
        if threads.num_threads() == threads.MOST and "NUMBA_NUM_THREADS" not in os.environ:
            own = len(_cores()) if bound else max(1, cores // self.local_size)
            threads.set_num_threads(min(own, threads.MOST))
        self.threads = threads.num_threads()

    def summing_by_library(self) -> Ranks:
        """Return the same ranks, of which gradients are summed as the MPI library does it."""
        others = copy.copy(self)
        others.by_library = True
        return others

    def gather(self, value: Value) -> list[Value]:
        """Return every rank's value, in their order, to all of them."""
        return self._communicator.allgather(value)

    def any(self, flag: bool) -> bool:
        """Say whether the flag is set on any rank."""
        self._flag[0] = flag
        buffer = [self._flag, self._mpi.INT32_T]
        request = self._communicator.Iallreduce(self._mpi.IN_PLACE, buffer, self._mpi.MAX)
        self.wait([request])
        return bool(self._flag[0])

    def exchange(
        self, sent: Sequence[Iterable[Piece]], received: Sequence[Iterable[Piece]]
    ) -> Transfer:
        """Prepare an exchange: for each rank, the pieces that it is sent and that come from it."""
        requests, count, messages = [], 0, 0
        for rank, pieces in enumerate(received):
            datatype, size = self._datatype(pieces)
            if size and rank != self.rank:
                specification = [self._mpi.BOTTOM, 1, datatype]
                requests.append(self._communicator.Recv_init(specification, rank))
        for rank, pieces in enumerate(sent):
            datatype, size = self._datatype(pieces)
            if size and rank != self.rank:
                specification = [self._mpi.BOTTOM, 1, datatype]
                requests.append(self._communicator.Send_init(specification, rank))
                count += size
                messages += 1

        def start() -> list[Any]:
            if requests:
                self._mpi.Prequest.Startall(requests)
            return requests

        return Transfer(self, start, count, messages)

    def _datatype(self, pieces: Iterable[Piece]) -> tuple[Any, int]:
        """Return the MPI datatype of pieces at their addresses, and all their bytes."""
        joined = adjoined(pieces)
        lengths, places = [size for _, size in joined], [address for address, _ in joined]
        datatype = self._mpi.BYTE.Create_hindexed(lengths, places)
        datatype.Commit()
        return datatype, sum(lengths)

    def sum(self, array: np.ndarray) -> Transfer:
        """Prepare the sum of all ranks' arrays, float32 [n], which takes the array's place."""
        buffer = [array, self._mpi.FLOAT]

        def start() -> list[Any]:
            return [self._communicator.Iallreduce(self._mpi.IN_PLACE, buffer, self._mpi.SUM)]

        # As libraries sum large arrays: each rank a part, which the others get; by halves.
        messages = 2 * (self.size - 1).bit_length()
        return Transfer(self, start, 2 * array.nbytes * (self.size - 1) // self.size, messages)

    def total(self, array: Any) -> None:
        """Put the sum of all ranks' arrays, float32 [n], in the place of each: as the MPI library
        makes it, or in the order of ranks, each of which adds up a part for all.

        array: of the host, or of a GPU where `reads_gpu_memory`. The calls block: libraries know
        no others for GPUs.
        """
        start = time.perf_counter()
        if self.by_library:
            whole = [array, self._mpi.FLOAT]
            self._communicator.Allreduce(self._mpi.IN_PLACE, whole, self._mpi.SUM)
        else:
            self._total_in_order(array)
        self.traffic.seconds += time.perf_counter() - start
        self.traffic.exchanges += 1
        self.traffic.sent += 2 * array.nbytes * (self.size - 1) // self.size
        self.traffic.messages += 2 * (self.size - 1)

    def _total_in_order(self, array: Any) -> None:
        ranges = [part_of(len(array), rank, self.size) for rank in range(self.size)]
        firsts, counts = [first for first, _ in ranges], [end - first for first, end in ranges]
        parts = [array, counts, firsts, self._mpi.FLOAT]
        own = counts[self.rank]
        rows = np.empty((self.size, own), np.float32)
        places = [own] * self.size, [own * rank for rank in range(self.size)]
        self._communicator.Alltoallv(parts, [rows, *places, self._mpi.FLOAT])
        for row in rows[1:]:
            rows[0] += row
        self._communicator.Allgatherv([rows[0], own, self._mpi.FLOAT], parts)

    def wait(self, requests: list[Any]) -> None:
        if not self._patient:
            self._mpi.Request.Waitall(requests)
            return
        while not self._mpi.Request.Testall(requests):
            os.sched_yield()

    def abort(self) -> None:
        """End all ranks at once."""
        self._communicator.Abort(1)


class Transfer:
    """Something that all ranks send each other again and again, under way between `begin` and
    `complete`."""

    def __init__(
        self, ranks: Ranks, start: Callable[[], list[Any]], sent: int, messages: int
    ) -> None:
        self._ranks = ranks
        self._start = start
        self._requests: list[Any] = []
        self._sent = sent
        self._messages = messages

    def begin(self) -> None:
        """Send what others wait for."""
        start = time.perf_counter()
        self._requests = self._start()
        self._ranks.traffic.seconds += time.perf_counter() - start

    def complete(self) -> None:
        """Wait for what others send."""
        traffic, start = self._ranks.traffic, time.perf_counter()
        self._ranks.wait(self._requests)
        traffic.seconds += time.perf_counter() - start
        traffic.exchanges += 1
        traffic.sent += self._sent
        traffic.messages += self._messages


def adjoined(pieces: Iterable[Piece]) -> list[Piece]:
    """Return pieces in their order, those that follow each other and lie side by side as one.

    What a rank sends has the order in which others take it: that of their addresses need not be.
    """
    joined: list[Piece] = []
    for address, size in pieces:
        if not size:
            continue
        if joined and sum(joined[-1]) == address:
            joined[-1] = joined[-1][0], joined[-1][1] + size
        else:
            joined.append((address, size))
    return joined


def _cores() -> set[int]:
    """Return the cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return set(affinity(0)) if affinity else set(range(os.cpu_count() or 1))


def part_of(count: int, rank: int, size: int) -> tuple[int, int]:
    """Return a rank's part (first, end) of so many things in a row."""
    return count * rank // size, count * (rank + 1) // size
