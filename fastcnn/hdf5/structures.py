"""The structures of an HDF5 file, read with bounds: object headers, groups, heaps, types.

The HDF5 library crashes or hangs on some damaged files, and loads code for some filters. This
reader knows only what h5py writes by default (format version 0, datasets in one piece), checks
every offset against the file's size, and limits the bytes that structures may take, so that a
hostile file costs an error and nothing else. Addresses and sizes are bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

SIGNATURE = b"\x89HDF\r\n\x1a\n"
STRUCTURE_LIMIT = 1 << 28
MAX_RANK = 32
NOWHERE = (1 << 64) - 1  # the address of data that was never written

DATASPACE, DATATYPE, EXTERNAL_FILES, LAYOUT, FILTERS = 0x01, 0x03, 0x07, 0x08, 0x0B
ATTRIBUTE, CONTINUATION, SYMBOL_TABLE = 0x0C, 0x10, 0x11
LINK_INFO, LINK = 0x02, 0x06

_FLOATS: dict[bytes, np.dtype[Any]] = {
    bytes.fromhex("11 201f00 04000000 0000 2000 17 08 00 17 7f000000"): np.dtype("<f4"),
    bytes.fromhex("11 211f00 04000000 0000 2000 17 08 00 17 7f000000"): np.dtype(">f4"),
    bytes.fromhex("11 200f00 02000000 0000 1000 0a 05 00 0a 0f000000"): np.dtype("<f2"),
    bytes.fromhex("11 210f00 02000000 0000 1000 0a 05 00 0a 0f000000"): np.dtype(">f2"),
    bytes.fromhex("11 203f00 08000000 0000 4000 34 0b 00 34 ff030000"): np.dtype("<f8"),
}
_CLASSES = ("integer", "float", "time", "string", "bit field", "opaque", "compound", "reference",
            "enumeration", "variable-length", "array")  # fmt: skip


class Damage(Exception):
    """A file that cannot be read; the sentence lacks the file's name."""


@dataclass(frozen=True)
class Message:
    """One message of an object header."""

    kind: int
    body: bytes


@dataclass(frozen=True)
class Datatype:
    """The type of a dataset's or an attribute's elements; `dtype` is None where unreadable."""

    size: int
    dtype: np.dtype[Any] | None
    text: bool
    variable: bool
    words: str


class Storage:
    """A file's bytes behind checks."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, 2)
        self._structures = min(STRUCTURE_LIMIT, 8 * self.size + (1 << 16))
        self.heaps: dict[int, dict[int, bytes]] = {}
        """The objects of the global heaps that were read, by the heap's address and by number."""

    def locate(self, offset: int, count: int) -> None:
        """Refuse a place of `count` bytes at offset that the file does not have."""
        if offset + count > self.size:
            raise Damage(
                f"it is damaged or cut short: {count} bytes are expected at byte {offset}, "
                f"the file has {self.size}"
            )

    def take(self, offset: int, count: int) -> bytes:
        """Return `count` bytes of structure at offset."""
        self.locate(offset, count)
        self._structures -= count
        if self._structures < 0:
            raise Damage("it is damaged: its structures point at each other without end")
        self._file.seek(offset)
        data = self._file.read(count)
        if len(data) != count:
            raise Damage("it is damaged or cut short: it became shorter while it was read")
        return data

    def fill(self, offset: int, target: memoryview) -> None:
        """Read data, not structure, into target."""
        self.locate(offset, target.nbytes)
        self._file.seek(offset)
        if self._file.readinto(target) != target.nbytes:  # type: ignore[attr-defined]
            raise Damage("it is damaged or cut short: it became shorter while it was read")


def unpack(layout: str, data: bytes, offset: int = 0) -> tuple[Any, ...]:
    """Return what struct.unpack_from does, little-endian; Damage where bytes are missing."""
    try:
        return struct.unpack_from("<" + layout, data, offset)
    except struct.error:
        raise Damage("it is damaged: a structure is cut short") from None


def root_address(storage: Storage) -> int:
    """Return the address of the root group's object header."""
    start = storage.take(0, min(storage.size, 96))
    if not start.startswith(SIGNATURE):
        raise Damage("it is not an HDF5 file, or its beginning is damaged")
    if len(start) < 96:
        raise Damage("it is damaged or cut short: it ends within the first 96 bytes")
    version, sizes = start[8], start[13:15]
    if version != 0 or sizes != b"\x08\x08":
        raise Damage(
            f"it has HDF5's format version {version}, and fastcnn reads version 0, "
            "the one that h5py and Keras write by default"
        )
    base, _, end = unpack("QQQ", start, 24)
    if base != 0:
        raise Damage("it is damaged: its addresses do not start at its first byte")
    storage.locate(0, end)
    return int(unpack("Q", start, 64)[0])


