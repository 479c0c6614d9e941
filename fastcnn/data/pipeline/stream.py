"""Iterables of batches of other libraries, as `tf.data` and PyTorch's DataLoader give them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcnn.data import class_labels
from fastcnn.data.pipeline import items
from fastcnn.utils.arrays import array

Example = tuple[NDArray[Any], NDArray[Any] | None, NDArray[Any] | None]
"""A batch's images, labels and weights."""


class Stream:
    """An iterable of batches, or a source that gives them by number.

    `once` says that it can be gone through only once, as a generator. `class_names` are its own, by
    label; where there are `reference_names`, its labels are counted as they are.

    Args:
        source: The iterable.
        channels: How many the images are to have.
        name: What it is called, for errors.
        numbered: Whether it gives batches by number.
    """

    def __init__(self, source: Any, channels: int, name: str, numbered: bool = False):
        self.source = source
        self.class_names = items.class_names(source)
        self.reference_names: list[str] | None = None
        self._channels = channels
        self._numbered = numbered
        self.name = name
        self.once = hasattr(source, "__next__")

    def __iter__(self) -> Iterator[Example]:
        """(x, y or None, weights or None), x [n, H, W, C], of the types that the source gives.

        All are copies: many sources give every batch in the same memory, which they refill as soon
        as they are asked for the next one.
        """
        number = -1
        for number, batch in enumerate(self._batches()):
            yield self._batch(batch, f"{self.name}: batch {number}")
        if number < 0:
            hint = ": a generator gives its batches only once" if self.once else ""
            raise ValueError(
                f"{self.name} must give at least one batch. Received an iterable without any{hint}."
            )

    def _batches(self) -> Iterator[object]:
        if self._numbered:
            # The length may be another one each epoch.
            return (self.source[number] for number in range(len(self.source)))
        return iter(self.source)

    def _batch(self, batch: object, name: str) -> Example:
        items.refuse_mapping(batch, name, "(x, y), (x, y, weights) or x")
        parts = batch if isinstance(batch, tuple | list) else (batch,)
        if not 1 <= len(parts) <= 3:
            raise ValueError(
                f"{name} must be (x, y), (x, y, weights) or x. Received {len(parts)} parts."
            )
        images = items.pixels(parts[0], self._channels, name)
        y, weight = (*map(items.detached, parts[1:]), None, None)[:2]
        if _is_one(images, y, self._channels):
            raise ValueError(
                f"{name} must hold several images, [n, H, W, C], and their labels. Received one "
                f"image of shape {images.shape}: make batches of them, as DataLoader(source, "
                "batch_size=32) of PyTorch does."
            )
        if y is not None and self.class_names and self.reference_names:
            y = class_labels.counted(y, self.class_names, self.reference_names, name)
        images = items.channels_last(images, self._channels, items.is_tensor(parts[0]))
        return np.array(images, order="C"), _own(y, f"{name}: y"), _own(weight, f"{name}: weights")


def _own(value: object, name: str) -> NDArray[Any] | None:
    return None if value is None else np.array(array(value, name))


def _is_one(images: NDArray[Any], y: ArrayLike | None, channels: int) -> bool:
    """Whether what should be a batch is a single image."""
    if y is not None:
        return np.ndim(y) == 0
    return images.ndim == 3 and channels > 1 and channels in (images.shape[0], images.shape[2])
