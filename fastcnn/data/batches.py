"""Batches: images, labels and weights gathered into arrays that the engine can take."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from fastcnn import arguments
from fastcnn._ext.batch import gather
from fastcnn.data.ahead import ahead
from fastcnn.data.augmentation import Augment
from fastcnn.data.mixing import Mixing
from fastcnn.data.preparation import Batch, Floats, Indices, Preparation
from fastcnn.data.sampling import repeats
from fastcnn.data.whitening import Preprocessing


@runtime_checkable
class Dataset(Protocol):
    """A source of images that are decoded, read or computed when a batch needs them.

    Any object with these three members is one, and `fit`, `evaluate` and `predict` take it in the
    place of an array::

        class Slides:
            labels = numpy.array([0, 1, 1, ...])    # one class per image, or None

            def __len__(self):                      # how many images there are
                return len(self.labels)

            def images(self, indices, out):         # write the images of these numbers into out
                for place, index in enumerate(indices):
                    out[place] = read_slide(index)

        model.fit(Slides(), epochs=10)

    ``indices`` is int64 [n], ``out`` is [n, H, W, C], C-contiguous and to be filled completely; it
    is used again for a later batch. Three more attributes are used where they are there:
    ``image_shape``, the (H, W, C) of an image, where it is not the model's input shape (RandomCrop
    may make one of the other); ``dtype``, uint8 or float32, what ``out`` is to be (float32 where
    it is missing); ``class_names``, a list of texts by label, which `fit` gives to a model that
    has none.

    ``images`` is called in a background thread, ahead of the step that uses the batch; by one
    thread at a time unless `fit` was asked for more than one of its ``workers``. What it raises
    ends the training at the batch whose images it was to write.
    """

    labels: Any

    def __len__(self) -> int: ...

    def images(self, indices: Indices, out: npt.NDArray[Any]) -> Any: ...


def is_dataset(value: Any) -> bool:
    """Whether a value is a Dataset."""
    return isinstance(value, Dataset) and callable(value.images)


def image_shape(dataset: Dataset, otherwise: Sequence[int]) -> tuple[int, ...]:
    """The shape of a Dataset's images where it says so, or the other one."""
    return tuple(getattr(dataset, "image_shape", None) or otherwise)


class Batches:
    """The batches of one epoch; each iteration starts anew, in the same order.

    x: an array, uint8 or float32 [N, ...], or a Dataset; for one without ``image_shape``,
    ``shape`` is the shape of one image (the model's input shape). y: labels or targets [N, ...]
    or None; for a Dataset, None means its own labels. weight: float32 [N] or None. order: int64
    [n], the images to visit, each from 0 to N - 1 (a permutation, a part of the set, or one with
    repetitions); None means all of them from first to last. Every entry of the order comes
    exactly once; the last batch may be smaller.

    The images go through ``augment`` (an Augment), the steps of ``preprocessing`` and, batch by
    batch, one of ``mixing`` (for which y must be dense targets, float32). What is random in that
    is decided by (seed, epoch, number of the image); an image that the order repeats gets other
    randomness each time.

    Iterating gives (x float32 [b, ...], y or None, weight or None), all C-contiguous. The x of a
    batch is overwritten by a later batch: copy what has to stay. ``workers`` threads prepare as
    many batches ahead of the step; with 0, each is prepared when it is due. None means 0 for an
    array that is only gathered, which costs less than handing it to a thread, else 1. The bits
    are the same for any number. Memory for workers + 1 batches is all that is used.
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
        augment: Augment | None = None,
        mixing: Sequence[Mixing] = (),
        preprocessing: Sequence[Preprocessing] = (),
        seed: int = 0,
        epoch: int = 0,
        workers: int | None = None,
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
        self._preparation = Preparation(augment, mixing, preprocessing, seed)
        self._epoch = epoch
        self._keys = self._numbers(len(x))
        self._workers = self._threads(workers)
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
        if isinstance(self._x, np.ndarray) and self._preparation.plain and not self._workers:
            return self._gathered(self._x)
        slots = [self._slot() for _ in range(self._workers + 1)]
        return ahead(self._prepared, range(len(self)), slots, self._workers)

    def _numbers(self, count: int) -> Indices:
        """What the randomness of each entry of the order goes by: the image's number, and another
        one above all of them for each time that it comes again."""
        if self._preparation.augment is None:
            return self._order
        again = repeats(self._order, count)
        return self._order + count * again if again.any() else self._order

    def _threads(self, workers: int | None) -> int:
        if workers is None:
            return 0 if isinstance(self._x, np.ndarray) and self._preparation.plain else 1
        return arguments.whole("Batches", "workers", workers, least=0)

    def _gathered(self, x: npt.NDArray[Any]) -> Generator[Batch, None, None]:
        buffer = np.empty((min(self._batch_size, len(self._order)), *self._shape), np.float32)
        for start in range(0, len(self._order), self._batch_size):
            indices = self._order[start : start + self._batch_size]
            images = gather(x, indices, buffer[: len(indices)])
            yield images, *self._targets(indices)

    def _slot(self) -> _Slot:
        """Memory for one batch; what is never written costs none."""
        count = min(self._batch_size, len(self._order))
        return _Slot(
            np.empty((count, *self._preparation.augmented_shape(self._shape)), np.float32),
            np.empty((count, *self._shape), getattr(self._x, "dtype", np.float32)),
        )

    def _prepared(self, number: int, slot: _Slot) -> Batch:
        """The batch of that number, made in the slot's memory."""
        part = slice(number * self._batch_size, (number + 1) * self._batch_size)
        indices, made = self._order[part], self._preparation
        out = slot.made[: len(indices)]
        if isinstance(self._x, np.ndarray) and self._keys is self._order:
            images = made.gathered(self._x, indices, self._epoch, out)
        else:
            raw = slot.raw[: len(indices)]
            self._read(indices, raw)
            images = made.made(raw, self._keys[part], self._epoch, out)
        return made.mixed(images, *self._targets(indices), self._epoch, number)

    def _read(self, indices: Indices, raw: npt.NDArray[Any]) -> None:
        if isinstance(self._x, np.ndarray):
            np.take(self._x, indices, axis=0, out=raw, mode="clip")
        else:
            self._x.images(indices, raw)

    def _targets(self, indices: Indices) -> tuple[npt.NDArray[Any] | None, Floats | None]:
        y = None if self._y is None else self._y.take(indices, axis=0)
        weight = None if self._weight is None else self._weight.take(indices)
        return y, weight


class _Slot:
    """Memory of one batch: images as their source gives them, and as they are made."""

    def __init__(self, made: Floats, raw: npt.NDArray[Any]) -> None:
        self.made = made
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
