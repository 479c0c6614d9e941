"""A folder in which other images stand in for those that turn out to be damaged."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fastcnn.data.counter_rng import key, uniforms
from fastcnn.data.folder.file_list import text
from fastcnn.data.images.file_format import Unreadable

Indices = npt.NDArray[np.int64]

REPLACEMENT = 1001
"""The number of the draws of replacements among all draws of a seed and an epoch."""


class FolderOfFiles(Protocol):
    """What is asked of a folder whose images are replaced; `ImageFolder` says what these are."""

    labels: npt.NDArray[np.int32]
    files: list[str]

    @property
    def image_shape(self) -> tuple[int, int, int]: ...

    def __len__(self) -> int: ...

    def checked(self, indices: Indices) -> Indices: ...

    def readable(self, indices: Indices) -> npt.NDArray[np.bool_]: ...

    def failure(self, position: int) -> Unreadable: ...

    def read(self, positions: Indices, rows: Indices, out: npt.NDArray[Any]) -> Indices: ...


class ReplacingFolder:
    """A Dataset as the folder, in which another image stands in for one that cannot be read.

    It is of the same class, drawn from all of them by seed, epoch and the number of the missing
    one: so that none comes much more often than others, and each run trains on the same.

    Args:
        folder: The folder.
        seed: Of the training.
        epoch: The number of the epoch, from 0.

    Raises:
        Unreadable: A class has no image left.
    """

    dtype = np.uint8

    def __init__(self, folder: FolderOfFiles, seed: int, epoch: int) -> None:
        self.labels = folder.labels
        self.image_shape = folder.image_shape
        self._folder = folder
        self._seed, self._epoch = seed, epoch

    def __len__(self) -> int:
        return len(self._folder)

    def images(self, indices: Indices, out: npt.NDArray[Any]) -> None:
        """Write images, or others for them, into an array, as `ImageFolder.images` does.

        Args:
            indices: Numbers of the images, int64 [n].
            out: uint8 or float32 [n, height, width, channels].
        """
        indices = self._folder.checked(indices)
        chosen = self.chosen(indices)
        rows = np.arange(len(chosen))
        while len(rows):
            rows = self._folder.read(chosen, rows, out)
            chosen[rows] = self.chosen(indices[rows])

    def chosen(self, indices: Indices) -> Indices:
        """Return which images come for these, as far as is known what is damaged.

        Args:
            indices: Numbers of the images, int64 [n].

        Returns:
            Numbers of images, int64 [n], a fresh array.
        """
        images = indices.copy()
        for row in np.flatnonzero(~self._folder.readable(indices)):
            images[row] = self._other(int(indices[row]))
        return images

    def _other(self, position: int) -> int:
        """The image with the lowest number drawn, of those that are not known to be damaged: which
        it comes to does not depend on when the damage of the others becomes known.
        """
        same = np.flatnonzero(self.labels == self.labels[position])
        same = same[self._folder.readable(same)]
        if not len(same):
            failure = self._folder.failure(position)
            name = text(self._folder.files[position]).split("/")[0]
            raise Unreadable(
                failure.path,
                f"{failure.reason}; and the class '{name}' has no other image left that can be",
            )
        drawn = uniforms(key(self._seed, self._epoch, REPLACEMENT, position), same, 1)
        return int(same[drawn[:, 0].argmin()])
