"""AlexNet: as in the paper, in two groups, and as torchvision has it, in a single tower."""

from __future__ import annotations

from functools import partial
from typing import Unpack

from fastcnn.applications.blocks import dense_classifier, hidden_dense, response_norm
from fastcnn.applications.documented import documented
from fastcnn.applications.network import NetworkOptions, Shape, is_small, last_activation, network
from fastcnn.layers import Conv2D, Dense, Dropout, Flatten, Layer, MaxPooling2D
from fastcnn.models.sequential import Sequential

conv = partial(Conv2D, activation="relu", kernel_initializer="he_normal")


@documented
def alexnet(
    input_shape: Shape = (227, 227, 3),
    classes: int = 1000,
    dropout: float = 0.5,
    small_input: bool | None = None,
    **options: Unpack[NetworkOptions],
) -> Sequential:
    """AlexNet with its two groups, which were two GPUs: 60,965,224 parameters.

    Args:
        dropout: The fraction of the hidden dense layers' outputs that is zeroed in training.
        small_input: Whether it begins as suits images such as CIFAR's: a 3x3 convolution that keeps
            the size in place of the 11x11 with stride 4. None does for sides below 67 pixels; for
            32x32 pixels and 10 classes that makes 28,565,386 parameters.

    References:
        Krizhevsky, Sutskever and Hinton, 2012: ImageNet classification with deep convolutional
        neural networks.
    """
    small = is_small("alexnet", small_input, input_shape, least=67)
    begin = partial(conv, 96, name="conv1")
    features: list[Layer] = [
        begin(3, padding=1) if small else begin(11, strides=4),
        response_norm(),
        MaxPooling2D(3, strides=2),
        conv(256, 5, padding=2, groups=2, name="conv2"),
        response_norm(),
        MaxPooling2D(3, strides=2),
        conv(384, 3, padding=1, name="conv3"),
        conv(384, 3, padding=1, groups=2, name="conv4"),
        conv(256, 3, padding=1, groups=2, name="conv5"),
        MaxPooling2D(3, strides=2),
    ]
    top = dense_classifier(4096, dropout, classes, last_activation(options))
    return network("alexnet", input_shape, features, top, options)


@documented
def alexnet_single(
    input_shape: Shape = (224, 224, 3),
    classes: int = 1000,
    dropout: float = 0.5,
    small_input: bool | None = None,
    **options: Unpack[NetworkOptions],
) -> Sequential:
    """AlexNet in a single tower, without normalization, torchvision's: 61,100,840 parameters.

    Args:
        dropout: The fraction of the dense layers' inputs that is zeroed in training.
        small_input: Whether it begins as suits images such as CIFAR's: a 3x3 convolution that keeps
            the size in place of the 11x11 with stride 4. None does for sides below 64 pixels; for
            32x32 pixels and 10 classes that makes 28,711,754 parameters.

    References:
        Krizhevsky, 2014: One weird trick for parallelizing convolutional neural networks.
    """
    small = is_small("alexnet_single", small_input, input_shape)
    begin = partial(conv, 64, name="conv1")
    features: list[Layer] = [
        begin(3, padding=1) if small else begin(11, strides=4, padding=2),
        MaxPooling2D(3, strides=2),
        conv(192, 5, padding=2, name="conv2"),
        MaxPooling2D(3, strides=2),
        conv(384, 3, padding=1, name="conv3"),
        conv(256, 3, padding=1, name="conv4"),
        conv(256, 3, padding=1, name="conv5"),
        MaxPooling2D(3, strides=2),
    ]
    top: list[Layer] = [
        Flatten(),
        Dropout(dropout),
        hidden_dense(4096, name="fc6"),
        Dropout(dropout),
        hidden_dense(4096, name="fc7"),
        Dense(classes, activation=last_activation(options), name="fc8"),
    ]
    return network("alexnet_single", input_shape, features, top, options)
