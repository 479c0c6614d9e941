"""Compile CUDA kernels without a GPU; print what the assembler says of them.

    python tests/ptx.py 0 2

takes every second kernel, from the first, and prints JSON: by kernel and compute capability, its
registers and its bytes of stack frame, of spills and of shared memory.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numba.cuda.dispatcher
import nvidia.cu13
from numba.cuda import compiler

import fastcnn.kernels.cuda
from fastcnn.kernels.cuda.kernel import Kernel, all_kernels

CAPABILITIES = ((7, 5), (8, 0), (9, 0))
PTXAS = str(Path(next(iter(nvidia.cu13.__path__))) / "bin" / "ptxas")


class PretendedDevice:
    """Device functions ask for the GPU in use, to be compiled for it."""

    compute_capability = CAPABILITIES[0]


def import_kernels() -> None:
    for module in pkgutil.iter_modules(fastcnn.kernels.cuda.__path__):
        importlib.import_module(f"fastcnn.kernels.cuda.{module.name}")


def capabilities(kernel: Kernel) -> tuple[tuple[int, int], tuple[int, int]]:
    """The oldest GPUs that a kernel is for, of 7.5 or 8.0, and the newest."""
    return kernel.least_capability, CAPABILITIES[-1]


def typed(kernel: Kernel) -> Any:
    """The kernel's code before it is compiled for a capability, which takes most of the time."""
    arguments = tuple(kernel.arguments.values())
    settings = {"debug": False, "lineinfo": False, "device": False, "fastmath": kernel.fastmath}
    settings |= {"opt": True, "abi": "numba", "abi_info": None, "forceinline": False}
    library, _ = compiler._compile_pyfunc_with_fixup(
        kernel.body, arguments, cc=CAPABILITIES[0], launch_bounds=None, **settings
    )
    return library


def assembled(kernel: Kernel, code: str, capability: tuple[int, int]) -> dict[str, int]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "kernel.ptx")
        path.write_text(code)
        target = f"-arch=sm_{capability[0]}{capability[1]}"
        command = [PTXAS, target, "-v", str(path), "-o", str(path.with_suffix(".cubin"))]
        if kernel.most_registers is not None:
            command.append(f"--maxrregcount={kernel.most_registers}")
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {
        "registers": number(r"Used (\d+) registers", done.stderr),
        "stack": number(r"(\d+) bytes stack frame", done.stderr),
        "spills": number(r"(\d+) bytes spill stores", done.stderr),
        "shared": number(r"(\d+) bytes smem", done.stderr),
        "doubles": code.count(".f64"),
    }


def number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    return int(found.group(1)) if found else 0


def main() -> None:
    first, step = map(int, sys.argv[1:])
    numba.cuda.dispatcher.get_current_device = PretendedDevice
    import_kernels()
    found: dict[str, dict[str, dict[str, int]]] = {}
    for kernel in all_kernels()[first::step]:
        library, made = typed(kernel), found.setdefault(kernel.name, {})
        for capability in capabilities(kernel):
            (code,) = library.get_asm_strs(cc=capability)
            made[".".join(map(str, capability))] = assembled(kernel, code, capability)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
