"""Who could have written a file that is about to be executed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

OTHERS = stat.S_IWGRP | stat.S_IWOTH


def why_not(status: os.stat_result) -> str | None:
    """Return why somebody else could have written a file or folder, or None where nobody could.

    The superuser may write everywhere, so that what belongs to it is as good as one's own. In a
    folder with the sticky bit, as /tmp, others can add files but not replace them: their owner
    tells them apart. On Windows permissions are not looked at.
    """
    if os.name != "posix":
        return None
    if status.st_uid not in (os.geteuid(), 0):
        return f"belongs to another user ({_user(status.st_uid)})"
    sticky = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
    if status.st_mode & OTHERS and not sticky:
        return f"may be written by others (mode {stat.S_IMODE(status.st_mode):o})"
    return None


def first_untrusted(paths: Iterable[Path]) -> tuple[Path, str] | None:
    """Return the first of the paths that somebody else could have written, and why; None where
    there is none. What does not exist is left out."""
    for path in paths:
        try:
            reason = why_not(path.stat())
        except OSError:
            continue
        if reason is not None:
            return path, reason
    return None


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, that only this user may write, whatever the umask.

    Raises:
        OSError: It cannot be made.
    """
    for folder in (*reversed(path.parents), path):
        if not folder.is_dir():
            folder.mkdir(mode=0o777 & ~OTHERS, exist_ok=True)


def keep_from_others(file: BinaryIO) -> None:
    """Take from others the permission to write an open file."""
    if os.name == "posix":
        os.fchmod(file.fileno(), stat.S_IMODE(os.fstat(file.fileno()).st_mode) & ~OTHERS)


def _user(number: int) -> str:
    try:
        import pwd

        return pwd.getpwuid(number).pw_name
    except (ImportError, KeyError):
        return f"number {number}"
