"""The optimizers, by Keras's names, with Keras 3's defaults and formulas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from fastcnn.optimizers.adagrad import Adagrad
from fastcnn.optimizers.adam import Adam, AdamW
from fastcnn.optimizers.optimizer import Optimizer
from fastcnn.optimizers.rmsprop import RMSprop
from fastcnn.optimizers.sgd import SGD
from fastcnn.utils import naming
from fastcnn.utils.docstrings import described_by

__all__ = ["OPTIMIZERS", "SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "get"]

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
}

OptimizerLike: TypeAlias = str | Optimizer | type[Optimizer] | Mapping[str, object]
"""What stands for an optimizer: see `get`."""


@described_by(naming.resolve.__doc__)
def get(identifier: object) -> Optimizer:
    """Return the optimizer that a name such as "adam", a class or a configuration stands for."""
    return naming.resolve("optimizer", identifier, Optimizer, OPTIMIZERS)
