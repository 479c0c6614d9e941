"""What this computer is: its processor, caches, vector unit, and whether CUDA can be used."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from fastcnn.utils.system import processor, sysctl

SYSTEM_CPU = Path("/sys/devices/system/cpu/cpu0/cache")
PACKAGES = ("numpy", "numba", "llvmlite", "h5py", "pillow", "matplotlib", "rich")


def caches() -> dict[str, int]:
    """The sizes in bytes of the caches that data go through: L1, L2, L3; empty where unknown."""
    if sys.platform == "darwin":
        caches_by_level = {f"L{level}": sysctl(f"hw.l{level}cachesize") for level in (2, 3)}
        sizes = {"L1": sysctl("hw.l1dcachesize"), **caches_by_level}
        return {name: int(size) for name, size in sizes.items() if size.isdecimal() and int(size)}
    sizes_by_level = {}
    for folder in sorted(SYSTEM_CPU.glob("index*")):
        try:
            kind, level, size = ((folder / name).read_text().strip() for name in _CACHE_FILES)
        except OSError:
            continue
        if kind != "Instruction":
            sizes_by_level[f"L{level}"] = _bytes(size)
    return sizes_by_level


_CACHE_FILES = ("type", "level", "size")


def _bytes(text: str) -> int:
    """48K -> 49152."""
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    return int(text[:-1]) * units[text[-1]] if text[-1:] in units else int(text)


def cores() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def versions() -> dict[str, str]:
    """Versions of fastcnn, Python and the packages under it."""
    import fastcnn

    versions = {"fastcnn": fastcnn.__version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def folder_size(path: Path | None) -> int:
    """The bytes of all files under a folder; 0 where there is none."""
    if path is None or not path.is_dir():
        return 0
    sizes = []
    for file in path.rglob("*"):
        try:
            sizes.append(file.stat().st_size if file.is_file() else 0)
        except OSError:
            continue
    return sum(sizes)


def kernel_cache() -> dict[str, Any]:
    """Where compiled kernels are kept, how many, which of them are damaged, and why they are not
    read where others could have written them."""
    from fastcnn.kernels import code_cache
    from fastcnn.kernels.cpu.runtime import compile_cache

    folder = compile_cache.cache_directory()
    survey = code_cache.survey()
    return {
        "directory": None if folder is None else str(folder),
        "bytes": folder_size(folder),
        "kernels": survey.kernels,
        "damaged": [str(path) for path in survey.damaged],
        "untrusted": [str(path) for path in survey.untrusted],
        "refused": survey.refused,
    }


def describe() -> dict[str, Any]:
    """All of it, as `fastcnn info` reports it."""
    import fastcnn
    from fastcnn import devices
    from fastcnn.kernels.cpu.simd import vector_unit

    return {
        "processor": processor(),
        "system": platform.platform(),
        "cores": cores(),
        "threads": fastcnn.num_threads(),
        "vector_bits": 32 * vector_unit.LANES,
        "caches": caches(),
        "kernel_cache": kernel_cache(),
        "cuda": devices.describe_cuda(),
        "versions": versions(),
    }
