"""Augmentations of finished images, in place: blur, noise, erased boxes."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import numpy as np
import numpy.typing as npt

from fastcnn._ext import effects
from fastcnn.data.augment.base import (
    Augmentation,
    IntervalLike,
    Range,
    RangedAugmentation,
    Shape,
    interval,
    two_ends,
    value_limits,
)
from fastcnn.data.augment.documented import documented
from fastcnn.data.augment.params import Erasing, Noise
from fastcnn.data.counter_rng import Doubles, between, key, uniforms
from fastcnn.utils import arguments, user_code

MOST_BLUR = 1 << 12
"""Pixels of a window that blurs."""

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

# What the second argument of key() tells apart: an augmentation's parameters and its pixels.
PIXELS = 1


class Effect(Augmentation):
    """An augmentation that works on finished images."""

    def apply(self, images: Floats, indices: Indices, seed: int, epoch: int, number: int) -> None:
        """Change images of a set in place.

        Args:
            images: float32 [n, H, W, C].
            indices: Their numbers in the set, int64 [n].
            seed: Of the list of augmentations.
            epoch: The number of the epoch, from 0.
            number: The place of the augmentation in its list.
        """
        u = uniforms(key(seed, epoch, number), indices, self.draws)
        self.change(images, u, indices, key(seed, epoch, number, PIXELS))

    @user_code.needed("which changes images in place")
    def change(self, images: Floats, u: Doubles, indices: Indices, pixel_key: int) -> None:
        """Change images in place, by random numbers that are drawn already.

        Args:
            images: float32 [n, H, W, C].
            u: Random numbers of the parameters, from 0 to 1, float64 [n, draws].
            indices: Numbers of the images in the set, int64 [n].
            pixel_key: Key of the pixels' random numbers.
        """
        raise NotImplementedError


class Pointwise(Effect):
    """An effect that looks at no other value of the image than the one it changes."""

    @user_code.needed("which returns what is done to images, drawn")
    def drawn(self, shape: Shape, u: Doubles, indices: Indices, pixel_key: int) -> Noise | Erasing:
        """Return what `change` does to images of a shape, drawn.

        Args:
            shape: (H, W, C) of the images.
            u: Random numbers of the parameters, from 0 to 1, float64 [n, draws].
            indices: Numbers of the images in the set, int64 [n].
            pixel_key: Key of the pixels' random numbers.
        """
        raise NotImplementedError

    def change(self, images: Floats, u: Doubles, indices: Indices, pixel_key: int) -> None:
        height, width, channels = images.shape[1:]
        self.drawn((height, width, channels), u, indices, pixel_key).apply(images)


@documented
class RandomGaussianBlur(Effect):
    """Blur some of the images with a Gaussian.

    Outside of the image is its reflection (d c b a | a b c d | d c b a).

    Args:
        factor: The probability, from 0 to 1: a pair (lower, upper) stands for one drawn between
            them for each image, one number f for (0, f), as in Keras: 1.0 blurs half of the images,
            (1, 1) all.
        kernel_size: Of the window, odd, in pixels.
        sigma: Standard deviation in pixels, above 0, or a pair (lower, upper) to draw it from.
    """

    settings = ("factor", "kernel_size", "sigma")
    draws = 3

    def __init__(self, factor: IntervalLike = 1.0, kernel_size: int = 3, sigma: IntervalLike = 1.0):
        self.factor = factor
        self._chance = interval(self, "factor", factor, 0, 1, mirrored=False)
        self.kernel_size = arguments.whole(
            self, "kernel_size", kernel_size, least=1, most=MOST_BLUR
        )
        if self.kernel_size % 2 == 0:
            raise ValueError(
                f"RandomGaussianBlur: kernel_size must be odd. Received {kernel_size!r}."
            )
        self.sigma = sigma
        pair = two_ends(self, "sigma", sigma)
        low, high = sorted(arguments.float32(self, "sigma", end, above=0) for end in pair)
        self._width = (low, high)

    def change(self, images: Floats, u: Doubles, indices: Indices, pixel_key: int) -> None:
        sigma = between(u[:, 2:], *self._width)
        distance = np.arange(self.kernel_size // 2 + 1)
        weights = np.exp(-0.5 * np.square(distance / sigma))
        weights /= 2 * weights[:, 1:].sum(axis=1, keepdims=True) + 1
        weights[_spared(u, self._chance)] = distance == 0
        effects.blur(images, weights.astype(np.float32))


@documented
class GaussianNoise(Pointwise, RangedAugmentation):
    """Add a normal number to every value of an image.

    A normal number is the sum of two, each one of 4096 quantiles; none is farther out than 5.1
    standard deviations.

    Args:
        stddev: Its standard deviation, at least 0, in units of the pixels; a pair (lower, upper)
            draws it for each image.
    """

    settings = ("stddev", "value_range")
    draws = 1

    def __init__(self, stddev: IntervalLike, value_range: IntervalLike = (0, 255)):
        self.stddev = stddev
        pair = two_ends(self, "stddev", stddev)
        low, high = sorted(arguments.float32(self, "stddev", end, least=0) for end in pair)
        self._stddev = (low, high)
        self._set_value_range(value_range)
        self._levels = normal_levels()

    def drawn(self, shape: Shape, u: Doubles, indices: Indices, pixel_key: int) -> Noise:
        stddev = between(u[:, 0], *self._stddev).astype(np.float32)
        return Noise(pixel_key, indices, stddev, self._levels, self._limits)


def normal_levels() -> Floats:
    """Return the middles of equally likely slices of a normal distribution, float32 [4096].

    They are scaled so that the sum of two has variance 1.
    """
    from statistics import NormalDist  # with decimals and fractions, for noise alone

    middles = (np.arange(effects.LEVELS) + 0.5) / effects.LEVELS
    levels = np.array([NormalDist().inv_cdf(middle) for middle in middles])
    return (levels / np.sqrt(2 * np.mean(np.square(levels)))).astype(np.float32)


@documented
class RandomErasing(Pointwise):
    """Overwrite a box in some of the images, with sizes drawn as in Keras.

    Args:
        factor: The probability, as RandomGaussianBlur's: 1.0 erases in half of the images, (1, 1)
            in all.
        scale: (lower, upper), from 0 to 1: the square of the box's part of the height, and that of
            the width, are drawn from it; one number f stands for (0, f).
        fill_value: A number, one a channel, or None for a number that is uniform in value_range for
            each value of the box.
        value_range: (lowest, highest) value of the pixels.

    References:
        Zhong et al., 2017: Random erasing data augmentation.
    """

    settings = ("factor", "scale", "fill_value", "value_range")
    draws = 6

    def __init__(
        self,
        factor: IntervalLike = 1.0,
        scale: IntervalLike = (0.02, 0.33),
        fill_value: float | Sequence[float] | None = None,
        value_range: IntervalLike = (0, 255),
    ):
        self.factor, self.scale, self.fill_value = factor, scale, copy(fill_value)
        if fill_value is not None:
            arguments.check_float32s(self, "fill_value", fill_value)
        self._chance = interval(self, "factor", factor, 0, 1, mirrored=False)
        self._scale = interval(self, "scale", scale, 0, 1, mirrored=False)
        self.value_range = value_range
        self._limits = value_limits(self, value_range)

    @property
    def limits(self) -> Range | None:
        return self._limits if self.fill_value is None else None

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        self._fill(shape[2])
        return shape

    def drawn(self, shape: Shape, u: Doubles, indices: Indices, pixel_key: int) -> Erasing:
        boxes = np.zeros((len(u), 4), np.int64)
        for axis, size in enumerate(shape[:2]):
            length = size * np.sqrt(between(u[:, 2 + axis], *self._scale))
            start = u[:, 4 + axis] * (size - length)
            boxes[:, 2 * axis] = np.ceil(start)
            boxes[:, 2 * axis + 1] = np.ceil(start + length)
        boxes[_spared(u, self._chance)] = 0
        return Erasing(pixel_key, indices, boxes, self._fill(shape[2]), self._limits)

    def _fill(self, channels: int) -> Floats | None:
        if self.fill_value is None:
            return None
        values = np.asarray(self.fill_value, np.float32).reshape(-1)
        if values.size not in (1, channels):
            raise ValueError(
                f"RandomErasing: fill_value must be one number or one for each of the {channels} "
                f"channels. Received {self.fill_value!r}."
            )
        return np.array(np.broadcast_to(values, channels))


def _spared(u: Doubles, chance: tuple[float, float]) -> npt.NDArray[np.bool_]:
    """Which images are left alone, by the first two random numbers of each."""
    return u[:, 1] >= between(u[:, 0], *chance)
