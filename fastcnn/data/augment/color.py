"""Colour augmentations: one affine map of the colours an image, the same for all of its pixels.

Maps of a list are composed in its order into one, and values are cut to ``value_range`` once, at
the end, where a chain of layers would cut after each.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastcnn.data.augment import statistics
from fastcnn.data.augment.base import (
    IntervalLike,
    RangedAugmentation,
    Shape,
    interval,
    two_ends,
)
from fastcnn.data.augment.documented import documented
from fastcnn.data.augment.small_matrices import inverse, product
from fastcnn.data.counter_rng import Doubles, between, normals
from fastcnn.utils import arguments, user_code

# The share of red, green and blue in brightness, of ITU-R BT.601 and of the YIQ colours.
LUMA = np.array([0.299, 0.587, 0.114])
# In-phase and quadrature of YIQ, as written in the FCC's rules of 1953.
YIQ = np.array([LUMA, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
RGB = inverse(YIQ)
# A quarter turn in the plane of I and Q, and what is left of a colour without its brightness.
QUARTER = product(product(RGB, np.array([[0.0, 0, 0], [0, 0, -1], [0, 1, 0]])), YIQ)
IDENTITY = np.eye(3)
COLOURED = IDENTITY - np.ones((3, 1)) * LUMA
# A saturation of "infinite": what factor 1 stands for, as in Keras.
ALMOST_ZERO = 1e-7


class ColorMap:
    """Maps of the colours of n images: linear colour + offset + mean (mean colour of the image).

    `linear` is float64 [n, 1, 1], one factor, or [n, 3, 3]; `offset` [n, C]; `mean` as `linear`, or
    None for 0. A new one leaves all colours as they are.

    Args:
        count: How many images, n.
        channels: How many colours a pixel has, C.
    """

    def __init__(self, count: int, channels: int):
        self.linear: Doubles = np.ones((count, 1, 1))
        self.offset: Doubles = np.zeros((count, channels))
        self.mean: Doubles | None = None

    def add(self, offset: Doubles) -> None:
        """Add to the colours.

        Args:
            offset: float64 [n, 1] or [n, C].
        """
        self.offset = self.offset + offset

    def stretch(self, factor: Doubles) -> None:
        """Multiply what differs from the image's mean colour.

        Args:
            factor: float64 [n].
        """
        factor = factor[:, np.newaxis, np.newaxis]
        own = 0.0 if self.mean is None else self.mean
        self.mean = own + (1 - factor) * self.linear
        self.linear = factor * self.linear

    def mix(self, matrices: Doubles) -> None:
        """Multiply the colours, red, green and blue.

        Args:
            matrices: float64 [n, 3, 3].
        """
        self.linear = _times(matrices, self.linear)
        self.mean = None if self.mean is None else _times(matrices, self.mean)
        self.offset = product(matrices, self.offset[:, :, np.newaxis])[:, :, 0]

    def arrays(self) -> dict[str, npt.NDArray[np.float32] | None]:
        """Return linear, offset and mean as `resample` takes them, float32."""
        parts = {"linear": self.linear, "offset": self.offset, "mean": self.mean}
        return {
            name: None if part is None else np.ascontiguousarray(part, np.float32)
            for name, part in parts.items()
        }


def _times(matrices: Doubles, linear: Doubles) -> Doubles:
    return matrices * linear if linear.shape[1] == 1 else product(matrices, linear)


class ColorAugmentation(RangedAugmentation):
    """An augmentation of colours within ``value_range``."""

    @user_code.needed("which changes the maps of n images")
    def change(self, colours: ColorMap, u: Doubles) -> None:
        """Change the maps of n images by their random numbers.

        Args:
            colours: The maps, changed in place.
            u: Random numbers from 0 to 1, float64 [n, draws].
        """
        raise NotImplementedError


class _OfThreeChannels(ColorAugmentation):
    def output_shape(self, shape: Shape) -> Shape:
        if shape[2] != 3:
            raise ValueError(
                f"{type(self).__name__}: images must have 3 channels, red, green and blue. "
                f"Received images with {shape[2]}."
            )
        return shape


class _ByFactor(_OfThreeChannels):
    """A change of red, green and blue by a factor from 0 to 1."""

    settings = ("factor", "value_range")

    def __init__(self, factor: IntervalLike, value_range: IntervalLike = (0, 255)):
        self.factor = factor
        self._part = interval(self, "factor", factor, 0, 1, mirrored=False)
        self._set_value_range(value_range)


@documented
class RandomBrightness(ColorAugmentation):
    """Make images brighter or darker: add one number to all channels.

    Args:
        factor: A part of the value range, from -1 (black) to 1 (white): a pair (lower, upper) to
            draw it from, or one number f for -f to f.
    """

    settings = ("factor", "value_range")
    draws = 1

    def __init__(self, factor: IntervalLike, value_range: IntervalLike = (0, 255)):
        self.factor = factor
        self._part = interval(self, "factor", factor, -1, 1, mirrored=True)
        self._set_value_range(value_range)

    def change(self, colours: ColorMap, u: Doubles) -> None:
        low, high = self.limits
        colours.add((high - low) * between(u, *self._part))


@documented
class RandomContrast(ColorAugmentation):
    """Stretch or shrink the differences to the mean colour of the image, before it is resampled.

    Args:
        factor: A pair (lower, upper), each from 0 to 1: differences are multiplied by a number from
            1 - lower to 1 + upper; one number f stands for (f, f).
    """

    settings = ("factor", "value_range")
    draws = 1

    def __init__(self, factor: IntervalLike, value_range: IntervalLike = (0, 255)):
        self.factor = factor
        pair = two_ends(self, "factor", factor)
        lower, upper = (arguments.number(self, "factor", end, least=0, most=1) for end in pair)
        self._stretch = (1 - lower, 1 + upper)
        self._set_value_range(value_range)

    def change(self, colours: ColorMap, u: Doubles) -> None:
        colours.stretch(between(u[:, 0], *self._stretch))


@documented
class RandomSaturation(_ByFactor):
    """Make colours greyer or stronger at the same brightness.

    The difference to the grey of the same luma is multiplied by factor / (1 - factor). Keras
    multiplies the saturation of HSV, which is no linear map.

    Args:
        factor: 0 is grey, 0.5 leaves the image as it is, 1 is fully saturated: a pair (lower,
            upper) to draw it from, or one number f for 0 to f; from 0 to 1.

    Raises:
        TypeError: A number is none.
        ValueError: One is out of its range, or, when a model is trained, images have not 3
            channels.

    References:
        Haeberli, 1993: Matrix operations for image processing.
    """

    draws = 1

    def change(self, colours: ColorMap, u: Doubles) -> None:
        factor = between(u[:, :, np.newaxis], *self._part)
        strength = factor / np.maximum(1 - factor, ALMOST_ZERO)
        colours.mix(IDENTITY + (strength - 1) * COLOURED)


@documented
class RandomHue(_ByFactor):
    """Turn the hues of an image at the same brightness.

    Colours are turned in the plane of I and Q of YIQ. Keras turns the hue of HSV, which is no
    linear map.

    Args:
        factor: In half turns of the colour circle, taken with a random sign: a pair (lower, upper)
            to draw it from, or one number f for 0 to f; from 0 to 1.

    Raises:
        TypeError: A number is none.
        ValueError: One is out of its range, or, when a model is trained, images have not 3
            channels.

    References:
        Haeberli, 1993: Matrix operations for image processing.
    """

    draws = 2

    def change(self, colours: ColorMap, u: Doubles) -> None:
        sign = np.where(u[:, 1] > 0.5, -1.0, 1.0)
        angle = np.pi * sign * between(u[:, 0], *self._part)
        cosine, sine = np.cos(angle), np.sin(angle)
        turned = (cosine - 1)[:, np.newaxis, np.newaxis] * COLOURED
        colours.mix(IDENTITY + turned + sine[:, np.newaxis, np.newaxis] * QUARTER)


@documented
class PCAColor(_OfThreeChannels):
    """Add the principal components of the training set's colours to all pixels of an image.

    Each is multiplied by its standard deviation and a normal number; the paper multiplies by the
    variance in units of 255. The components are found by fit(images), which `fit` of a model does
    with its training images where it is not done.

    Args:
        stddev: Standard deviation of the normal numbers, at least 0; 0.1 in the paper.
        deviations: Standard deviations of the colours along the components, [3], in units of the
            pixels; None until they are found.
        components: The components, [3, 3], one a row; None until they are found.

    Raises:
        TypeError: A number is none.
        ValueError: One is out of its range, only one of deviations and components is passed, or
            they have other shapes.

    References:
        Krizhevsky, Sutskever and Hinton, 2012: ImageNet classification with deep convolutional
        neural networks.
    """

    settings = ("stddev", "deviations", "components", "value_range")
    draws = 4

    def __init__(
        self,
        stddev: float = 0.1,
        deviations: npt.ArrayLike | None = None,
        components: npt.ArrayLike | None = None,
        value_range: IntervalLike = (0, 255),
    ):
        self.stddev = arguments.float32(self, "stddev", stddev, least=0)
        self.deviations: Doubles | None = None  # [3] once they are known
        self.components: Doubles | None = None  # [3, 3]
        if (deviations is None) != (components is None):
            raise ValueError("PCAColor: deviations and components must be given together.")
        if deviations is not None and components is not None:
            self._set_components(np.array(deviations, float), np.array(components, float))
        self._set_value_range(value_range)

    @property
    def fitted(self) -> bool:
        return self.components is not None

    def fit(self, images: object) -> PCAColor:
        """Find the components of the colours of the training images.

        Args:
            images: An array or a `Dataset`, [N, H, W, 3].

        Returns:
            The augmentation itself.

        Raises:
            ValueError: The images have not three channels, or their values are not finite.
        """
        shape = statistics.shape(images, "PCAColor: fit")
        if len(shape) != 4 or shape[3] != 3:
            raise ValueError(f"PCAColor: fit needs images of shape [N, H, W, 3]. Received {shape}.")
        covariance = statistics.of_colours(images, "PCAColor: fit", full=True).variance
        variances, vectors = np.linalg.eigh(covariance)
        vectors = vectors.T[::-1]  # largest first, with the sign that makes their largest entry +
        largest = np.abs(vectors).argmax(axis=1, keepdims=True)
        vectors = vectors * np.sign(np.take_along_axis(vectors, largest, axis=1))
        self._set_components(np.sqrt(np.maximum(variances[::-1], 0)), vectors)
        return self

    def _set_components(self, deviations: Doubles, components: Doubles) -> None:
        if deviations.shape != (3,) or components.shape != (3, 3):
            raise ValueError(
                "PCAColor: deviations must have the shape (3,) and components (3, 3). "
                f"Received {deviations.shape} and {components.shape}."
            )
        arguments.check_float32s(self, "deviations", deviations)
        arguments.check_float32s(self, "components", components)
        self.deviations, self.components = deviations, components

    def _axes(self) -> tuple[Doubles, Doubles]:
        if self.deviations is None or self.components is None:
            raise ValueError("PCAColor: call fit(images), or give deviations and components.")
        return self.deviations, self.components

    def output_shape(self, shape: Shape) -> Shape:
        self._axes()
        return super().output_shape(shape)

    def change(self, colours: ColorMap, u: Doubles) -> None:
        deviations, components = self._axes()
        strength = self.stddev * normals(u)[:, :3] * deviations
        # Written out: a matrix product may round differently for another number of images.
        colours.add(sum(strength[:, k : k + 1] * components[k] for k in range(3)))
