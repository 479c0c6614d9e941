"""Folders of machine code, each named by a digest of what the code was compiled from."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
UNUSED = 30 * 86400  # seconds without a write after which the code of other sources goes


def digest(rooms: Iterable[str], *facts: str) -> str:
    """Return a digest of the sources in these folders of the package, and of further facts."""
    found = hashlib.sha256(" ".join(facts).encode())
    for room in rooms:
        for path in sorted((PACKAGE / room).glob("*.py")):
            found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()[:16]


def prepare(folder: Path) -> None:
    """Make a folder where there is none, and remove old ones beside it. Raises OSError."""
    if not folder.exists():
        for old in folder.parent.glob("*"):
            if time.time() - old.stat().st_mtime > UNUSED:
                shutil.rmtree(old, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
