"""One direction of one convolution by itself: forward, dx (of the input) or dw (of the kernel)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastcnn import Sequential
from fastcnn.functional import Convolution
from fastcnn.layers import Conv2D
from fastcnn.strategies import DIRECTIONS

__all__ = ["DIRECTIONS", "make"]


def make(
    direction: str, layer: Conv2D, shape: tuple[int, ...], batch: int
) -> Callable[[], np.ndarray]:
    """A function that computes one direction of a convolution layer on `batch` images once."""
    model = Sequential([layer], input_shape=shape)
    generator = np.random.default_rng(0)
    x = generator.random((batch, *shape), dtype=np.float32)
    dy = generator.random((batch, *model.output_shape), dtype=np.float32)
    kernel = model.get_weights()[0]
    arrays = {"forward": (x, kernel), "dx": (dy, kernel), "dw": (x, dy)}[direction]
    (op,) = model.program().ops
    return Convolution("auto", direction, op.attributes["problem"], *arrays)
