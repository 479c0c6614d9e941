"""Some images of a data set with their labels: an array, or a Dataset that reads them."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.data import class_labels
from fastcnn.data.folder.image_folder import ImageFolder


class Labelled:
    """The images of an array with their labels, as a Dataset."""

    def __init__(self, x: NDArray[Any], labels: NDArray[Any]):
        self._x = x
        self.labels = labels
        self.dtype = x.dtype
        self.image_shape = x.shape[1:]

    def __len__(self) -> int:
        return len(self.labels)

    def images(self, indices: NDArray[np.int64], out: NDArray[Any]) -> None:
        """Write the images into out."""
        np.take(self._x, indices, axis=0, out=out, mode="clip")


@dataclass(frozen=True)
class ImageSubset:
    """Some images.

    x: an array uint8 or float32 [n, H, W, C], or a Dataset of such images; labels: int32 [n] of
    classes, or float32 [n, outputs]; files: the paths of an array's images, where they have such.
    """

    x: Any
    labels: NDArray[Any]
    files: list[str] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def dataset(self) -> Any:
        """The images as a Dataset."""
        return Labelled(self.x, self.labels) if isinstance(self.x, np.ndarray) else self.x

    @property
    def y(self) -> NDArray[Any] | None:
        """What `fit` is given beside x: a Dataset has its labels itself."""
        return self.labels if isinstance(self.x, np.ndarray) else None

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the images."""
        return np.dtype(self.x.dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """(height, width, channels) of an image."""
        return tuple(self.dataset.image_shape)

    def part(self, chosen: NDArray[np.int64]) -> ImageSubset:
        """Those of an array at these positions, int64 [n]."""
        files = self.files and [self.files[position] for position in chosen]
        return ImageSubset(self.x[chosen], self.labels[chosen], files)

    def called(self, names: list[str], model_names: list[str], owner: str) -> ImageSubset:
        """The same images with their classes, `names`, counted as in `model_names`; ValueError,
        in the name of `owner`, where a name is not among them."""
        labels = class_labels.counted(self.labels, names, model_names, owner)
        if isinstance(self.x, np.ndarray):
            return ImageSubset(self.x, labels, self.files)
        dataset = copy.copy(self.x)
        dataset.labels, dataset.class_names = labels, model_names
        return ImageSubset(dataset, labels)

    @property
    def usable(self) -> ImageSubset:
        """Those that are not known to be damaged: predict, unlike evaluate, leaves out nothing."""
        if not isinstance(self.x, ImageFolder):
            return self
        usable = self.x.usable()
        return ImageSubset(usable, usable.labels)
