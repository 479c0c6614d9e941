"""Network in network: 1x1 convolutions between the wider ones, and global average pooling."""

from __future__ import annotations

from typing import Unpack

from fastcnn.applications.blocks import map_classifier
from fastcnn.applications.documented import documented
from fastcnn.applications.network import NetworkOptions, Shape, last_activation, network
from fastcnn.layers import AveragePooling2D, Conv2D, Dropout, Layer, MaxPooling2D
from fastcnn.models.sequential import Sequential


@documented
def nin(
    input_shape: Shape = (32, 32, 3), classes: int = 10, **options: Unpack[NetworkOptions]
) -> Sequential:
    """Network in network for CIFAR, the authors' model: 966,986 parameters.

    References:
        Lin, Chen and Yan, 2014: Network in network.
    """
    features: list[Layer] = [
        *_conv(192, 5, "conv1"),
        *_conv(160, 1, "cccp1"),
        *_conv(96, 1, "cccp2"),
        MaxPooling2D(3, strides=2, padding="same"),
        Dropout(0.5),
        *_conv(192, 5, "conv2"),
        *_conv(192, 1, "cccp3"),
        *_conv(192, 1, "cccp4"),
        AveragePooling2D(3, strides=2, padding="same"),
        Dropout(0.5),
        *_conv(192, 3, "conv3"),
        *_conv(192, 1, "cccp5"),
    ]
    top = map_classifier(classes, last_activation(options), "cccp6")
    return network("nin", input_shape, features, top, options)


def _conv(filters: int, size: int, name: str) -> list[Layer]:
    return [
        Conv2D(
            filters,
            size,
            padding=size // 2,
            activation="relu",
            kernel_initializer="he_normal",
            name=name,
        )
    ]
