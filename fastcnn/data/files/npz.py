"""Arrays of an .npz file, read with bounds: only what is stored is allocated, and nothing run."""

from __future__ import annotations

import math
import os
import re
import struct
import zipfile
import zlib
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from fastcnn.hdf5.errors import FormatError
from fastcnn.utils import input_file, system
from fastcnn.utils.bounded_gzip import DEFLATE_LIMIT
from fastcnn.utils.system import TooLarge

Array = npt.NDArray[Any]

MAGIC = b"\x93NUMPY"
LONGEST_HEADER = 10_000
PIECE = 1 << 24
"""Bytes unpacked at a time."""

# What NumPy writes for a plain array; a type with fields has another header, and is refused.
# Every number ends in a comma or the bracket, so that no text can be read in two ways.
HEADER = re.compile(
    r"\{\s*'descr':\s*'([<>|=][a-zA-Z?]\d{0,9})',\s*'fortran_order':\s*(True|False),"
    r"\s*'shape':\s*\((|\d{1,19},|\d{1,19}(?:, ?\d{1,19})+,? ?)\),?\s*\}\s*"
)
DAMAGED = (
    OSError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    struct.error,
    NotImplementedError,
    RuntimeError,
    OverflowError,
)
"""What Python's zipfile raises for archives that are damaged, encrypted or packed otherwise."""


def read_npz(path: str | os.PathLike[str], *names: str) -> dict[str, Array]:
    """Return the arrays of an .npz file by name.

    Numbers, booleans and texts are read, plain or deflated; Python objects are refused.

    Args:
        path: The file.
        *names: The arrays that are wanted; all of them where none is named.

    Returns:
        The arrays by name.

    Raises:
        FormatError: Before anything is allocated: the file is damaged, or an array declares more
            than is stored (a ValueError).
        TooLarge: Memory has no room for all (a ValueError).
        OSError: It cannot be opened.
    """
    with input_file.opened(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                wanted = _wanted(archive, path, names)
                system.check_fits(path, sum(info.file_size for info in wanted.values()))
                return {name: _read(archive, info, path) for name, info in wanted.items()}
        except (FormatError, TooLarge):
            raise
        except DAMAGED as error:
            raise FormatError(f"{path}: the .npz file is damaged: {error}.") from error


def _wanted(
    archive: zipfile.ZipFile, path: str | os.PathLike[str], names: tuple[str, ...]
) -> dict[str, zipfile.ZipInfo]:
    members = _members(archive, path)
    missing = [name for name in names if name not in members]
    if missing:
        raise FormatError(
            f"{path}: expected the arrays {', '.join(missing)}. Found "
            f"{', '.join(members) or 'none'}."
        )
    return {name: members[name] for name in names or members}


def _members(archive: zipfile.ZipFile, path: str | os.PathLike[str]) -> dict[str, zipfile.ZipInfo]:
    """Return the arrays by name, of sizes that can be true."""
    size = os.path.getsize(path)
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        if name in members:
            raise FormatError(f"{path}: the array '{name}' is there twice.")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise FormatError(f"{path}: '{name}' is packed in another way than NumPy does it.")
        plain = info.compress_type == zipfile.ZIP_STORED
        limit = info.compress_size * (1 if plain else DEFLATE_LIMIT)
        if info.compress_size > size or info.file_size > limit:
            raise FormatError(
                f"{path}: '{name}' declares {info.file_size:,} bytes and stores "
                f"{min(info.compress_size, size):,}."
            )
        members[name] = info
    return members


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: str | os.PathLike[str]) -> Array:
    name = info.filename.removesuffix(".npy")
    with archive.open(info) as stream:
        dtype, shape, fortran, begin = _header(stream, name, path)
        declared = math.prod(shape) * dtype.itemsize
        if begin + declared != info.file_size:
            raise FormatError(
                f"{path}: '{name}', {dtype} of shape {shape}, needs {declared:,} bytes. Found "
                f"{info.file_size - begin:,}."
            )
        array = np.empty(math.prod(shape), dtype)
        _fill(stream, array.view(np.uint8).data if declared else memoryview(b""), path)
    return array.reshape(shape, order="F" if fortran else "C")


def _fill(stream: IO[bytes], target: memoryview, path: str | os.PathLike[str]) -> None:
    done = 0
    while done < len(target):
        piece = stream.read(min(PIECE, len(target) - done))
        if not piece:
            raise FormatError(f"{path}: the .npz file is cut short.")
        target[done : done + len(piece)] = piece
        done += len(piece)
    if stream.read(1):  # reaching the end, zipfile compares the checksum
        raise FormatError(f"{path}: the .npz file is damaged: an array is longer than declared.")


def _header(
    stream: IO[bytes], name: str, path: str | os.PathLike[str]
) -> tuple[np.dtype[Any], tuple[int, ...], bool, int]:
    """Type, shape, whether in Fortran's order, and where the values begin."""
    magic = stream.read(8)
    if magic[:6] != MAGIC or magic[6:7] not in (b"\1", b"\2", b"\3"):
        raise FormatError(f"{path}: '{name}' is no array of NumPy's.")
    width = 2 if magic[6] == 1 else 4
    length = int.from_bytes(stream.read(width), "little")
    if length > LONGEST_HEADER:
        raise FormatError(f"{path}: '{name}' has a header of {length:,} bytes.")
    text = stream.read(length).decode("latin-1")
    match = HEADER.fullmatch(text)
    if match is None:
        raise FormatError(f"{path}: '{name}' must be a plain array. Its header is {text[:100]!r}.")
    try:
        dtype = np.dtype(match[1])
    except TypeError:
        dtype = np.dtype(object)
    if dtype.kind not in "biufcSU" or not dtype.itemsize:
        raise FormatError(
            f"{path}: '{name}' must hold numbers or texts. Its values are of type '{match[1]}'."
        )
    shape = tuple(int(n) for n in re.findall(r"\d+", match[3]))
    if len(shape) > 32:
        raise FormatError(f"{path}: '{name}' has {len(shape)} axes.")
    return dtype, shape, match[2] == "True", 8 + width + length
