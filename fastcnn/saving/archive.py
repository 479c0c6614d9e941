"""The weights inside Keras's `.keras` archive."""

from __future__ import annotations

import contextlib
import io
import os
import zipfile
from collections.abc import Iterator
from typing import BinaryIO

from fastcnn.hdf5.errors import FormatError

WEIGHTS = "model.weights.h5"


@contextlib.contextmanager
def weights_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """The open HDF5 file: path itself, or the weights in it where it is a zip archive.

    FormatError where the archive is damaged or its weights are compressed, which Keras never does.
    """
    with open(path, "rb") as file:
        start = file.read(4)
        file.seek(0)
        yield io.BytesIO(_member(path, file)) if start == b"PK\x03\x04" else file


def _member(path: str | os.PathLike[str], file: BinaryIO) -> bytes:
    try:
        with zipfile.ZipFile(file) as archive:
            if WEIGHTS not in archive.namelist():
                raise FormatError(f"'{path}' is a zip archive without '{WEIGHTS}'.")
            entry = archive.getinfo(WEIGHTS)
            if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
                raise FormatError(f"'{path}' has compressed weights, and only plain ones are read.")
            if entry.file_size > os.fstat(file.fileno()).st_size:
                raise FormatError(f"'{path}' declares weights larger than itself.")
            return archive.read(WEIGHTS)
    except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError) as error:
        raise FormatError(f"'{path}' is a damaged archive: {error}.") from None
