"""What is compiled before a run, so that its time goes into the run."""

from __future__ import annotations

import subprocess
import sys

from fastcnn.kernels.cuda.runtime import compile
from fastcnn.kernels.cuda.runtime.device import SIMULATED
from fastcnn.utils import system
from gpu.correctness import kernels

BESIDE_THE_CPU = {"check", "curve"}  # parts in which the CPU trains too


def prepare(parts: tuple[str, ...]) -> None:
    """Compile all kernels that are not on disk: the GPU's on all cores, the CPU's beside them."""
    if SIMULATED:
        return
    warming = None
    if system.cache_directory() is not None and BESIDE_THE_CPU & set(parts):
        command = [sys.executable, "-m", "fastcnn", "warmup"]
        warming = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        compile.import_kernels()
        compile.compile_missing(kernels())
    finally:
        if warming is not None:
            warming.wait()
