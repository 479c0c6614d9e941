"""Where a model runs: which devices there are, and the engine of each."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any

from fastcnn.backends.engine import Engine
from fastcnn.backends.step import StepSpec
from fastcnn.distributed import cards
from fastcnn.utils import naming

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("float32", "tf32")


def resolve(device: str, precision: str = "float32") -> str:
    """Return "cpu" or "cuda" for a device's name; "auto" takes a GPU where one can be used.

    Args:
        device: "auto", "cpu" or "cuda".
        precision: Of products: "float32", or "tf32" on a GPU.

    Raises:
        ValueError: It is another name, or there is no such device or precision; with the reason.
    """
    if device not in DEVICES:
        raise ValueError(naming.unknown("device", str(device), DEVICES))
    if precision not in PRECISIONS:
        raise ValueError(naming.unknown("precision", str(precision), PRECISIONS))
    if device != "cpu":
        cards.take_own()
    if device == "auto":
        # The simulator is for tests: it is never what somebody wants by default.
        device = "cuda" if _driver() and not _simulated() and not why_not_cuda() else "cpu"
    if device == "cuda":
        reason = why_not_cuda()
        if reason:
            raise ValueError(f"device='cuda': {reason}.")
    if precision == "tf32":
        _check_tf32(device)
    return device


def make_engine(spec: StepSpec, device: str) -> Engine:
    """Return a new engine on a device.

    Args:
        spec: What a model says of its steps.
        device: "cpu" or "cuda".
    """
    if device == "cuda":
        from fastcnn.backends.cuda.engine import CudaEngine

        return CudaEngine(spec)
    from fastcnn.backends.cpu.engine import CpuEngine

    return CpuEngine(spec)


def why_not_cuda() -> str | None:
    """Return why no GPU can be used, or None where one can."""
    try:
        from fastcnn.kernels.cuda.runtime.device import why_not
    except ImportError as error:
        return f"numba.cuda cannot be imported ({error})"
    return why_not()


def describe_cuda() -> dict[str, Any]:
    """Return what there is of CUDA as plain data: whether it can be used, or why not."""
    try:
        from fastcnn.kernels.cuda.runtime.device import describe
    except ImportError as error:
        return {"available": False, "reason": f"numba.cuda cannot be imported ({error})"}
    return describe()


def _driver() -> bool:
    """Say whether NVIDIA's driver is there at all, without importing anything."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        ctypes.CDLL(os.environ.get("NUMBA_CUDA_DRIVER") or name)
    except OSError:
        return False
    return True


def _simulated() -> bool:
    return os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")


def _check_tf32(device: str) -> None:
    if device != "cuda":
        raise ValueError("precision='tf32' needs a GPU: on device='cpu' there is 'float32' alone.")
    from fastcnn.kernels.cuda.runtime.device import capability

    major, minor = capability()
    if not _simulated() and major < 8:
        raise ValueError(
            "precision='tf32' needs tensor cores of compute capability 8.0 or higher. This GPU has "
            f"{major}.{minor}."
        )
