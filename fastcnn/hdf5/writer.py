"""Writes arrays and texts as an HDF5 file, atomically."""

from __future__ import annotations

import io
import os
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from fastcnn.utils import atomic_file

if TYPE_CHECKING:
    import h5py


@dataclass
class Contents:
    """What a file holds, by path without a leading slash."""

    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """The `name` attribute of a group."""


def write(path: str | os.PathLike[str], contents: Contents) -> None:
    """Write contents to path; a crash leaves the old file or the new one.

    Every dataset carries a `crc32` attribute of its bytes. OSError when it cannot be
    written; the file that was there then stays as it was.
    """
    with atomic_file.replacing(path) as file:
        sink = Sink(file)
        try:
            _fill(sink, contents)
        except Exception as error:
            raise sink.error or error from None
        if sink.error:
            raise sink.error


def as_bytes(contents: Contents) -> bytes:
    """Return contents as the bytes of a file."""
    file = io.BytesIO()
    _fill(Sink(file), contents)
    return file.getvalue()


def _fill(sink: Sink, contents: Contents) -> None:
    import h5py

    # The oldest layout: every HDF5 library reads it, and fastcnn's own reader knows no other.
    with h5py.File(sink, "w", libver="earliest") as file:
        for path, name in contents.names.items():
            file.require_group(path).attrs["name"] = _text(name)
        for path, array in contents.arrays.items():
            _store(file, path, np.ascontiguousarray(array))
        for path, text in contents.texts.items():
            _store(file, path, _text(text))


def _store(file: h5py.File, path: str, array: NDArray[Any]) -> None:
    dataset = file.create_dataset(path, data=array)
    dataset.attrs["crc32"] = np.uint32(checksum(array))


def _text(text: str) -> NDArray[Any]:
    """A text as HDF5's string of fixed length in UTF-8."""
    import h5py

    encoded = text.encode("utf-8")
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", max(len(encoded), 1)))


def checksum(array: NDArray[Any]) -> int:
    """Return the CRC-32 of the array's bytes."""
    return zlib.crc32(array.reshape(-1).view(np.uint8).data)


class Sink:
    """A file for h5py that remembers the first failure and then swallows what follows.

    The HDF5 library cannot close a file that it cannot write; so it never hears of a full disk,
    and the caller raises `error` afterwards.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, data: bytes | memoryview) -> int:
        if self.error is None:
            try:
                self._file.write(data)
            except OSError as error:
                self.error = error
        return len(data)

    def readinto(self, data: object) -> int:
        return self._file.readinto(data)  # type: ignore[attr-defined]

    def read(self, count: int = -1) -> bytes:
        return self._file.read(count)

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return self._file.seek(offset, whence)
        except OSError as error:  # seeking flushes what was buffered
            self.error = self.error or error
            return offset

    def tell(self) -> int:
        return self._file.tell()

    def truncate(self, size: int) -> int:
        try:
            return self._file.truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size

    def flush(self) -> None:
        try:
            self._file.flush()
        except OSError as error:
            self.error = self.error or error
