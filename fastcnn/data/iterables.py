"""Other libraries' sources of images, known by what they can do and never imported.

Map-style data sets, as PyTorch's: `len(source)` and `source[i]` giving (image, label). Iterables of
batches, as `tf.data` and PyTorch's DataLoader: each batch (x, y), (x, y, weights), or x alone for
prediction. Images may be arrays, tensors or PIL pictures, channels last or first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.data import by_name
from fastcnn.data.dataset import is_dataset
from fastcnn.data.sampling import Indices

MEMBERS = ("__len__", "images", "labels")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def is_map_style(value: Any) -> bool:
    """Whether `len(value)` and `value[i]` work; arrays and plain containers are not meant."""
    return _foreign(value) and hasattr(value, "__getitem__") and hasattr(value, "__len__")


def is_iterable(value: Any) -> bool:
    """Whether one can go through a value; arrays and plain containers are not meant."""
    return _foreign(value) and hasattr(value, "__iter__")


def _foreign(value: Any) -> bool:
    plain = isinstance(value, type | list | tuple | str | bytes | Mapping | Set)
    return not (plain or hasattr(value, "__array__") or is_dataset(value))


def adapted(value: Any, channels: int, name: str, labelled: bool = True) -> Any:
    """A foreign source as a `Dataset` or a `Stream`; anything else as it is.

    channels: how many the images are to have. labelled: whether labels are needed. TypeError for
    what is nearly a source, with what it lacks.
    """
    if is_map_style(value):
        if not len(value):
            raise ValueError(f"{name} must hold at least one image. Received an empty data set.")
        try:
            first = value[0]
        except NotImplementedError:
            if not is_iterable(value):
                raise
            return Stream(value, channels, name)  # PyTorch's IterableDataset, with a length
        if _is_batch(first):
            return Stream(_Numbered(value), channels, name)  # batches by number, as Keras's
        return Indexed(value, first, channels, name, labelled)
    if is_iterable(value):
        return Stream(value, channels, name)
    _refuse_nearly(value, name)
    return value


def _refuse_nearly(value: Any, name: str) -> None:
    """TypeError for an object that lacks a part of a Dataset, and for a list of batches."""
    has = [member for member in MEMBERS if hasattr(value, member)]
    if _foreign(value) and {"images", "labels"} & set(has) and len(has) < len(MEMBERS):
        lacks = ", ".join(member for member in MEMBERS if member not in has)
        raise TypeError(
            f"{name} must be an array or a Dataset, which has __len__, images(indices, out) and "
            f"labels. Received {type(value).__name__} without {lacks}."
        )
    first = value[0] if isinstance(value, list | tuple) and value else None
    if isinstance(first, list | tuple) and first and getattr(first[0], "ndim", 0) >= 3:
        raise TypeError(
            f"{name} must be an array with y beside it, a Dataset, or an object whose __iter__ "
            f"gives the batches anew each epoch. Received a {type(value).__name__} of "
            f"{len(value)} batches; join them with numpy.concatenate."
        )


class Indexed:
    """A map-style data set as a `Dataset`.

    Its labels are taken from its attribute `targets` or `labels` (through a subset's `dataset` and
    `indices`) where there is one, else by reading every item once. An item whose label is then
    another one is a ValueError when it is read. `first` is its first item.
    """

    def __init__(self, source: Any, first: Any, channels: int, name: str, labelled: bool = True):
        self._source = source
        self._channels = channels
        self._name = name
        image = self._image(0, first)
        self.image_shape = image.shape
        self.dtype = image.dtype
        self.labels = self._all_labels() if labelled else None
        self.class_names = _class_names(source)

    def __len__(self) -> int:
        return len(self._source)

    def images(self, indices: Indices, out: NDArray[Any]) -> None:
        """Write the images of these numbers into out, [n, H, W, C] of `dtype`."""
        for place, index in enumerate(indices.tolist()):
            item = self._source[index]
            image = self._image(index, item)
            if image.shape != out.shape[1:] or image.dtype != self.dtype:
                raise ValueError(
                    f"{self._name}: every image must be {self.dtype} of shape {out.shape[1:]}, as "
                    f"the first. Received {image.dtype} of shape {image.shape} at position {index}."
                )
            out[place] = image
            if self.labels is not None:
                self._check_label(index, item)

    def _image(self, index: int, item: Any) -> NDArray[Any]:
        _refuse_mapping(item, f"{self._name}: the item at position {index}", "(image, label)")
        value = item[0] if isinstance(item, tuple | list) else item
        image = pixels(value, self._channels, f"{self._name}: the image at position {index}")
        return channels_last(image[None], self._channels, _is_tensor(value))[0]

    def _check_label(self, index: int, item: Any) -> None:
        found = _label(item, f"{self._name}: the item at position {index}")
        if not np.array_equal(found, self.labels[index]):  # type: ignore[index]
            raise ValueError(
                f"{self._name}: the label at position {index} must stay the same. "
                f"Received {found} after {self.labels[index]}."  # type: ignore[index]
            )

    def _all_labels(self) -> NDArray[Any]:
        known = _known_labels(self._source)
        if known is not None:
            return known
        count, name = len(self), self._name
        return np.stack(
            [_label(self._source[i], f"{name}: the item at position {i}") for i in range(count)]
        )


def _known_labels(source: Any) -> NDArray[Any] | None:
    """All labels of a map-style data set without reading its items, or None."""
    if hasattr(source, "dataset") and hasattr(source, "indices"):
        whole = _known_labels(source.dataset)
        return None if whole is None else whole[np.asarray(source.indices, np.int64)]
    if getattr(source, "target_transform", None) is not None:
        return None
    for name in ("targets", "labels"):
        found = getattr(source, name, None)
        if found is None or not hasattr(found, "__len__") or len(found) != len(source):
            continue
        labels = np.asarray(_detached(found))
        if labels.ndim == 1 and labels.dtype.kind in "iub":
            return labels
    return None


def _label(item: Any, name: str) -> NDArray[Any]:
    if not isinstance(item, tuple | list) or len(item) < 2:
        raise ValueError(f"{name} must be (image, label). Received {type(item).__name__}.")
    return np.asarray(_detached(item[1]))


def _refuse_mapping(item: Any, name: str, wanted: str) -> None:
    if isinstance(item, Mapping):
        keys = ", ".join(map(str, item))
        raise TypeError(f"{name} must be {wanted}. Received a dict with the keys {keys}.")


def _class_names(source: Any) -> list[str] | None:
    """What a source calls its classes, by label, or None; a loader's are those of its data set."""
    source = getattr(source, "dataset", source)
    if getattr(source, "target_transform", None) is not None:
        return None  # they belong to the labels before it
    names = getattr(source, "class_names", getattr(source, "classes", None))
    listed = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    return list(names) if names and listed else None


