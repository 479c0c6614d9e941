"""Settings for every test: they must be in place before Numba is imported."""

import os

# The determinism tests run with 1, 2 and 3 threads whatever the machine has.
os.environ.setdefault("NUMBA_NUM_THREADS", "3")
os.environ.setdefault("MPLBACKEND", "Agg")
