"""The bytes of a file that may be gzipped, which its content tells; no more than what is declared
is allocated or unpacked."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from fastcnn.utils import input_file

Bytes = npt.NDArray[np.uint8]
Stream = BinaryIO | gzip.GzipFile

GZIP_MAGIC = b"\x1f\x8b"
# One deflated byte never stands for more than 1032: who claims more is not true.
DEFLATE_LIMIT = 1032
# What gzip unpacks at a time lies in memory twice.
PIECE = 1 << 18


@contextmanager
def opened(path: Path) -> Iterator[tuple[Stream, int | None, int]]:
    """(the content, its length or None where the file is gzipped, the length that it cannot
    exceed). ValueError for damaged gzip data, wherever it is read."""
    with input_file.opened(path) as raw:
        stored = os.fstat(raw.fileno()).st_size
        zipped = raw.read(2) == GZIP_MAGIC
        raw.seek(0)
        if not zipped:
            yield raw, stored, stored
            return
        try:
            with gzip.open(raw, "rb") as stream:
                yield stream, None, stored * DEFLATE_LIMIT
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(f"{path}: the gzip data is damaged: {error}.") from error


def declared_length(path: Path) -> int:
    """The length that a gzipped file says it unpacks to; -1 where that cannot be."""
    with input_file.opened(path) as raw:
        stored = os.fstat(raw.fileno()).st_size
        raw.seek(max(0, stored - 4))
        size = int.from_bytes(raw.read(4), "little")
    return size if size <= stored * DEFLATE_LIMIT else -1


def filled(stream: Stream, size: int) -> tuple[Bytes, str]:
    """The next ``size`` bytes, which must be all that is left, as uint8 [size]; and what was found
    in their place, "" where just they were."""
    values = np.empty(size, np.uint8)
    done = 0
    while done < size:
        count = stream.readinto(values[done : done + PIECE].data)  # type: ignore[union-attr]
        if not count:
            break
        done += count
    if done < size:
        return values, f"fewer, {done}"
    return values, "more" if stream.read(1) else ""
