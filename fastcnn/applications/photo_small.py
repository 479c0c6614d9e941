"""A small network for some hundred photographs, without a large dense layer."""

from __future__ import annotations

from typing import Unpack

from fastcnn.applications.documented import documented
from fastcnn.applications.network import NetworkOptions, Shape, last_activation, network
from fastcnn.layers import (
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    GlobalAveragePooling2D,
    Layer,
    MaxPooling2D,
    ReLU,
)
from fastcnn.models.sequential import Sequential

WIDTHS = (16, 32, 64, 128, 128)
MOMENTUM = 0.9
"""Of the normalizations' statistics: a small set has few steps an epoch."""


@documented
def photo_small(
    input_shape: Shape = (64, 64, 3), classes: int = 10, **options: Unpack[NetworkOptions]
) -> Sequential:
    """The network for few photographs: 246,682 parameters trained, 247,418 in all."""
    features: list[Layer] = []
    for number, width in enumerate(WIDTHS, 1):
        features += [
            Conv2D(width, 3, padding="same", use_bias=False, name=f"conv{number}"),
            BatchNormalization(momentum=MOMENTUM, name=f"norm{number}"),
            ReLU(name=f"relu{number}"),
        ]
        if number < len(WIDTHS):
            features.append(MaxPooling2D(2, name=f"pool{number}"))
    top: list[Layer] = [
        GlobalAveragePooling2D(),
        Dropout(0.3),
        Dense(classes, activation=last_activation(options)),
    ]
    return network("photo_small", input_shape, features, top, options)
