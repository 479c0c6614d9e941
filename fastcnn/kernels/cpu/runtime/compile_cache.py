"""Where compiled kernels are kept between processes.

All of a device's kernels and of `fastcnn/backends` are one digest, which names a folder; a kernel
is a file in it, with a checksum (`kernels/code_file.py`). A directory that cannot be written, or
should not be read, only costs the compile time.
"""

from __future__ import annotations

import functools
import os
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import llvmlite

from fastcnn.kernels import code_cache, code_file
from fastcnn.kernels.cpu.simd import vector_unit
from fastcnn.utils import system
from fastcnn.utils.numba_settings import setting

ROOMS = ("kernels", "backends")
OTHER_DEVICE = {"cpu": "cuda", "cuda": "cpu"}
# Numba's options that change machine code; the CPU's are part of each file's name.
OPTIONS = (
    *("OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "DISABLE_INTEL_SVML", "BOUNDSCHECK"),
    *("DEBUGINFO_DEFAULT", "EXTEND_VARIABLE_LIFETIMES"),
)


def cache_directory() -> Path | None:
    """Return the directory of compiled kernels, or None where nothing is kept."""
    root = system.cache_directory()
    return None if root is None else root / "kernels"


def writable() -> bool:
    """Say whether compiled kernels can be kept at all."""
    root = cache_directory()
    with suppress(OSError):
        if root is not None:
            folder = root / source_stamp("cpu")
            code_cache.prepare(folder)
            return os.access(folder, os.W_OK) and code_file.why_refused(folder) is None
    return False


@functools.cache
def source_stamp(device: str) -> str:
    """Return a digest of a device's kernels' sources and of what else machine code depends on."""
    versions = _numba_version(), llvmlite.__version__, str(sys.implementation.cache_tag)
    options = [f"{name}={setting(name)}" for name in OPTIONS]
    unit = str(vector_unit.LANES), str(vector_unit.REGISTERS)
    without = f"kernels/{OTHER_DEVICE[device]}"
    return code_cache.digest(ROOMS, without, *versions, *options, *unit)


def _numba_version() -> str:
    """Return what Numba's file of its version says, which is read without importing Numba."""
    spec = find_spec("numba")
    for folder in (spec and spec.submodule_search_locations) or ():
        with suppress(OSError):
            return (Path(folder) / "_version.py").read_text(encoding="utf-8")
    return ""
