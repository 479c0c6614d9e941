"""A folder with the files of MNIST, of CIFAR, or of a set published in their layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastcnn.data.datasets.local_file import Labelled, read_labelled
from fastcnn.hdf5.errors import FormatError

LAYOUTS = (
    ("train-images?idx3-ubyte", "t10k-images?idx3-ubyte"),
    ("data_batch_?.bin", "test_batch.bin"),
    ("train.bin", "test.bin"),
)
"""Patterns of the names of the files to train on and to test with, without .gz."""


def has_published_files(folder: Path) -> bool:
    """Return whether a folder holds files of a published layout, and no folders.

    A folder with folders is one of pictures, whatever files lie beside them.

    Args:
        folder: Where to look.
    """
    if any(path.is_dir() and not path.name.startswith(".") for path in folder.iterdir()):
        return False
    return any(_files(folder, pattern) for layout in LAYOUTS for pattern in layout)


def read_folder(folder: Path) -> tuple[Labelled | None, Labelled | None]:
    """Return the images to train on and those to test with; None where their files are missing.

    Args:
        folder: What holds the files, each gzipped or not.

    Raises:
        ValueError: A file is damaged, or the folder holds files of several sets.
        OSError: A file cannot be opened.
    """
    layouts = [tuple(_files(folder, pattern) for pattern in layout) for layout in LAYOUTS]
    present = [layout for layout in layouts if any(layout)]
    if len(present) != 1:
        names = [path.name for layout in present for files in layout for path in files]
        raise FormatError(
            f"{folder}: expected the files of one data set, such as MNIST's or CIFAR-10's. "
            f"Received {', '.join(names) or 'none'}."
        )
    train, test = (_joined(files) if files else None for files in present[0])
    return train, test


def _files(folder: Path, pattern: str) -> list[Path]:
    """Return the files of a pattern by name, one of each: unpacked where both are there."""
    by_name = {path.name.removesuffix(".gz"): path for path in folder.glob(f"{pattern}.gz")}
    by_name |= {path.name: path for path in folder.glob(pattern)}
    return [by_name[name] for name in sorted(by_name)]


def _joined(files: list[Path]) -> Labelled:
    """Return the images of files of the same layout, one file behind the other."""
    parts = [read_labelled(path) for path in files]
    if len(parts) == 1:
        return parts[0]
    images, labels, class_names = zip(*parts, strict=True)
    shapes = {part.shape[1:] for part in images}
    if len(shapes) > 1:
        raise FormatError(
            f"{files[0].parent}: images of one set must have one shape. Received {sorted(shapes)}."
        )
    return Labelled(np.concatenate(images), np.concatenate(labels), class_names[0])
