"""The lock under which machine code is loaded and compiled, and Numba imported."""

from __future__ import annotations

import sys
import threading
from typing import Any

from llvmlite.binding import ffi

from fastcnn.utils import forking

compile_lock = threading.RLock()

_held: list[Any] = []


def _acquire_numbas() -> None:
    module = sys.modules.get("numba.core.compiler_lock")
    lock = getattr(module, "global_compiler_lock", None)
    if lock is not None:
        lock.acquire()
        _held.append(lock)


def _release_numbas() -> None:
    if _held:
        _held.pop().release()


# A child must be able to compile: no other thread does so while the process forks. Ours is taken
# before Numba's, Numba's before LLVM's, and forks take first what comes last here.
forking.hold_while_forking(ffi.lib._lock.__enter__, ffi.lib._lock.__exit__)
forking.hold_while_forking(_acquire_numbas, _release_numbas)
forking.hold_while_forking(compile_lock.acquire, compile_lock.release)
