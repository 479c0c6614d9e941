"""The threads that help a caller to run a plan: started when first needed, asleep between runs.

They are Python's threads, all within one compiled function, which needs no GIL. After a run they
look out for the next for a moment, then sleep. The child of a fork has none of its parent's threads
and starts its own.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
from contextlib import AbstractContextManager, suppress
from typing import Any

import numpy as np

from fastcnn.backends import nested_call
from fastcnn.backends.cpu import executor
from fastcnn.utils import forking

CLOSING_SECONDS = 2.0  # that Python waits for the threads when it ends
_WORD = 8  # bytes

_python = ctypes.pythonapi
_python.PyThread_allocate_lock.restype = ctypes.c_void_p


class ThreadPool:
    """Threads 1, 2, ... of the runs; the caller of `run` is thread 0. One run goes at a time."""

    def __init__(self) -> None:
        # A fork waits for the step that runs, so that its child has no weights of which only some
        # are updated.
        self._lock = forking.shared_lock()
        self._part = np.zeros(1, executor.PART)
        self._part_at = self._part.ctypes.data
        self._forget()
        atexit.register(self._close_at_exit)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def run(
        self, plan_at: int, threads: int, within: AbstractContextManager[None] | None = None
    ) -> None:
        """Run the plan at an address, int64[len(executor.PLAN)], on a number of threads, `within` a
        context that no other run shares."""
        with self._lock:
            if within is None:
                self._take_part(plan_at, threads)
            else:
                with within:
                    self._take_part(plan_at, threads)

    def _take_part(self, plan_at: int, threads: int) -> None:
        if threads > self._threads:
            self._close()
            self._start(threads)
        self._part[0] = self._control_at, 0, plan_at, threads
        executor.take_part.call(self._part_at)

    def _forget(self) -> None:
        self.helpers: list[threading.Thread] = []
        self._control = _control_block(1)
        self._control_at = self._control.ctypes.data
        self._threads = 1  # that the control block is for

    def _start(self, threads: int) -> None:
        """Start helpers; where the system refuses some, or Python ends, runs do without them."""
        self._control = _control_block(threads)
        self._control_at = self._control.ctypes.data
        # By this thread, so that the others need not wait for each other.
        executor.take_part.compile()
        with suppress(RuntimeError):
            for thread in range(1, threads):
                helper = threading.Thread(
                    target=_help,
                    args=(self._control_at, thread),
                    name=f"fastcnn-{thread}",
                    daemon=True,
                )
                helper.start()
                self.helpers.append(helper)
        self._threads = threads

    def _close(self) -> None:
        """End the threads, between runs."""
        control, helpers = self._control, self.helpers
        self._forget()
        control[executor.CLOSING // _WORD] = 1
        for thread in range(1, _threads_of(control)):
            # It wakes those that sleep, and those that are about to.
            _python.PyThread_release_lock(_lock_of(control, thread))
        for helper in helpers:
            helper.join(CLOSING_SECONDS)

    def _close_at_exit(self) -> None:
        # A daemon thread may be within a run for ever.
        if self._lock.acquire(timeout=CLOSING_SECONDS):
            with suppress(RuntimeError):
                self._close()
            self._lock.release()


def _help(control: int, thread: int) -> None:
    """Take part in the runs until the pool closes. No model can be called here, by the finalizer of
    an object for example: it would wait for the run that waits for this thread."""
    part = np.array([(control, thread, 0, 0)], executor.PART)
    with nested_call.refused():
        executor.take_part.call(part.ctypes.data)


def _control_block(threads: int) -> np.ndarray:
    """Return a control block, whose memory stays: a thread may look at it while Python ends."""
    words = np.zeros((executor.SLEEPERS + threads * executor.LINE) // _WORD, np.int64)
    _python.Py_IncRef(ctypes.py_object(words))
    functions = words[executor.LOCK_FUNCTIONS // _WORD :]
    functions[executor.ACQUIRE] = _address(_python.PyThread_acquire_lock)
    functions[executor.RELEASE] = _address(_python.PyThread_release_lock)
    for thread in range(1, threads):
        lock = _python.PyThread_allocate_lock()
        _python.PyThread_acquire_lock(ctypes.c_void_p(lock), 1)
        words[_lock_word(thread)] = lock
    return words


def _threads_of(control: np.ndarray) -> int:
    return (control.nbytes - executor.SLEEPERS) // executor.LINE


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _lock_word(thread: int) -> int:
    return (executor.SLEEPERS + thread * executor.LINE) // _WORD + executor.LOCK


def _lock_of(control: np.ndarray, thread: int) -> ctypes.c_void_p:
    return ctypes.c_void_p(int(control[_lock_word(thread)]))


pool = ThreadPool()
