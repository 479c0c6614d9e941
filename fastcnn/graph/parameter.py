"""A parameter: one array that a layer owns, in the flat arrays of its model."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from fastcnn import initializers, regularizers
from fastcnn.utils.settings import Settings


class Owner(Protocol):
    """What a parameter has to know of its layer."""

    path: str

    @property
    def trainable(self) -> bool: ...


class Values(Protocol):
    """The flat arrays of a model, as far as a parameter reads them."""

    def view(self, parameter: Parameter) -> np.ndarray: ...


class Parameter(Settings):
    """One array that a layer owns: a weight that is trained, or a moving statistic.

    `value` is a float32 view into the model's flat array: write into it with
    `parameter.value[...] = a`. Nothing else of a parameter can be changed.

    Args:
        layer: The layer that it belongs to.
        name: Its name in the layer, such as "kernel".
        shape: The shape of its array.
        initializer: What it begins with.
        regularizer: Its penalty; None for none.
        kind: "weight" or "moving".
    """

    def _why_fixed(self, name: str) -> str | None:
        hints = {
            "value": ": write into it, parameter.value[...] = array",
            "trainable": ": it is its layer's, parameter.layer.trainable = flag",
        }
        return hints.get(name, ": its model is built")

    def __init__(
        self,
        layer: Owner,
        name: str,
        shape: tuple[int, ...],
        initializer: initializers.Initializer,
        regularizer: regularizers.L1L2 | None = None,
        kind: str = "weight",
    ):
        self.layer = layer
        self.name = name
        self.shape = shape
        self.initializer = initializer
        self.regularizer = regularizer
        self.kind = kind
        self.path = f"{layer.path}/{name}"
        self.offset = 0
        self._state: Values | None = None

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    @property
    def trainable(self) -> bool:
        return self.kind == "weight" and self.layer.trainable

    @property
    def value(self) -> np.ndarray:
        if self._state is None:
            raise AttributeError(f"{self.path} has no values yet: its model is not built.")
        return self._state.view(self)

    def bind(self, state: Values, offset: int) -> None:
        """Give the parameter its place in a model's flat arrays."""
        self._assign(_state=state, offset=offset)

    def __repr__(self) -> str:
        return f"Parameter({self.path}, shape={self.shape}, trainable={self.trainable})"
