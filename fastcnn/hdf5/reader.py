"""Groups and datasets of an HDF5 file, for reading files that nobody vouches for."""

from __future__ import annotations

import contextlib
import math
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, takewhile
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

import fastcnn.hdf5.structures as hdf5
from fastcnn.hdf5.errors import FormatError
from fastcnn.hdf5.structures import Damage
from fastcnn.utils import input_file


@contextlib.contextmanager
def reading(path: str | os.PathLike[str], file: BinaryIO | None = None) -> Iterator[Group]:
    """Yield the root group of an HDF5 file, given as a path or open; FormatError where the
    file is damaged or holds what is refused, OSError where it cannot be opened."""
    try:
        with input_file.opened(path) if file is None else file as opened:
            storage = hdf5.Storage(opened)
            limits = _Limits(storage.size)
            root = Group(storage, hdf5.root_address(storage), "/", limits)
            limits.checked = "fastcnn" in root
            yield root
    except Damage as damage:
        raise FormatError(f"'{path}' cannot be read: {damage}.") from None


class _Limits:
    """What holds for a whole file: how much data may still be read (all datasets together have at
    most the file's size), and whether each dataset must carry a checksum, as fastcnn writes it."""

    def __init__(self, size: int) -> None:
        self.left = size
        self.checked = False


class _Object:
    """What groups and datasets share: the messages of their header."""

    def __init__(self, storage: hdf5.Storage, address: int, path: str, limits: _Limits) -> None:
        self.path = path
        self._storage = storage
        self._limits = limits
        self._messages = hdf5.messages(storage, address)

    def _bodies(self, kind: int) -> list[bytes]:
        return [message.body for message in self._messages if message.kind == kind]

    def _body(self, kind: int) -> bytes:
        bodies = self._bodies(kind)
        if not bodies:
            raise Damage(f"it is damaged: '{self.path}' lacks a part of its description")
        return bodies[0]

    @property
    def attributes(self) -> dict[str, str | int]:
        """The texts and the unsigned integers among the attributes."""
        attributes: dict[str, str | int] = {}
        for body in self._bodies(hdf5.ATTRIBUTE):
            attribute = _attribute(body)
            value = _scalar(self._storage, attribute) if attribute.shape == () else None
            if value is not None:
                attributes[attribute.name] = value
        return attributes

    def texts(self, name: str) -> list[str] | None:
        """The attribute of that name, which must be a row of texts; None where there is none.

        What is too long for one attribute lies in several, `name0`, `name1`, ..., as Keras has it.
        """
        attributes = map(_attribute, self._bodies(hdf5.ATTRIBUTE))
        by_name = {attribute.name: attribute for attribute in attributes}
        if name in by_name:
            return _texts(self._storage, by_name[name])
        if f"{name}0" not in by_name:
            return None
        parts = takewhile(by_name.__contains__, (f"{name}{number}" for number in count()))
        return [text for part in parts for text in _texts(self._storage, by_name[part])]


class Group(_Object):
    """A group: a mapping of names to groups and datasets, by `group` and `dataset`."""

    def __init__(self, storage: hdf5.Storage, address: int, path: str, limits: _Limits) -> None:
        super().__init__(storage, address, path, limits)
        if self._bodies(hdf5.LINK_INFO) or self._bodies(hdf5.LINK):
            raise Damage(
                f"'{path}' has external links or links of a newer format, and only plain ones "
                "are read"
            )
        self._members = hdf5.links(storage, self._body(hdf5.SYMBOL_TABLE))

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def __len__(self) -> int:
        return len(self._members)

    def _find(self, name: str) -> tuple[int, str]:
        path = f"{self.path.rstrip('/')}/{name}"
        if name not in self._members:
            raise Damage(f"it is damaged or of another kind: it has no '{path}'")
        address = self._members[name]
        if address is None:
            raise Damage(f"'{path}' is a soft link, and links are refused")
        return address, path

    def group(self, name: str) -> Group:
        """Return the member of that name, which must be a group."""
        address, path = self._find(name)
        return Group(self._storage, address, path, self._limits)

    def dataset(self, name: str) -> Dataset:
        """Return the member of that name, which must be a dataset."""
        address, path = self._find(name)
        return Dataset(self._storage, address, path, self._limits)


