"""IDX files, the layout of MNIST and Fashion-MNIST: a header, then bytes; gzipped or not."""

from __future__ import annotations

import math
import os
import struct
from pathlib import Path

from fastcnn.utils import bounded_gzip, system
from fastcnn.utils.bounded_gzip import Bytes, Stream

UNSIGNED_BYTE = 8
MOST_AXES = 4


def read_idx(path: str | os.PathLike[str], axes: int | None = None) -> Bytes:
    """Return the array of an IDX file of unsigned bytes.

    Args:
        path: The file, gzipped or not, which is seen from its content.
        axes: How many it must have; None takes what the file has, 1 to 4.

    Returns:
        The array, uint8: images [n, H, W] or labels [n], say.

    Raises:
        ValueError: Before anything is allocated: the header is not that of such a file, declares
            another size than is stored, or more than memory has room for.
        OSError: It cannot be opened.
    """
    path = Path(path)
    with bounded_gzip.opened(path) as (stream, size, limit):
        shape = _read_shape(stream, path, axes)
        count, header = math.prod(shape), 4 + 4 * len(shape)
        must = f"{path}: an IDX file of shape {shape} must hold {header + count} bytes. Found"
        if header + count > limit or size not in (None, header + count):
            raise ValueError(f"{must} {'at most ' if size is None else ''}{limit}.")
        system.check_fits(path, count)
        values, received = bounded_gzip.filled(stream, count)
        if received:
            raise ValueError(f"{must} {received}.")
        return values.reshape(shape)


def _read_shape(stream: Stream, path: Path, axes: int | None) -> tuple[int, ...]:
    magic = stream.read(4)
    ranks = range(1, MOST_AXES + 1) if axes is None else (axes,)
    if magic not in [bytes([0, 0, UNSIGNED_BYTE, count]) for count in ranks]:
        wanted = f"{axes:02x}" if axes is not None else f"01 to {MOST_AXES:02x}"
        kind = "" if axes is None else f" with {axes} axes"
        raise ValueError(
            f"{path}: an IDX file of unsigned bytes{kind} begins with 00 00 08 {wanted}. "
            f"Found {magic.hex(' ') or 'an empty file'}."
        )
    count = magic[3]
    sizes = stream.read(4 * count)
    if len(sizes) != 4 * count:
        raise ValueError(f"{path}: the IDX header ends after {4 + len(sizes)} bytes.")
    shape = struct.unpack(f">{count}I", sizes)
    if 0 in shape:
        raise ValueError(f"{path}: every axis must have at least one entry. Found shape {shape}.")
    return shape
