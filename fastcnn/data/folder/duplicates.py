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
    # Files of other sizes are not read.
    mine, theirs = list(_sizes(first)), list(_sizes(second))
    common = {size for _, size in mine} & {size for _, size in theirs}
    by_content = {_digest(path): path for path, size in reversed(mine) if size in common}
    contents = ((path, _digest(path)) for path, size in theirs if size in common)
    return [(path, by_content[digest]) for path, digest in contents if digest in by_content]


def _sizes(folder: ImageFolder) -> Iterator[tuple[str, int]]:
    for position in range(len(folder)):
        path = folder.path(position)
        try:
            yield path, os.stat(path).st_size
        except OSError:
            continue


def _digest(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "blake2b").digest()
    except OSError:
        return path.encode("utf-8", "surrogateescape")
