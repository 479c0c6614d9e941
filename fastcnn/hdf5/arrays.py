"""The arrays in the root of an HDF5 file, read with bounds.

The HDF5 library crashes or hangs on some damaged files and follows links to others, so that the
file's structures are read here, and every place and size is checked against the file before
anything is allocated. Read are arrays of integers, floats and texts, stored in one piece or in
chunks, plain, deflated or shuffled, in the format that h5py writes by default.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import weakref
from collections.abc import Iterator
from io import FileIO
from typing import Any, cast

import numpy as np
import numpy.typing as npt

import fastcnn.hdf5.structures as hdf5
from fastcnn.hdf5.chunks import Chunks, find_chunks, read_filters, unpacked
from fastcnn.hdf5.errors import FormatError
from fastcnn.hdf5.structures import Damage
from fastcnn.utils import forking, input_file, system

Array = npt.NDArray[Any]

CONTIGUOUS, CHUNKED = 1, 2
VARIABLE = np.dtype([("length", "<u4"), ("heap", "<u8"), ("index", "<u4")])


class File:
    """An HDF5 file, open: a mapping of the names in its root to Stored arrays. Threads may read at
    once. FormatError (a ValueError) where it is damaged or holds what is refused."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._lock = forking.freed_in_child(threading.Lock())
        self._file = cast(FileIO, input_file.opened(self.path, buffering=0))
        # A data set keeps its file for as long as it lives, and needs no closing by hand.
        weakref.finalize(self, self._file.close)
        try:
            with as_format_error(self.path):
                self.storage = hdf5.Storage(self._file)
                self._members = _members(self.storage)
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Give the file back to the system."""
        self._file.close()

    def __enter__(self) -> File:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def __getitem__(self, name: str) -> Stored:
        """An array's description; its values are not read yet."""
        with as_format_error(self.path):
            if name not in self._members:
                held = ", ".join(self._members) or "nothing"
                raise Damage(f"it has no '{name}'; it holds {held}")
            address = self._members[name]
            if address is None:
                raise Damage(f"'{name}' is a soft link, and links are refused")
            with self._lock:
                return Stored(self, name, address)

    def heaps(self) -> hdf5.Storage:
        """Return the file for reading texts, which lie many to a heap."""
        return hdf5.Storage(self._file)

    def fill(self, offset: int, target: memoryview) -> None:
        """Read target's bytes from offset on; other threads may do so at the same time."""
        done = 0
        while done < target.nbytes:
            count = self._read_some(offset + done, target[done:])
            if not count:
                raise FormatError(f"'{self.path}' cannot be read: it became shorter.")
            done += count

    def _read_some(self, offset: int, target: memoryview) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._file.fileno(), [target], offset)
        with self._lock:
            self._file.seek(offset)
            return self._file.readinto(target) or 0


class Stored:
    """A dataset of the root. shape: a tuple, () for one value. dtype: of its values, None for texts
    of variable length."""

    def __init__(self, file: File, name: str, address: int) -> None:
        self.name = name
        self._file = file
        messages = hdf5.messages(file.storage, address)
        self._bodies = {message.kind: message.body for message in reversed(messages)}
        for kind in (hdf5.DATASPACE, hdf5.DATATYPE, hdf5.LAYOUT):
            if kind not in self._bodies:
                raise Damage(f"'{name}' is a group, or damaged; arrays are expected in the root")
        if hdf5.EXTERNAL_FILES in self._bodies:
            raise Damage(f"'{name}' keeps its data in another file, which is refused")
        self.shape = hdf5.dataspace(self._bodies[hdf5.DATASPACE])
        self.dtype, self._type = _value_type(self._bodies[hdf5.DATATYPE], name)
        self._filters = read_filters(
            [self._bodies[kind] for kind in (hdf5.FILTERS,) if kind in self._bodies], name
        )
        self._chunks: Chunks | None = None
        self._offset = 0
        self._locate()

    @property
    def size(self) -> int:
        """The bytes of all values, unpacked."""
        return math.prod(self.shape) * self._type.itemsize

    def read(self) -> Array:
        """Return all values, as a fresh array; ValueError where memory has no room for them."""
        if self.dtype is None:
            raise FormatError(
                f"'{self._file.path}' cannot be read: '{self.name}' holds texts, not numbers."
            )
        return self._values()

    def texts(self) -> list[str]:
        """Return an array of texts, or one text, as a list of str."""
        with as_format_error(self._file.path):
            values = self._values().reshape(-1)
            if self.dtype is None:
                heaps = self._file.heaps()
                return [_variable(heaps, value) for value in values]
            if values.dtype.kind != "S":
                raise Damage(f"'{self.name}' should hold texts; it holds {self.dtype}")
            return [hdf5.decode(value.rstrip(b"\0")) for value in values.tolist()]

    def row_offsets(self) -> npt.NDArray[np.int64]:
        """Where each entry of the first axis begins in the file; FormatError where it is not stored
        plainly, in one piece."""
        row = math.prod(self.shape[1:]) * self._type.itemsize
        with as_format_error(self._file.path):
            if self._chunks is None and self.shape:
                return self._offset + row * np.arange(self.shape[0], dtype=np.int64)
            if self._chunks is None or self._filters or self._chunks.shape[1:] != self.shape[1:]:
                raise Damage(f"the rows of '{self.name}' are packed or cut into pieces")
            side = self._chunks.shape[0]
            chunk, rest = np.divmod(np.arange(self.shape[0], dtype=np.int64), side)
            offsets: npt.NDArray[np.int64] = self._chunks.addresses[chunk] + row * rest
            return offsets

    def _locate(self) -> None:
        """Find the values in the file; Damage where it does not hold what is declared."""
        body = self._bodies[hdf5.LAYOUT]
        version, kind = hdf5.unpack("BB", body)
        if version != 3 or kind not in (CONTIGUOUS, CHUNKED):
            words = {0: "compact", 3: "virtual"}.get(kind, "newer")
            raise Damage(f"'{self.name}' has a {words} layout, and only plain and chunked are read")
        storage = self._file.storage
        if kind == CONTIGUOUS:
            offset, stored = hdf5.unpack("QQ", body, 2)
            stored = 0 if offset == hdf5.NOWHERE else stored
            if stored != self.size or self._filters:
                raise Damage(f"'{self.name}' declares {self.size} bytes and stores {stored}")
            storage.locate(offset if stored else 0, stored)
            self._offset = offset if stored else 0
            return
        if not self.size:
            raise Damage(f"'{self.name}' is empty: its shape is {self.shape}")
        self._chunks = find_chunks(
            storage, body, self.shape, self._type.itemsize, self._filters, self.name
        )
        if not self._filters and self.size > storage.size:
            raise Damage(f"'{self.name}' declares {self.size} bytes, more than the file has")

    def _values(self) -> Array:
        system.check_fits(self._file.path, self.size)
        values = np.empty(self.shape, self._type)
        if self._chunks is None:
            self._file.fill(self._offset, values.reshape(-1).view(np.uint8).data)
            return values
        with as_format_error(self._file.path):
            for number in range(len(self._chunks.origins)):
                self._place(self._chunks, number, values)
        return values

    def _place(self, chunks: Chunks, number: int, values: Array) -> None:
        """One chunk into its part of the values; it may stand out over their ends."""
        data = bytearray(int(chunks.sizes[number]))
        self._file.fill(int(chunks.addresses[number]), memoryview(data))
        plain = math.prod(chunks.shape) * self._type.itemsize
        content = unpacked(bytes(data), self._filters, plain, self._type.itemsize, self.name)
        part = tuple(
            slice(int(start), int(start) + side)
            for start, side in zip(chunks.origins[number], chunks.shape, strict=True)
        )
        target = values[part]
        chunk = np.frombuffer(content, self._type).reshape(chunks.shape)
        target[...] = chunk[tuple(slice(n) for n in target.shape)]


