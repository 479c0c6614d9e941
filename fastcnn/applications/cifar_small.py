"""The small CIFAR-10 network of Keras's examples."""

from __future__ import annotations

from typing import Unpack

from fastcnn.applications.documented import documented
from fastcnn.applications.network import NetworkOptions, Shape, last_activation, network
from fastcnn.layers import Conv2D, Dense, Dropout, Flatten, Layer, MaxPooling2D
from fastcnn.models.sequential import Sequential


@documented
def cifar_small(
    input_shape: Shape = (32, 32, 3), classes: int = 10, **options: Unpack[NetworkOptions]
) -> Sequential:
    """The small CIFAR-10 network of Keras's examples, with dropout: 1,250,858 parameters."""
    features: list[Layer] = [
        Conv2D(32, 3, padding="same", activation="relu", name="conv1"),
        Conv2D(32, 3, activation="relu", name="conv2"),
        MaxPooling2D(2),
        Dropout(0.25),
        Conv2D(64, 3, padding="same", activation="relu", name="conv3"),
        Conv2D(64, 3, activation="relu", name="conv4"),
        MaxPooling2D(2),
        Dropout(0.25),
    ]
    top: list[Layer] = [
        Flatten(),
        Dense(512, activation="relu"),
        Dropout(0.5),
        Dense(classes, activation=last_activation(options)),
    ]
    return network("cifar_small", input_shape, features, top, options)
