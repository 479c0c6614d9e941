"""Files that are the same, byte by byte, in two sets of images."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator

from fastcnn.data.folder.image_folder import ImageFolder

MOST_FILES = 50_000
"""Sets of more files are not compared: reading them takes longer than what it is worth."""


def shared_files(first: ImageFolder, second: ImageFolder) -> list[tuple[str, str]]:
    """Return the paths of files of the second set that the first one has too, and theirs there.

    Args:
        first: A set.
        second: Another one.
    """
    if len(first) + len(second) > MOST_FILES:
        return []
    by_size: dict[int, list[str]] = {}
    for path, size in _sizes(first):
        by_size.setdefault(size, []).append(path)
    pairs = []
    digests: dict[str, bytes] = {}
    for path, size in _sizes(second):
        for other in by_size.get(size, ()):
            if _digest(path, digests) == _digest(other, digests):
                pairs.append((path, other))
                break
    return pairs


def _sizes(folder: ImageFolder) -> Iterator[tuple[str, int]]:
    for position in range(len(folder)):
        path = folder.path(position)
        try:
            yield path, os.stat(path).st_size
        except OSError:
            continue


def _digest(path: str, digests: dict[str, bytes]) -> bytes:
    if path not in digests:
        try:
            with open(path, "rb") as file:
                digests[path] = hashlib.file_digest(file, "blake2b").digest()
        except OSError:
            digests[path] = path.encode("utf-8", "surrogateescape")
    return digests[path]
