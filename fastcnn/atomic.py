"""Files that are replaced as a whole: a reader sees the old one or the new one, never a part."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterator
from typing import BinaryIO

STALE_SECONDS = 3600.0
"""A temporary file that was not written to for so long belongs to a process that was killed."""


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A binary file, open for reading and writing, that becomes `path` when the block ends.

    The bytes go to a temporary name in the same folder, are flushed to the disk, and take the
    place of `path` in one rename. When anything fails, the temporary file is removed, the file
    that was there stays, and an OSError says so.
    """
    target = os.path.realpath(os.fspath(path))
    folder, name = os.path.split(target)
    mode = _checked_mode(path, target, folder)
    _remove_stale(folder, name)
    temporary = os.path.join(folder, f".{name}.{os.getpid()}-{time.monotonic_ns()}.partial")
    try:
        with _created(temporary, mode) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.remove(temporary)
        if isinstance(error, OSError):
            raise _unwritable(path, target, error) from error
        raise
    _flush_folder(folder)


def _checked_mode(path: str | os.PathLike[str], target: str, folder: str) -> int | None:
    """The permissions of the file to be replaced, or None where there is none yet."""
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"'{path}' cannot be written: there is no folder '{folder}'.")
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise OSError(f"'{path}' cannot be written: it is {kind}.")
    return stat.S_IMODE(mode)


def _created(temporary: str, mode: int | None) -> BinaryIO:
    """A new file, never one that is there, with the given or the user's usual permissions."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    file = os.fdopen(os.open(temporary, flags, 0o666), "w+b")
    if mode is not None:
        os.chmod(temporary, mode)
    return file


def _remove_stale(folder: str, name: str) -> None:
    """Removes what killed processes left of earlier attempts to write this file."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not (entry.name.startswith(f".{name}.") and entry.name.endswith(".partial")):
                continue
            with contextlib.suppress(OSError):
                if time.time() - entry.stat(follow_symlinks=False).st_mtime > STALE_SECONDS:
                    os.remove(entry.path)


def _flush_folder(folder: str) -> None:
    """Makes the rename itself survive a power cut, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _unwritable(path: str | os.PathLike[str], target: str, error: OSError) -> OSError:
    kept = "the file that was there is unchanged" if os.path.exists(target) else "nothing was left"
    sentence = f"'{path}' could not be written ({kept}): {error.strerror or error}."
    return OSError(sentence) if error.errno is None else type(error)(error.errno, sentence)
