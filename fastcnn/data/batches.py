"""Batches: images, labels and weights gathered into arrays that the engine can take."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from fastcnn._ext.batch import gather

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Batch = tuple[Floats, npt.NDArray[Any] | None, Floats | None]


@runtime_checkable
class Dataset(Protocol):
    """A source of images that are decoded, read or augmented when a batch needs them.

    ``labels`` is an integer array with one class per image, or None. ``images(indices, out)``
    writes the images ``indices`` (int64 [n]) into ``out`` (float32 [n, H, W, C]); it is called
    from one background thread, ahead of the step that uses the batch.
    """

    labels: Any

    def __len__(self) -> int: ...

    def images(self, indices: Indices, out: Floats) -> Any: ...


class Batches:
    """The batches of one epoch; each iteration starts anew, in the same order.

    x: an array, uint8 or float32 [N, ...], or a Dataset; then ``shape`` is the shape of one image
    (the model's input shape). y: labels or targets [N, ...] or None; for a Dataset, None means
    its own labels. weight: float32 [N] or None. order: int64 [n], the images to visit, each from
    0 to N - 1 (a permutation, or a part of the set); None means all of them from first to last.
    Every image of the order comes exactly once; the last batch may be smaller.

    Iterating gives (x float32 [b, ...], y or None, weight or None), all C-contiguous. The x of a
    batch is overwritten by a later batch: copy what has to stay. An array is gathered when its
    batch is due, which costs less than handing it to a thread; a Dataset fills the next batch in
    a background thread while the caller works on this one.
    """

    def __init__(
        self,
        x: npt.NDArray[Any] | Dataset,
        y: npt.NDArray[Any] | None,
        weight: npt.NDArray[Any] | None,
        batch_size: int,
        order: npt.NDArray[Any] | None = None,
        *,
        shape: tuple[int, ...] | None = None,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"Batches: batch_size must be at least 1. Received {batch_size}.")
        self._x: npt.NDArray[Any] | Dataset = x
        if isinstance(x, np.ndarray):
            self._x = np.ascontiguousarray(x)
            shape = x.shape[1:]
        elif shape is None:
            raise ValueError("Batches: a Dataset needs shape, the shape of one image.")
        else:
            y = _labels(x) if y is None else y
        self._shape = tuple(shape)
        self._y = y
        self._weight = None if weight is None else np.asarray(weight, np.float32)
        self._order = _checked_order(order, len(x))
        self._batch_size = batch_size
        for name, array in (("y", self._y), ("weight", self._weight)):
            if array is not None and len(array) != len(x):
                raise ValueError(
                    f"Batches: {name} must have one entry per image, {len(x)}. "
                    f"Received {len(array)}."
                )

    def __len__(self) -> int:
        """Number of batches, the last partial one included."""
        return -(-len(self._order) // self._batch_size)

    def __iter__(self) -> Iterator[Batch]:
        if isinstance(self._x, np.ndarray):
            return self._gathered(self._x)
        return self._prepared_ahead(self._x)

    def _gathered(self, x: npt.NDArray[Any]) -> Iterator[Batch]:
        buffer = self._buffer()
        for indices in self._index_batches():
            yield self._batch(gather(x, indices, buffer[: len(indices)]), indices)

    def _prepared_ahead(self, dataset: Dataset) -> Iterator[Batch]:
        def prepare(indices: Indices, buffer: Floats) -> Batch:
            images = buffer[: len(indices)]
            dataset.images(indices, images)
            return self._batch(images, indices)

        # Two buffers: the caller reads one while the thread fills the other.
        current, spare = self._buffer(), self._buffer()
        pieces = self._index_batches()
        first = next(pieces, None)
        if first is None:
            return
        with ThreadPoolExecutor(1, thread_name_prefix="fastcnn-batches") as thread:
            pending = thread.submit(prepare, first, current)
            for indices in pieces:
                ready = pending.result()
                pending = thread.submit(prepare, indices, spare)
                current, spare = spare, current
                yield ready
            yield pending.result()

    def _buffer(self) -> Floats:
        return np.empty((min(self._batch_size, len(self._order)), *self._shape), np.float32)

    def _index_batches(self) -> Iterator[Indices]:
        for start in range(0, len(self._order), self._batch_size):
            yield self._order[start : start + self._batch_size]

    def _batch(self, images: Floats, indices: Indices) -> Batch:
        y = None if self._y is None else self._y.take(indices, axis=0)
        weight = None if self._weight is None else self._weight.take(indices)
        return images, y, weight


def _labels(dataset: Dataset) -> npt.NDArray[np.int32] | None:
    return None if dataset.labels is None else np.asarray(dataset.labels, np.int32)


def _checked_order(order: npt.NDArray[Any] | None, count: int) -> Indices:
    """The order as int64 [n], all of it inside the images, or IndexError."""
    if order is None:
        return np.arange(count, dtype=np.int64)
    order = np.asarray(order)
    if order.ndim != 1 or order.dtype.kind not in "iu":
        raise TypeError(
            f"Batches: order must be a one-dimensional array of integers. "
            f"Received {order.dtype}{list(order.shape)}."
        )
    if order.size and (order.min() < 0 or order.max() >= count):
        raise IndexError(
            f"Batches: order must hold positions from 0 to {count - 1} ({count} images). "
            f"Received {order.min()} to {order.max()}."
        )
    return np.ascontiguousarray(order, np.int64)
