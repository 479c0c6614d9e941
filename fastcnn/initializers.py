"""Initializers: the first values of the weights, drawn as Keras draws them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastcnn.utils import arguments, naming
from fastcnn.utils.settings import Settings

Shape = Sequence[int]

# Standard deviation of a standard normal cut at two standard deviations.
TRUNCATED_STDDEV = 0.87962566103423978


def fans(shape: Shape) -> tuple[int, int]:
    """(fan in, fan out) of a weight [n] or [..., in, out], times its receptive field."""
    if len(shape) < 2:
        n = int(shape[0]) if len(shape) else 1
        return n, n
    field = math.prod(shape[:-2])
    return int(shape[-2] * field), int(shape[-1] * field)


class Initializer(Settings):
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

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        """The values; a subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} must define draw(shape, generator).")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Initializer:
        return cls(**config)

    def __repr__(self) -> str:
        options = ", ".join(f"{key}={value!r}" for key, value in self.get_config().items())
        return f"{type(self).__name__}({options})"

    def _why_fixed(self, name: str) -> str | None:
        if name in self._arguments():
            return ": the first weights are drawn once. Make a new initializer"
        return super()._why_fixed(name)

    def _set_seed(self, seed: int | None) -> None:
        self.seed = None if seed is None else arguments.whole(self, "seed", seed, least=0)


class Zeros(Initializer):
    """All 0."""

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        return np.zeros(shape, np.float32)


class Ones(Initializer):
    """All 1."""

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        return np.ones(shape, np.float32)


class Constant(Initializer):
    """All one value."""

    def __init__(self, value: float = 0.0) -> None:
        self.value = arguments.float32(self, "value", value)

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        return np.full(shape, self.value, np.float32)


class RandomUniform(Initializer):
    """Uniform between minval and maxval."""

    def __init__(
        self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None
    ) -> None:
        self.minval = arguments.float32(self, "minval", minval)
        self.maxval = arguments.float32(self, "maxval", maxval, least=self.minval)
        self._set_seed(seed)

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        return _uniform(shape, generator, self.minval, self.maxval)


class RandomNormal(Initializer):
    """Normal."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        self.mean = arguments.float32(self, "mean", mean)
        self.stddev = arguments.float32(self, "stddev", stddev, least=0)
        self._set_seed(seed)

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        z = generator.standard_normal(shape, np.float32)
        return z * np.float32(self.stddev) + np.float32(self.mean)


class TruncatedNormal(RandomNormal):
    """Normal; what falls farther than two stddev from the mean is drawn again."""

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        z = _truncated_normal(shape, generator)
        return z * np.float32(self.stddev) + np.float32(self.mean)


class VarianceScaling(Initializer):
    """Zero mean and the variance scale / fan, where mode is fan_in, fan_out or fan_avg.
    distribution is truncated_normal, untruncated_normal or uniform."""

    MODES = ("fan_in", "fan_out", "fan_avg")
    DISTRIBUTIONS = ("truncated_normal", "untruncated_normal", "uniform")

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
    ) -> None:
        self.scale = arguments.float32(self, "scale", scale, above=0)
        if mode not in self.MODES:
            raise ValueError(naming.unknown("VarianceScaling mode", str(mode), self.MODES))
        if distribution not in self.DISTRIBUTIONS:
            distributions = self.DISTRIBUTIONS
            raise ValueError(
                naming.unknown("VarianceScaling distribution", str(distribution), distributions)
            )
        self.mode = mode
        self.distribution = distribution
        self._set_seed(seed)

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        variance = self.scale / max(1.0, self._fan(shape))
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return _uniform(shape, generator, -limit, limit)
        if self.distribution == "untruncated_normal":
            z = generator.standard_normal(shape, np.float32)
            return z * np.float32(math.sqrt(variance))
        z = _truncated_normal(shape, generator)
        return z * np.float32(math.sqrt(variance) / TRUNCATED_STDDEV)

    def _fan(self, shape: tuple[int, ...]) -> float:
        fan_in, fan_out = fans(shape)
        return {"fan_in": fan_in, "fan_out": fan_out}.get(self.mode, (fan_in + fan_out) / 2)


class _Named(VarianceScaling):
    """A VarianceScaling with a name of its own: only the seed is free."""

    OPTIONS: tuple[float, str, str]

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(*self.OPTIONS, seed=seed)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}


class GlorotUniform(_Named):
    """Uniform with the variance 2 / (fan_in + fan_out)."""

    OPTIONS = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Named):
    """Truncated normal with the variance 2 / (fan_in + fan_out)."""

    OPTIONS = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_Named):
    """Uniform with the variance 2 / fan_in."""

    OPTIONS = (2.0, "fan_in", "uniform")


class HeNormal(_Named):
    """Truncated normal with the variance 2 / fan_in."""

    OPTIONS = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_Named):
    """Uniform with the variance 1 / fan_in."""

    OPTIONS = (1.0, "fan_in", "uniform")


class LecunNormal(_Named):
    """Truncated normal with the variance 1 / fan_in."""

    OPTIONS = (1.0, "fan_in", "truncated_normal")


def _uniform(
    shape: tuple[int, ...], generator: np.random.Generator, low: float, high: float
) -> np.ndarray:
    u = generator.random(shape, np.float32)
    return u * np.float32(high - low) + np.float32(low)


def _truncated_normal(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    z = np.array(generator.standard_normal(shape, np.float32))
    while (far := np.abs(z) > 2).any():
        z[far] = generator.standard_normal(int(far.sum()), np.float32)
    return z


INITIALIZERS: dict[str, type[Initializer]] = {
    naming.snake_case(cls.__name__): cls
    for cls in (
        GlorotUniform,
        GlorotNormal,
        HeUniform,
        HeNormal,
        LecunUniform,
        LecunNormal,
        Zeros,
        Ones,
        Constant,
        RandomUniform,
        RandomNormal,
        TruncatedNormal,
        VarianceScaling,
    )
}


def get(identifier: Any) -> Initializer:
    """The initializer of a name, a class, a configuration, or an initializer itself."""
    return naming.resolve("initializer", identifier, Initializer, INITIALIZERS)