def messages(storage: Storage, address: int) -> list[Message]:
    """Return the messages of the object header at address, continuations included."""
    version, count, size = unpack("BxHxxxxI", storage.take(address, 16))
    if version != 1:
        raise Damage(f"it is damaged or of another format at byte {address}: no object header")
    messages: list[Message] = []
    blocks = [(address + 16, size)]
    for start, length in blocks:
        block = storage.take(start, length)
        position = 0
        while position + 8 <= length and count > 0:
            kind, size, flags = unpack("HHB", block, position)
            body = block[position + 8 : position + 8 + size]
            if len(body) != size:
                raise Damage(f"it is damaged at byte {start + position}: a message is cut short")
            if flags & 2:
                raise Damage(f"it has a shared message at byte {start + position}")
            if kind == CONTINUATION:
                blocks.append(unpack("QQ", body))
            messages.append(Message(kind, body))
            position += 8 + size
            count -= 1
    return messages


def links(storage: Storage, body: bytes) -> dict[str, int | None]:
    """Return the members of a group, from its symbol table message: name to address, None where the
    member is a soft link."""
    tree, heap_address = unpack("QQ", body)
    heap = _local_heap(storage, heap_address)
    members: dict[str, int | None] = {}
    for node in _leaves(storage, tree):
        signature, count = unpack("4sxxH", storage.take(node, 8))
        if signature != b"SNOD":
            raise Damage(f"it is damaged at byte {node}: no symbol table node")
        entries = storage.take(node + 8, 40 * count)
        for entry in range(count):
            name_offset, address, cache = unpack("QQI", entries, 40 * entry)
            name = _name(heap, name_offset)
            if name in members:
                raise Damage(f"it is damaged: a group has two members '{name}'")
            members[name] = None if cache == 2 else address
    return members


def _leaves(storage: Storage, tree: int) -> list[int]:
    """The addresses of a group's symbol table nodes, from its B-tree."""
    leaves: list[int] = []
    waiting, seen = [tree], {tree}
    while waiting:
        address = waiting.pop()
        signature, kind, level, used = unpack("4sBBH", storage.take(address, 8))
        if signature != b"TREE" or kind != 0:
            raise Damage(f"it is damaged at byte {address}: no group tree")
        body = storage.take(address + 24, 16 * used)
        children = unpack("8xQ" * used, body)
        for child in children:
            if child in seen:
                raise Damage(f"it is damaged at byte {address}: a group contains itself")
            seen.add(child)
        (waiting if level else leaves).extend(children)
    return leaves


def _local_heap(storage: Storage, address: int) -> bytes:
    signature, size, _, data = unpack("4s4xQQQ", storage.take(address, 32))
    if signature != b"HEAP":
        raise Damage(f"it is damaged at byte {address}: no heap of names")
    return storage.take(data, size)


def _name(heap: bytes, offset: int) -> str:
    end = heap.find(b"\0", offset) if offset < len(heap) else -1
    if end < 0:
        raise Damage("it is damaged: a name lies outside its heap")
    return decode(heap[offset:end])


def decode(data: bytes) -> str:
    """Return the text of UTF-8; Damage where it is none."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Damage("it is damaged: a text is not UTF-8") from None


def global_object(storage: Storage, address: int, index: int) -> bytes:
    """Return an object of the global heap, where variable-length texts lie."""
    if address not in storage.heaps:
        storage.heaps[address] = _global_heap(storage, address)
    content = storage.heaps[address].get(index)
    if content is None:
        raise Damage(f"it is damaged: the heap at byte {address} has no object {index}")
    return content


def _global_heap(storage: Storage, address: int) -> dict[int, bytes]:
    signature, size = unpack("4s4xQ", storage.take(address, 16))
    if signature != b"GCOL" or size < 16:
        raise Damage(f"it is damaged at byte {address}: no global heap")
    heap = storage.take(address, size)
    objects: dict[int, bytes] = {}
    position = 16
    while position + 16 <= size:
        number, length = unpack("H6xQ", heap, position)
        if number == 0:
            break
        objects.setdefault(number, heap[position + 16 : position + 16 + length])
        position += 16 + (length + 7) // 8 * 8
    return objects


def dataspace(body: bytes) -> tuple[int, ...]:
    """Return a shape; () for one element."""
    version, rank, kind = unpack("BBxB", body)
    if version not in (1, 2) or rank > MAX_RANK or (version == 2 and kind == 2):
        raise Damage("it is damaged: a shape is of an unknown kind")
    return tuple(int(n) for n in unpack("Q" * rank, body, 8 if version == 1 else 4))


def datatype(body: bytes) -> Datatype:
    """Return an element type: floats of 2, 4 or 8 bytes, unsigned integers or texts."""
    head, bits, size = unpack("B3sI", body)
    kind = head & 15
    word = _CLASSES[kind] if kind < len(_CLASSES) else f"class {kind}"
    dtype: np.dtype[Any] | None = None
    if kind == 1:
        dtype = _FLOATS.get(body[:20])
    elif kind == 0 and size in (1, 2, 4, 8) and not bits[0]:
        dtype = np.dtype(f"<u{size}")
    elif kind == 3 and size:
        dtype = np.dtype(f"S{size}") if size < 1 << 31 else None
    words = f"{word} of {size} bytes" if dtype is None or kind == 3 else dtype.name
    variable = kind == 9 and bits[0] & 15 == 1
    return Datatype(size, dtype, text=kind == 3, variable=variable, words=words)
