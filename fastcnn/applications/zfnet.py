"""ZFNet: AlexNet with a finer first layer."""

from __future__ import annotations

from functools import partial
from typing import Unpack

from fastcnn.applications.blocks import dense_classifier, response_norm
from fastcnn.applications.documented import documented
from fastcnn.applications.network import NetworkOptions, Shape, last_activation, network
from fastcnn.layers import Conv2D, Layer, MaxPooling2D
from fastcnn.models.sequential import Sequential

conv = partial(Conv2D, activation="relu", kernel_initializer="he_normal")


@documented
def zfnet(
    input_shape: Shape = (224, 224, 3),
    classes: int = 1000,
    dropout: float = 0.5,
    **options: Unpack[NetworkOptions],
) -> Sequential:
    """ZFNet: 62,357,608 parameters.

    Args:
        input_shape: One image's, (height, width, channels), from 63x63 on.
        dropout: The fraction of the hidden dense layers' outputs that is zeroed in training.

    References:
        Zeiler and Fergus, 2014: Visualizing and understanding convolutional networks, figure 3.
    """
    features: list[Layer] = [
        conv(96, 7, strides=2, padding=1, name="conv1"),
        MaxPooling2D(3, strides=2, ceil_mode=True),
        response_norm(),
        conv(256, 5, strides=2, name="conv2"),
        MaxPooling2D(3, strides=2, ceil_mode=True),
        response_norm(),
        conv(384, 3, padding=1, name="conv3"),
        conv(384, 3, padding=1, name="conv4"),
        conv(256, 3, padding=1, name="conv5"),
        MaxPooling2D(3, strides=2),
    ]
    top = dense_classifier(4096, dropout, classes, last_activation(options))
    return network("zfnet", input_shape, features, top, options)
