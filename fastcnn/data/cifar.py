"""CIFAR-10's binary files: records of one label and 3 x 32 x 32 bytes, colour planes one by one."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

SIDE = 32
PIXELS = 3 * SIDE * SIDE
RECORD = 1 + PIXELS


def read_cifar10(
    path: str | os.PathLike[str],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Images uint8 [n, 32, 32, 3] and labels uint8 [n] of one binary file.

    Raises ValueError when the file is not a whole number of records.
    """
    path = Path(path)
    size = path.stat().st_size
    if size == 0 or size % RECORD:
        raise ValueError(
            f"{path}: a CIFAR-10 binary file must hold one or more records of {RECORD} bytes. "
            f"Found {size} bytes."
        )
    records = np.fromfile(path, np.uint8, size).reshape(-1, RECORD)
    planes = records[:, 1:].reshape(-1, 3, SIDE, SIDE)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), records[:, 0].copy()
