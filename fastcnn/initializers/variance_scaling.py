"""Initializers whose variance suits the number of inputs and outputs."""

from __future__ import annotations

import math

import numpy as np

from fastcnn.initializers.initializer import Initializer, fans
from fastcnn.initializers.random import truncated_normal, uniform
from fastcnn.utils import arguments, naming
from fastcnn.utils.docstrings import described_by

# Standard deviation of a standard normal cut at two standard deviations.
TRUNCATED_STDDEV = 0.87962566103423978


class VarianceScaling(Initializer):
    """Zero mean and the variance scale / fan.

    Args:
        scale: A number above 0.
        mode: The fan: "fan_in", "fan_out", or "fan_avg", the mean of both.
        distribution: "truncated_normal", "untruncated_normal" or "uniform".
        seed: A whole number, at least 0, that fixes the values; None draws from the generator that
            is passed, a model's own.

    Raises:
        TypeError: A number is none.
        ValueError: One is out of its range, or a name is none of these.
    """

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
            return uniform(shape, generator, -limit, limit)
        if self.distribution == "untruncated_normal":
            z = generator.standard_normal(shape, np.float32)
            return z * np.float32(math.sqrt(variance))
        z = truncated_normal(shape, generator)
        return z * np.float32(math.sqrt(variance) / TRUNCATED_STDDEV)

    def _fan(self, shape: tuple[int, ...]) -> float:
        fan_in, fan_out = fans(shape)
        return {"fan_in": fan_in, "fan_out": fan_out}.get(self.mode, (fan_in + fan_out) / 2)


class _Named(VarianceScaling):
    """A VarianceScaling with a name of its own: only the seed is free.

    Args:
        seed: A whole number, at least 0, that fixes the values; None draws from the generator that
            is passed, a model's own.

    Raises:
        TypeError: The seed is no whole number.
        ValueError: It is negative.
    """

    OPTIONS: tuple[float, str, str]

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(*self.OPTIONS, seed=seed)

    def get_config(self) -> dict[str, object]:
        return {"seed": self.seed}


@described_by(_Named.__doc__)
class GlorotUniform(_Named):
    """Uniform with the variance 2 / (fan_in + fan_out).

    References:
        Glorot and Bengio, 2010: Understanding the difficulty of training deep feedforward neural
        networks.
    """

    OPTIONS = (1.0, "fan_avg", "uniform")


@described_by(_Named.__doc__)
class GlorotNormal(_Named):
    """Truncated normal with the variance 2 / (fan_in + fan_out).

    References:
        Glorot and Bengio, 2010: Understanding the difficulty of training deep feedforward neural
        networks.
    """

    OPTIONS = (1.0, "fan_avg", "truncated_normal")


@described_by(_Named.__doc__)
class HeUniform(_Named):
    """Uniform with the variance 2 / fan_in.

    References:
        He et al., 2015: Delving deep into rectifiers: Surpassing human-level performance on
        ImageNet classification.
    """

    OPTIONS = (2.0, "fan_in", "uniform")


@described_by(_Named.__doc__)
class HeNormal(_Named):
    """Truncated normal with the variance 2 / fan_in.

    References:
        He et al., 2015: Delving deep into rectifiers: Surpassing human-level performance on
        ImageNet classification.
    """

    OPTIONS = (2.0, "fan_in", "truncated_normal")


@described_by(_Named.__doc__)
class LecunUniform(_Named):
    """Uniform with the variance 1 / fan_in.

    References:
        LeCun et al., 1998: Efficient BackProp.
    """

    OPTIONS = (1.0, "fan_in", "uniform")


@described_by(_Named.__doc__)
class LecunNormal(_Named):
    """Truncated normal with the variance 1 / fan_in.

    References:
        LeCun et al., 1998: Efficient BackProp.
    """

    OPTIONS = (1.0, "fan_in", "truncated_normal")
