"""Downloading a known data set: fetched with pooch, unpacked, checked, then put in place."""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO

from fastcnn.data.datasets.catalog import CatalogEntry, PublishedFile
from fastcnn.utils import atomic_file, messages
from fastcnn.utils.bounded_gzip import GZIP_MAGIC

# What a container that is damaged or is something else altogether makes its reader raise.
DAMAGED = (gzip.BadGzipFile, EOFError, zlib.error, tarfile.TarError)


def download(entry: CatalogEntry, folder: Path) -> None:
    """Bring every file of the set into a folder, unpacked, each with its recorded SHA-256.

    Only files that passed are put in place.

    Args:
        entry: Which set.
        folder: Where to.

    Raises:
        OSError: No source can be reached.
        ValueError: What came from every source that answered is not the published content.
    """
    if not entry.sources:
        raise OSError("no address of it is known.")
    failure: Exception | None = None
    for source in entry.sources:
        messages.say(f"Downloading {entry.name} from {source} to {folder}")
        try:
            _download_from(source, entry, folder)
        except (OSError, ValueError) as error:
            failure = failure if isinstance(failure, ValueError) else error
        else:
            return
    if failure is not None:
        raise failure


def _download_from(source: str, entry: CatalogEntry, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fastcnn-download-") as scratch:
        if source.endswith(".tar.gz"):
            _unpack_archive(_fetch(source, scratch), source, entry, folder)
            return
        for file in entry.files:
            address = f"{source}{file.name}.gz"
            try:
                with _open(_fetch(address, scratch)) as stream:
                    _store(stream, file, address, folder)
            except DAMAGED as error:
                raise ValueError(f"{address} sent a damaged file: {error}.") from error


def _fetch(address: str, scratch: str) -> Path:
    import pooch
    from requests import ConnectionError as Unreachable

    # Checksums are those of the content: mirrors compress it differently.
    pooch.get_logger().setLevel("WARNING")
    try:
        return Path(pooch.retrieve(address, known_hash=None, path=scratch))
    except Unreachable as error:
        raise OSError(f"{address} cannot be reached.") from error


def _open(path: Path) -> BinaryIO | gzip.GzipFile:
    """The content, gzipped or not: a server may say that it is, and then it comes unpacked."""
    with path.open("rb") as stream:
        zipped = stream.read(2) == GZIP_MAGIC
    return gzip.open(path, "rb") if zipped else path.open("rb")


def _unpack_archive(archive: Path, address: str, entry: CatalogEntry, folder: Path) -> None:
    """Take the files of the set out of a tar archive, by name; nothing else in it is written."""
    missing = {file.name: file for file in entry.files}
    try:
        with tarfile.open(archive) as tar:
            for name, stream in _members(tar):
                if name in missing:
                    _store(stream, missing.pop(name), address, folder)
    except DAMAGED as error:
        raise ValueError(f"{address} sent no tar archive: {error}.") from error
    if missing:
        raise ValueError(f"{address} holds no {', '.join(missing)}.")


def _members(tar: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    for member in tar:
        stream = tar.extractfile(member) if member.isreg() else None
        if stream is not None:
            yield os.path.basename(member.name), stream


def _store(
    stream: IO[bytes] | gzip.GzipFile, file: PublishedFile, address: str, folder: Path
) -> None:
    """Write the content under its name, all of it or nothing; ValueError when it is not it."""
    content = stream.read(file.size + 1)
    digest = hashlib.sha256(content).hexdigest()
    if digest != file.sha256:
        raise ValueError(
            f"{address}: the content of {file.name} must have the SHA-256 {file.sha256}. "
            f"Received {digest}."
        )
    with atomic_file.replacing(folder / file.name) as opened:
        opened.write(content)
