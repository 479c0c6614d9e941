"""Times of every kernel call of a program, taken while the engine's own executor runs it.

A table is data: to time it, each call's kernel is replaced by one that runs it between two looks
at the clock (`kernels/cpu/runtime/kernel_timer.py`). Schedule, memory and threads stay as they are.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from fastcnn.backends.cpu.call_table import Table
from fastcnn.backends.cpu.executable import Executable
from fastcnn.backends.cpu.executor import KERNEL, RECORD
from fastcnn.kernels.cpu.runtime import compile
from fastcnn.kernels.cpu.runtime.kernel_timer import TICKS, WORDS, now, stopwatch


class CallTimer:
    """Times the calls of an executable's runs inside a `with` block; outside, runs are as usual."""

    def __init__(self, executable: Executable):
        self._executable = executable
        self._kernels = executable.table.calls[:, KERNEL].copy()
        executable.use(_with_room(executable.table))
        self._table = executable.table
        self._at = self._table.calls[:, RECORD] - WORDS + TICKS
        compile.load([stopwatch])
        now()  # compiles or loads it
        self._begun = time.perf_counter(), now()

    @property
    def labels(self) -> tuple[str, ...]:
        """What each call is part of."""
        return self._table.labels

    def __enter__(self) -> CallTimer:
        self._executable.records[:, self._at] = 0
        self._table.calls[:, KERNEL] = stopwatch.address
        return self

    def __exit__(self, *error: object) -> None:
        self._table.calls[:, KERNEL] = self._kernels

    def seconds(self) -> np.ndarray:
        """The last block's seconds by call, float64[calls], summed over the threads."""
        seconds, ticks = time.perf_counter() - self._begun[0], now() - self._begun[1]
        return self._executable.records[:, self._at].sum(axis=0) * (seconds / ticks)


def _with_room(table: Table) -> Table:
    """The table with the stopwatch's words before each record."""
    calls = table.calls.copy()
    ends = [*table.calls[1:, RECORD], len(table.words)]
    words: list[Any] = []
    for row, end in zip(calls, ends, strict=True):
        words += [[row[KERNEL], 0], table.words[row[RECORD] : end]]
    calls[:, RECORD] += WORDS * np.arange(1, len(calls) + 1)
    return replace(table, calls=calls, words=np.concatenate(words))