@contextlib.contextmanager
def as_format_error(path: str) -> Iterator[None]:
    """Raise Damage within it as a FormatError that names the file."""
    try:
        yield
    except Damage as damage:
        raise FormatError(f"'{path}' cannot be read: {damage}.") from None


def read_hdf5(path: str | os.PathLike[str], *names: str) -> dict[str, Array]:
    """Return the arrays of the root of an HDF5 file by name.

    Args:
        path: The file.
        *names: The arrays that are wanted; all of them where none is named.

    Returns:
        The arrays by name; texts as arrays of str.

    Raises:
        FormatError: The file is damaged, hostile, or holds what is not read (a ValueError).
        ValueError: Memory has no room.
        OSError: It cannot be opened.
    """
    with File(path) as file:
        datasets = {name: file[name] for name in names or file}
        system.check_fits(path, sum(stored.size for stored in datasets.values()))
        return {name: _array(stored) for name, stored in datasets.items()}


def _array(stored: Stored) -> Array:
    if stored.dtype is None or stored.dtype.kind == "S":
        return np.array(stored.texts(), np.str_).reshape(stored.shape)
    return stored.read()


def _variable(heaps: hdf5.Storage, value: Any) -> str:
    """A text of variable length."""
    if not value["heap"]:
        return ""
    data = hdf5.global_object(heaps, int(value["heap"]), int(value["index"]))
    return hdf5.decode(data[: int(value["length"])])


def _members(storage: hdf5.Storage) -> dict[str, int | None]:
    messages = hdf5.messages(storage, hdf5.root_address(storage))
    bodies = {message.kind: message.body for message in messages}
    if hdf5.LINK_INFO in bodies or hdf5.LINK in bodies or hdf5.SYMBOL_TABLE not in bodies:
        raise Damage(
            "it has external links or links of a newer format, and only plain ones are read"
        )
    return hdf5.links(storage, bodies[hdf5.SYMBOL_TABLE])


def _value_type(body: bytes, name: str) -> tuple[np.dtype[Any] | None, np.dtype[Any]]:
    """The type of the values, and that of their bytes in the file."""
    datatype = hdf5.datatype(body)
    if datatype.variable:
        return None, VARIABLE
    kind, bits = hdf5.unpack("BB", body)
    if kind & 15 == 0 and datatype.size in (1, 2, 4, 8):
        shift, precision = hdf5.unpack("HH", body, 8)
        if (shift, precision) == (0, 8 * datatype.size):
            order, sign = "><"[not bits & 1], "ui"[bool(bits & 8)]
            return (dtype := np.dtype(f"{order}{sign}{datatype.size}")), dtype
    elif datatype.dtype is not None:
        return datatype.dtype, datatype.dtype
    raise Damage(f"the values of '{name}' are of a type that is not read: {datatype.words}")
