"""The small CIFAR-10 network of Keras's examples."""

from __future__ import annotations

from typing import Any

from fastcnn.applications.named import Shape, named
from fastcnn.layers import Conv2D, Dense, Dropout, Flatten, Layer, MaxPooling2D
from fastcnn.models.sequential import Sequential


def cifar_small(
    input_shape: Shape = (32, 32, 3), classes: int = 10, rescale: bool = False, **options: Any
) -> Sequential:
    """The small CIFAR-10 network of Keras's examples, with dropout: 1,250,858 parameters."""
    layers: list[Layer] = [
        Conv2D(32, 3, padding="same", activation="relu"),
        Conv2D(32, 3, activation="relu"),
        MaxPooling2D(2),
        Dropout(0.25),
        Conv2D(64, 3, padding="same", activation="relu"),
        Conv2D(64, 3, activation="relu"),
        MaxPooling2D(2),
        Dropout(0.25),
        Flatten(),
        Dense(512, activation="relu"),
        Dropout(0.5),
        Dense(classes, activation="softmax"),
    ]
    return named("cifar_small", layers, input_shape, rescale, options)
