"""The one door to numba.cuda: whatever runs on the GPU imports it from here.

NVIDIA's package numba-cuda provides it. Numba has an older copy of its own, which takes effect
where the other is not installed and which lacks what the kernels need. A simulator runs kernels as
Python on the CPU.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from types import SimpleNamespace
from typing import Any

import numba.cuda
from numba import config

from fastcnn.kernels import lazy_numba

__all__ = [
    "SIMULATED",
    "capability",
    "check_process",
    "compiled",
    "cuda",
    "describe",
    "device_name",
    "driver_version",
    "launchable",
    "pretend",
    "provider",
    "why_not",
]

lazy_numba.import_numba()

# A type checker sees Numba's own copy, which is another.
cuda: Any = numba.cuda
# NUMBA_ENABLE_CUDASIM=1: kernels are tested without a GPU.
SIMULATED = bool(getattr(config, "ENABLE_CUDASIM", False))
# numba-cuda warns of each launch of fewer than 128 blocks: a small network has nothing else.
with suppress(ImportError):
    from numba.cuda.core import config as cuda_config

    cuda_config.CUDA_LOW_OCCUPANCY_WARNINGS = 0
LEAST_CAPABILITY = (7, 5)
# Whose versions are shown; the toolkit's have other names for each of its versions.
PACKAGES = (
    *("numba-cuda", "cuda-bindings", "cuda-core"),
    *("nvidia-nvvm", "nvidia-nvjitlink", "nvidia-cuda-nvrtc", "nvidia-cuda-runtime"),
    *("nvidia-cuda-nvcc-cu12", "nvidia-nvjitlink-cu12", "nvidia-cuda-nvrtc-cu12"),
    "nvidia-cuda-runtime-cu12",
)
FIRST_DRIVERS = {12: 525, 13: 580}  # that know a toolkit, by its major version
FORKED = (
    "this process was forked from one that used the GPU, which does not survive that (start it "
    "with multiprocessing's 'spawn', or use device='cpu' in it)"
)


def why_not() -> str | None:
    """Return why no GPU can be used, or None where one can."""
    try:
        return _why_not()
    except Exception as error:  # of numba-cuda or the driver: their classes have nothing in common
        return f"the GPU is busy, full or out of order ({_line(error)})"


def _why_not() -> str | None:
    if not SIMULATED and getattr(cuda, "implementation", "") != "NVIDIA":
        return "the package numba-cuda is not installed (pip install 'fastcnn[cuda13]' or [cuda12])"
    available = cuda.is_available()  # asked first: only then is there an error to tell
    error = cuda.cuda_error()
    if error is not None:
        return _line(error)
    if not available:
        return "the driver finds no GPU, or the CUDA toolkit is missing (fastcnn[cuda13], [cuda12])"
    if SIMULATED:
        return None
    if _forked():
        return FORKED
    reason = _too_old()
    if reason is None and capability() < LEAST_CAPABILITY:  # asked of a context, made here
        return f"{device_name()} has compute capability {_dotted(capability())}, below 7.5"
    return reason


def check_process() -> None:
    """Raise RuntimeError in a process that cannot use the GPU because its parent did."""
    if not SIMULATED and _forked():
        raise RuntimeError(f"The GPU cannot be used: {FORKED}.")


def _forked() -> bool:
    from numba.cuda.cudadrv.driver import driver

    return driver.pid not in (None, os.getpid())


def _too_old() -> str | None:
    """Return what to do where the driver does not know the toolkit's machine code, else None."""
    try:
        toolkit, driver = toolkit_version(), driver_version()
    except Exception:  # what cannot be told may do
        return None
    major, newest = int(toolkit.split(".")[0]), int(driver.split(".")[0])
    if newest >= major:
        return None
    first = FIRST_DRIVERS.get(major)
    remedy = f"update the driver{f' to {first} or newer' if first else ''}"
    if newest == 12:
        remedy += ", or install fastcnn[cuda12] in place of fastcnn[cuda13]"
    return f"the driver knows CUDA up to {driver}, but the toolkit is of {toolkit}: {remedy}"


