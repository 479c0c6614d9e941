"""One kernel launched by itself, on arrays that a test gives and gets back."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastcnn.kernels.cuda.nn import activation
from fastcnn.kernels.cuda.runtime import indexing, kernel
from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.kernel import Kernel


def launch(one: Kernel, count: int = 1, chunks: int = 1, **given: Any) -> dict[str, np.ndarray]:
    """Launch a kernel for `count` images; return its arrays, as given or changed.

    Arrays and numbers by the kernel's own names; what is left out is an empty array, or 0.
    """
    given = {"count": count, "chunks": chunks, **given}
    unknown = set(given) - {*one.arguments, "count", "chunks"}
    assert not unknown, f"{one.name} has no {unknown}"
    arrays: dict[str, Any] = {}
    arguments = []
    for name, declared in one.arguments.items():
        value, dtype = given.get(name), one.dtype(name)
        if one.is_array(name):
            array = np.zeros((0,) * declared.ndim, dtype) if value is None else np.array(value)
            assert array.dtype == dtype, f"{one.name}: {name} is {array.dtype}"
            flat = array.reshape(-1) if declared.ndim == 1 else array
            arrays[name] = cuda.to_device(flat), array.shape
            arguments.append(arrays[name][0])
        else:
            arguments.append(dtype.type(0 if value is None else value))
    numbers = {name: value for name, value in given.items() if name not in arrays}
    blocks, threads = one.launch(count, numbers)
    one.compiled[blocks, threads](*arguments)
    return {name: array.copy_to_host().reshape(shape) for name, (array, shape) in arrays.items()}


def one_block(monkeypatch: Any) -> None:
    """Let no launch have more blocks than it must, so that every thread has several turns."""
    for module in (kernel, indexing, activation):
        monkeypatch.setattr(module, "MOST_BLOCKS", 1)


def unset(*shape: int) -> np.ndarray:
    """An array that a kernel has to fill: float32, NaN throughout."""
    return np.full(shape, np.nan, np.float32)
