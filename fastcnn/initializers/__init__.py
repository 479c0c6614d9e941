"""Initializers: the first values of the weights, drawn as Keras draws them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from fastcnn.initializers.constant import Constant, Ones, Zeros
from fastcnn.initializers.initializer import Initializer, fans
from fastcnn.initializers.random import RandomNormal, RandomUniform, TruncatedNormal
from fastcnn.initializers.variance_scaling import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    VarianceScaling,
)
from fastcnn.utils import naming
from fastcnn.utils.docstrings import described_by

__all__ = [
    "INITIALIZERS",
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "fans",
    "get",
]

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

InitializerLike: TypeAlias = str | Initializer | type[Initializer] | Mapping[str, object]
"""What stands for an initializer: see `get`."""


@described_by(naming.resolve.__doc__)
def get(identifier: object) -> Initializer:
    """Return the initializer that a name as "he_normal", a class or a configuration stands for."""
    return naming.resolve("initializer", identifier, Initializer, INITIALIZERS)
