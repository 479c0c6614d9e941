"""Other libraries' sources of images, known by what they can do and never imported.

Map-style data sets, as PyTorch's: `len(source)` and `source[i]` giving (image, label). Iterables of
batches, as `tf.data` and PyTorch's DataLoader: each batch (x, y), (x, y, weights), or x alone for
prediction. Images may be arrays, tensors or PIL pictures, channels last or first.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

import numpy as np

from fastcnn.data.dataset import is_dataset
from fastcnn.data.pipeline.indexed import Indexed
from fastcnn.data.pipeline.stream import Stream

MEMBERS = ("__len__", "images", "labels")


def is_map_style(value: object) -> bool:
    """Say whether `len(value)` and `value[i]` work; arrays and plain containers are not meant.

    Args:
        value: Anything.
    """
    return _foreign(value) and hasattr(value, "__getitem__") and hasattr(value, "__len__")


def is_iterable(value: object) -> bool:
    """Say whether one can go through a value; arrays and plain containers are not meant.

    Args:
        value: Anything.
    """
    return _foreign(value) and hasattr(value, "__iter__")


def _foreign(value: object) -> bool:
    plain = isinstance(value, type | list | tuple | str | bytes | Mapping | Set)
    return not (plain or hasattr(value, "__array__") or is_dataset(value))


def adapted(value: Any, channels: int, name: str, labelled: bool = True) -> Any:
    """Return a foreign source as a `Dataset` or a `Stream`; anything else as it is.

    Args:
        value: Anything.
        channels: How many the images are to have.
        name: What it is called, for errors.
        labelled: Whether labels are needed.

    Raises:
        TypeError: It is nearly a source; the error says what it lacks.
        ValueError: It is empty.
    """
    if isinstance(value, np.ndarray):
        return value
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
            return Stream(value, channels, name, numbered=True)  # batches by number, as Keras's
        return Indexed(value, first, channels, name, labelled)
    if is_iterable(value):
        return Stream(value, channels, name)
    _refuse_nearly(value, name)
    return value


def _refuse_nearly(value: object, name: str) -> None:
    """TypeError for an object that lacks a part of a Dataset, and for a list of batches."""
    has = [member for member in MEMBERS if hasattr(value, member)]
    if _foreign(value) and {"images", "labels"} & set(has) and len(has) < len(MEMBERS):
        lacks = ", ".join(member for member in MEMBERS if member not in has)
        raise TypeError(
            f"{name} must be an array or a Dataset, which has __len__, images(indices, out) and "
            f"labels. Received {type(value).__name__} without {lacks}."
        )
    if not isinstance(value, list | tuple) or not value:
        return
    first = value[0]
    if isinstance(first, list | tuple) and first and getattr(first[0], "ndim", 0) >= 3:
        raise TypeError(
            f"{name} must be an array with y beside it, a Dataset, or an object whose __iter__ "
            f"gives the batches anew each epoch. Received a {type(value).__name__} of "
            f"{len(value)} batches; join them with numpy.concatenate."
        )


def _is_batch(item: object) -> bool:
    """Whether an item holds the images of a batch, not one image."""
    first = item[0] if isinstance(item, tuple | list) else item
    return getattr(first, "ndim", 0) == 4
