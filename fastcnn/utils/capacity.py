"""What this computer has room for: how much memory is free, how many processors may be used."""

from __future__ import annotations

import os
import sys
from pathlib import Path

SHARE = 0.25
"""The part of the free memory that the decoded images of a folder may take."""

READ_SHARE = 0.5
"""The part of the free memory that arrays read from one file may take."""

CGROUP = Path("/sys/fs/cgroup")


class TooLarge(ValueError):
    """A file whose arrays would not fit in memory."""


def available_memory() -> int:
    """The bytes that can be allocated without swapping, as far as the system tells; a container's
    own limit counts. Where the system tells nothing, 4 GiB are taken for granted."""
    return min(_system_memory(), _container_memory())


def _system_memory() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "MemAvailable":
                return int(value.split()[0]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        # Without a figure for what is free, half of what there is.
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):
        return 4 << 30


def _container_memory() -> int:
    """What the limit of a container leaves."""
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            most, taken = (int((CGROUP / name).read_text()) for name in (limit, used))
        except (OSError, ValueError):
            continue
        return max(0, most - taken)
    return sys.maxsize


def cores() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_fits(path: str | os.PathLike[str], size: int) -> None:
    """TooLarge when arrays of `size` bytes, as the file declares, would not fit in memory."""
    limit = int(READ_SHARE * available_memory())
    if size > limit:
        raise TooLarge(
            f"{path}: the arrays declared need {size:,} bytes, and at most half of the free "
            f"memory, {limit:,} bytes, is given to one file."
        )
