"""Map-style data sets of other libraries, as PyTorch's: `len(source)` and `source[i]`, which is
(image, label).
"""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.data.pipeline.items import (
    channels_last,
    class_names,
    detached,
    is_tensor,
    pixels,
    refuse_mapping,
)
from fastcnn.data.sampling import Indices
from fastcnn.utils import forking

RING = 32
"""Items that are read one by one before a source is taken to give each in its own memory."""


class Indexed:
    """A map-style data set as a `Dataset`.

    Its labels are taken from its attribute `targets` or `labels` (through a subset's `dataset` and
    `indices`) where there is one, else by reading every item once. An item whose label is then
    another one is a ValueError when it is read. `files` are the images' paths within a folder of
    classes, `root`, where the source lists them.

    Items are copied as they come, so that a source may give all of them in the same memory, or in
    several buffers in turn; it is then read by one thread at a time, however many workers there
    are.

    Args:
        source: The data set.
        first: Its first item.
        channels: How many the images are to have.
        name: What it is called, for errors.
        labelled: Whether labels are needed.
    """

    def __init__(self, source: Any, first: object, channels: int, name: str, labelled: bool = True):
        self.source = source
        self._channels = channels
        self._name = name
        image = self._image(0, first)
        self.image_shape = image.shape
        self.dtype = image.dtype
        self.labels = self._all_labels() if labelled else None
        self.class_names = class_names(source)
        self.root = _root(source)
        self.files = _files(source)
        self._turn = forking.freed_in_child(threading.Lock())
        self._refills: bool | None = None  # not known before RING items were read
        self._seen = 0
        # It is kept, so that no other item comes to lie in its memory by chance.
        self._first: tuple[int, object] | None = None

    def __len__(self) -> int:
        return len(self.source)

    def images(self, indices: Indices, out: NDArray[Any]) -> None:
        """Write images into an array.

        Args:
            indices: Numbers of the images, int64 [n].
            out: [n, H, W, C] of `dtype`.
        """
        refills = False
        if self._refills is False:
            refills = self._read(indices, out)
            if not refills:
                return
        with self._turn:
            refills = self._read(indices, out) or refills
            self._seen += len(indices)
            if refills or (self._refills is None and self._seen >= min(RING, len(self))):
                self._refills = refills

    def _read(self, indices: Indices, out: NDArray[Any]) -> bool:
        """Write the images into out; whether several items lie in the same memory."""
        refills = False
        for place, index in enumerate(indices.tolist()):
            item = self.source[index]
            image = self._image(index, item)
            if image.shape != out.shape[1:] or image.dtype != self.dtype:
                raise ValueError(
                    f"{self._name}: every image must be {self.dtype} of shape {out.shape[1:]}, as "
                    f"the first. Received {image.dtype} of shape {image.shape} at position {index}."
                )
            out[place] = image
            if self.labels is not None:
                self._check_label(index, item)
            if self._first is None:
                self._first = index, item
            elif index != self._first[0]:  # a ring comes back to where it began
                refills = refills or _share_memory(self._first[1], item)
        return refills

    def _image(self, index: int, item: object) -> NDArray[Any]:
        refuse_mapping(item, f"{self._name}: the item at position {index}", "(image, label)")
        value = item[0] if isinstance(item, tuple | list) else item
        image = pixels(value, self._channels, f"{self._name}: the image at position {index}")
        return channels_last(image[None], self._channels, is_tensor(value))[0]

    def _check_label(self, index: int, item: object) -> None:
        label = _label(item, f"{self._name}: the item at position {index}")
        if not np.array_equal(label, self.labels[index]):  # type: ignore[index]
            raise ValueError(
                f"{self._name}: the label at position {index} must stay the same. "
                f"Received {label} after {self.labels[index]}."  # type: ignore[index]
            )

    def _all_labels(self) -> NDArray[Any]:
        labels = _known_labels(self.source)
        if labels is not None:
            return labels
        count, name = len(self), self._name
        return np.stack(
            [_label(self.source[i], f"{name}: the item at position {i}") for i in range(count)]
        )


def _known_labels(source: Any) -> NDArray[Any] | None:
    """All labels of a map-style data set without reading its items, or None."""
    if hasattr(source, "dataset") and hasattr(source, "indices"):
        whole = _known_labels(source.dataset)
        return None if whole is None else whole[np.asarray(source.indices, np.int64)]
    if getattr(source, "target_transform", None) is not None:
        return None
    for name in ("targets", "labels"):
        attribute = getattr(source, name, None)
        if attribute is None or not hasattr(attribute, "__len__") or len(attribute) != len(source):
            continue
        labels = np.array(detached(attribute))
        if labels.ndim == 1 and labels.dtype.kind in "iub":
            return labels
    return None


def _files(source: Any) -> list[str] | None:
    """The images' paths within the folder of classes that a source was made of, as torchvision's
    ImageFolder lists them, or None.
    """
    if hasattr(source, "dataset") and hasattr(source, "indices"):
        whole = _files(source.dataset)
        return None if whole is None else [whole[int(index)] for index in source.indices]
    root, samples = _root(source), getattr(source, "samples", None)
    if not isinstance(root, str | os.PathLike) or not isinstance(samples, list):
        return None
    paths = [
        sample[0] for sample in samples if isinstance(sample, tuple) and isinstance(sample[0], str)
    ]
    if len(paths) != len(source):
        return None
    return [os.path.relpath(path, os.fspath(root)).replace(os.sep, "/") for path in paths]


def _root(source: Any) -> Any:
    """The folder that a source, or that of which it is a part, was made of."""
    while hasattr(source, "dataset") and hasattr(source, "indices"):
        source = source.dataset
    return getattr(source, "root", None)


def _label(item: object, name: str) -> NDArray[Any]:
    if not isinstance(item, tuple | list) or len(item) < 2:
        raise ValueError(f"{name} must be (image, label). Received {type(item).__name__}.")
    return np.array(detached(item[1]))


def _share_memory(item: object, other: object) -> bool:
    """Whether two items' images may lie in the same memory."""
    image, others = (
        detached(sample[0] if isinstance(sample, tuple | list) else sample)
        for sample in (item, other)
    )
    if isinstance(image, np.ndarray) and isinstance(others, np.ndarray):
        return np.may_share_memory(image, others)
    return image is others
