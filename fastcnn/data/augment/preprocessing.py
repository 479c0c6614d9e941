"""A model's preprocessing: fixed steps on its images that are no layers.

They come after augmentation, in training, evaluation and prediction alike, and travel with a saved
model, the arrays that they were fitted with included.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastcnn.data.augment.base import Augmentation, Shape
from fastcnn.data.augment.whitening import PerImageStandardization, Preprocessing, ZCAWhitening
from fastcnn.utils import arguments, naming

Floats = NDArray[np.float32]
PreprocessingLike: TypeAlias = str | Preprocessing | Mapping[str, object]
"""A step, its name or its configuration."""

PIXELS = (0.0, 255.0)
"""The least and the largest number of a pixel of a file."""


class CenterCrop(Preprocessing):
    """The middle of each image, with zeros around it where the image is smaller.

    Args:
        height: Of the result, in pixels, at least 1.
        width: Likewise.

    Raises:
        TypeError: A number is none.
        ValueError: One is out of its range, or an argument has none of these forms.
    """

    settings = ("height", "width")

    def __init__(self, height: int, width: int):
        self.height = arguments.whole(self, "height", height, least=1, most=arguments.MOST_PIXELS)
        self.width = arguments.whole(self, "width", width, least=1, most=arguments.MOST_PIXELS)

    def output_shape(self, shape: Shape) -> Shape:
        return (self.height, self.width, shape[2])

    def apply(self, images: Floats) -> Floats:
        if images.shape[1:3] == (self.height, self.width):
            return images
        out = np.zeros((len(images), *self.output_shape(images.shape[1:])), np.float32)
        (top, above), (left, before) = (
            _middle(side, cropped)
            for side, cropped in zip(images.shape[1:3], out.shape[1:3], strict=True)
        )
        middle = images[:, top : top + self.height, left : left + self.width]
        out[:, above : above + middle.shape[1], before : before + middle.shape[2]] = middle
        return out

    def extent(self, low: Floats, high: Floats) -> tuple[Floats, Floats]:
        return np.minimum(low, 0), np.maximum(high, 0)


class ImageNetScaling(Preprocessing):
    """Pixels from 0 to 255 as networks expect them that were trained on ImageNet.

    It is Keras's `preprocess_input`.

    Args:
        mode: "caffe" puts red, green and blue into the other order and subtracts the mean of each;
            "tf" scales to numbers from -1 to 1; "torch" subtracts the mean of each colour and
            divides by its standard deviation.

    Raises:
        ValueError: There is no such mode, or the images are not of three colours.
    """

    settings = ("mode",)

    def __init__(self, mode: str = "caffe"):
        self.mode = naming.entry("ImageNetScaling", "mode", mode, {name: name for name in MODES})

    def output_shape(self, shape: Shape) -> Shape:
        if shape[2] != 3 and self.mode != "tf":
            raise ValueError(f"{self!r} needs images of three colours. Received {shape}.")
        return shape

    def apply(self, images: Floats) -> Floats:
        mean, deviation = (np.array(numbers, np.float32) for numbers in MODES[self.mode])
        if self.mode == "caffe":
            images = images[..., ::-1]
        return (images - mean) / deviation

    def extent(self, low: Floats, high: Floats) -> tuple[Floats, Floats]:
        return self.apply(low), self.apply(high)


MODES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "caffe": ((103.939, 116.779, 123.68), (1.0,)),
    "tf": ((127.5,), (127.5,)),
    "torch": (
        (255 * 0.485, 255 * 0.456, 255 * 0.406),
        (255 * 0.229, 255 * 0.224, 255 * 0.225),
    ),
}
"""By name: what is subtracted, and what the rest is divided by."""


def _middle(side: int, cropped: int) -> tuple[int, int]:
    """Where the middle begins in what is given, and where it is put in what is kept."""
    return max(0, (side - cropped) // 2), max(0, (cropped - side) // 2)


STEPS: dict[str, type[Preprocessing]] = {
    naming.snake_case(step.__name__): step
    for step in (CenterCrop, ImageNetScaling, PerImageStandardization, ZCAWhitening)
}


def steps(value: object) -> list[Preprocessing]:
    """Return a model's preprocessing as a list of steps.

    Args:
        value: None, a step, its name or configuration, or a sequence of these.

    Raises:
        TypeError: It is none of these.
    """
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise TypeError(
            "preprocessing must be a list, such as [PerImageStandardization()]. "
            f"Received {value!r}."
        )
    return [naming.resolve("preprocessing step", step, Preprocessing, STEPS) for step in value]


def check_order(values: Sequence[object]) -> None:
    """Refuse a fixed step before an augmentation that is drawn.

    It acts behind all of them, as it must in prediction, which draws nothing.

    Args:
        values: Augmentations and fixed steps, in order.

    Raises:
        ValueError: Such a step stands there.
    """
    augmentations = [value for value in values if isinstance(value, Augmentation)]
    order = sorted(augmentations, key=lambda augmentation: isinstance(augmentation, Preprocessing))
    if order == augmentations:
        return
    raise ValueError(
        "augment: the same steps for every image act after what is drawn for each, and must stand "
        f"behind it. Expected {order!r}. Received {augmentations!r}."
    )


def output_shape(preprocessing: Iterable[Preprocessing], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of an image after all steps.

    Args:
        preprocessing: The steps.
        shape: (H, W, C) of an image before.

    Raises:
        ValueError: Such images do not fit.
    """
    for step in preprocessing:
        if len(shape) != 3:
            raise ValueError(f"{step!r} needs images of shape (h, w, c). Received {shape}.")
        height, width, channels = shape
        shape = step.output_shape((height, width, channels))
    return shape


def extent(
    preprocessing: Iterable[Preprocessing], pixels: tuple[float, float], channels: int
) -> tuple[Floats, Floats] | None:
    """Return the least and the largest number that pixels become, of each channel.

    Args:
        preprocessing: The steps.
        pixels: The least and the largest that a pixel may be.
        channels: Of an image.

    Returns:
        The two, float32 [channels]; None where they depend on the image, or are not known.
    """
    low, high = (np.full(channels, end, np.float32) for end in pixels)
    reached: tuple[Floats, Floats] | None = (low, high)
    for step in preprocessing:
        reached = None if reached is None else step.extent(*reached)
    return reached


def apply(preprocessing: Iterable[Preprocessing], images: Floats) -> Floats:
    """Return the images after all steps, C-contiguous.

    Args:
        preprocessing: The steps.
        images: float32 [n, H, W, C], which may be overwritten.
    """
    for step in preprocessing:
        images = np.ascontiguousarray(step.apply(images), np.float32)
    return images
