"""Kernels launched by themselves, which no program calls."""

from __future__ import annotations

from typing import Any

from fastcnn.kernels.cuda.runtime.kernel import Kernel


def launch(kernel: Kernel, count: int, stream: Any, given: dict[str, Any]) -> None:
    """Put a kernel for so many images on a stream.

    `given` are its arguments by their names, arrays on the device and numbers; what the kernel does
    not know is left out.
    """
    given = given | {"count": count}
    arguments = [
        given[name] if kernel.is_array(name) else kernel.dtype(name).type(given[name])
        for name in kernel.arguments
    ]
    blocks, threads = kernel.launch(count, given)
    kernel.compiled[blocks, threads, stream](*arguments)
