"""Where the chunks of an HDF5 dataset lie, and how their bytes are unpacked."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastcnn.hdf5.structures import NOWHERE, Damage, Storage, unpack
from fastcnn.utils.bounded_gzip import DEFLATE_LIMIT

DEFLATE, SHUFFLE, FLETCHER32 = 1, 2, 3


@dataclass(frozen=True)
class Chunks:
    """The chunks of a dataset, all there: origins int64 [n, rank], addresses and sizes (bytes as
    stored) int64 [n]; in the order of their origins."""

    shape: tuple[int, ...]
    origins: npt.NDArray[np.int64]
    addresses: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]


def find_chunks(
    storage: Storage, body: bytes, shape: tuple[int, ...], item: int, filters: list[int], name: str
) -> Chunks:
    """Return the chunks that a layout message leads to; Damage unless they are just those that the
    shape needs, within the file, and of possible sizes."""
    _, _, rank = unpack("BBB", body)
    if rank != len(shape) + 1:
        raise Damage(f"it is damaged: '{name}' has {len(shape)} axes and its chunks {rank - 1}")
    address, *sides = unpack("Q" + "I" * rank, body, 3)
    chunk = tuple(sides[:-1])
    if 0 in chunk or sides[-1] != item:
        raise Damage(f"it is damaged: '{name}' has impossible chunks")
    expected = math.prod(-(-n // side) for n, side in zip(shape, chunk, strict=True))
    keys = _keys(storage, address, len(shape), expected, name)
    origins = keys["origin"][:, :-1].astype(np.int64)
    order = np.lexsort(origins.T[::-1])
    chunks = Chunks(
        chunk,
        origins[order],
        keys["address"][order].astype(np.int64),
        keys["size"][order].astype(np.int64),
    )
    _check(chunks, shape, math.prod(chunk) * item, bool(filters), keys, storage, name)
    return chunks


def _keys(storage: Storage, tree: int, rank: int, expected: int, name: str) -> npt.NDArray[Any]:
    """The leaves of the B-tree of chunks."""
    entry = np.dtype(
        [("size", "<u4"), ("mask", "<u4"), ("origin", "<u8", (rank + 1,)), ("address", "<u8")]
    )
    if tree == NOWHERE:
        raise Damage(f"'{name}' declares {expected} chunks of data and stores none")
    leaves, waiting, seen, count = [], [tree], {tree}, 0
    while waiting:
        address = waiting.pop()
        signature, kind, level, used = unpack("4sBBH", storage.take(address, 8))
        if signature != b"TREE" or kind != 1:
            raise Damage(f"it is damaged at byte {address}: no tree of chunks")
        entries = np.frombuffer(storage.take(address + 24, entry.itemsize * used), entry)
        if not level:
            leaves.append(entries)
            count += used
        else:
            children = [int(child) for child in entries["address"]]
            if not seen.isdisjoint(children) or len(set(children)) != len(children):
                raise Damage(f"it is damaged at byte {address}: a tree contains itself")
            seen.update(children)
            waiting += children
    if count != expected:
        raise Damage(f"'{name}' declares {expected} chunks of data and stores {count}")
    return np.concatenate(leaves)


def _check(
    chunks: Chunks,
    shape: tuple[int, ...],
    plain: int,
    filtered: bool,
    keys: npt.NDArray[Any],
    storage: Storage,
    name: str,
) -> None:
    sides, limits = np.array(chunks.shape, np.int64), np.array(shape, np.uint64)
    raw = keys["origin"][:, :-1]
    if (raw >= limits).any() or (chunks.origins % sides).any() or keys["mask"].any():
        raise Damage(f"it is damaged: '{name}' has a chunk in an impossible place")
    if (np.diff(_numbers(chunks, shape)) <= 0).any():
        raise Damage(f"it is damaged: '{name}' has the same chunk twice")
    ends = keys["address"].astype(object) + keys["size"]
    if max(ends) > storage.size or int(chunks.sizes.sum()) > storage.size:
        raise Damage(f"it is damaged or cut short: the data of '{name}' ends behind the file")
    if not filtered and (chunks.sizes != plain).any():
        raise Damage(f"it is damaged: '{name}' has chunks that are not {plain} bytes")
    if plain > int(chunks.sizes.min()) * DEFLATE_LIMIT:
        raise Damage(f"'{name}' declares chunks of {plain} bytes and stores {chunks.sizes.min()}")


def _numbers(chunks: Chunks, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Each chunk's number among all, counted along the last axis first."""
    numbers = np.zeros(len(chunks.origins), np.int64)
    for axis, (size, side) in enumerate(zip(shape, chunks.shape, strict=True)):
        numbers = numbers * -(-size // side) + chunks.origins[:, axis] // side
    return numbers


def read_filters(bodies: list[bytes], name: str) -> list[int]:
    """Return the filters that chunks went through, in order."""
    if not bodies:
        return []
    version, count = unpack("BB", bodies[0])
    position, filters = 8 if version == 1 else 2, []
    for _ in range(count):
        kind, length = unpack("HH", bodies[0], position)
        if version == 1 or kind >= 256:
            _, values = unpack("HH", bodies[0], position + 4)
            position += 8 + (length + 7) // 8 * 8 if version == 1 else 8 + length
        else:
            length, values = unpack("HH", bodies[0], position + 2)
            position += 6
        position += 4 * (values + values % 2 if version == 1 else values)
        if kind not in (DEFLATE, SHUFFLE, FLETCHER32):
            raise Damage(
                f"'{name}' is packed with HDF5's filter {kind}, and only deflate (gzip) and "
                "shuffle are read"
            )
        filters.append(kind)
    return filters


def unpacked(data: bytes, filters: list[int], plain: int, item: int, name: str) -> bytes:
    """Return the `plain` bytes of a chunk, its filters undone."""
    for kind in reversed(filters):
        if kind == FLETCHER32:
            data = data[:-4]
        elif kind == DEFLATE:
            data = _inflated(data, plain + 4, name)
        else:
            whole = len(data) // item * item
            shuffled = np.frombuffer(data[:whole], np.uint8).reshape(item, -1)
            data = shuffled.T.tobytes() + data[whole:]
    if len(data) != plain:
        raise Damage(f"it is damaged: a chunk of '{name}' has {len(data)} bytes, not {plain}")
    return data


def _inflated(data: bytes, most: int, name: str) -> bytes:
    inflater = zlib.decompressobj()
    try:
        return inflater.decompress(data, most + 1)
    except zlib.error as error:
        raise Damage(f"it is damaged: a chunk of '{name}' does not unpack ({error})") from None