class Dataset(_Object):
    """A dataset stored in one piece inside the file; its bytes are read only by `floats`, `text`.

    shape: a tuple of integers, () for one number.
    """

    def __init__(self, storage: hdf5.Storage, address: int, path: str, limits: _Limits) -> None:
        super().__init__(storage, address, path, limits)
        if self._bodies(hdf5.EXTERNAL_FILES):
            raise Damage(f"'{path}' keeps its data in another file, which is refused")
        if self._bodies(hdf5.FILTERS):
            raise Damage(f"'{path}' is compressed or filtered, and only plain data is read")
        self.shape = hdf5.dataspace(self._body(hdf5.DATASPACE))
        self.type = hdf5.datatype(self._body(hdf5.DATATYPE))
        self._offset, stored = _contiguous(self._body(hdf5.LAYOUT), path)
        self._size = math.prod(self.shape) * self.type.size
        if self._offset == hdf5.NOWHERE:
            stored = 0
        if self._size != stored or not self._size:
            raise Damage(f"'{path}' declares {self._size} bytes of data and stores {stored}")
        storage.locate(self._offset, self._size)

    def floats(self) -> NDArray[np.float32]:
        """Return the numbers as a fresh float32[shape]; float16 is widened, other types refused."""
        dtype = self.type.dtype
        if dtype is None or dtype.kind != "f" or dtype.itemsize > 4:
            raise Damage(
                f"'{self.path}' should hold float32 numbers; its type is {self.type.words}"
            )
        array = np.empty(self.shape, dtype)
        self._read(array.reshape(-1).view(np.uint8).data)
        return array.astype(np.float32, copy=False)

    def finite_floats(self) -> NDArray[np.float32]:
        """Return what `floats` does; numbers that are not finite are refused."""
        array = self.floats()
        wrong = int(np.count_nonzero(~np.isfinite(array)))
        if wrong:
            raise Damage(
                f"{wrong:,} of the {array.size:,} numbers of '{self.path}' are not finite, as "
                "after a training whose loss became NaN"
            )
        return array

    def text(self, limit: int) -> str:
        """Return a text of at most limit bytes."""
        if not self.type.text or self.shape != ():
            raise Damage(f"'{self.path}' should hold a text; its type is {self.type.words}")
        if self._size > limit:
            raise Damage(f"'{self.path}' has {self._size} bytes of text, the limit is {limit}")
        data = bytearray(self._size)
        self._read(memoryview(data))
        return hdf5.decode(bytes(data).rstrip(b"\0"))

    def _read(self, target: memoryview) -> None:
        self._limits.left -= self._size
        if self._limits.left < 0:
            raise Damage("its datasets declare more data than the file holds")
        self._storage.fill(self._offset, target)
        expected = self.attributes.get("crc32")
        if expected is None and not self._limits.checked:
            return
        if zlib.crc32(target) != expected:
            raise Damage(f"it is damaged: the data of '{self.path}' fails its checksum")


def _contiguous(body: bytes, path: str) -> tuple[int, int]:
    """Offset and size of a dataset that is stored in one piece."""
    version, kind = hdf5.unpack("BB", body)
    if version not in (3, 4):
        raise Damage(f"'{path}' is damaged or in a format older than HDF5 1.6.3")
    if kind != 1:
        words = {0: "compact", 2: "chunked", 3: "virtual"}.get(kind, "unknown")
        raise Damage(f"'{path}' has a {words} layout, and only plain data in one piece is read")
    offset, size = hdf5.unpack("QQ", body, 2)
    return offset, size


@dataclass(frozen=True)
class _Attribute:
    """An attribute as it is stored."""

    name: str
    type: hdf5.Datatype
    shape: tuple[int, ...]
    data: bytes


def _attribute(body: bytes) -> _Attribute:
    version, flags, name_size, type_size, space_size = hdf5.unpack("BBHHH", body)
    if version not in (1, 2, 3) or (version > 1 and flags):
        raise Damage("it is damaged: an attribute is of an unknown kind")
    position = 9 if version == 3 else 8
    parts = []
    for size in (name_size, type_size, space_size):
        parts.append(body[position : position + size])
        position += (size + 7) // 8 * 8 if version == 1 else size
    name = hdf5.decode(parts[0].rstrip(b"\0"))
    return _Attribute(name, hdf5.datatype(parts[1]), hdf5.dataspace(parts[2]), body[position:])


def _scalar(storage: hdf5.Storage, attribute: _Attribute) -> str | int | None:
    """The value; None where it is neither a text nor an unsigned integer."""
    kind, data = attribute.type, attribute.data
    if kind.variable:
        return _text(storage, kind, data)
    if kind.dtype is None or len(data) < kind.size:
        return None
    if kind.text:
        return _text(storage, kind, data)
    return int.from_bytes(data[: kind.size], "little") if kind.dtype.kind == "u" else None


def _text(storage: hdf5.Storage, kind: hdf5.Datatype, data: bytes) -> str:
    """The text that begins the data."""
    if not kind.variable:
        return hdf5.decode(data[: kind.size].rstrip(b"\0"))
    length, address, index = hdf5.unpack("IQI", data)
    if not address:
        return ""
    return hdf5.decode(hdf5.global_object(storage, address, index)[:length])


def _texts(storage: hdf5.Storage, attribute: _Attribute) -> list[str]:
    """The texts of a row of them."""
    kind, number = attribute.type, math.prod(attribute.shape)
    if not number:
        return []
    if not (kind.text or kind.variable) or not kind.size or len(attribute.shape) != 1:
        raise Damage(f"its attribute '{attribute.name}' should be a row of texts")
    if number * kind.size > len(attribute.data):
        raise Damage(f"it is damaged: its attribute '{attribute.name}' is cut short")
    places = range(0, number * kind.size, kind.size)
    return [_text(storage, kind, attribute.data[place : place + kind.size]) for place in places]
