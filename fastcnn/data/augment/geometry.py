"""Geometric augmentations: where in the image each pixel of the result is taken from.

Each gives one affine map an image, from places in the result to places in the image, in pixels,
rows before columns, pixel centres at whole numbers. Maps of a list are composed into one, so that
pixels are interpolated once.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np

from fastcnn._ext.augment import FILL_MODES
from fastcnn.data.augment.affine import Affine
from fastcnn.data.augment.base import Augmentation, IntervalLike, Shape, interval
from fastcnn.data.augment.documented import documented
from fastcnn.data.counter_rng import Doubles, between
from fastcnn.utils import arguments, naming, user_code

INTERPOLATIONS = ("bilinear", "nearest")


class ResampleOptions(NamedTuple):
    """How a resampling finds values outside of the image and between pixels.

    All augmentations of a list must agree on these, for they become one resampling.

    Args:
        fill_mode: What is outside: "reflect" (d c b a | a b c d | d c b a), "wrap"
            (a b c d | a b c d | a b c d), "nearest" (a a a a | a b c d | d d d d) or "constant".
        interpolation: What is between pixels, "bilinear" or "nearest".
        fill_value: What is outside with "constant".
    """

    fill_mode: str = "constant"
    interpolation: str = "bilinear"
    fill_value: float = 0.0


class Geometric(Augmentation):
    """An augmentation that moves pixels; options of resampling that it leaves open are None."""

    fill_mode: str | None = None
    interpolation: str | None = None
    fill_value: float | None = None

    @user_code.needed("which returns the maps of n images")
    def affine(self, u: Doubles, shape: Shape) -> Affine:
        """Return the maps of n images.

        Args:
            u: Their random numbers from 0 to 1, float64 [n, draws].
            shape: (H, W, C) of the images.
        """
        raise NotImplementedError


@documented
class RandomFlip(Geometric):
    """Turn images round, each with probability 1/2.

    Args:
        mode: "horizontal" (left and right), "vertical" (top and bottom) or
            "horizontal_and_vertical", two independent decisions (Keras makes one for both).

    Raises:
        ValueError: `mode` is none of these.
    """

    MODES: ClassVar[tuple[str, ...]] = ("horizontal", "vertical", "horizontal_and_vertical")
    settings = ("mode",)
    draws = 2

    def __init__(self, mode: str = "horizontal_and_vertical"):
        if mode not in self.MODES:
            raise ValueError(naming.unknown("mode of RandomFlip", str(mode), self.MODES))
        self.mode = mode

    def affine(self, u: Doubles, shape: Shape) -> Affine:
        down, across = (u < 0.5).T
        height, width, _ = shape
        affine = Affine()
        if self.mode != "horizontal":
            affine = affine._replace(yy=1 - 2.0 * down, y=down * (height - 1.0))
        if self.mode != "vertical":
            affine = affine._replace(xx=1 - 2.0 * across, x=across * (width - 1.0))
        return affine


MOST_PADDING = 1 << 14
"""Pixels; with those of the image they stay within what resampling reaches."""


@documented
class RandomCrop(Geometric):
    """Cut out a window, all places equally likely.

    Args:
        height: The window's, in pixels.
        width: Likewise.
        padding: Pixels added on every side before, as in the crops of 32 x 32 out of 40 x 40 that
            CIFAR networks are trained with.
        fill_mode: What the padding shows, as RandomTranslation's; None means what the other
            augmentations of the list wish, or else "constant".

    Raises:
        TypeError: A number is none.
        ValueError: One is out of its range, or, when a model is trained, the window is larger than
            an image with its padding.

    References:
        He et al., 2016: Deep residual learning for image recognition.
    """

    settings = ("height", "width", "padding", "fill_mode", "fill_value")
    draws = 2

    def __init__(
        self,
        height: int,
        width: int,
        padding: int = 0,
        fill_mode: str | None = None,
        fill_value: float = 0.0,
    ):
        self.height = arguments.whole(self, "height", height, least=1, most=arguments.MOST_PIXELS)
        self.width = arguments.whole(self, "width", width, least=1, most=arguments.MOST_PIXELS)
        self.padding = arguments.whole(self, "padding", padding, least=0, most=MOST_PADDING)
        self.fill_mode = None if fill_mode is None else _choice(self, "fill_mode", fill_mode)
        self.fill_value = arguments.float32(self, "fill_value", fill_value)

    def output_shape(self, shape: Shape) -> Shape:
        height, width, channels = shape
        spare = 2 * self.padding
        if self.height > height + spare or self.width > width + spare:
            raise ValueError(
                f"RandomCrop: a window of {self.height} x {self.width} must fit into the image "
                f"with its padding, {height + spare} x {width + spare}. Received images of "
                f"{height} x {width}."
            )
        return self.height, self.width, channels

    def affine(self, u: Doubles, shape: Shape) -> Affine:
        height, width, _ = shape
        spare = 2 * self.padding + 1
        places = np.array((height + spare - self.height, width + spare - self.width))
        rows, columns = (np.floor(u * places) - self.padding).T
        return Affine(y=rows, x=columns)


class _Resampling(Geometric):
    """One that takes values between pixels."""

    FILL_SETTINGS: ClassVar[tuple[str, ...]] = ("fill_mode", "interpolation", "fill_value")

    def _set_fill(self, fill_mode: str, interpolation: str, fill_value: float) -> None:
        self.fill_mode = _choice(self, "fill_mode", fill_mode)
        self.interpolation = _choice(self, "interpolation", interpolation)
        self.fill_value = arguments.float32(self, "fill_value", fill_value)


def _choice(owner: Geometric, argument: str, name: str) -> str:
    modes = FILL_MODES if argument == "fill_mode" else INTERPOLATIONS
    if name not in modes:
        kind = f"{argument} of {type(owner).__name__}"
        raise ValueError(naming.unknown(kind, str(name), modes))
    return name


def _centre(shape: Shape) -> tuple[float, float]:
    return (shape[0] - 1) / 2, (shape[1] - 1) / 2


@documented
class RandomTranslation(_Resampling):
    """Move images by a random part of their size.

    Args:
        height_factor: A part of the height, positive for down, from -1 to 1: a pair (lower, upper)
            to draw it from, or one number f for -f to f.
        width_factor: Likewise, of the width, positive for right.
    """

    settings = ("height_factor", "width_factor", *_Resampling.FILL_SETTINGS)
    draws = 2

    def __init__(
        self,
        height_factor: IntervalLike,
        width_factor: IntervalLike,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        fill_value: float = 0.0,
    ):
        self.height_factor, self.width_factor = height_factor, width_factor
        self._down = interval(self, "height_factor", height_factor, -1, 1, mirrored=True)
        self._right = interval(self, "width_factor", width_factor, -1, 1, mirrored=True)
        self._set_fill(fill_mode, interpolation, fill_value)

    def affine(self, u: Doubles, shape: Shape) -> Affine:
        height, width, _ = shape
        return Affine(
            y=-height * between(u[:, 0], *self._down), x=-width * between(u[:, 1], *self._right)
        )


@documented
class RandomRotation(_Resampling):
    """Turn images about their centre.

    Args:
        factor: In whole turns (0.1 is 36 degrees), positive for counter-clockwise, from -1 to 1: a
            pair (lower, upper) to draw it from, or one number f for -f to f.
    """

    settings = ("factor", *_Resampling.FILL_SETTINGS)
    draws = 1

    def __init__(
        self,
        factor: IntervalLike,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        fill_value: float = 0.0,
    ):
        self.factor = factor
        self._turns = interval(self, "factor", factor, -1, 1, mirrored=True)
        self._set_fill(fill_mode, interpolation, fill_value)

    def affine(self, u: Doubles, shape: Shape) -> Affine:
        angle = 2 * np.pi * between(u[:, 0], *self._turns)
        cosine, sine = np.cos(angle), np.sin(angle)
        return Affine(yy=cosine, yx=sine, xy=-sine, xx=cosine).about(*_centre(shape))


@documented
class RandomZoom(_Resampling):
    """Zoom images about their centre.

    Args:
        height_factor: 0.2 shows a field that is 20 % higher (zooms out), -0.2 one that is 20 %
            lower (zooms in): a pair (lower, upper) to draw it from, or one number f for -f to f;
            above -1, at most 1.
        width_factor: Likewise; None means the height's, which keeps the proportions.
    """

    settings = ("height_factor", "width_factor", *_Resampling.FILL_SETTINGS)
    draws = 2

    def __init__(
        self,
        height_factor: IntervalLike,
        width_factor: IntervalLike | None = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        fill_value: float = 0.0,
    ):
        self.height_factor, self.width_factor = height_factor, width_factor
        self._down = self._range("height_factor", height_factor)
        self._across = None if width_factor is None else self._range("width_factor", width_factor)
        self._set_fill(fill_mode, interpolation, fill_value)

    def _range(self, argument: str, factor: object) -> tuple[float, float]:
        low, high = interval(self, argument, factor, -1, 1, mirrored=True)
        if low == -1:
            raise ValueError(f"RandomZoom: {argument} must be above -1. Received {factor!r}.")
        return low, high

    def affine(self, u: Doubles, shape: Shape) -> Affine:
        down = across = 1 + between(u[:, 0], *self._down)
        if self._across is not None:
            across = 1 + between(u[:, 1], *self._across)
        return Affine(yy=down, xx=across).about(*_centre(shape))


@documented
class RandomShear(_Resampling):
    """Shear images.

    Each row is shown from a place that is further on by a part of its number, each column likewise;
    the upper left corner stays, as in Keras.

    Args:
        x_factor: Columns a row, from 0 to 1: a pair (lower, upper) to draw it from, or one number f
            for 0 to f.
        y_factor: Rows a column, likewise; both are taken with the same random sign.
    """

    settings = ("x_factor", "y_factor", *_Resampling.FILL_SETTINGS)
    draws = 3

    def __init__(
        self,
        x_factor: IntervalLike = 0.0,
        y_factor: IntervalLike = 0.0,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        fill_value: float = 0.0,
    ):
        self.x_factor, self.y_factor = x_factor, y_factor
        self._across = interval(self, "x_factor", x_factor, 0, 1, mirrored=False)
        self._down = interval(self, "y_factor", y_factor, 0, 1, mirrored=False)
        self._set_fill(fill_mode, interpolation, fill_value)

    def affine(self, u: Doubles, shape: Shape) -> Affine:
        sign = np.where(u[:, 2] > 0.5, -1.0, 1.0)
        down = sign * between(u[:, 0], *self._down)
        return Affine(yx=down, xy=sign * between(u[:, 1], *self._across))
