"""Folders of machine code, each named by a digest of what the code was compiled from."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from fastcnn.kernels import code_file
from fastcnn.utils import atomic_file, system, trust

PACKAGE = Path(__file__).resolve().parents[1]
UNUSED = 30 * 86400  # seconds without a write after which the code of other sources goes
DIGEST = re.compile("[0-9a-f]{16}")
# A folder without just this file was not made here, and is never touched.
MARK = "CACHEDIR.TAG"
MARK_TEXT = (
    b"Signature: 8a477f597d28d172789f06886806bc55\n"
    b"# Kernels that fastcnn compiled for this computer. They may be deleted at any time.\n"
)
OWN_FILES = (f"*{code_file.CPU_SUFFIX}", f"*{code_file.CUDA_SUFFIX}", ".*.partial")


class Survey(NamedTuple):
    """What is in the folders of machine code.

    `kernels` are files that can be used, `damaged` those that cannot, `untrusted` those that
    somebody else could have written. `refused` says why none of them is read, if so.
    """

    kernels: int
    damaged: list[Path]
    untrusted: list[Path]
    refused: str | None


def sources(rooms: Iterable[str], without: str) -> list[str]:
    """Return the Python files under folders of the package, but for those under one of them, as
    their paths from the package."""
    paths = []
    for room in rooms:
        for folder, inner, files in os.walk(PACKAGE / room):
            place = os.path.relpath(folder, PACKAGE).replace(os.sep, "/")
            inner[:] = [name for name in inner if f"{place}/{name}" != without]
            paths += [f"{place}/{name}" for name in files if name.endswith(".py")]
    return sorted(paths)


def digest(rooms: Iterable[str], without: str, *facts: str) -> str:
    """Return a digest of these sources, by their places in the package, and of further facts."""
    digested = hashlib.sha256(" ".join(facts).encode())
    for path in sources(rooms, without):
        with open(os.path.join(PACKAGE, path), "rb") as file:
            digested.update(path.encode() + file.read())
    return digested.hexdigest()[:16]


def prepare(folder: Path) -> None:
    """Make a folder with our mark where there is none, and remove our old ones beside it.

    Raises:
        OSError: It cannot be made or written.
    """
    if (folder / MARK).is_file():
        return
    if not folder.exists():
        for old in folder.parent.glob("*"):
            with suppress(OSError):
                if time.time() - old.stat().st_mtime > UNUSED and _is_own(old):
                    _remove(old)
    trust.make_folder(folder)
    with atomic_file.replacing(folder / MARK) as file:
        trust.keep_from_others(file)
        file.write(MARK_TEXT)


def survey() -> Survey:
    """Read all files of machine code in the user's cache directory."""
    root = system.cache_directory()
    kernels, refused = 0, None
    damaged: list[Path] = []
    untrusted: list[Path] = []
    folders = [] if root is None else [root / name for name in ("kernels", "cubins")]
    for folder in (
        folder for parent in folders for folder in sorted(parent.glob("*")) if _is_own(folder)
    ):
        refused = refused or code_file.why_refused(folder)
        for path in sorted(path for pattern in OWN_FILES[:2] for path in folder.glob(pattern)):
            try:
                code_file.check(path)
                kernels += 1
            except PermissionError:
                untrusted.append(path)
            except code_file.ERRORS:
                damaged.append(path)
    return Survey(kernels, damaged, untrusted, refused)


def _is_own(folder: Path) -> bool:
    """Say whether `prepare` made a folder."""
    if not DIGEST.fullmatch(folder.name) or folder.is_symlink():
        return False
    try:
        return (folder / MARK).read_bytes() == MARK_TEXT
    except OSError:
        return False


def _remove(folder: Path) -> None:
    """Remove our files in a folder of ours, and the folder where nothing else is in it."""
    for pattern in OWN_FILES:
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)
    if [path.name for path in folder.iterdir()] == [MARK]:
        (folder / MARK).unlink()
        folder.rmdir()
