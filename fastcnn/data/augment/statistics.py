"""Mean, variance and covariance of a set of images, whether it is an array or read piece by piece.

One pass, in float64. For bytes, differences to 128 are summed and squared: whole numbers, exact
whatever the pieces. Else those to the mean of the first piece, which keep the digits where means
are large.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fastcnn.data.dataset import image_shape, is_dataset, pieces

Doubles = npt.NDArray[np.float64]

VALUES = 1 << 21
"""Pixel values of an array that are taken at a time."""


class Step(Protocol):
    """A fixed step of a preprocessing, on images float32 [n, ...]."""

    def apply(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]: ...


class Moments:
    """Count, mean and variance of vectors that are counted in piece by piece.

    Args:
        size: How many numbers a vector has.
        full: Whether `variance` is the covariance, float64 [size, size], in place of [size].
    """

    def __init__(self, size: int, full: bool = False):
        self.count = 0
        self._sums = np.zeros(size)
        self._squares = np.zeros((size, size) if full else size)
        self._shift: float | Doubles = 0.0

    def add(self, vectors: npt.NDArray[Any]) -> None:
        """Count vectors in.

        Args:
            vectors: [n, size], of any type of number.
        """
        if not len(vectors):
            return
        if not self.count:
            self._shift = 128.0 if vectors.dtype.kind == "u" else vectors.mean(axis=0, dtype=float)
        rows = vectors - self._shift
        self.count += len(rows)
        self._sums += rows.sum(axis=0)
        self._squares += rows.T @ rows if self._squares.ndim == 2 else np.square(rows).sum(axis=0)

    @property
    def mean(self) -> Doubles:
        mean: Doubles = self._shift + self._sums / self.count
        return mean

    @property
    def variance(self) -> Doubles:
        """The variance, or the covariance where ``full``."""
        apart = self._sums / self.count
        if self._squares.ndim == 2:
            return self._squares / self.count - np.outer(apart, apart)
        return np.maximum(self._squares / self.count - np.square(apart), 0)


def of_colours(
    images: object, owner: str, full: bool = False, steps: Sequence[Step] = ()
) -> Moments:
    """Return the moments of all pixels' colours, after the fixed steps of a preprocessing.

    Args:
        images: An array or a `Dataset`, [n, ..., C].
        owner: Who asks, for errors.
        full: Whether the covariance is wanted.
        steps: The fixed steps.
    """
    return _measured(images, owner, shape(images, owner)[-1], full, steps)


def of_images(images: object, owner: str) -> Moments:
    """Return the full moments of whole images as vectors.

    Args:
        images: An array or a `Dataset`, [n, ...].
        owner: Who asks, for errors.
    """
    return _measured(images, owner, math.prod(shape(images, owner)[1:]), True)


def shape(images: object, owner: str) -> tuple[int, ...]:
    """Return the shape of images, (n, ..., C).

    Args:
        images: An array or a `Dataset`.
        owner: Who asks, for errors.

    Raises:
        TypeError: They are no numbers.
        ValueError: There is no image, or no shape is named.
    """
    if is_dataset(images):
        batch_shape = (len(images), *image_shape(images, ()))
        if len(batch_shape) < 2:
            raise ValueError(
                f"{owner} needs a Dataset with image_shape, the shape of an image. "
                f"Received a {type(images).__name__} without."
            )
    else:
        array = np.asarray(images)
        batch_shape = array.shape
        if array.dtype.kind not in "fu":
            raise TypeError(
                f"{owner} needs images of dtype uint8 or float32. Received {array.dtype} of "
                f"shape {batch_shape}."
            )
    if len(batch_shape) < 2 or not math.prod(batch_shape):
        raise ValueError(
            f"{owner} needs images [n, ..., channels]. Received the shape {batch_shape}."
        )
    return batch_shape


def _measured(
    images: object, owner: str, size: int, full: bool, steps: Sequence[Step] = ()
) -> Moments:
    moments = Moments(size, full)
    for some in _pieces(images):
        if steps:
            some = np.array(some, np.float32)  # a step may write into what it is given
        for step in steps:
            some = step.apply(some)
        moments.add(some.reshape(-1, size))
    if not moments.count:
        raise ValueError(f"{owner} needs images. Received a set of which none could be read.")
    return moments


def _pieces(images: object) -> Iterator[npt.NDArray[Any]]:
    if is_dataset(images):
        dtype = getattr(images, "dtype", np.float32)
        yield from (some for _, some in pieces(images, dtype))
        return
    array = np.asarray(images)
    step = max(1, VALUES // math.prod(array.shape[1:]))
    yield from (array[start : start + step] for start in range(0, len(array), step))
