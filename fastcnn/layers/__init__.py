"""The layers, by Keras's names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastcnn.layers.activation import ELU, Activation, LeakyReLU, ReLU, Softmax
from fastcnn.layers.base import MOST_DEPTH, Layer, Parameter, check_depth
from fastcnn.layers.containers import Concat, Residual
from fastcnn.layers.convolution import Conv2D
from fastcnn.layers.dense import Dense
from fastcnn.layers.depthwise import DepthwiseConv2D, SeparableConv2D
from fastcnn.layers.dropout import Dropout
from fastcnn.layers.normalization import BatchNormalization
from fastcnn.layers.pooling import (
    AveragePooling2D,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    MaxPooling2D,
)
from fastcnn.layers.rescaling import Normalization, Rescaling
from fastcnn.layers.reshaping import Flatten, ZeroPadding2D
from fastcnn.utils import naming

__all__ = [
    "ELU",
    "Activation",
    "AveragePooling2D",
    "BatchNormalization",
    "Concat",
    "Conv2D",
    "Dense",
    "DepthwiseConv2D",
    "Dropout",
    "Flatten",
    "GlobalAveragePooling2D",
    "GlobalMaxPooling2D",
    "Layer",
    "LeakyReLU",
    "MaxPooling2D",
    "Normalization",
    "Parameter",
    "ReLU",
    "Rescaling",
    "Residual",
    "SeparableConv2D",
    "Softmax",
    "ZeroPadding2D",
    "from_config",
]

LAYERS: dict[str, type[Layer]] = {
    cls.__name__: cls
    for cls in (
        *(Activation, AveragePooling2D, BatchNormalization, Concat, Conv2D, Dense),
        *(DepthwiseConv2D, Dropout, ELU, Flatten, GlobalAveragePooling2D, GlobalMaxPooling2D),
        *(LeakyReLU, MaxPooling2D, Normalization, ReLU, Rescaling, Residual, SeparableConv2D),
        *(Softmax, ZeroPadding2D),
    )
}


def from_config(entry: dict[str, Any]) -> Layer:
    """Make a layer from its configuration.

    Args:
        entry: {"class_name": ..., "config": {...}}, as `get_config` has it; only fastcnn's own
            classes.

    Returns:
        The layer, not built.

    Raises:
        ValueError: The entry is no such dictionary, the class is unknown, an argument is out of its
            range, or layers lie within each other too deep.
        TypeError: An argument is unknown or of a wrong type.
    """
    naming.check_configuration("layer", entry)
    cls = naming.lookup("layer", entry["class_name"], LAYERS)
    check_depth(cls.__name__, _depth(entry))
    return cls.from_config(dict(entry["config"]))


def _depth(entry: dict[str, object]) -> int:
    """Return how many configurations of layers lie within each other below this one."""
    depth, inside = -1, [entry]
    while inside and depth <= MOST_DEPTH:
        depth += 1
        inside = [entry for outer in inside for entry in _inner_entries(outer.get("config"))]
    return depth


def _inner_entries(config: Any) -> Iterator[dict[str, Any]]:
    """Yield the configurations in the lists of a layer's, and in lists in them."""
    lists = [value for value in config.values() if isinstance(value, list)] if config else []
    while lists:
        for value in lists.pop():
            if isinstance(value, list):
                lists.append(value)
            elif isinstance(value, dict) and "class_name" in value:
                yield value
