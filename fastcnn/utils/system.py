"""This computer: its processor's name, its free memory and cores, and fastcnn's cache directory."""

from __future__ import annotations

import functools
import os
import platform
import sys
from pathlib import Path

CPU_FILE = Path("/proc/cpuinfo")
CGROUP = Path("/sys/fs/cgroup")

SHARE = 0.25
"""The part of the free memory that the decoded images of a folder may take."""

READ_SHARE = 0.5
"""The part of the free memory that arrays read from one file may take."""

CGROUP = Path("/sys/fs/cgroup")


class TooLarge(ValueError):
    """A file whose arrays would not fit in memory."""


@functools.cache
def processor() -> str:
    """Return the processor's name."""
    if sys.platform == "darwin":
        return sysctl("machdep.cpu.brand_string") or platform.processor()
    return _name_in(CPU_FILE) or platform.processor() or platform.machine()


def _name_in(path: Path) -> str:
    """Return the first core's name; line by line, since the system takes its time for each core."""
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return ""


def sysctl(name: str) -> str:
    """Return what macOS says about a name, "" where it does not know it."""
    import subprocess  # on macOS alone

    try:
        done = subprocess.run(["sysctl", "-n", name], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def cache_directory() -> Path | None:
    """Return fastcnn's own cache directory, or None where there is none.

    FASTCNN_CACHE=0 switches it off, and a user without a home has none. `FASTCNN_CACHE_DIR` names
    it; otherwise it is in the user's cache directory.
    """
    if os.environ.get("FASTCNN_CACHE", "1") == "0":
        return None
    named = os.environ.get("FASTCNN_CACHE_DIR")
    if named:
        return Path(named)
    import platformdirs  # when it is needed: every start would pay for it

    # `opinion`: without a further folder "Cache" on Windows.
    cache = platformdirs.user_cache_path("fastcnn", appauthor=False, opinion=False)
    return cache if cache.is_absolute() else None  # "~" stays where a user has no home


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
            most, used_bytes = (int((CGROUP / name).read_text()) for name in (limit, used))
        except (OSError, ValueError):
            continue
        return max(0, most - used_bytes)
    return sys.maxsize


def peak_memory() -> int:
    """The most bytes of memory that this process has held; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else 1024 * largest


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
