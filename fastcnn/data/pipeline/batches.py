"""Batches: images, labels and weights gathered into arrays that the engine can take."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import numpy.typing as npt

from fastcnn._ext.batch import gather
from fastcnn.data.dataset import Dataset, image_shape
from fastcnn.data.filling import fill
from fastcnn.data.images.file_format import Unreadable
from fastcnn.data.pipeline.transform import Batch, Floats, Indices, Transform
from fastcnn.data.prefetch import ahead
from fastcnn.utils import arguments

if TYPE_CHECKING:
    from fastcnn.data.folder.image_folder import ImageFolder


def is_image_folder(value: object) -> TypeGuard[ImageFolder]:
    """Say whether a value is an ImageFolder: nothing is before its module was imported, which with
    all that reads files would cost every start a good deal.

    Args:
        value: Anything.
    """
    module = sys.modules.get("fastcnn.data.folder.image_folder")
    return isinstance(value, getattr(module, "ImageFolder", ()))


class Batches:
    """The batches of one epoch; each iteration starts anew, in the same order.

    Every entry of the order comes exactly once; the last batch may be smaller. What is random in
    the transform is decided by (its seed, epoch, number of the image); an image that the order
    repeats gets other randomness each time. Without a transform images only become float32.

    Iterating gives (x float32 [b, ...], y or None, weight or None), all C-contiguous. The x of a
    batch is overwritten by a later batch: copy what has to stay. The bits are the same for any
    number of workers. Memory for workers + 1 batches is all that is used.

    Args:
        x: An array, uint8 or float32 [N, ...], or a Dataset.
        y: Labels or targets [N, ...], or None; for a Dataset, None means its own labels. Mixing
            needs dense targets, float32.
        weight: float32 [N], or None.
        batch_size: Images of a batch.
        order: int64 [n], the images to visit, each from 0 to N - 1 (a permutation, a part of the
            set, or one with repetitions); None means all of them from first to last.
        shape: The shape of one image, for a Dataset without ``image_shape``: the model's input
            shape.
        transform: Augmentation, preprocessing and, batch by batch, mixing; None for none.
        epoch: The number of the epoch, from 0.
        workers: Threads that prepare as many batches ahead of the step; with 0, each is prepared
            when it is due. None means 1, but 0 for an array that is only gathered and not sent,
            which costs less than handing it to a thread.
        send: Called with each prepared x, in the thread that prepared it; what it returns comes in
            its place. An array that is only gathered when it is due is not sent.
        leave_out: Whether batches lack those images of an ImageFolder that cannot be read; a batch
            may then be empty.
        share: Which positions of a batch of so many images x is to have, where other processes
            prepare the others; y and weight are those of the whole batch. None means all. No
            image is left out then.
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
        transform: Transform | None = None,
        epoch: int = 0,
        workers: int | None = None,
        send: Callable[[Floats], Any] | None = None,
        leave_out: bool = False,
        share: Callable[[int], slice] | None = None,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"Batches: batch_size must be at least 1. Received {batch_size}.")
        self._x: npt.NDArray[Any] | Dataset = x
        if isinstance(x, np.ndarray):
            self._x = np.ascontiguousarray(x)
            shape = x.shape[1:]
        elif shape is None and not hasattr(x, "image_shape"):
            raise ValueError("Batches: a Dataset needs shape, the shape of one image.")
        else:
            shape = image_shape(x, shape or ())
            y = _labels(x) if y is None else y
        self._shape = tuple(shape)
        self._y = y
        self._weight = None if weight is None else np.asarray(weight, np.float32)
        self._order = _checked_order(order, len(x))
        self._batch_size = batch_size
        self._transform = Transform() if transform is None else transform
        self._epoch = epoch
        self._keys = self._transform.keys(self._order, len(x))
        self._send = send
        self._workers = self._threads(workers)
        self._share = share
        self._folder = x if leave_out and is_image_folder(x) and share is None else None
        for name, array in (("y", self._y), ("weight", self._weight)):
            if array is not None and len(array) != len(x):
                raise ValueError(
                    f"Batches: {name} must have one entry per image, {len(x)}. "
                    f"Received {len(array)}."
                )

    def __len__(self) -> int:
        """Number of batches, the last partial one included."""
        return -(-len(self._order) // self._batch_size)

    def __iter__(self) -> Generator[Batch, None, None]:
        if isinstance(self._x, np.ndarray) and self._transform.plain and not self._workers:
            return self._gathered(self._x)
        slots = [self._slot() for _ in range(self._workers + 1)]
        return ahead(self._prepared, range(len(self)), slots, self._workers)

    def _threads(self, workers: int | None) -> int:
        if workers is None:
            gathered = isinstance(self._x, np.ndarray) and self._transform.plain
            return 0 if gathered and self._send is None else 1
        return arguments.whole("Batches", "workers", workers, least=0, most=arguments.MOST_WORKERS)

    def _gathered(self, x: npt.NDArray[Any]) -> Generator[Batch, None, None]:
        buffer = np.empty((min(self._batch_size, len(self._order)), *self._shape), np.float32)
        for start in range(0, len(self._order), self._batch_size):
            indices = self._order[start : start + self._batch_size]
            own = indices[self._own(len(indices))]
            yield gather(x, own, buffer[: len(own)]), *self._targets(indices)

    def _own(self, count: int) -> slice:
        """The positions in a batch of the images that are prepared."""
        return slice(0, count) if self._share is None else self._share(count)

    def _slot(self) -> _Slot:
        """Memory for one batch; what is never written costs none."""
        count = min(self._batch_size, len(self._order))
        return _Slot(
            np.empty((count, *self._transform.augmented_shape(self._shape)), np.float32),
            np.empty((count, *self._shape), getattr(self._x, "dtype", np.float32)),
        )

    def _prepared(self, number: int, slot: _Slot) -> Batch:
        """The batch of that number, made in the slot's memory."""
        part = slice(number * self._batch_size, (number + 1) * self._batch_size)
        batch, transform = self._order[part], self._transform
        # What mixing takes of other images of the batch has to be there.
        prepared = slice(0, len(batch)) if transform.mixing else self._own(len(batch))
        indices, keys = batch[prepared], self._keys[part][prepared]
        out = slot.floats[: len(indices)]
        if isinstance(self._x, np.ndarray) and self._keys is self._order:
            if not number:
                transform.check_values(self._x[indices])
            images = transform.gathered(self._x, indices, self._epoch, out)
        else:
            readable = self._read(indices, slot.raw, first=not number)
            if not len(readable):
                return slot.floats[:0], None, None
            if len(readable) < len(indices):
                indices, keys, out = indices[readable], keys[readable], out[: len(readable)]
                batch = indices
            raw = slot.raw[: len(indices)]
            if not number:
                transform.check_values(raw)
            images = transform.apply(raw, keys, self._epoch, out)
        images, y, weight = transform.mixed(images, *self._targets(batch), self._epoch, number)
        if transform.mixing and self._share is not None:
            images = images[self._own(len(batch))]
        return (images if self._send is None else self._send(images)), y, weight

    def _read(self, indices: Indices, raw: npt.NDArray[Any], first: bool) -> Indices:
        """Get images into the beginning of raw; return the places in `indices` of those that it
        got, all unless some are left out.
        """
        positions = np.arange(len(indices))
        if isinstance(self._x, np.ndarray):
            np.take(self._x, indices, axis=0, out=raw[: len(indices)], mode="clip")
            return positions
        while len(positions):
            try:
                fill(self._x, indices[positions], raw[: len(positions)], checked=first)
                break
            except Unreadable:
                folder = self._folder
                readable = None if folder is None else folder.readable(indices[positions])
                if readable is None or readable.all():
                    raise
                positions = positions[readable]
        return positions

    def _targets(self, indices: Indices) -> tuple[npt.NDArray[Any] | None, Floats | None]:
        y = None if self._y is None else self._y.take(indices, axis=0)
        weight = None if self._weight is None else self._weight.take(indices)
        return y, weight


class _Slot:
    """Memory of one batch: images as their source gives them, and as they are made."""

    def __init__(self, floats: Floats, raw: npt.NDArray[Any]) -> None:
        self.floats = floats
        self.raw = raw


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
