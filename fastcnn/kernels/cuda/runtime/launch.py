"""Kernels launched by themselves, which no program calls."""

from __future__ import annotations

from typing import Any

from fastcnn.kernels.cuda.runtime.kernel import Kernel


def launch(kernel: Kernel, count: int, stream: Any, values: dict[str, Any]) -> None:
    """Put a kernel for so many images on a stream.

    `values` are its arguments by their names, arrays on the device and numbers; what the kernel
    does not know is left out.
    """
    values = values | {"count": count}
    arguments = [
        values[name] if kernel.is_array(name) else kernel.dtype(name).type(values[name])
        for name in kernel.arguments
    ]
    blocks, threads = kernel.launch(count, values)
    kernel.compiled[blocks, threads, stream](*arguments)
