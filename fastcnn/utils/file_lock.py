"""Locks on open files, which the system takes back when their process ends, however it ends."""

from __future__ import annotations

import sys

if sys.platform != "win32":
    import fcntl


def take(descriptor: int) -> bool | None:
    """Lock an open file without waiting; it is released when the file is closed.

    Returns:
        True where it is locked now, False where another holds it, None where the system or the
        file system knows no locks.
    """
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
