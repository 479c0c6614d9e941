"""The all convolutional net: strides in place of pooling."""

from __future__ import annotations

from functools import partial
from typing import Unpack

from fastcnn.applications.blocks import map_classifier
from fastcnn.applications.documented import documented
from fastcnn.applications.network import NetworkOptions, Shape, last_activation, network
from fastcnn.layers import Conv2D, Dropout, Layer
from fastcnn.models.sequential import Sequential

conv = partial(Conv2D, padding=1, activation="relu", kernel_initializer="he_normal")


@documented
def all_cnn_c(
    input_shape: Shape = (32, 32, 3), classes: int = 10, **options: Unpack[NetworkOptions]
) -> Sequential:
    """All-CNN-C: 1,369,738 parameters.

    References:
        Springenberg et al., 2015: Striving for simplicity: The all convolutional net, tables 1
        and 2.
    """
    features: list[Layer] = [
        Dropout(0.2),
        conv(96, 3, name="conv1"),
        conv(96, 3, name="conv2"),
        conv(96, 3, strides=2, name="conv3"),
        Dropout(0.5),
        conv(192, 3, name="conv4"),
        conv(192, 3, name="conv5"),
        conv(192, 3, strides=2, name="conv6"),
        Dropout(0.5),
        conv(192, 3, padding="valid", name="conv7"),
        conv(192, 1, padding="valid", name="conv8"),
    ]
    top = map_classifier(classes, last_activation(options), "conv9")
    return network("all_cnn_c", input_shape, features, top, options)
