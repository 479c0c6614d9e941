"""Fixed arithmetic on the raw images, kept in the model so that it travels with the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastcnn.data import moments
from fastcnn.layers.base import Layer, Shape

if TYPE_CHECKING:
    from fastcnn.program import Buffer, Program


class _Affine(Layer):
    """scale * x + offset, one pair of constants a channel."""

    def constants(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (scale, offset), each float32[channels]."""
        raise NotImplementedError

    def _per_channel(self, name: str, value: Any, shape: Shape) -> np.ndarray:
        given = np.asarray(value, np.float64).reshape(-1)
        if given.size not in (1, shape[-1]) or not np.isfinite(given).all():
            raise ValueError(
                f"{self.label}: {name} must be one finite number or one for each of the "
                f"{shape[-1]} channels. Received {value!r}."
            )
        return np.broadcast_to(given, shape[-1:])

    def shape_after(self, shape: Shape) -> Shape:
        self.input_shape = shape
        self.constants()
        return shape

    def lower(self, program: Program, x: Buffer) -> Buffer:
        scale, offset = self.constants()
        return program.add("affine", [x], x.shape, scale=scale.tolist(), offset=offset.tolist())


class Rescaling(_Affine):
    """scale * x + offset, as `Rescaling(1 / 255)` for uint8 images."""

    settings = ("scale", "offset")

    def __init__(self, scale: Any, offset: Any = 0.0, **common: Any):
        super().__init__(**common)
        self.scale, self.offset = scale, offset

    def constants(self) -> tuple[np.ndarray, np.ndarray]:
        scale = self._per_channel("scale", self.scale, self.input_shape)
        return scale, self._per_channel("offset", self.offset, self.input_shape)


class Normalization(_Affine):
    """(x - mean) / sqrt(variance), per channel, with statistics of the training set."""

    settings = ("mean", "variance")

    def __init__(self, mean: Any = 0.0, variance: Any = 1.0, **common: Any):
        super().__init__(**common)
        self.mean, self.variance = mean, variance

    def adapt(self, images: Any) -> Normalization:
        """Take mean and variance of each channel from the training images, as they reach this
        layer: an array [n, ..., channels] or a Dataset, which is read through once. Returns itself.
        It comes before the model's first run."""
        found = moments.of_colours(images, f"{self.label}: adapt")
        self.mean, self.variance = found.mean.tolist(), found.variance.tolist()
        return self

    def constants(self) -> tuple[np.ndarray, np.ndarray]:
        mean = self._per_channel("mean", self.mean, self.input_shape)
        variance = self._per_channel("variance", self.variance, self.input_shape)
        if variance.min() <= 0:
            raise ValueError(f"{self.label}: variance must be above 0. Received {self.variance!r}.")
        scale = 1 / np.sqrt(variance)
        return scale, -mean * scale
