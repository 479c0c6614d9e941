"""The GPU in use: what a report says of it, and its limits, measured between a run's problems."""

from __future__ import annotations

import subprocess
from typing import Any

from fastcnn.lab.results import Ceilings

SAMPLES = 10  # launches of each ceiling at a time


def described() -> dict[str, Any]:
    """Return the card, its driver and what provides numba.cuda, as plain data."""
    from fastcnn.kernels.cuda.runtime import device
    from fastcnn.kernels.cuda.runtime.peak_rates import multiprocessors

    package = device.provider()
    if device.SIMULATED:
        return {"processor": package, "simulated": True, "package": package}
    cuda = device.cuda
    major, minor = cuda.get_current_device().compute_capability
    _, memory = cuda.current_context().get_memory_info()
    return {
        "processor": device.device_name(),
        "simulated": False,
        "package": f"{package} {_version(package)}",
        "driver": _driver(device.driver_version()),
        "compute_capability": f"{major}.{minor}",
        "multiprocessors": multiprocessors(),
        "memory": int(memory),
    }


def _version(package: str) -> str:
    from importlib import metadata

    return metadata.version(package)


def _driver(version: str) -> str:
    """Return "580.159.03, CUDA 13.0", without the first where the driver's tool is not there."""
    toolkit = f"CUDA {version}"
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return toolkit
    return f"{done.stdout.splitlines()[0].strip()}, {toolkit}"


class CardSampler:
    """Measures the card's ceilings once a call of `sample`; the best of all samples counts."""

    def __init__(self) -> None:
        from fastcnn.kernels.cuda.runtime.peak_rates import Copy, Fma

        self._fma = Fma()
        self._make_copy = Copy
        self._fastest: list[float] = []
        self._copied = 0

    @property
    def ceilings(self) -> Ceilings:
        """The best of each so far; one sample at least is taken."""
        if not self._fastest:
            self.sample()
        adding, copying = self._fastest
        return Ceilings(None, self._fma.flops / adding / 1e9, self._copied / copying / 1e9)

    def sample(self) -> None:
        """Take one sample of each; the arrays of the copy are there for the sample alone."""
        from fastcnn.autotune.benchmark import seconds_of

        copy = self._make_copy()
        self._copied = copy.bytes
        taken = [
            min(seconds_of(ceiling) for _ in range(SAMPLES + 1)) for ceiling in (self._fma, copy)
        ]
        self._fastest = [min(pair) for pair in zip(taken, self._fastest or taken, strict=True)]
