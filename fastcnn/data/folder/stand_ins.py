"""The images of a folder for one epoch of training, in which others stand in for damaged ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastcnn.data.counter_rng import key, uniforms
from fastcnn.data.folder.file_list import text
from fastcnn.data.images.file_format import Unreadable

if TYPE_CHECKING:
    from fastcnn.data.folder import ImageFolder

Indices = npt.NDArray[np.int64]

NUMBER = 1001
"""Of this randomness among all that go by seed and epoch."""


class StandIns:
    """A Dataset as the folder, but that for an image that cannot be read another one of its class
    stands in, drawn from all of them by seed, epoch and the number of the missing one: so that none
    comes much more often than others, and each run trains on the same.

    Unreadable where a class has no image left.
    """

    dtype = np.uint8

    def __init__(self, folder: ImageFolder, seed: int, epoch: int) -> None:
        self.labels = folder.labels
        self.image_shape = folder.image_shape
        self._folder = folder
        self._seed, self._epoch = seed, epoch

    def __len__(self) -> int:
        return len(self._folder)

    def images(self, indices: Indices, out: npt.NDArray[Any]) -> None:
        """Writes the images, or others for them, into out, as ImageFolder.images."""
        indices = self._folder.checked(indices)
        chosen = indices.copy()
        rows = np.arange(len(chosen))
        while len(rows):
            rows = self._folder.read(chosen, rows, out)
            for row in rows:
                chosen[row] = self._other(int(indices[row]))

    def _other(self, position: int) -> int:
        """The image with the lowest number drawn, of those that are not known to be damaged: which
        it comes to does not depend on when the damage of the others becomes known."""
        same = np.flatnonzero(self.labels == self.labels[position])
        same = same[self._folder.readable(same)]
        if not len(same):
            failure = self._folder.failure(position)
            name = text(self._folder.files[position]).split("/")[0]
            raise Unreadable(
                failure.path,
                f"{failure.reason}; and the class '{name}' has no other image left that can be",
            )
        drawn = uniforms(key(self._seed, self._epoch, NUMBER, position), same, 1)
        return int(same[drawn[:, 0].argmin()])
