"""Kernels loaded before they are launched, and those that are not on disk yet compiled together.

A kernel takes seconds to compile, and a network has dozens. They are compiled in processes beside
this one, which write to the folder of `cubin_cache` and need no GPU:

    python -m fastcnn.kernels.cuda.runtime.compile 9 0 add softmax

compiles two kernels for compute capability 9.0.
"""

from __future__ import annotations

import gc
import importlib
import pkgutil
import sys
from collections.abc import Iterable
from contextlib import suppress

import fastcnn.kernels.cuda
from fastcnn.kernels import compile_processes
from fastcnn.kernels.cuda.runtime import cubin_cache
from fastcnn.kernels.cuda.runtime.device import SIMULATED, capability, pretend
from fastcnn.kernels.cuda.runtime.kernel import Kernel, all_kernels
from fastcnn.utils import messages
from fastcnn.utils.threads import num_threads

MODULE = "fastcnn.kernels.cuda.runtime.compile"
WORTH = 3  # kernels that take as long as the start of a process


def load(kernels: Iterable[Kernel]) -> None:
    """Load the kernels' machine code, compiling what is not on disk after saying so on stderr."""
    waiting = [kernel for kernel in dict.fromkeys(kernels) if not kernel.loaded]
    compile_missing(waiting)
    for kernel in waiting:
        kernel.load()


def compile_missing(kernels: Iterable[Kernel]) -> None:
    """Write the machine code of the kernels that have none on disk, in processes side by side,
    as far as that is possible and worth it. Says on stderr which kernels are compiled."""
    if SIMULATED:
        return
    missing = [kernel.name for kernel in kernels if not kernel.loaded and not kernel.in_cache()]
    if missing:
        messages.say(f"fastcnn: compiling for this GPU, first run only: {', '.join(missing)}")
    processes = min(num_threads(), len(missing) // WORTH)
    if processes > 1 and compile_processes.possible() and cubin_cache.writable():
        # Kernels side by side in the list take alike.
        rows = [[*map(str, capability()), *missing[n::processes]] for n in range(processes)]
        with compile_processes.beside(MODULE, rows) as running:
            for process in running:
                process.wait()


def import_kernels() -> None:
    """Import every module of kernels, so that `all_kernels` has all."""
    package = fastcnn.kernels.cuda
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)


def main() -> None:
    """Compile the named kernels into the folder on disk."""
    major, minor, *names = sys.argv[1:]
    pretend((int(major), int(minor)))
    gc.disable()  # it takes a third of the time here
    import_kernels()
    for kernel in all_kernels():
        if kernel.name in names:
            # The process that needs it compiles it again, and tells what is wrong.
            with suppress(Exception):
                kernel.keep()


if __name__ == "__main__":
    main()