class _Numbered:
    """Batches by number as an iterable, which can be gone through again."""

    def __init__(self, source: Any):
        self._source = source

    def __iter__(self) -> Iterator[Any]:
        return (self._source[number] for number in range(len(self._source)))


class Stream:
    """An iterable of batches. `once` says that it can be gone through only once, as a generator.
    `class_names` are its own, by label; where `known` names are given, its labels are counted as
    they are."""

    def __init__(self, source: Any, channels: int, name: str):
        self._source = source
        self.class_names = _class_names(source)
        self.known: list[str] | None = None
        self._channels = channels
        self.name = name
        self.once = hasattr(source, "__next__")

    def __iter__(self) -> Iterator[tuple[NDArray[Any], Any, Any]]:
        """(x, y or None, weights or None), x [n, H, W, C], as the source gives them."""
        number = -1
        for number, batch in enumerate(self._source):
            yield self._batch(batch, f"{self.name}: batch {number}")
        if number < 0:
            hint = ": a generator gives its batches only once" if self.once else ""
            raise ValueError(
                f"{self.name} must give at least one batch. Received an iterable without any{hint}."
            )

    def _batch(self, batch: Any, name: str) -> tuple[NDArray[Any], Any, Any]:
        _refuse_mapping(batch, name, "(x, y), (x, y, weights) or x")
        parts = batch if isinstance(batch, tuple | list) else (batch,)
        if not 1 <= len(parts) <= 3:
            raise ValueError(
                f"{name} must be (x, y), (x, y, weights) or x. Received {len(parts)} parts."
            )
        images = pixels(parts[0], self._channels, name)
        y, weight = (*map(_detached, parts[1:]), None, None)[:2]
        if _is_one(images, y, self._channels):
            raise ValueError(
                f"{name} must hold several images, [n, H, W, C], and their labels. Received one "
                f"image of shape {images.shape}: make batches of them, as DataLoader(source, "
                "batch_size=32) of PyTorch does."
            )
        if y is not None and self.class_names and self.known:
            y = by_name.counted(y, self.class_names, self.known, name)
        return channels_last(images, self._channels, _is_tensor(parts[0])), y, weight


def _is_batch(item: Any) -> bool:
    """Whether an item holds the images of a batch, not one image."""
    first = item[0] if isinstance(item, tuple | list) else item
    return getattr(first, "ndim", 0) == 4


def _is_one(images: NDArray[Any], y: Any, channels: int) -> bool:
    """Whether what should be a batch is a single image."""
    if y is not None:
        return np.ndim(y) == 0
    return images.ndim == 3 and channels > 1 and channels in (images.shape[0], images.shape[2])


def _is_tensor(value: Any) -> bool:
    """Whether a value is a tensor of PyTorch's, whose images have their channels first."""
    return hasattr(value, "detach")


def _detached(value: Any) -> Any:
    """A tensor as an array; anything else as it is."""
    if _is_tensor(value):
        return value.detach().cpu().numpy()
    return value.numpy() if hasattr(value, "numpy") else value


def pixels(value: Any, channels: int, name: str) -> NDArray[Any]:
    """An array, a tensor or a PIL picture as uint8 or float32, whatever its axes."""
    if hasattr(value, "convert") and hasattr(value, "mode"):
        if value.mode[0] in "IF":
            raise ValueError(f"{name} must have 8 bits a channel. Received mode '{value.mode}'.")
        mode = MODES.get(channels, value.mode)
        value = value if value.mode == mode else value.convert(mode)
    array = np.asarray(_detached(value))
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind != "f":
        raise TypeError(
            f"{name} must be images of dtype uint8 or float32. "
            f"Received {type(value).__name__} of dtype {array.dtype}."
        )
    with np.errstate(over="ignore"):
        return array.astype(np.float32, copy=False)


def channels_last(images: NDArray[Any], channels: int, tensor: bool) -> NDArray[Any]:
    """Images [n, H, W, C] of [n, H, W, C], [n, C, H, W] or, for one channel, [n, H, W].

    Where both could be meant, a tensor has its channels first, an array last.
    """
    if images.ndim == 3 and channels == 1:
        return images[..., None]
    first = images.ndim == 4 and images.shape[1] == channels
    if first and (tensor or images.shape[3] != channels):
        return images.transpose(0, 2, 3, 1)
    return images
