"""Pictures that are there more than once, byte by byte, in one set or in two."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from typing import Protocol

from fastcnn.data.folder.file_list import text
from fastcnn.data.folder.scan_report import Report
from fastcnn.data.images.file_format import format_of

MOST_FILES = 200_000
"""Of more files none is compared: a look at each end takes longer than what it is worth."""
HEAD, END = 16, 4096
"""Bytes of a file's begin, which tell whether it is a picture, and of its end, in which pictures of
the same size differ: few files are read whole."""

Hashable = int | bytes | None


class FileSet(Protocol):
    """A folder, as an ImageFolder or a Listing, and the paths of files within it."""

    @property
    def root(self) -> str:
        """The folder."""

    @property
    def files(self) -> list[str]:
        """The paths."""


def copies(root: str, files: Sequence[str]) -> list[list[str]]:
    """Return the pictures that are there more than once: the names of each, as `text` gives them.

    Args:
        root: A folder.
        files: Paths within it.
    """
    groups = _groups([os.path.join(root, file) for file in files])
    return [[text(files[position]) for position in group] for group in groups]


def copies_of(source: object) -> list[list[str]]:
    """Return the copies among the files of a source, as far as these are known.

    Args:
        source: A Dataset: its report has them, or its `root` and its `files` are looked at, and
            what was skipped of these.
    """
    report = getattr(source, "report", None)
    skipped: list[str] = []
    if isinstance(report, Report):
        if report.copies is not None:
            return report.copies
        skipped = [left.path for left in report.skipped if not left.path.endswith("/")]
    root, files = getattr(source, "root", None), getattr(source, "files", None)
    if not isinstance(root, str | os.PathLike) or not isinstance(files, list):
        return []
    return copies(os.fspath(root), list(dict.fromkeys([*files, *skipped])))


def shared_files(first: FileSet, second: FileSet) -> list[tuple[int, int]]:
    """Return which files of a set are in another one too: their positions, and those there.

    Of several there that of the same class is named, where there is one.

    Args:
        first: The other set.
        second: The set.

    Returns:
        Pairs (position in first, position in second), by the latter.
    """
    files = [*first.files, *second.files]
    roots = [first.root] * len(first.files) + [second.root] * len(second.files)
    count = len(first.files)
    pairs = []
    for group in _groups([os.path.join(*place) for place in zip(roots, files, strict=True)]):
        there = [position for position in group if position < count]
        for position in group:
            if there and position >= count:
                same = (
                    other for other in there if class_of(files[other]) == class_of(files[position])
                )
                pairs.append((next(same, there[0]), position - count))
    return sorted(pairs, key=lambda pair: pair[1])


def class_of(file: str) -> str:
    """Return the class that a file belongs to.

    Args:
        file: Its path within a folder that holds one folder a class.
    """
    return text(file.split("/")[0])


def _groups(paths: Sequence[str]) -> list[list[int]]:
    """The positions of files with the same bytes, two or more a group, all ascending."""
    if len(paths) > MOST_FILES:
        return []
    groups = [list(range(len(paths)))]
    for trait in (_size, _end, _digest):
        groups = [part for group in groups for part in _alike(group, paths, trait)]
    return sorted(groups)


def _alike(
    group: list[int], paths: Sequence[str], trait: Callable[[str], Hashable]
) -> list[list[int]]:
    """Those of a group that share a trait, two or more a part."""
    parts: dict[Hashable, list[int]] = {}
    for position in group:
        try:
            value = trait(paths[position])
        except OSError:
            continue
        if value is not None:
            parts.setdefault(value, []).append(position)
    return [part for part in parts.values() if len(part) > 1]


def _size(path: str) -> int:
    return os.stat(path).st_size


def _end(path: str) -> bytes | None:
    """The end of a file; None of what is no picture, and so is left out anyway."""
    with open(path, "rb") as file:
        if format_of(file.read(HEAD)) is None:
            return None
        file.seek(max(0, os.fstat(file.fileno()).st_size - END))
        return hashlib.blake2b(file.read(END), digest_size=16).digest()


def _digest(path: str) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "blake2b").digest()
