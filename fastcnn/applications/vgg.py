"""VGG networks."""

from __future__ import annotations

from typing import Any

from fastcnn.applications.named import Shape, named
from fastcnn.layers import Conv2D, Dense, Flatten, Layer, MaxPooling2D
from fastcnn.models.sequential import Sequential


def vgg16(
    input_shape: Shape = (224, 224, 3), classes: int = 1000, rescale: bool = False, **options: Any
) -> Sequential:
    """VGG-16 (Simonyan and Zisserman, 2014): 138,357,544 parameters."""
    layers: list[Layer] = []
    for convolutions, filters in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
        layers += [
            Conv2D(filters, 3, padding="same", activation="relu") for _ in range(convolutions)
        ]
        layers.append(MaxPooling2D(2))
    layers += [
        Flatten(),
        Dense(4096, activation="relu"),
        Dense(4096, activation="relu"),
        Dense(classes, activation="softmax"),
    ]
    return named("vgg16", layers, input_shape, rescale, options)
