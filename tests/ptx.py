"""Compile CUDA kernels without a GPU, as a launch does; print what the assembler says of them.

    python tests/ptx.py 0 2

takes every second kernel, from the first, and prints JSON: by kernel and compute capability, its
registers, its bytes of stack frame, of spills and of shared memory, and how the latter is aligned.

A launch has numba-cuda compile a kernel to LTO-IR, which nvJitLink optimizes once more, assembles
and links, for sm_90a where the GPU is an sm_90. The PTX that numba-cuda shows is another program:
assembled by itself it has other registers and other spills.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from typing import Any

from numba.cuda import codegen
from numba.cuda.cudadrv import driver

from fastcnn.kernels.cuda import device
from fastcnn.kernels.cuda.compiling import import_kernels
from fastcnn.kernels.cuda.kernel import Kernel, all_kernels

CAPABILITIES = ((7, 5), (8, 0), (9, 0))

__all__ = ["CAPABILITIES", "assembled", "capabilities", "compiled", "import_kernels"]


def capabilities(kernel: Kernel) -> tuple[tuple[int, int], tuple[int, int]]:
    """The oldest GPUs that a kernel is for, of 7.5 or 8.0, and the newest."""
    return kernel.least_capability, CAPABILITIES[-1]


def compiled(kernel: Kernel) -> Any:
    """The kernel's code before it is linked for a capability."""
    return device.compiled(kernel.compiled, kernel.signature).library


def assembled(library: Any, capability: tuple[int, int]) -> dict[str, int]:
    """What the linker's assembler says."""
    device.pretend(capability)
    target = library._ensure_cc(None)
    library.get_cubin(cc=target)
    said = library.get_linkerinfo(target)
    return {
        "registers": number(r"Used (\d+) registers", said),
        "stack": number(r"(\d+) bytes stack frame", said),
        "spills": number(r"(\d+) bytes spill stores", said),
        "shared": number(r"(\d+) bytes smem", said),
        **written(library.get_llvm_str()),
    }


def written(code: str) -> dict[str, int]:
    """What the code before linking says: whether it moves vectors of four floats, the widest
    alignment of its shared arrays, and how many instructions of tensor cores and copies it has."""
    arrays = re.findall(r"addrspace\(3\) global \[\d+ x \w+\].*?, align (\d+)", code)
    return {
        "vectors": int("<4 x float>" in code or "cp.async.cg" in code),
        "alignment": max(map(int, arrays), default=0),
        "tensor_cores": code.count("mma.sync"),
        "copies": code.count("cp.async.c"),
    }


def number(pattern: str, text: str) -> int:
    """The number in the text, 0 where the pattern is not there."""
    found = re.search(pattern, text)
    return int(found.group(1)) if found else 0


def talk() -> None:
    """Have the linker say what it does, and leave out the PTX that it does not read."""
    options = driver._Linker._get_linker_options
    driver._Linker._get_linker_options = lambda self, ptx: replace(options(self, ptx), verbose=True)
    codegen.CUDACodeLibrary.get_asm_str = lambda self, cc=None: ""


def main() -> None:
    first, step = map(int, sys.argv[1:])
    talk()
    device.pretend(CAPABILITIES[0])
    import_kernels()
    found: dict[str, dict[str, dict[str, int]]] = {}
    for kernel in all_kernels()[first::step]:
        library, made = compiled(kernel), found.setdefault(kernel.name, {})
        for capability in capabilities(kernel):
            made[".".join(map(str, capability))] = assembled(library, capability)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
