"""safetensors files: arrays and texts by names, read and written by the package `safetensors`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.hdf5.errors import FormatError
from fastcnn.utils import atomic_file, input_file

Path = str | os.PathLike[str]

DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "BOOL": "?",
    **{f"{kind}{8 * size}": f"<{kind.lower()}{size}" for kind in "IU" for size in (1, 2, 4, 8)},
}
"""NumPy's types by those of the format; of bfloat16 there are but the bits."""


@dataclass
class Tensors:
    """What a file holds."""

    arrays: dict[str, NDArray[Any]]
    texts: dict[str, str]


def is_one(path: Path) -> bool:
    """Return whether a file begins as those of the format do; OSError where it cannot be opened."""
    with input_file.opened(path) as file:
        start = file.read(9)
    # The length of a JSON object, then the object.
    return start[8:] == b"{" and int.from_bytes(start[:8], "little") < os.path.getsize(path)


def read(path: Path) -> Tensors:
    """Return the arrays of a file in the order of their names, and its texts.

    bfloat16 becomes float32; all else stays as it is.

    Raises:
        FormatError: It is damaged, or has numbers of a type that NumPy lacks.
        ImportError: The package `safetensors` is not installed.
        OSError: It cannot be opened.
    """
    package = _package(path)
    try:
        with package.safe_open(path, framework="np") as opened:
            texts = opened.metadata() or {}
        with input_file.opened(path) as file:
            tensors = package.deserialize(file.read())
        arrays = {name: _array(tensor) for name, tensor in sorted(tensors)}
    except (package.SafetensorError, KeyError, ValueError) as error:
        raise FormatError(f"'{path}' cannot be read: {error}.") from None
    return Tensors(arrays, texts)


def _array(tensor: Mapping[str, Any]) -> NDArray[Any]:
    kind = tensor["dtype"]
    if kind not in DTYPES:
        raise ValueError(f"it has numbers of the type {kind}")
    array: NDArray[Any] = np.frombuffer(tensor["data"], DTYPES[kind])
    if kind == "BF16":
        array = (array.astype("<u4") << 16).view("<f4")
    return array.reshape(tensor["shape"])


def write(path: Path, tensors: Tensors) -> None:
    """Write arrays and texts to a file; a crash leaves the old file or the new one.

    Raises:
        ImportError: The package `safetensors` is not installed.
        OSError: It cannot be written.
    """
    _package(path)
    from safetensors.numpy import save

    data = save({n: np.ascontiguousarray(a) for n, a in tensors.arrays.items()}, tensors.texts)
    with atomic_file.replacing(path) as file:
        file.write(data)


def _package(path: Path) -> ModuleType:
    try:
        import safetensors
    except ImportError:
        raise ImportError(
            f"'{path}' is a safetensors file, for which the package safetensors is needed: "
            "pip install 'fastcnn[safetensors]'."
        ) from None
    return safetensors
