"""CIFAR's binary files: records of labels and 3 x 32 x 32 bytes, colour planes one by one.

A record of CIFAR-10 begins with one label, one of CIFAR-100 with two: the coarse and the fine one.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from fastcnn.utils import bounded_gzip, system
from fastcnn.utils.bounded_gzip import Bytes

SIDE = 32
PIXELS = 3 * SIDE * SIDE
RECORD = 1 + PIXELS
RECORD_100 = 2 + PIXELS

PathLike = str | os.PathLike[str]


def read_cifar10(path: PathLike) -> tuple[Bytes, Bytes]:
    """Return the images and labels of one binary file of CIFAR-10.

    Args:
        path: The file, gzipped or not.

    Returns:
        (images uint8 [n, 32, 32, 3], labels uint8 [n]).

    Raises:
        ValueError: The file is not a whole number of records.
        OSError: It cannot be opened.

    References:
        Krizhevsky, 2009: Learning multiple layers of features from tiny images.
    """
    records = _records(Path(path), "CIFAR-10", RECORD)
    return _images(records[:, 1:]), records[:, 0].copy()


def read_cifar100(path: PathLike) -> tuple[Bytes, Bytes, Bytes]:
    """Return the images and labels of one binary file of CIFAR-100.

    Args:
        path: The file, gzipped or not.

    Returns:
        (images uint8 [n, 32, 32, 3], fine labels 0 to 99, coarse labels 0 to 19), labels uint8 [n].

    Raises:
        ValueError: The file is not a whole number of records.
        OSError: It cannot be opened.

    References:
        Krizhevsky, 2009: Learning multiple layers of features from tiny images.
    """
    records = _records(Path(path), "CIFAR-100", RECORD_100)
    return _images(records[:, 2:]), records[:, 1].copy(), records[:, 0].copy()


def _images(planes: Bytes) -> Bytes:
    return np.ascontiguousarray(planes.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1))


def _records(path: Path, name: str, record: int) -> Bytes:
    """Return a file's content as [n, record]; its length is checked before memory is allocated."""
    with bounded_gzip.opened(path) as (stream, size, _):
        if size is None:
            size = bounded_gzip.declared_length(path)
        if size <= 0 or size % record:
            length = f"{size} bytes" if size >= 0 else "a length that cannot be true"
            raise ValueError(
                f"{path}: a {name} binary file must hold one or more records of {record} bytes. "
                f"Found {length}."
            )
        system.check_fits(path, 2 * size)
        values, length = bounded_gzip.filled(stream, size)
        if length:
            raise ValueError(f"{path}: {size} bytes are declared. Found {length}.")
        return values.reshape(-1, record)
