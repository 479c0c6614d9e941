"""What every initializer is, and the fans that scale it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from fastcnn.utils import arguments, user_code
from fastcnn.utils.settings import ConfiguredSettings

Shape = Sequence[int]


def fans(shape: Shape) -> tuple[int, int]:
    """Return the number of values that one output of a weight sums, and that one input reaches.

    Args:
        shape: [n] of a bias, or [..., in, out]; what stands before is the receptive field.

    Returns:
        (fan in, fan out), each times the receptive field.
    """
    if len(shape) < 2:
        n = int(shape[0]) if len(shape) else 1
        return n, n
    field = math.prod(shape[:-2])
    return int(shape[-2] * field), int(shape[-1] * field)


class Initializer(ConfiguredSettings):
    """Makes float32 arrays of a shape from a random generator.

    An initializer with a ``seed`` of its own ignores the generator and always gives the same.
    """

    seed: int | None = None

    def __call__(self, shape: Shape, generator: np.random.Generator | None = None) -> np.ndarray:
        if self.seed is not None:
            generator = np.random.default_rng(self.seed)
        if generator is None:
            generator = np.random.default_rng()
        return self.draw(tuple(shape), generator)

    @user_code.needed("which returns float32 numbers of the shape")
    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        """Return the values; a subclass defines it.

        Args:
            shape: That of the parameter.
            generator: Where random numbers come from.

        Returns:
            float32 of that shape.
        """
        raise NotImplementedError

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return dict(vars(self))

    def _why_fixed(self, name: str) -> str | None:
        if name in self._arguments():
            return ": the first weights are drawn once. Make a new initializer"
        return super()._why_fixed(name)

    def _set_seed(self, seed: int | None) -> None:
        self.seed = None if seed is None else arguments.whole(self, "seed", seed, least=0)
