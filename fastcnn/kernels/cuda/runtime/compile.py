"""Kernels loaded before they are launched, and those that are not on disk yet compiled together.

A kernel takes seconds to compile, and a network has dozens. They are compiled in processes beside
this one, which write to the folder of `cubins` and need no GPU:

    python -m fastcnn.kernels.cuda.runtime.compile 9 0 add softmax

compiles two kernels for compute capability 9.0.
"""

from __future__ import annotations

import gc
import importlib
import os
import pkgutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress

import fastcnn.kernels.cuda
from fastcnn.kernels import code_cache
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
    # In a frozen application the executable is that application, not Python.
    is_python = bool(sys.executable) and not getattr(sys, "frozen", False)
    if processes > 1 and is_python and cubin_cache.writable():
        _compile(missing, processes)


def _compile(names: Sequence[str], processes: int) -> None:
    """Compile kernels in so many processes; what one of them cannot is left out."""
    path = os.pathsep.join(
        filter(None, [str(code_cache.PACKAGE.parent), os.environ.get("PYTHONPATH")])
    )
    command = [sys.executable, "-m", MODULE, *map(str, capability())]
    running: list[subprocess.Popen[bytes]] = []
    try:
        for number in range(processes):
            running.append(
                subprocess.Popen(
                    # Kernels side by side in the list take alike.
                    [*command, *names[number::processes]],
                    env={**os.environ, "PYTHONPATH": path},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
        for process in running:
            process.wait()
    except OSError:
        pass  # no process can be started: this one compiles
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
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
