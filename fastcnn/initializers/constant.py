"""Initializers that draw nothing."""

from __future__ import annotations

import numpy as np

from fastcnn.initializers.initializer import Initializer
from fastcnn.utils import arguments


class Zeros(Initializer):
    """All 0."""

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        return np.zeros(shape, np.float32)


class Ones(Initializer):
    """All 1."""

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        return np.ones(shape, np.float32)


class Constant(Initializer):
    """All one value.

    Args:
        value: A finite number.

    Raises:
        TypeError: An argument is of a wrong type or unknown.
        ValueError: A number is out of its range.
    """

    def __init__(self, value: float = 0.0) -> None:
        self.value = arguments.float32(self, "value", value)

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        return np.full(shape, self.value, np.float32)
