"""This computer: its processor's name, and the directory where fastcnn keeps what it can redo."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
import sys
from pathlib import Path

CPU_FILE = Path("/proc/cpuinfo")


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
    try:
        return Path(named) if named else _user_cache() / "fastcnn"
    except RuntimeError:  # a user without a home
        return None


def _user_cache() -> Path:
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA", "~/AppData/Local")).expanduser()
    if sys.platform == "darwin":
        return Path("~/Library/Caches").expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
