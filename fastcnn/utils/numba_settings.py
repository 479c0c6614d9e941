"""Numba's settings, told without importing Numba where it has its own defaults.

Its import takes longer than all else that a process does before a first step with kernels from the
cache.
"""

from __future__ import annotations

import os
import sys
from typing import Any

# As Numba has them while neither the environment, nor a file of settings, nor a program says
# otherwise.
DEFAULTS: dict[str, Any] = {
    "BOUNDSCHECK": None,
    "CPU_FEATURES": None,
    "CPU_NAME": None,
    "DEBUGINFO_DEFAULT": 0,
    "DISABLE_INTEL_SVML": False,
    "DISABLE_JIT": 0,
    "ENABLE_AVX": True,
    "EXTEND_VARIABLE_LIFETIMES": 0,
    "LOOP_VECTORIZE": 1,
    "OPT": 3,
    "SLP_VECTORIZE": 0,
    "USE_LLVMLITE_MEMORY_MANAGER": None,
}
FILE = ".numba_config.yaml"  # in the folder in which the process runs
THREADS = "NUMBA_NUM_THREADS"


def setting(name: str) -> Any:
    """Return one of `DEFAULTS`, or what takes its place."""
    return _of_numba(name) if _may_differ() else DEFAULTS[name]


def threads() -> int:
    """Return how many threads may compute: one a core that this process may use, unless
    NUMBA_NUM_THREADS says otherwise."""
    asked = os.environ.get(THREADS, "")
    if "numba" in sys.modules or os.path.isfile(FILE) or (asked and not asked.isdecimal()):
        return int(_of_numba(THREADS))
    if asked:
        return int(asked)
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


def _may_differ() -> bool:
    variables = (name for name in os.environ if name.startswith("NUMBA_") and name != THREADS)
    return "numba" in sys.modules or any(variables) or os.path.isfile(FILE)


def _of_numba(name: str) -> Any:
    from numba import config  # which few processes need

    value = vars(config)[name]
    return int(value) if name == "OPT" else value