def toolkit_version() -> str:
    """Return the version of the toolkit that links machine code, as "13.0"."""
    try:
        from cuda.bindings import nvjitlink

        major, minor = nvjitlink.version()
    except Exception:  # it lacks the library, which may also be linked with the driver's own
        major, minor = metadata.version("cuda-bindings").split(".")[:2]
    return f"{major}.{minor}"


def _line(error: Any) -> str:
    """Return an error's words on one line, to stand inside a sentence."""
    return " ".join(str(error).split()).rstrip(".:")


def capability() -> tuple[int, int]:
    """Return the compute capability of the GPU in use."""
    if SIMULATED:
        version = cuda.get_current_device().compute_capability
    else:
        from numba.cuda.cudadrv import devices

        version = devices.get_context().device.compute_capability
    return version[0], version[1]


def pretend(capability: tuple[int, int]) -> None:
    """Have this process compile for GPUs of a capability, without one: it can launch nothing."""
    from numba.cuda import dispatcher
    from numba.cuda.cudadrv import devices

    device = SimpleNamespace(compute_capability=capability, id=0)
    context = SimpleNamespace(device=device)
    devices.get_context = lambda devnum=None: context
    dispatcher.get_current_device = lambda: device


def compiled(dispatcher: Any, types: Sequence[Any]) -> Any:
    """Return a kernel compiled for these arguments, not loaded; the dispatcher has the options."""
    from numba.cuda.dispatcher import _Kernel

    return _Kernel(dispatcher.py_func, tuple(types), **dispatcher.targetoptions)


def launchable(entry: str, cubin: bytes, types: Sequence[Any]) -> Any:
    """Return the kernel that `entry` names in a cubin, as numba-cuda makes it of what it kept."""
    from cuda.core import ObjectCode
    from numba.cuda.codegen import CUDACodeLibrary
    from numba.cuda.dispatcher import _Kernel
    from numba.cuda.types import void  # type: ignore[attr-defined]

    rebuild: Any = CUDACodeLibrary._rebuild  # of numba-cuda, which is not what a checker sees
    library = rebuild(
        codegen=None,
        name=entry,
        entry_name=entry,
        llvm_strs=[],
        ptx_cache={},
        cubin_cache={},
        linkerinfo_cache={},
        max_registers=None,
        nvvm_options={},
        needs_cudadevrt=False,
        nrt=False,
        use_cooperative=False,
        lto=False,
    )
    library._cubin_cache[library._ensure_cc(None)] = ObjectCode.from_cubin(cubin)
    return _Kernel._rebuild(
        cooperative=False,
        name=entry,
        signature=void(*types),
        codelibrary=library,
        debug=False,
        lineinfo=False,
        call_helper=None,
        extensions=[],
    )


def _dotted(capability: tuple[int, int]) -> str:
    return ".".join(map(str, capability))


def provider() -> str:
    """Return which package runs the kernels."""
    return "Numba's CUDA simulator" if SIMULATED else "numba-cuda"


def device_name() -> str:
    """Return the name of the GPU in use."""
    name = getattr(cuda.get_current_device(), "name", "simulator")
    return name.decode() if isinstance(name, bytes) else str(name)


def describe() -> dict[str, Any]:
    """Return what there is of CUDA as plain data: packages, and the driver and GPU in use."""
    reason = why_not()
    facts: dict[str, Any] = {"available": reason is None, "reason": reason, "packages": {}}
    for package in PACKAGES:
        try:
            facts["packages"][package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    if reason is None:
        free, total = cuda.current_context().get_memory_info()
        facts |= {"name": device_name(), "capability": _dotted(capability())}
        facts["simulated"] = SIMULATED
        if not SIMULATED:
            facts |= {"driver": driver_version(), "memory": int(total), "free": int(free)}
    return facts


def driver_version() -> str:
    """Return the newest CUDA that the driver knows, as "13.0"."""
    from cuda.bindings import driver

    _, number = driver.cuDriverGetVersion()
    return f"{number // 1000}.{number % 1000 // 10}"
