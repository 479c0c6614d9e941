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


def get(identifier: object) -> Optimizer:
    """The optimizer that a name, a class or a configuration stands for.

    Args:
        identifier: A name such as "adam", a class, a {"class_name", "config"} or an optimizer.

    Returns:
        The optimizer, made with its defaults where a name or a class is passed.

    Raises:
        ValueError: The name is unknown; the message has the nearest.
        TypeError: It is none of these.
    """
    return naming.resolve("optimizer", identifier, Optimizer, OPTIMIZERS)
