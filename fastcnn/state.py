"""The numbers of a model: flat arrays of weights, moving statistics and optimizer slots."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from fastcnn.layers.base import Parameter

# Each parameter begins on a cache line; vector loads may run a little past the last one.
ALIGNMENT = 16
SLACK = 64


def _flat(size: int) -> np.ndarray:
    """Return zeroed float32[size], on a cache line and readable a little past its end."""
    raw = np.zeros(size + SLACK + ALIGNMENT, np.float32)
    return raw[(-raw.ctypes.data % 64) // 4 :][:size]


class State:
    """All weights in one array, all moving statistics in another, the optimizer's slots beside.

    Nothing is allocated before it is used, so that a model's summary costs no memory.
    """

    def __init__(self, parameters: list[Parameter], seed: int):
        self.step = 0
        self._parameters = parameters
        self._seed = seed
        self._values: np.ndarray | None = None
        self._moving: np.ndarray | None = None
        self._slots: np.ndarray | None = None
        self._optimizer: Any = None
        self._sizes = {"weight": 0, "moving": 0}
        for parameter in parameters:
            parameter.bind(self, self._sizes[parameter.kind])
            self._sizes[parameter.kind] += -(-parameter.size // ALIGNMENT) * ALIGNMENT

    @property
    def values(self) -> np.ndarray:
        """Weights, float32[P]."""
        if self._values is None:
            self._initialize()
        return self._values  # type: ignore[return-value]

    @property
    def moving(self) -> np.ndarray:
        """Moving statistics, float32[Q]."""
        if self._moving is None:
            self._initialize()
        return self._moving  # type: ignore[return-value]

    @property
    def slots(self) -> np.ndarray:
        """The optimizer's slots, float32[slots, P]."""
        if self._slots is None:
            if self._optimizer is None:
                raise ValueError("The model has no optimizer yet. Call compile() first.")
            self._slots = self._optimizer.new_slots(self._sizes["weight"])
        return self._slots

    def set_slots(self, optimizer: Any) -> None:
        """Begin anew with an optimizer: slots at their first values, no steps done."""
        self._optimizer, self._slots, self.step = optimizer, None, 0

    def view(self, parameter: Parameter) -> np.ndarray:
        """Return a parameter's values, a view."""
        flat = self.values if parameter.kind == "weight" else self.moving
        return flat[parameter.offset : parameter.offset + parameter.size].reshape(parameter.shape)

    def _initialize(self) -> None:
        self._values, self._moving = _flat(self._sizes["weight"]), _flat(self._sizes["moving"])
        for parameter in self._parameters:
            # By path, so that a layer's weights do not depend on what stands before it.
            stream = zlib.crc32(parameter.path.encode())
            generator = np.random.default_rng([self._seed, stream])
            self.view(parameter)[...] = parameter.initializer(parameter.shape, generator)
