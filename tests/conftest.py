"""Settings for every test, in place before Numba is imported, and what several files share."""

import gc
import importlib.util
import os
import signal
import tempfile
from pathlib import Path

import hypothesis
import pytest

# The determinism tests run with 1, 2 and 3 threads whatever the machine has.
os.environ.setdefault("NUMBA_NUM_THREADS", "3")
os.environ.setdefault("MPLBACKEND", "Agg")
# What is worth keeping from run to run is beside temporary files, not in the user's home.
SCRATCH = Path(tempfile.gettempdir(), f"fastcnn-tests-{getattr(os, 'getuid', int)()}")
os.environ.setdefault("FASTCNN_CACHE_DIR", str(SCRATCH / "cache"))
os.environ.setdefault("MPLCONFIGDIR", str(SCRATCH / "matplotlib"))
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(SCRATCH / "hypothesis"))
# No test sees what was tuned on this machine.
os.environ["FASTCNN_MEASUREMENTS"] = "0"
# Processes that tests start import the package that the tests do, installed or not, and not what
# lies in the folder that they are started in.
PACKAGE = Path(importlib.util.find_spec("fastcnn").origin).parent
os.environ["PYTHONSAFEPATH"] = "1"
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(PACKAGE.parent), os.environ.get("PYTHONPATH")])
)
# Compilers and the simulator make objects that stay: to look for garbage among them as often as
# Python does takes a seventh of their time.
gc.set_threshold(50_000, 20, 100)
# Under nohup, or behind a shell's "&", Ctrl-C is ignored, here and in every process started.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# On a busy machine any example may take long, and the first one compiles and imports. (Hypothesis
# looks up its storage directory when it is imported: after it was set.)
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """A valid file of weights and of a whole model, which no test changes."""
    import hdf5_models

    path = tmp_path_factory.mktemp("valid") / "model.h5"
    hdf5_models.compiled(hdf5_models.sequential()).save(path)
    return path


@pytest.fixture(scope="session")
def checked_build(tmp_path_factory):
    """The folder of the extensions compiled anew with bounds checks."""
    from extensions import build_with_checks

    return build_with_checks(tmp_path_factory.mktemp("checked_build"))
