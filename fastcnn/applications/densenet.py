"""DenseNets: each layer sees the outputs of all before it in its block."""

from __future__ import annotations

from functools import partial
from typing import Unpack

from fastcnn.applications.blocks import pooled_classifier
from fastcnn.applications.documented import documented
from fastcnn.applications.network import NetworkOptions, Shape, is_small, last_activation, network
from fastcnn.layers import (
    AveragePooling2D,
    BatchNormalization,
    Concat,
    Conv2D,
    Layer,
    MaxPooling2D,
    ReLU,
)
from fastcnn.models.sequential import Sequential

batch_norm = partial(BatchNormalization, momentum=0.9, epsilon=1e-5)
conv = partial(Conv2D, use_bias=False, kernel_initializer="he_normal")


@documented
def densenet_bc_100_12(
    input_shape: Shape = (32, 32, 3), classes: int = 10, **options: Unpack[NetworkOptions]
) -> Sequential:
    """DenseNet-BC for CIFAR, 100 layers, growth 12: 769,162 trained parameters, 793,150 in all.

    References:
        Huang et al., 2017: Densely connected convolutional networks, section 4.
    """
    first: list[Layer] = [conv(24, 3, padding=1, name="conv1")]
    features = [*first, *_blocks(24, (16, 16, 16), growth=12)]
    top = pooled_classifier(classes, last_activation(options))
    return network("densenet_bc_100_12", input_shape, features, top, options)


@documented
def densenet121(
    input_shape: Shape = (224, 224, 3),
    classes: int = 1000,
    small_input: bool | None = None,
    **options: Unpack[NetworkOptions],
) -> Sequential:
    """DenseNet-121: 7,978,856 trained parameters, 8,062,504 in all.

    Args:
        small_input: Whether it begins as suits images such as CIFAR's: a 3x3 convolution in place
            of the 7x7 with stride 2, and no pooling. None does for sides below 64 pixels.

    References:
        Huang et al., 2017: Densely connected convolutional networks, table 1.
    """
    if is_small("densenet121", small_input, input_shape):
        first: list[Layer] = [conv(64, 3, padding=1, name="conv1")]
    else:
        first = [
            *(conv(64, 7, strides=2, padding=3, name="conv1"), batch_norm(), ReLU()),
            MaxPooling2D(3, strides=2, padding=1),
        ]
    features = [*first, *_blocks(64, (6, 12, 24, 16), growth=32)]
    top = pooled_classifier(classes, last_activation(options))
    return network("densenet121", input_shape, features, top, options)


def _blocks(channels: int, depths: tuple[int, ...], growth: int) -> list[Layer]:
    """Return dense blocks, and between them transitions that halve channels and size."""
    layers: list[Layer] = []
    for block, depth in enumerate(depths, 1):
        if block > 1:
            channels //= 2
            layers += _transition(f"transition{block - 1}", channels)
        layers += [_dense(f"dense{block}_{number}", growth) for number in range(1, depth + 1)]
        channels += depth * growth
    return [*layers, batch_norm(), ReLU()]


def _dense(name: str, growth: int) -> Layer:
    """Return a layer that appends `growth` channels to those that it reads."""
    appended = [
        *(batch_norm(), ReLU(), conv(4 * growth, 1, name=f"{name}a")),
        *(batch_norm(), ReLU(), conv(growth, 3, padding=1, name=f"{name}b")),
    ]
    return Concat([], appended, name=name)


def _transition(name: str, filters: int) -> list[Layer]:
    return [batch_norm(), ReLU(), conv(filters, 1, name=name), AveragePooling2D(2)]
