"""Images and labels as other libraries hand them over, as arrays: tensors, PIL pictures, arrays
with channels last or first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.utils.naming import printable

MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def refuse_mapping(item: object, name: str, wanted: str) -> None:
    """Refuse a dict, as some libraries' items are.

    Args:
        item: What a source handed over.
        name: What the source is called, for errors.
        wanted: What its items should be.

    Raises:
        TypeError: It is a dict.
    """
    if isinstance(item, Mapping):
        keys = ", ".join(map(str, item))
        raise TypeError(f"{name} must be {wanted}. Received a dict with the keys {keys}.")


def class_names(source: object) -> list[str] | None:
    """Return what a source calls its classes, by label, or None; a loader's are those of its data
    set.

    Args:
        source: The source.
    """
    source = getattr(source, "dataset", source)
    if getattr(source, "target_transform", None) is not None:
        return None  # they belong to the labels before it
    names = getattr(source, "class_names", getattr(source, "classes", None))
    listed = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    return [printable(name) for name in names] if names and listed else None


def is_tensor(value: object) -> bool:
    """Say whether a value is a tensor of PyTorch's, whose images have their channels first.

    Args:
        value: Anything.
    """
    return hasattr(value, "detach")


def detached(value: Any) -> Any:
    """Return a tensor as an array; anything else as it is.

    Args:
        value: Anything.
    """
    if is_tensor(value):
        return value.detach().cpu().numpy()
    return value.numpy() if hasattr(value, "numpy") else value


def pixels(value: object, channels: int, name: str) -> NDArray[Any]:
    """Return an array, a tensor or a PIL picture as uint8 or float32, whatever its axes.

    Args:
        value: The images.
        channels: How many a picture is to have.
        name: What it is called, for errors.

    Raises:
        TypeError: It holds no numbers.
        ValueError: Its values are no pixels.
    """
    if hasattr(value, "convert") and hasattr(value, "mode"):
        if value.mode[0] in "IF":
            raise ValueError(f"{name} must have 8 bits a channel. Received mode '{value.mode}'.")
        mode = MODES.get(channels, value.mode)
        value = value if value.mode == mode else value.convert(mode)
    array = np.asarray(detached(value))
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
    """Return images with their channels last. Where both could be meant, a tensor has them first.

    Args:
        images: [n, H, W, C], [n, C, H, W] or, for one channel, [n, H, W].
        channels: How many the images have.
        tensor: Whether they were a tensor.

    Shape:
        [n, H, W, C].
    """
    if images.ndim == 3 and channels == 1:
        return images[..., None]
    first = images.ndim == 4 and images.shape[1] == channels
    if first and (tensor or images.shape[3] != channels):
        return images.transpose(0, 2, 3, 1)
    return images
