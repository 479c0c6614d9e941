"""The CUDA kernels as Numba's simulator runs them: Python, one thread for each of the GPU's.

The simulator takes the place of the GPU for a whole process, so these tests run by themselves:

    NUMBA_ENABLE_CUDASIM=1 python -m pytest tests/cuda/simulator
"""

import os

import numba
import pytest
from turns import take_turns

if not numba.config.ENABLE_CUDASIM:
    raise pytest.UsageError(
        "tests/cuda/simulator needs NUMBA_ENABLE_CUDASIM=1 and a run of its own."
    )

take_turns()

# On one core the threads hand over to each other without waking another one.
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
