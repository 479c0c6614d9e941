"""Well-known networks by name; each ends in class probabilities.

Every function takes `input_shape`, `classes`, `rescale` (begin with Rescaling(1/255), for uint8
images), `seed` and `device`, and returns a Sequential.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastcnn.layers import (
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Layer,
    MaxPooling2D,
    ReLU,
    Rescaling,
    Residual,
)
from fastcnn.models.sequential import Sequential
from fastcnn.utils import naming

Shape = tuple[int, ...]


def _sequential(
    name: str, layers: list[Layer], input_shape: Shape, rescale: bool, options: dict[str, Any]
) -> Sequential:
    first: list[Layer] = [Rescaling(1 / 255)] if rescale else []
    return Sequential([*first, *layers], input_shape=tuple(input_shape), name=name, **options)


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
    return _sequential("lenet5", layers, input_shape, rescale, options)


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
    return _sequential("caffe_lenet", layers, input_shape, rescale, options)


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
    return _sequential("cifar_small", layers, input_shape, rescale, options)


def resnet20(
    input_shape: Shape = (32, 32, 3), classes: int = 10, rescale: bool = False, **options: Any
) -> Sequential:
    """ResNet-20 for CIFAR (He et al., 2015), projections where the shape changes."""
    layers: list[Layer] = [*_conv_bn(16, 3), ReLU()]
    channels = 16
    for filters, strides in ((16, 1), (32, 2), (64, 2)):
        for block in range(3):
            layers += _basic_block(channels, filters, strides if block == 0 else 1)
            channels = filters
    layers += [GlobalAveragePooling2D(), Dense(classes, activation="softmax")]
    return _sequential("resnet20", layers, input_shape, rescale, options)


def _conv_bn(filters: int, size: int, strides: int = 1) -> list[Layer]:
    convolution = Conv2D(
        filters,
        size,
        strides=strides,
        padding=size // 2,
        use_bias=False,
        kernel_initializer="he_normal",
    )
    return [convolution, BatchNormalization()]


def _basic_block(channels: int, filters: int, strides: int) -> list[Layer]:
    body = [*_conv_bn(filters, 3, strides), ReLU(), *_conv_bn(filters, 3)]
    same = strides == 1 and channels == filters
    return [Residual(body, None if same else _conv_bn(filters, 1, strides)), ReLU()]


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
    return _sequential("vgg16", layers, input_shape, rescale, options)


NETWORKS: dict[str, Callable[..., Sequential]] = {
    "lenet5": lenet5,
    "caffe-lenet": caffe_lenet,
    "cifar-small": cifar_small,
    "resnet20": resnet20,
    "vgg16": vgg16,
}


def get(name: str) -> Callable[..., Sequential]:
    """The function that builds a network; ValueError naming the nearest known name."""
    return naming.lookup("network", name, NETWORKS)
