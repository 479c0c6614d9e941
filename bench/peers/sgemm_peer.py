"""The ceiling: NumPy's float32 matrix product, the fastest arithmetic that most machines offer."""

from __future__ import annotations

import platform
import time
from typing import Any

STARTED = time.perf_counter()

import numpy as np  # noqa: E402
import protocol  # noqa: E402


class Sgemm:
    """See protocol.Competitor. The net is "sgemm", the batch the matrices' size."""

    def describe(self) -> dict[str, Any]:
        versions = {"python": platform.python_version(), "numpy": np.__version__}
        return {"versions": versions, "variants": {"infer": ("numpy",)}}

    def step(self, task: protocol.Task) -> protocol.Step:
        generator = np.random.default_rng(0)
        a, b = generator.random((2, task.batch, task.batch), dtype=np.float32)
        c = np.empty_like(a)
        return lambda: np.matmul(a, b, out=c)


if __name__ == "__main__":
    protocol.main(Sgemm, STARTED)
