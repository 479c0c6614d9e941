"""Where a known data set may lie on this computer."""

from __future__ import annotations

import os
from pathlib import Path

from fastcnn.data.datasets.catalog import CatalogEntry

ENVIRONMENT = "FASTCNN_DATA"


def data_directory() -> Path | None:
    """Return $FASTCNN_DATA where it is set, else the user's data directory; downloads go there."""
    chosen = os.environ.get(ENVIRONMENT)
    return Path(chosen).expanduser() if chosen else user_directory()


def user_directory() -> Path | None:
    """Return the user's data directory of fastcnn, as the operating system has it.

    None for a user without a home, as a container may have.
    """
    import platformdirs

    try:
        return platformdirs.user_data_path("fastcnn", appauthor=False)
    except RuntimeError:
        return None


def folders(entry: CatalogEntry) -> list[Path]:
    """Return the folders where the set may lie, in the order in which they are searched.

    Args:
        entry: Which set.
    """
    directories = dict.fromkeys((data_directory(), user_directory()))
    return [*(path / entry.folder for path in directories if path), *map(Path, entry.places)]


def find(entry: CatalogEntry) -> Path | None:
    """Return the first folder that holds every file of the set, or None.

    Args:
        entry: Which set.
    """
    for folder in folders(entry):
        if all(locate(folder, file.name) for file in entry.files):
            return folder
    return None


def locate(folder: Path, name: str) -> Path | None:
    """Return a file of a folder, or the same with .gz; None where neither is there.

    Args:
        folder: Where to look.
        name: The file's name, without .gz.
    """
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    return None
