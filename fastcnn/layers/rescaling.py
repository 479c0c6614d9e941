"""Fixed arithmetic on the raw images, kept in the model so that it travels with the weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack, cast

import numpy as np
from numpy.typing import NDArray

from fastcnn.data.augment import statistics
from fastcnn.layers.base import Layer, LayerOptions, Shape
from fastcnn.layers.documented import documented
from fastcnn.utils import arguments, user_code

if TYPE_CHECKING:
    from fastcnn.graph.program import Buffer, Program

Numbers: TypeAlias = float | Sequence[float] | NDArray[Any]

CONSTANT = 1e-6
"""Deviations of so much of the mean are the rounding of float32."""


def _constant(layer: Layer, name: str, value: object) -> float | tuple[float, ...]:
    """Return a number, or numbers that nobody else can change; ValueError for anything else."""
    many = isinstance(value, list | tuple | np.ndarray)
    numbers = np.ravel(np.asarray(value, object)).tolist() if many else [value]
    checked = tuple(arguments.number(layer, name, number) for number in numbers)
    return checked if many else cast(float, value)


class _Affine(Layer):
    """scale * x + offset, one pair of constants a channel."""

    @user_code.needed("which returns scale and offset, each float32 [channels]")
    def constants(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (scale, offset), each float32[channels]."""
        raise NotImplementedError

    def _per_channel(self, name: str, value: object, shape: Shape) -> np.ndarray:
        values = np.asarray(value, np.float64).reshape(-1)
        if values.size not in (1, shape[-1]) or not np.isfinite(values).all():
            raise ValueError(
                f"{self.label}: {name} must be one finite number or one for each of the "
                f"{shape[-1]} channels. Received {value!r}."
            )
        return np.broadcast_to(values, shape[-1:])

    def shape_after(self, shape: Shape) -> Shape:
        self._assign(input_shape=shape)
        with np.errstate(over="ignore"):
            constants = np.asarray(self.constants(), np.float32)
        if not np.isfinite(constants).all():
            settings = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.settings)
            raise ValueError(
                f"{self.label}: what images are multiplied by, and what is added to them, must be "
                f"finite in float32. Received {settings}."
            )
        return shape

    def lower(self, program: Program, x: Buffer) -> Buffer:
        scale, offset = self.constants()
        return program.add("affine", [x], x.shape, scale=scale.tolist(), offset=offset.tolist())


@documented
class Rescaling(_Affine):
    """scale * x + offset, as `Rescaling(1 / 255)` for uint8 images.

    Args:
        scale: A finite number, or one for each channel.
        offset: Likewise.

    Raises:
        TypeError: One is no number.
        ValueError: One is not finite; when the model is built: they do not fit the channels, or
            are not finite in float32.

    Shape:
        Input and output: [N, ..., C].
    """

    settings = ("scale", "offset")

    def __init__(self, scale: Numbers, offset: Numbers = 0.0, **common: Unpack[LayerOptions]):
        super().__init__(**common)
        self.scale = _constant(self, "scale", scale)
        self.offset = _constant(self, "offset", offset)

    def constants(self) -> tuple[np.ndarray, np.ndarray]:
        scale = self._per_channel("scale", self.scale, self.input_shape)
        return scale, self._per_channel("offset", self.offset, self.input_shape)


@documented
class Normalization(_Affine):
    """(x - mean) / sqrt(variance), per channel, with statistics of the training set.

    They are passed, or taken from images by `adapt`, or else by `fit`, from the images that it
    trains on, as they come without augmentation, and from no others. Until then, and for good where
    `train_on_batch` comes first, mean is 0 and variance 1.

    Args:
        mean: A finite number, or one for each channel; None is 0 where `variance` is passed.
        variance: Likewise, above 0; None is 1 where `mean` is passed.

    Raises:
        TypeError: One is no number.
        ValueError: One is not finite; when the model is built: they do not fit the channels, or a
            variance is not above 0.

    Shape:
        Input and output: [N, ..., C].
    """

    settings = ("mean", "variance")

    def __init__(
        self,
        mean: Numbers | None = None,
        variance: Numbers | None = None,
        **common: Unpack[LayerOptions],
    ):
        super().__init__(**common)
        self.mean = None if mean is None else _constant(self, "mean", mean)
        self.variance = None if variance is None else _constant(self, "variance", variance)
        if self.fitted:
            self.mean = 0.0 if mean is None else self.mean
            self.variance = 1.0 if variance is None else self.variance

    @property
    def fitted(self) -> bool:
        """Whether there are statistics, given or taken."""
        return self.mean is not None or self.variance is not None

    def adapt(self, images: object) -> Normalization:
        """Take mean and variance of each channel from images.

        Args:
            images: The training images, as they reach this layer: an array or a Dataset, which is
                read through once.

        Returns:
            The layer itself.

        Shape:
            images [n, ..., channels].
        """
        moments = statistics.of_colours(images, f"{self.label}: adapt")
        self.take(moments.mean, moments.variance)
        return self

    def take(self, mean: np.ndarray, variance: np.ndarray) -> None:
        """Take measured statistics; a channel that is the same everywhere becomes 0.

        Args:
            mean: float64 [channels].
            variance: float64 [channels].
        """
        constant = variance <= np.square(CONSTANT * mean)
        self._assign(
            mean=_constant(self, "mean", mean),
            variance=_constant(self, "variance", np.where(constant, 1.0, variance)),
        )

    def take_none(self) -> None:
        """Keep mean 0 and variance 1 for good, where there are no statistics."""
        if not self.fitted:
            self._assign(mean=0.0, variance=1.0)

    def _why_fixed(self, name: str) -> str | None:
        if self.built and name in self.settings:
            return ": its model is built. Let adapt(images) take them"
        return super()._why_fixed(name)

    def constants(self) -> tuple[np.ndarray, np.ndarray]:
        constants = (self.mean, self.variance) if self.fitted else (0.0, 1.0)
        mean = self._per_channel("mean", constants[0], self.input_shape)
        variance = self._per_channel("variance", constants[1], self.input_shape)
        if variance.min() <= 0:
            raise ValueError(f"{self.label}: variance must be above 0. Received {self.variance!r}.")
        scale = 1 / np.sqrt(variance)
        return scale, -mean * scale
