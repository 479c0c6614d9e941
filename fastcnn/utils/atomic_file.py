"""Files that are written: the one door through which every write of fastcnn goes.

The rule. A regular file is replaced as a whole: a reader sees the old one or the new one, never a
part. A symbolic link stays, and what it points to is written. A folder is refused. So is what is
no file, as a device, a FIFO or a socket, wherever something whole is written; only what comes line
by line, as a log, may go there, and then nothing is replaced.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

from fastcnn.utils import file_lock
from fastcnn.utils.input_file import in_words

STALE_SECONDS = 3600.0
"""Where files cannot be locked, a temporary one that was not written to for so long belongs to a
process that was killed."""

STREAMS = re.compile(r"/dev/[^/]+|/dev/fd/[^/]+|/proc/.*")
"""What is open elsewhere even where it is a regular file, as /dev/stdout that is sent to one."""

PathLike = str | os.PathLike[str]


@contextlib.contextmanager
def replacing(path: PathLike) -> Iterator[BinaryIO]:
    """A binary file, open for reading and writing, that becomes `path` when the block ends.

    The bytes go to a temporary name in the same folder, are flushed to the disk, and take the
    place of `path` in one rename. When anything fails, the temporary file is removed, the file
    that was there stays, and an OSError says so. What a killed process left of writing `path` is
    removed by the next who writes it.
    """
    target = os.path.realpath(os.fspath(path))
    folder, name = os.path.split(target)
    mode = _checked_mode(path, target, folder)
    _remove_stale(folder, name)
    temporary = ""
    try:
        with _created(folder, name, mode) as file:
            temporary = file.name
            yield file
            file.flush()
            os.fsync(file.fileno())
            # While it is locked: nobody may take it for what a killed process left.
            if os.name == "posix":
                os.replace(temporary, target)
        if os.name != "posix":
            os.replace(temporary, target)  # an open file cannot be renamed there
    except BaseException as error:
        with contextlib.suppress(OSError):
            if temporary:
                os.remove(temporary)
        if isinstance(error, OSError):
            raise _unwritable(path, target, error) from error
        raise
    _flush_folder(folder)


def is_stream(path: PathLike) -> bool:
    """Whether a path names no file that could be replaced, but a device, a FIFO or a socket."""
    whole = os.path.abspath(os.fspath(path))
    if os.name == "posix" and STREAMS.fullmatch(whole):
        return True
    try:
        mode = os.stat(whole).st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def opened_stream(path: PathLike) -> TextIO:
    """A device or FIFO, open for text that goes there line by line.

    Raises:
        OSError: It cannot be written, or nobody reads the FIFO.
    """
    flags = os.O_WRONLY | os.O_APPEND | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        reason = "nobody reads it" if error.errno == errno.ENXIO else error.strerror
        raise in_words(error, f"'{path}' cannot be written: {reason}.") from error
    if os.name == "posix":
        os.set_blocking(descriptor, True)
    return open(descriptor, "w", buffering=1, newline="", encoding="utf-8")


@contextlib.contextmanager
def appending(path: PathLike) -> Iterator[TextIO]:
    """A text file, open for what goes to its end.

    Raises:
        OSError: It cannot be written.
    """
    try:
        with open(path, "a", newline="", encoding="utf-8") as file:
            yield file
    except OSError as error:
        raise in_words(error, f"'{path}' cannot be written: {error.strerror or error}.") from error


def write_text(path: PathLike, text: str, errors: str = "strict") -> None:
    """Write a file in UTF-8, as a whole or not at all; OSError. `errors` is `str.encode`'s."""
    with replacing(path) as file:
        file.write(text.encode(errors=errors))


def check(path: PathLike, stream: bool = False, make_folders: bool = False) -> None:
    """Find out, without a change, whether `path` can be written: worth asking before long work.

    Args:
        path: Where a file is to be.
        stream: Whether it may also be a device or a FIFO.
        make_folders: Whether missing folders above it will be made.

    Raises:
        OSError: It cannot; the message has the reason.
    """
    if is_stream(path):
        if not stream or not os.path.exists(path):
            raise _not_a_file(path)
        return
    target = os.path.realpath(os.fspath(path))
    folder = os.path.dirname(target)
    if make_folders:
        folder = _lowest_there(folder)
    _checked_mode(path, target, folder)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"'{path}' cannot be written: the folder '{folder}' is read-only.")


def _lowest_there(folder: str) -> str:
    """The folder, or the lowest of those above it that is there."""
    return next(
        str(ancestor)
        for ancestor in (Path(folder), *Path(folder).parents)
        if os.path.lexists(ancestor)
    )


def _checked_mode(path: PathLike, target: str, folder: str) -> int | None:
    """The permissions of the file to be replaced, or None where there is none yet."""
    if is_stream(path):
        raise _not_a_file(path)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"'{path}' cannot be written: there is no folder '{folder}'.")
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return None
    except OSError as error:  # its name is too long, its links go round
        raise in_words(error, f"'{path}' cannot be written: {error.strerror}.") from error
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"'{path}' cannot be written: it is a folder.")
    return stat.S_IMODE(mode)


def _not_a_file(path: PathLike) -> PermissionError:
    return PermissionError(f"'{path}' cannot be written: it is not a regular file.")


def _created(folder: str, name: str, mode: int | None) -> BinaryIO:
    """A new file, never one that is there, locked for as long as it is open, with the given or the
    user's usual permissions."""
    while True:
        temporary = os.path.join(folder, f".{name}.{os.getpid()}-{time.monotonic_ns()}.partial")
        file = open(temporary, "x+b")  # noqa: SIM115
        if file_lock.take(file.fileno()) is not False and os.path.exists(temporary):
            break
        file.close()  # another took it for what a killed process left, before it was locked
    if mode is not None:
        os.chmod(temporary, mode)
    return file


def _remove_stale(folder: str, name: str) -> None:
    """Remove what killed processes left of earlier attempts to write this file."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(f".{name}.") and entry.name.endswith(".partial"):
                with contextlib.suppress(OSError):
                    _remove_unless_open(entry)


def _remove_unless_open(entry: os.DirEntry[str]) -> None:
    """Remove a temporary file unless its process still writes it."""
    if not entry.is_file(follow_symlinks=False):
        return
    descriptor = os.open(entry.path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    try:
        dead = file_lock.take(descriptor)
        if dead is None:
            dead = time.time() - entry.stat(follow_symlinks=False).st_mtime > STALE_SECONDS
        if dead:
            os.remove(entry.path)
    finally:
        os.close(descriptor)


def _flush_folder(folder: str) -> None:
    """Make the rename itself survive a power cut, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _unwritable(path: PathLike, target: str, error: OSError) -> OSError:
    state = "the file that was there is unchanged" if os.path.exists(target) else "nothing was left"
    sentence = f"'{path}' could not be written ({state}): {error.strerror or error}."
    return in_words(error, sentence)
