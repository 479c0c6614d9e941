"""The compiled extensions as tests use them: as installed, and compiled with bounds checks."""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def build_with_checks(folder):
    """Unpack a source distribution and compile all extensions in it, with bounds checks; the folder
    that it is in."""
    command = ["setup.py", "-q", "egg_info", "--egg-base", folder]
    python(*command, "sdist", "--dist-dir", folder, "--formats", "gztar", cwd=ROOT)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder / "source", filter="data")
    (unpacked,) = (folder / "source").iterdir()
    python("setup.py", "-q", "build_ext", "--inplace", cwd=unpacked, FASTCNN_EXT_DEBUG="1")
    return unpacked


def python(*arguments, cwd, **environment):
    """What a Python process prints, which sees the package of the folder that it runs in."""
    result = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(cwd), **environment},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def load(name, request):
    """The extension of a name, of the build that the parameter of a fixture's request names:
    "release", as installed, or "debug", with bounds checks."""
    module = importlib.import_module(f"fastcnn._ext.{name}")
    if request.param == "release":
        return module
    folder = request.getfixturevalue("checked_build") / "fastcnn" / "_ext"
    path = folder / Path(module.__file__).name
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
