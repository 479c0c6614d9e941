"""Compile CUDA kernels without a GPU, as a launch does; print what the assembler says of them.

    python tests/helpers/ptx.py 8.0,9.0 im2col_64x64 im2col_16x32

takes compute capabilities and the names of kernels, and prints JSON: by kernel and compute
capability, its registers, its bytes of stack frame, of spills and of shared memory, and how the
latter is aligned.

A launch has numba-cuda compile a kernel to LTO-IR, which nvJitLink optimizes once more, assembles
and links, for sm_90a where the GPU is an sm_90. The PTX that numba-cuda shows is another program:
assembled by itself it has other registers and other spills.
"""

from __future__ import annotations

import gc
import json
import pickle
import re
import struct
import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from numba.cuda import codegen
from numba.cuda.cudadrv import driver

from fastcnn.kernels.cuda.runtime import cubin_cache, device
from fastcnn.kernels.cuda.runtime.compile import import_kernels
from fastcnn.kernels.cuda.runtime.kernel import Kernel, all_kernels
from fastcnn.utils import atomic_file, system

CAPABILITIES = ((7, 5), (8, 0), (9, 0))
EXECUTABLE = 4  # of a section's flags
OPCODE, MULTIPLY = 0xFFF, 0x23C  # of an instruction: HMMA, which PTX calls mma.sync

__all__ = ["CAPABILITIES", "assembled", "capabilities", "compiled", "import_kernels", "name_of"]


def capabilities(kernel: Kernel) -> list[tuple[int, int]]:
    """Those of the capabilities that have the kernel's instructions."""
    return [capability for capability in CAPABILITIES if capability >= kernel.least_capability]


def name_of(capability: tuple[int, int]) -> str:
    return ".".join(map(str, capability))


def compiled(kernel: Kernel) -> Any:
    """The kernel's code before it is linked for a capability: compiled by the first process that
    asks, of all that test the same sources."""
    folder = system.cache_directory()
    path = folder and folder / f"unlinked-{cubin_cache.stamp()[:16]}" / f"{kernel.name}.pickle"
    kept = path is not None and isinstance(kernel.compiled._cache, cubin_cache.Cubins)
    if kept and path.exists():
        return pickle.loads(path.read_bytes())
    library = device.compiled(kernel.compiled, kernel.signature).library
    if kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file.replacing(path) as file:
            pickle.dump(library, file)
    return library


def assembled(library: Any, capability: tuple[int, int]) -> dict[str, int]:
    """What the linker's assembler says."""
    device.pretend(capability)
    target = library._ensure_cc(None)
    cubin = bytes(library.get_cubin(cc=target).code)
    said = library.get_linkerinfo(target)
    return {
        "registers": number(r"Used (\d+) registers", said),
        "stack": number(r"(\d+) bytes stack frame", said),
        "spills": number(r"(\d+) bytes spill stores", said),
        "shared": number(r"(\d+) bytes smem", said),
        "tensor_cores": sum(
            instruction & OPCODE == MULTIPLY for instruction in instructions(cubin)
        ),
        **written(library.get_llvm_str()),
    }


def written(code: str) -> dict[str, int]:
    """What the code before linking says: whether it moves vectors of four floats, the widest
    alignment of its shared arrays, and how many kinds of copies it starts."""
    arrays = re.findall(r"addrspace\(3\) global \[\d+ x \w+\].*?, align (\d+)", code)
    return {
        "vectors": int("<4 x float>" in code or "cp.async.cg" in code),
        "alignment": max(map(int, arrays), default=0),
        "copies": code.count("cp.async.c"),
    }


def instructions(cubin: bytes) -> list[int]:
    """The first halves of the machine's instructions, of 16 bytes each: of an ELF file's sections,
    those that hold code to execute."""
    (table,) = struct.unpack_from("<Q", cubin, 40)
    size, count = struct.unpack_from("<HH", cubin, 58)
    words: list[int] = []
    for at in range(table, table + size * count, size):
        flags, _, start, length = struct.unpack_from("<4Q", cubin, at + 8)
        if flags & EXECUTABLE:
            words += struct.unpack_from(f"<{length // 8}Q", cubin, start)[::2]
    return words


def number(pattern: str, text: str) -> int:
    """The number in the text, 0 where the pattern is not there."""
    match = re.search(pattern, text)
    return int(match.group(1)) if match else 0


def talk() -> None:
    """Have the linker say what it does, and leave out the PTX that it does not read."""
    options = driver._Linker._get_linker_options
    driver._Linker._get_linker_options = lambda self, ptx: replace(options(self, ptx), verbose=True)
    codegen.CUDACodeLibrary.get_asm_str = lambda self, cc=None: ""


def shares(names: Iterable[str], count: int) -> list[list[str]]:
    """The kernels of so many processes, in which those of one tile, whose device functions are
    compiled once in a process, are together."""
    tiles: dict[str, list[str]] = {}
    for name in names:
        sizes = re.search(r"\d+x\d+", name)
        tiles.setdefault(sizes.group() if sizes else name, []).append(name)
    shares: list[list[str]] = [[] for _ in range(count)]
    for kernels in sorted(tiles.values(), key=len, reverse=True):
        min(shares, key=len).extend(kernels)
    return shares


def main() -> None:
    asked, names = set(sys.argv[1].split(",")), set(sys.argv[2:])
    gc.disable()  # the compiler makes millions of objects that refer to each other and stay
    talk()
    device.pretend(CAPABILITIES[0])
    import_kernels()
    reports: dict[str, dict[str, dict[str, int]]] = {}
    for kernel in all_kernels():
        if kernel.name not in names:
            continue
        library, by_capability = compiled(kernel), reports.setdefault(kernel.name, {})
        for capability in capabilities(kernel):
            if (name := name_of(capability)) in asked:
                by_capability[name] = assembled(library, capability)
    json.dump(reports, sys.stdout)


if __name__ == "__main__":
    main()
