"""Loading a data set by name: found on this computer, or downloaded; and the bundled sample."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastcnn.data.datasets import paths
from fastcnn.data.datasets.catalog import FASHION_MNIST, KNOWN_SETS, CatalogEntry
from fastcnn.data.datasets.cifar import read_cifar10, read_cifar100
from fastcnn.data.datasets.idx import read_idx
from fastcnn.utils import naming

Split = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]

SAMPLE = "sample"
SAMPLE_FILE = Path(__file__).parents[1] / "samples" / "fashion-mnist-sample.npz"


def load(name: str) -> tuple[Split, Split]:
    """Return the training and the test images of a data set.

    The files, gzipped or not, are looked for in the set's folder (fashion-mnist, mnist,
    cifar-10-batches-bin, cifar-100-binary) under $FASTCNN_DATA and under the user's data directory,
    then where the system may keep them; else they are downloaded, but for cifar100, and checked.

    Args:
        name: "fashion-mnist", "mnist", "cifar10", "cifar100" (its fine labels), or "sample" for the
            images that come with fastcnn.

    Returns:
        ((x_train, y_train), (x_test, y_test)): x uint8 [N, H, W, C], y int32 [N].

    Raises:
        FileNotFoundError: The files are nowhere and cannot be downloaded.
        ValueError: There is no such data set, or a file is malformed.
    """
    entry = naming.lookup("data set", name, {SAMPLE: None, **KNOWN_SETS})
    if entry is None:
        return sample()
    folder = paths.find(entry) or _downloaded(entry)
    return read(entry, folder)


def sample() -> tuple[Split, Split]:
    """Return the bundled sample of Fashion-MNIST.

    Returns:
        6,000 training and 1,000 test images, as `load`'s.

    References:
        Xiao et al., 2017: Fashion-MNIST: A novel image dataset for benchmarking machine learning
        algorithms.
    """
    with np.load(SAMPLE_FILE, allow_pickle=False) as arrays:
        return (
            (arrays["x_train"], arrays["y_train"].astype(np.int32)),
            (arrays["x_test"], arrays["y_test"].astype(np.int32)),
        )


def class_names(name: str) -> list[str]:
    """Return the names of the classes of a data set.

    Args:
        name: As `load`'s.

    Returns:
        The names, by label.

    Raises:
        ValueError: There is no such data set; the message has the nearest.
    """
    table = {SAMPLE: FASHION_MNIST, **KNOWN_SETS}
    return list(naming.lookup("data set", name, table).class_names)


def read(entry: CatalogEntry, folder: str | os.PathLike[str]) -> tuple[Split, Split]:
    """Return the set as `load` returns it.

    Args:
        entry: Which set.
        folder: Where its files lie.

    Raises:
        ValueError: A file is damaged.
    """
    if entry.layout == "idx":
        return _read_idx_pair(entry, Path(folder), "train"), _read_idx_pair(
            entry, Path(folder), "t10k"
        )
    reader = {"cifar10": read_cifar10, "cifar100": _read_cifar100}[entry.layout]
    parts = [_labelled(entry, path, *reader(path)) for path in _paths(entry, Path(folder))]
    images, labels = zip(*parts[:-1], strict=True)
    return (np.concatenate(images), np.concatenate(labels)), parts[-1]


def _read_idx_pair(entry: CatalogEntry, folder: Path, part: str) -> Split:
    images_path, labels_path = (path for path in _paths(entry, folder) if part in path.name)
    images = read_idx(images_path, axes=3)
    return _labelled(entry, labels_path, images[..., np.newaxis], read_idx(labels_path, axes=1))


def _read_cifar100(path: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Images and fine labels."""
    images, fine, _ = read_cifar100(path)
    return images, fine


def _paths(entry: CatalogEntry, folder: Path) -> list[Path]:
    """Return the files of the set in the folder, in the order in which they are published."""
    located = {file.name: paths.locate(folder, file.name) for file in entry.files}
    missing = [name for name, path in located.items() if path is None]
    if missing:
        raise FileNotFoundError(f"{folder}: {entry.name} needs {', '.join(missing)} there.")
    return [path for path in located.values() if path is not None]


def _labelled(
    entry: CatalogEntry, path: Path, images: npt.NDArray[np.uint8], labels: npt.NDArray[Any]
) -> Split:
    """Images with their labels as int32, or ValueError when they do not belong together."""
    classes = len(entry.class_names)
    if len(images) != len(labels):
        raise ValueError(
            f"{path}: {len(images)} images need as many labels. Found {len(labels)} labels."
        )
    if labels.max() >= classes:
        raise ValueError(
            f"{path}: every label of {entry.name} must be from 0 to {classes - 1}. "
            f"Found {labels.max()}."
        )
    return images, labels.astype(np.int32)


def _downloaded(entry: CatalogEntry) -> Path:
    """Return the folder of a downloaded set; FileNotFoundError says where to put files."""
    from fastcnn.data.datasets.download import download

    directory = paths.data_directory()
    if directory is None:
        raise FileNotFoundError(
            f"The data set '{entry.name}' is not on this computer, and this user has no home to "
            f"download it to. Set {paths.ENVIRONMENT} to a directory."
        )
    folder = directory / entry.folder
    try:
        download(entry, folder)
    except (OSError, ValueError) as error:
        searched = "\n".join(f"  {path}" for path in paths.folders(entry))
        files = ", ".join(file.name for file in entry.files)
        raise FileNotFoundError(
            f"The data set '{entry.name}' is not on this computer, and downloading it failed: "
            f"{error}\nPut its files ({files}; each may be gzipped) into one of\n{searched}\n"
            f"or set {paths.ENVIRONMENT} to a directory that holds the folder '{entry.folder}'."
        ) from error
    return folder
