"""CIFAR's binary files: records of labels and 3 x 32 x 32 bytes, colour planes one by one.

A record of CIFAR-10 begins with one label, one of CIFAR-100 with two: the coarse and the fine one.
"""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from fastcnn.data import capacity
from fastcnn.data.idx import DEFLATE_LIMIT, GZIP_MAGIC

SIDE = 32
PIXELS = 3 * SIDE * SIDE
RECORD = 1 + PIXELS
RECORD_100 = 2 + PIXELS

Bytes = npt.NDArray[np.uint8]
PathLike = str | os.PathLike[str]


def read_cifar10(path: PathLike) -> tuple[Bytes, Bytes]:
    """Images uint8 [n, 32, 32, 3] and labels uint8 [n] of one binary file, gzipped or not.

    Raises ValueError when the file is not a whole number of records.
    """
    records = _records(Path(path), "CIFAR-10", RECORD)
    return _images(records[:, 1:]), records[:, 0].copy()


def read_cifar100(path: PathLike) -> tuple[Bytes, Bytes, Bytes]:
    """Images uint8 [n, 32, 32, 3], fine labels (0 to 99) and coarse labels (0 to 19), uint8 [n], of
    one binary file, gzipped or not.

    Raises ValueError when the file is not a whole number of records.
    """
    records = _records(Path(path), "CIFAR-100", RECORD_100)
    return _images(records[:, 2:]), records[:, 1].copy(), records[:, 0].copy()


def _images(planes: Bytes) -> Bytes:
    return np.ascontiguousarray(planes.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1))


def _records(path: Path, name: str, record: int) -> Bytes:
    """The file's content as [n, record]; its length is checked before anything is allocated."""
    with path.open("rb") as raw:
        size = os.fstat(raw.fileno()).st_size
        zipped = raw.read(2) == GZIP_MAGIC
        if not zipped:
            raw.seek(0)
            _check(path, name, record, size)
            return _filled(raw, path, size).reshape(-1, record)
        size = _declared(raw, size)
        _check(path, name, record, size)
        raw.seek(0)
        try:
            with gzip.open(raw, "rb") as stream:
                return _filled(stream, path, size).reshape(-1, record)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(f"{path}: the gzip data is damaged: {error}.") from error


def _declared(raw: BinaryIO, stored: int) -> int:
    """The length that a gzip file says it unpacks to; -1 where that cannot be."""
    raw.seek(max(0, stored - 4))
    size = int.from_bytes(raw.read(4), "little")
    return size if size <= stored * DEFLATE_LIMIT else -1


def _check(path: Path, name: str, record: int, size: int) -> None:
    if size <= 0 or size % record:
        found = f"{size} bytes" if size >= 0 else "a length that cannot be true"
        raise ValueError(
            f"{path}: a {name} binary file must hold one or more records of {record} bytes. "
            f"Found {found}."
        )
    capacity.check_fits(path, 2 * size)


def _filled(stream: BinaryIO | gzip.GzipFile, path: Path, size: int) -> Bytes:
    values = np.empty(size, np.uint8)
    done = 0
    while done < size and (count := stream.readinto(values[done:].data)):  # type: ignore[union-attr]
        done += count
    if done < size or stream.read(1):
        found = "more" if done == size else f"{done}"
        raise ValueError(f"{path}: {size} bytes are declared. Found {found}.")
    return values
