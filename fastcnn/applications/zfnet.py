"""ZFNet: AlexNet with a finer first layer."""

from __future__ import annotations

from functools import partial
from typing import Unpack

from fastcnn.applications.blocks import dense_classifier, response_norm
from fastcnn.applications.documented import documented
from fastcnn.applications.network import NetworkOptions, Shape, is_small, last_activation, network
from fastcnn.layers import Conv2D, Layer, MaxPooling2D
from fastcnn.models.sequential import Sequential

conv = partial(Conv2D, activation="relu", kernel_initializer="he_normal")


@documented
def zfnet(
    input_shape: Shape = (224, 224, 3),
    classes: int = 1000,
    dropout: float = 0.5,
    small_input: bool | None = None,
    **options: Unpack[NetworkOptions],
) -> Sequential:
    """ZFNet: 62,357,608 parameters.

    Args:
        dropout: The fraction of the hidden dense layers' outputs that is zeroed in training.
        small_input: Whether it begins as suits images such as CIFAR's: a 3x3 convolution in place
            of the 7x7, and no stride but the poolings'. None does for sides below 64 pixels; for
            32x32 pixels and 10 classes that makes 29,978,506 parameters.

    References:
        Zeiler and Fergus, 2014: Visualizing and understanding convolutional networks, figure 3.
    """
    small = is_small("zfnet", small_input, input_shape)
    first, second = partial(conv, 96, name="conv1"), partial(conv, 256, 5, name="conv2")
    features: list[Layer] = [
        first(3, padding=1) if small else first(7, strides=2, padding=1),
        MaxPooling2D(3, strides=2, ceil_mode=True),
        response_norm(),
        second(padding=2) if small else second(strides=2),
        MaxPooling2D(3, strides=2, ceil_mode=True),
        response_norm(),
        conv(384, 3, padding=1, name="conv3"),
        conv(384, 3, padding=1, name="conv4"),
        conv(256, 3, padding=1, name="conv5"),
        MaxPooling2D(3, strides=2),
    ]
    top = dense_classifier(4096, dropout, classes, last_activation(options))
    return network("zfnet", input_shape, features, top, options)
