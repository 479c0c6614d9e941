"""Checks of the arrays that compiled functions take, with errors as sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

# dtype.name takes longer than all the rest of a check.
NAMES = {np.dtype(name).num: name for name in ("uint8", "float32", "float64", "int64", "uint64")}

Shape = Sequence[Any]
"""Lengths of axes: None stands for any length, ``...`` at the end for any further axes."""


def check_array(owner: str, name: str, array: Any, dtypes: Sequence[str], shape: Shape) -> None:
    """Raise TypeError or ValueError unless ``array`` is a C-contiguous array of one of the dtypes
    and of the shape."""
    is_array = isinstance(array, np.ndarray)
    kind = _name(array.dtype) if is_array else type(array).__name__
    if not is_array or kind not in dtypes:
        raise TypeError(
            f"{owner}: {name} must be an array of {' or '.join(dtypes)}. Received {kind}."
        )
    if not array.flags.c_contiguous or not array.dtype.isnative:
        raise ValueError(
            f"{owner}: {name} must be a C-contiguous array in native byte order. "
            f"Received shape {array.shape}, strides {array.strides}."
        )
    if not _fits(array.shape, shape):
        names = {None: "any", ...: "..."}
        lengths = ", ".join(str(names.get(length, length)) for length in shape)
        raise ValueError(
            f"{owner}: {name} must have the shape ({lengths}). Received {array.shape}."
        )


def _fits(received: tuple[int, ...], expected: Shape) -> bool:
    if len(expected) and expected[-1] is ...:
        expected = expected[:-1]
        received = received[: len(expected)]
    if len(received) != len(expected):
        return False
    for wanted, length in zip(expected, received, strict=True):
        if wanted is not None and wanted != length:
            return False
    return True


def _name(dtype: np.dtype[Any]) -> str:
    return NAMES.get(dtype.num) or dtype.name


def check_target(owner: str, name: str, array: Any, shape: Shape) -> None:
    """check_array() for a float32 array that is written to."""
    check_array(owner, name, array, ("float32",), shape)
    if not array.flags.writeable:
        raise ValueError(f"{owner}: {name} must be writeable. Received a read-only array.")


def check_indices(owner: str, indices: Any, count: int) -> None:
    """Raise unless ``indices`` is int64 [n], each from 0 to count - 1."""
    check_array(owner, "indices", indices, ("int64",), (None,))
    # As unsigned numbers, negative ones are the largest.
    if indices.size and indices.view(np.uint64).max() >= count:
        bad = int(np.flatnonzero((indices < 0) | (indices >= count))[0])
        raise IndexError(
            f"{owner}: every index must be from 0 to {count - 1} ({count} images). "
            f"Received {indices[bad]} at position {bad}."
        )
