"""LeNet-5, and the LeNet of Caffe's examples."""

from __future__ import annotations

from typing import Any

from fastcnn.applications.named import Shape, named
from fastcnn.layers import Conv2D, Dense, Flatten, Layer, MaxPooling2D
from fastcnn.models.sequential import Sequential


def lenet5(
    input_shape: Shape = (28, 28, 1), classes: int = 10, rescale: bool = False, **options: Any
) -> Sequential:
    """LeNet-5 (LeCun et al., 1998) with ReLU and max pooling: 61,706 parameters."""
    layers: list[Layer] = [
        Conv2D(6, 5, padding="same", activation="relu"),
        MaxPooling2D(2),
        Conv2D(16, 5, activation="relu"),
        MaxPooling2D(2),
        Flatten(),
        Dense(120, activation="relu"),
        Dense(84, activation="relu"),
        Dense(classes, activation="softmax"),
    ]
    return named("lenet5", layers, input_shape, rescale, options)


def caffe_lenet(
    input_shape: Shape = (28, 28, 1), classes: int = 10, rescale: bool = False, **options: Any
) -> Sequential:
    """The LeNet of Caffe's examples: linear convolutions, 431,080 parameters."""
    layers: list[Layer] = [
        Conv2D(20, 5),
        MaxPooling2D(2),
        Conv2D(50, 5),
        MaxPooling2D(2),
        Flatten(),
        Dense(500, activation="relu"),
        Dense(classes, activation="softmax"),
    ]
    return named("caffe_lenet", layers, input_shape, rescale, options)
