"""The layers, by Keras's names."""

from __future__ import annotations

from typing import Any

from fastcnn import naming
from fastcnn.layers.activation import ELU, Activation, LeakyReLU, ReLU, Softmax
from fastcnn.layers.base import Layer, Parameter
from fastcnn.layers.combine import Concat, Residual
from fastcnn.layers.conv import Conv2D, DepthwiseConv2D, SeparableConv2D
from fastcnn.layers.dense import Dense
from fastcnn.layers.dropout import Dropout
from fastcnn.layers.normalization import BatchNormalization
from fastcnn.layers.pool import (
    AveragePooling2D,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    MaxPooling2D,
)
from fastcnn.layers.preprocessing import Normalization, Rescaling
from fastcnn.layers.shape import Flatten, ZeroPadding2D

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
    """Make a layer from {"class_name": ..., "config": {...}}; only fastcnn's own are known."""
    cls = naming.lookup("layer", entry["class_name"], LAYERS)
    return cls.from_config(dict(entry["config"]))
