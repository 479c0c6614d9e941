"""The compiled extensions as tests use them: as installed, and compiled with bounds checks."""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


def build_with_checks(folder):
    """Compile all extensions anew with bounds checks; the folder that they are in."""
    command = [sys.executable, "setup.py", "-q", "build_ext"]
    result = subprocess.run(
        [*command, "--build-lib", str(folder / "lib"), "--build-temp", str(folder / "objects")],
        cwd=ROOT,
        env={**os.environ, "FASTCNN_EXT_DEBUG": "1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return folder / "lib"


def load(name, request):
    """The extension of a name, of the build that the parameter of a fixture's request names:
    "release", as installed, or "debug", with bounds checks."""
    module = importlib.import_module(f"fastcnn._ext.{name}")
    if request.param == "release":
        return module
    folder = request.getfixturevalue("checked_build")
    (path,) = folder.rglob(Path(module.__file__).name)
    spec = importlib.util.spec_from_file_location(f"debug_build.{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def turns_during(work):
    """How often this thread had a turn in the middle half of ``work`` in another thread."""
    span, turns = [], []

    def run():
        span.append(time.perf_counter())
        work()
        span.append(time.perf_counter())

    thread = threading.Thread(target=run)
    thread.start()
    while thread.is_alive():
        turns.append(time.perf_counter())
        time.sleep(0.0005)
    thread.join()
    start, end = span
    quarter = (end - start) / 4
    return sum(start + quarter < turn < end - quarter for turn in turns)
