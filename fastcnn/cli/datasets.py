"""The images that --data means: a data set's name or an .npz file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn import data
from fastcnn.cli.errors import UsageError

Split = tuple[NDArray[Any], NDArray[np.int32]]


@dataclass(frozen=True)
class ImageSet:
    """Images [n, H, W, C] (uint8 or float32) and labels int32 [n], for training and for testing."""

    name: str
    train: Split | None
    test: Split
    class_names: list[str] | None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.test[0].shape[1:]

    @property
    def raw(self) -> bool:
        """Whether the images are pixel values, 0 to 255."""
        return self.test[0].dtype == np.uint8

    @property
    def classes(self) -> int:
        if self.class_names is not None:
            return len(self.class_names)
        labels = [split[1].max(initial=0) for split in (self.train, self.test) if split]
        return int(max(labels)) + 1

    def held_out(self, share: float, seed: int) -> tuple[Split, Split | None]:
        """The training images without a share of each class, and that share, drawn by `seed`."""
        if self.train is None:
            raise UsageError(f"--data: '{self.name}' must hold x_train and y_train to train on.")
        if not share:
            return self.train, None
        images, labels = self.train
        held = _share_of_each_class(labels, share, np.random.default_rng(seed))
        if not held.any() or held.all():
            raise UsageError(
                f"--validation must leave images on both sides. Received {share} for "
                f"{len(labels)} images."
            )
        return (images[~held], labels[~held]), (images[held], labels[held])


def _share_of_each_class(
    labels: NDArray[np.int32], share: float, generator: np.random.Generator
) -> NDArray[np.bool_]:
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        held[generator.permutation(of_class)[: round(share * len(of_class))]] = True
    return held


def named(text: str) -> ImageSet:
    """The set that `text` means."""
    if Path(text).suffix == ".npz":
        return _from_npz(Path(text))
    try:
        names = data.class_names(text)
    except ValueError as error:
        raise UsageError(f"--data: {error} Or give an .npz file.") from None
    train, test = data.load(text)
    return ImageSet(text, train, test, names)


def _from_npz(path: Path) -> ImageSet:
    if not path.is_file():
        raise UsageError(f"--data: there is no file '{path}'.")
    try:
        found = data.read_npz(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"--data: '{path}' cannot be read: {error}") from error
    train = _split(path, found, "train") if "x_train" in found else None
    names = found.get("class_names")
    return ImageSet(
        name=str(path),
        train=train,
        test=_split(path, found, "test"),
        class_names=None if names is None else [str(name) for name in names],
    )


def _split(path: Path, arrays: dict[str, NDArray[Any]], part: str) -> Split:
    """x_<part> and y_<part>; grey images may lack the channel axis."""
    missing = [name for name in (f"x_{part}", f"y_{part}") if name not in arrays]
    if missing:
        raise UsageError(
            f"--data: '{path}' must hold {' and '.join(missing)}. It holds "
            f"{', '.join(arrays) or 'nothing'}."
        )
    images, labels = arrays[f"x_{part}"], arrays[f"y_{part}"]
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim != 4 or images.dtype.kind not in "fu":
        raise UsageError(
            f"--data: x_{part} in '{path}' must be images [n, height, width, channels], uint8 or "
            f"float32. It is {images.dtype} of shape {images.shape}."
        )
    if labels.dtype.kind not in "iu" or labels.size != len(images):
        raise UsageError(
            f"--data: y_{part} in '{path}' must be {len(images)} whole-number labels. "
            f"It is {labels.dtype} of shape {labels.shape}."
        )
    if images.dtype != np.uint8:
        images = images.astype(np.float32)
    return images, labels.reshape(-1).astype(np.int32)
