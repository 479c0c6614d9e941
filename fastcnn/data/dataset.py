"""What a source of images is: the protocol Dataset, and parts of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeGuard, runtime_checkable

import numpy as np
import numpy.typing as npt

from fastcnn.data.filling import fill

Indices = npt.NDArray[np.int64]

PIECE = 64
"""Images that are taken at a time from a set that is read through."""


@runtime_checkable
class Dataset(Protocol):
    """A source of images that are decoded, read or computed when a batch needs them.

    Any object with these three members is one, and `fit`, `evaluate` and `predict`, which needs no
    labels, take it in the place of an array::

        class Slides:
            labels = numpy.array([0, 1, 1, ...])    # one class per image, or None

            def __len__(self):                      # how many images there are
                return len(self.labels)

            def images(self, indices, out):         # write the images of these numbers into out
                for place, index in enumerate(indices):
                    out[place] = read_slide(index)

        model.fit(Slides(), epochs=10)

    ``indices`` is int64 [n], ``out`` is [n, H, W, C], C-contiguous and to be filled completely, as
    is seen to in an epoch's first batch; it is used again for a later batch. Five more attributes
    are used where they are there: ``image_shape``, the (H, W, C) of an image, where it is not the
    model's input shape (RandomCrop may make one of the other); ``dtype``, uint8 or float32, what
    ``out`` is to be (float32 where it is missing); ``class_names``, a list of texts by label, which
    `fit` gives to a model that has none, and which else tell how the model counts these classes;
    ``decoder``, a `fastcnn.data.Decoder` that makes an image of a file, which `fit` gives to the
    model; ``deterministic``, True where an image is the same whenever it is read, so that `fit` may
    keep what frozen layers make of it. Three methods are called where they are there:
    ``on_epoch_begin()`` and ``on_epoch_end()`` around each pass over the images, as Keras does, and
    ``set_epoch(epoch)`` before an epoch of training, as PyTorch's samplers have it.

    ``images`` is called in a background thread, ahead of the step that uses the batch; by one
    thread at a time unless `fit` was asked for more than one of its ``workers``. What it raises
    ends the training at the batch whose images it was to write.
    """

    labels: Any

    def __len__(self) -> int: ...

    def images(self, indices: Indices, out: npt.NDArray[Any]) -> object: ...


def is_dataset(value: object) -> TypeGuard[Dataset]:
    """Say whether a value is a Dataset, or would be one if it had labels, which few need.

    Args:
        value: Anything.
    """
    writes = callable(getattr(value, "images", None)) and hasattr(value, "__len__")
    return writes and not isinstance(value, type)


def image_shape(dataset: Dataset, otherwise: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of a Dataset's images where it says so, or the other one.

    Args:
        dataset: The source.
        otherwise: The other shape.
    """
    return tuple(getattr(dataset, "image_shape", None) or otherwise)


def read(dataset: Dataset, indices: Indices) -> npt.NDArray[Any]:
    """Return some images of a Dataset that has ``image_shape``.

    Args:
        dataset: The source.
        indices: Numbers of the images, int64 [n].

    Shape:
        [n, H, W, C].
    """
    shape = (len(indices), *image_shape(dataset, ()))
    out = np.empty(shape, getattr(dataset, "dtype", np.float32))
    fill(dataset, np.asarray(indices, np.int64), out)
    return out


def pieces(
    images: Dataset, dtype: npt.DTypeLike = np.uint8
) -> Iterator[tuple[Indices, npt.NDArray[Any]]]:
    """Yield a whole Dataset that has ``image_shape``, some images at a time, in order.

    A source may have a way of its own, as an ImageFolder that is decoded ahead and leaves out what
    cannot be read.

    Args:
        images: The source.
        dtype: Its images' type.

    Yields:
        Positions and images, which are valid until the next ones are asked for.

    Shape:
        int64 [n], [n, H, W, C].
    """
    own = images.pieces() if hasattr(images, "pieces") else None
    if own is not None:
        yield from own
        return
    for start in range(0, len(images), PIECE):
        positions = np.arange(start, min(start + PIECE, len(images)), dtype=np.int64)
        out = np.empty((len(positions), *image_shape(images, ())), dtype)
        fill(images, positions, out, checked=not start)
        yield positions, out


class ClassifiedDataset(Dataset, Protocol):
    """A Dataset that says what its images and their classes are, as that of a folder does."""

    @property
    def image_shape(self) -> Sequence[int]: ...

    @property
    def class_names(self) -> Sequence[str]: ...


class Subset:
    """Some images of a Dataset; without labels.

    Args:
        source: The Dataset.
        indices: Numbers of the images, int64 [n].
        image_shape: (H, W, C) of an image.
    """

    labels = None

    def __init__(self, source: Dataset, indices: Indices, image_shape: tuple[int, ...]) -> None:
        self.source = source
        self._indices = indices
        self.image_shape = image_shape
        self.dtype = np.dtype(getattr(source, "dtype", np.float32))

    def __len__(self) -> int:
        return len(self._indices)

    def images(self, indices: Indices, out: npt.NDArray[Any]) -> None:
        """Write images into an array.

        Args:
            indices: Their numbers within the subset, int64 [n].
            out: [n, H, W, C].
        """
        fill(self.source, self._indices[indices], out)
