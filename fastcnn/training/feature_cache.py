"""What frozen layers make of images, kept while the layers behind them are trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from fastcnn.backends.engine import Engine
from fastcnn.backends.step import BatchImages
from fastcnn.training.model_settings import ModelSettings
from fastcnn.utils import system

FLOAT = 4
"""Bytes of a float32."""


@dataclass(frozen=True)
class FeatureBatch:
    """Features of a batch's images, in their place, for the engine of the layers behind.

    values: float32 [n, *shape].
    """

    values: NDArray[np.float32]
    head: Engine

    def __len__(self) -> int:
        return len(self.values)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Any:
        return np.asarray(self.values, dtype)


def engine_of(model: ModelSettings, x: BatchImages) -> tuple[Engine, BatchImages]:
    """The engine that takes a step with a batch, and what it is to take."""
    return (x.head, x.values) if isinstance(x, FeatureBatch) else (model.engine(), x)


class FeatureCache:
    """The features of `count` images behind the first `depth` layers, each written when its image
    is first visited; what is never written costs no memory."""

    def __init__(self, model: ModelSettings, depth: int, count: int) -> None:
        self.depth = depth
        self._values = np.empty((count, *model.layers[depth - 1].output_shape), np.float32)
        self._written = np.zeros(count, bool)
        self.bytes_an_image = bytes_an_image(model, depth)
        self._weights = [weights.copy() for weights in _frozen_weights(model, depth)]

    def fits(self, model: ModelSettings) -> bool:
        """Whether the layers are frozen still, and have the weights that they had."""
        if model.frozen_depth() != self.depth:
            return False
        pairs = zip(self._weights, _frozen_weights(model, self.depth), strict=True)
        return all(np.array_equal(before, now) for before, now in pairs)

    def has(self, numbers: NDArray[np.int64]) -> bool:
        """Whether the features of all these images are there."""
        return bool(self._written[numbers].all())

    def take(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """The features of these images, a fresh array [n, *shape]."""
        return self._values[numbers]

    def write(self, numbers: NDArray[np.int64], features: NDArray[np.float32]) -> None:
        """Keep the features [n, *shape] of these images."""
        self._values[numbers] = features
        self._written[numbers] = True


class FeatureMemory:
    """What a training may keep of frozen layers, of all its images together: a quarter of the
    memory that is free when it is made.

    free: The bytes that are left.
    """

    def __init__(self) -> None:
        self.free = int(system.SHARE * system.available_memory())

    def renewed(
        self, cache: FeatureCache | None, model: ModelSettings, count: int, visited: int
    ) -> FeatureCache | None:
        """A cache for `count` images, of which `visited` are: the one that there is where it fits,
        else an empty one; None where there is nothing to keep, or too little memory."""
        if cache is not None and cache.fits(model):
            return cache
        if cache is not None:
            self.free += visited * cache.bytes_an_image
        depth = model.frozen_depth()
        size = visited * bytes_an_image(model, depth) if depth else 0
        if not depth or size > self.free:
            return None
        try:
            cache = FeatureCache(model, depth, count)
        except MemoryError:
            return None
        self.free -= size
        return cache


def bytes_an_image(model: ModelSettings, depth: int) -> int:
    """What the features of an image behind the first `depth` layers take."""
    return FLOAT * prod(model.layers[depth - 1].output_shape)


def _frozen_weights(model: ModelSettings, depth: int) -> Sequence[NDArray[np.float32]]:
    """Views of all that the first layers compute with."""
    flat = {"weight": model.state.values, "moving": model.state.moving}
    return [
        flat[parameter.kind][parameter.offset : parameter.offset + parameter.size]
        for layer in model.layers[:depth]
        for parameter in layer.all_parameters()
    ]
