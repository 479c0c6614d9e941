"""The images that --data and SOURCE mean: a folder, a file or a data set's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn import data
from fastcnn.cli.options.decoding import Reading
from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.resolve import folder_set, picture_table, targets
from fastcnn.cli.resolve.folder_set import TRAIN
from fastcnn.cli.resolve.image_set import SHARE, ImageSet, refused
from fastcnn.cli.resolve.image_subset import ImageSubset
from fastcnn.data.datasets import SAMPLE
from fastcnn.data.datasets.catalog import KNOWN_SETS
from fastcnn.data.datasets.local_file import Labelled, read_labelled
from fastcnn.data.datasets.local_folder import has_published_files, read_folder
from fastcnn.data.files.packed import from_packed
from fastcnn.data.folder.splitting import NothingToHoldOut
from fastcnn.data.images.decoder import Decoder
from fastcnn.hdf5.arrays import File
from fastcnn.hdf5.structures import SIGNATURE
from fastcnn.models.predictions import Kind
from fastcnn.utils import input_file

PACKED = (".h5", ".hdf5")
TABLE = ".csv"
NAMED = (SAMPLE, *KNOWN_SETS)
"""Names that mean a set, even where a folder is called so."""
ZIPPED = b"PK\3\4"
ARRAYS = ("x_train", "y_train", "x_test", "y_test", "class_names")


def opened(
    text: str,
    reading: Reading,
    base: Callable[[], Decoder] | None = None,
    share: float | None = 0.0,
    seed: int = 0,
    purpose: str = TRAIN,
) -> ImageSet:
    """The set that `text` means, with a share of each class held out where that is not 0. What is
    wrong with a folder's files is printed.

    base: gives what makes images of files, as far as `reading` does not say it. share: None for
    that of `image_set.SHARE` where the set has no part for validation. purpose: which parts of a
    folder that has such are opened, see `folder_set`.
    """
    path = Path(text)
    if is_picture_folder(text):
        return folder_set.opened(
            text, reading, reading.decoder(base and base()), share, seed, purpose
        )
    share = SHARE if share is None else share
    if Path(text).suffix.lower() == TABLE and Path(text).is_file():
        image_set = picture_table.opened(text, reading.decoder(base and base()))
        return image_set.held_out(share, seed) if share else image_set
    check_exists(text)
    reading.refuse_for(text)
    if path.is_file() and _is_packed(path):
        try:
            return folder_set.of_dataset(text, from_packed(path, share or None, seed))
        except NothingToHoldOut as error:
            raise refused(error) from None
    if path.is_dir() and text not in NAMED:
        image_set = _from_published(path)
    else:
        image_set = _from_file(path) if path.is_file() else _named(text)
    return image_set.held_out(share, seed) if share else image_set


def is_picture_folder(text: str) -> bool:
    """Whether `text` means a folder of pictures, and not one of MNIST's or CIFAR's files."""
    return text not in NAMED and Path(text).is_dir() and not has_published_files(Path(text))


def check_exists(text: str) -> None:
    """UsageError where `text` means nothing: no folder, no file and no set's name."""
    if not Path(text).exists():
        _names_of_set(text)


