"""IDX files, the layout of MNIST and Fashion-MNIST: a header, then bytes; gzipped or not."""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Stream = BinaryIO | gzip.GzipFile

GZIP_MAGIC = b"\x1f\x8b"
# One deflated byte never stands for more than 1032: a header that claims more is not true.
DEFLATE_LIMIT = 1032
UNSIGNED_BYTE = 8


def read_idx(path: str | os.PathLike[str], axes: int) -> Bytes:
    """The array of an IDX file of unsigned bytes with ``axes`` axes, as uint8.

    Whether the file is gzipped is seen from its content. Raises ValueError, before anything is
    allocated, when the header is not that of such a file or declares another size than is stored.
    """
    path = Path(path)
    with path.open("rb") as raw:
        stored = os.fstat(raw.fileno()).st_size
        zipped = raw.read(2) == GZIP_MAGIC
        raw.seek(0)
        if not zipped:
            return _read(raw, path, axes, stored, stored)
        try:
            with gzip.open(raw, "rb") as stream:
                return _read(stream, path, axes, None, stored * DEFLATE_LIMIT)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(f"{path}: the gzip data is damaged: {error}.") from error


def _read(stream: Stream, path: Path, axes: int, size: int | None, limit: int) -> Bytes:
    """Header and values; ``size`` is the length of the stream where known, ``limit`` its bound."""
    shape = _read_shape(stream, path, axes)
    count = math.prod(shape)
    header = 4 + 4 * axes
    if header + count > limit or size not in (None, header + count):
        raise ValueError(
            f"{path}: an IDX file of shape {shape} must hold {header + count} bytes. "
            f"Found {'at most ' if size is None else ''}{limit}."
        )
    values = stream.read(count)
    if len(values) != count or stream.read(1):
        found = "fewer" if len(values) < count else "more"
        raise ValueError(
            f"{path}: an IDX file of shape {shape} must hold {header + count} bytes. Found {found}."
        )
    return np.frombuffer(values, np.uint8).reshape(shape).copy()


def _read_shape(stream: Stream, path: Path, axes: int) -> tuple[int, ...]:
    expected = bytes([0, 0, UNSIGNED_BYTE, axes])
    magic = stream.read(4)
    if magic != expected:
        raise ValueError(
            f"{path}: an IDX file of unsigned bytes with {axes} axes begins with "
            f"{expected.hex(' ')}. Found {magic.hex(' ') or 'an empty file'}."
        )
    sizes = stream.read(4 * axes)
    if len(sizes) != 4 * axes:
        raise ValueError(f"{path}: the IDX header ends after {4 + len(sizes)} bytes.")
    shape = struct.unpack(f">{axes}I", sizes)
    if 0 in shape:
        raise ValueError(f"{path}: every axis must have at least one entry. Found shape {shape}.")
    return shape
