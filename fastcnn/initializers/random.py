"""Initializers of a given distribution."""

from __future__ import annotations

import numpy as np

from fastcnn.initializers.initializer import Initializer
from fastcnn.utils import arguments


class RandomUniform(Initializer):
    """Uniform between two ends.

    Args:
        minval: The lower end.
        maxval: The upper end, at least `minval`.
        seed: A whole number, at least 0, that fixes the values; None draws from the generator that
            is passed, a model's own.

    Raises:
        TypeError: An argument is of a wrong type or unknown.
        ValueError: A number is out of its range.
    """

    def __init__(
        self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None
    ) -> None:
        self.minval = arguments.float32(self, "minval", minval)
        self.maxval = arguments.float32(self, "maxval", maxval, least=self.minval)
        self._set_seed(seed)

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        return uniform(shape, generator, self.minval, self.maxval)


class RandomNormal(Initializer):
    """Normal.

    Args:
        mean: The mean of the values.
        stddev: Their standard deviation, at least 0.
        seed: A whole number, at least 0, that fixes the values; None draws from the generator that
            is passed, a model's own.

    Raises:
        TypeError: An argument is of a wrong type or unknown.
        ValueError: A number is out of its range.
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        self.mean = arguments.float32(self, "mean", mean)
        self.stddev = arguments.float32(self, "stddev", stddev, least=0)
        self._set_seed(seed)

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        z = generator.standard_normal(shape, np.float32)
        return z * np.float32(self.stddev) + np.float32(self.mean)


class TruncatedNormal(RandomNormal):
    """Normal; what falls farther than two stddev from the mean is drawn again.

    Args:
        mean: The mean of the values.
        stddev: The standard deviation before any is drawn again, at least 0.
        seed: A whole number, at least 0, that fixes the values; None draws from the generator that
            is passed, a model's own.

    Raises:
        TypeError: An argument is of a wrong type or unknown.
        ValueError: A number is out of its range.
    """

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        z = truncated_normal(shape, generator)
        return z * np.float32(self.stddev) + np.float32(self.mean)


def uniform(
    shape: tuple[int, ...], generator: np.random.Generator, low: float, high: float
) -> np.ndarray:
    """Return float32 values, uniform from low to high."""
    u = generator.random(shape, np.float32)
    return u * np.float32(high - low) + np.float32(low)


def truncated_normal(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """Return standard normal float32 values; those farther than 2 from 0 are drawn again."""
    z = np.array(generator.standard_normal(shape, np.float32))
    while (far := np.abs(z) > 2).any():
        z[far] = generator.standard_normal(int(far.sum()), np.float32)
    return z