def points(text: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Points in the plane and their labels: x_test and y_test of an .npz file, else x_train and
    y_train; UsageError where it has none."""
    try:
        arrays = data.read_npz(text)
    except (OSError, ValueError) as error:
        raise UsageError(f"'{text}' must be an .npz file of points: {error}") from error
    for part in ("test", "train"):
        if f"x_{part}" in arrays and f"y_{part}" in arrays:
            return arrays[f"x_{part}"], arrays[f"y_{part}"]
    raise UsageError(
        f"'{text}' must hold points and their labels, x_test [n, 2] and y_test [n]. It holds "
        f"{', '.join(arrays) or 'nothing'}."
    )


def _is_packed(path: Path) -> bool:
    """Whether a file is a packed set, and not one of arrays; UsageError for other HDF5 files."""
    if not _is(path, SIGNATURE, PACKED):
        return False
    with File(path) as file:
        if any(name in file for name in ARRAYS):
            return False
        if "fastcnn" in file:
            return True
        raise UsageError(
            f"'{path}' must be a file of `fastcnn data pack`, or hold x_test and y_test, and to "
            f"train x_train and y_train. It holds {', '.join(file) or 'nothing'}."
        )


def _is(path: Path, begin: bytes, endings: tuple[str, ...]) -> bool:
    """Whether a file's content, or else its name, says that it is of a kind."""
    with input_file.opened(path) as file:
        return file.read(len(begin)) == begin or path.suffix.lower() in endings


def _named(text: str) -> ImageSet:
    names = _names_of_set(text)
    train, test = data.load(text)
    return ImageSet(text, ImageSubset(*train), ImageSubset(*test), names)


def _names_of_set(text: str) -> list[str]:
    """The classes of a set that is known by its name."""
    path = Path(text)
    if path.suffix or len(path.parts) > 1:
        raise UsageError(f"There is no folder and no file '{path}'.")
    try:
        return data.class_names(text)
    except ValueError as error:
        raise UsageError(f"{error} Or give a folder, an .h5 or an .npz file.") from None


def _from_published(folder: Path) -> ImageSet:
    """The set of a folder with MNIST's or CIFAR's files."""
    try:
        train, test = read_folder(folder)
    except (OSError, ValueError) as error:
        raise UsageError(f"'{folder}' cannot be read: {error}") from error
    class_names = next(part.class_names for part in (train, test) if part is not None)
    return ImageSet(str(folder), _subset(train), _subset(test), class_names)


def _subset(part: Labelled | None) -> ImageSubset | None:
    return None if part is None else ImageSubset(part.x, part.y)


def _from_file(path: Path) -> ImageSet:
    """The set of a file in a published layout, which its content tells."""
    if _is(path, SIGNATURE, PACKED):
        with File(path) as file:
            names = [name for name in ARRAYS if name in file]
        return _of_arrays(path, data.read_hdf5(path, *names))
    if _is(path, ZIPPED, (".npz",)):
        return _from_npz(path)
    try:
        x, y, class_names = read_labelled(path)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"'{path}' is neither a folder, nor an .h5 or .npz file, and cannot be read: {error}"
        ) from error
    return ImageSet(str(path), ImageSubset(x, y), None, class_names)


def _from_npz(path: Path) -> ImageSet:
    try:
        arrays = data.read_npz(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"'{path}' cannot be read: {error}") from error
    return _of_arrays(path, arrays)


def _of_arrays(path: Path, arrays: dict[str, NDArray[Any]]) -> ImageSet:
    """The set of arrays x_train, y_train, x_test, y_test and class_names."""
    names = arrays.get("class_names")
    kind, train = _part(path, arrays, "train") if "x_train" in arrays else (None, None)
    kinds, test = _part(path, arrays, "test")
    is_other = train is not None and train.labels.shape[1:] != test.labels.shape[1:]
    if kind not in (None, kinds) or is_other:
        raise UsageError(
            f"y_train and y_test in '{path}' must be alike. They are "
            f"{targets.WORDS[kind or kinds]}, and {targets.WORDS[kinds]}, of shape "
            f"{test.labels.shape}."
        )
    return ImageSet(
        name=str(path),
        train=train,
        test=test,
        class_names=None if names is None else [str(name) for name in names],
        kind=kinds,
    )


def _part(path: Path, arrays: dict[str, NDArray[Any]], part: str) -> tuple[Kind, ImageSubset]:
    """x_<part> and y_<part>; grey images may lack the channel axis."""
    missing = [name for name in (f"x_{part}", f"y_{part}") if name not in arrays]
    if missing:
        raise UsageError(
            f"'{path}' must hold {' and '.join(missing)}. It holds "
            f"{', '.join(arrays) or 'nothing'}."
        )
    images, labels = arrays[f"x_{part}"], arrays[f"y_{part}"]
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim != 4 or images.dtype.kind not in "fu":
        raise UsageError(
            f"x_{part} in '{path}' must be images [n, height, width, channels], uint8 or "
            f"float32. It is {images.dtype} of shape {images.shape}."
        )
    kind, y = targets.read(labels, len(images), f"y_{part} in '{path}'")
    if images.dtype != np.uint8:
        images = images.astype(np.float32)
    return kind, ImageSubset(images, y)
