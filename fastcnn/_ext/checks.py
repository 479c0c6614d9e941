"""Checks of the arrays that compiled functions take, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def check_array(
    owner: str, name: str, array: Any, dtypes: Sequence[str], shape: Sequence[int | None]
) -> None:
    """Raise TypeError or ValueError unless ``array`` is a C-contiguous array of one of the dtypes
    and of the shape, whose None stands for any length."""
    if not isinstance(array, np.ndarray) or array.dtype.name not in dtypes:
        kind = array.dtype.name if isinstance(array, np.ndarray) else type(array).__name__
        raise TypeError(
            f"{owner}: {name} must be an array of {' or '.join(dtypes)}. Received {kind}."
        )
    if not array.flags.c_contiguous or not array.dtype.isnative:
        raise ValueError(
            f"{owner}: {name} must be a C-contiguous array in native byte order. "
            f"Received shape {array.shape}, strides {array.strides}."
        )
    fits = array.ndim == len(shape) and all(
        expected in (None, length) for expected, length in zip(shape, array.shape, strict=True)
    )
    if not fits:
        lengths = ", ".join("any" if length is None else str(length) for length in shape)
        raise ValueError(
            f"{owner}: {name} must have the shape ({lengths}). Received {array.shape}."
        )


def check_target(owner: str, name: str, array: Any, shape: Sequence[int | None]) -> None:
    """check_array() for a float32 array that is written to."""
    check_array(owner, name, array, ("float32",), shape)
    if not array.flags.writeable:
        raise ValueError(f"{owner}: {name} must be writeable. Received a read-only array.")


def check_indices(owner: str, indices: Any, count: int) -> None:
    """Raise unless ``indices`` is int64 [n], each from 0 to count - 1."""
    check_array(owner, "indices", indices, ("int64",), (None,))
    if indices.size and (indices.min() < 0 or indices.max() >= count):
        bad = int(np.flatnonzero((indices < 0) | (indices >= count))[0])
        raise IndexError(
            f"{owner}: every index must be from 0 to {count - 1} ({count} images). "
            f"Received {indices[bad]} at position {bad}."
        )
