"""VGG networks: stages of 3x3 convolutions, each ended by pooling, and three dense layers."""

from __future__ import annotations

from functools import partial
from typing import Unpack

from fastcnn.applications.blocks import dense_classifier
from fastcnn.applications.documented import documented
from fastcnn.applications.network import NetworkOptions, Shape, last_activation, network
from fastcnn.applications.variant import variant
from fastcnn.layers import Conv2D, Layer, MaxPooling2D
from fastcnn.models.sequential import Sequential

conv = partial(
    Conv2D, kernel_size=3, padding="same", activation="relu", kernel_initializer="he_normal"
)

FILTERS = (64, 128, 256, 512, 512)


@documented
def _vgg(
    net: str,
    depths: tuple[int, ...],
    /,
    input_shape: Shape = (224, 224, 3),
    classes: int = 1000,
    hidden: int = 4096,
    dropout: float = 0.0,
    **options: Unpack[NetworkOptions],
) -> Sequential:
    """A network of five stages of so many convolutions.

    Args:
        input_shape: One image's, (height, width, channels), from 32x32 on.
        hidden: Units of each of the two hidden dense layers; 512 suits images of 32x32.
        dropout: The fraction of their outputs that is zeroed in training; the paper's is 0.5.

    References:
        Simonyan and Zisserman, 2014: Very deep convolutional networks for large-scale image
        recognition.
    """
    features: list[Layer] = []
    for stage, (depth, filters) in enumerate(zip(depths, FILTERS, strict=True), 1):
        features += [conv(filters, name=f"conv{stage}_{number}") for number in range(1, depth + 1)]
        features.append(MaxPooling2D(2, name=f"pool{stage}"))
    top = dense_classifier(hidden, dropout, classes, last_activation(options))
    return network(net, input_shape, features, top, options)


vgg11 = variant(_vgg, "vgg11", (1, 1, 2, 2, 2), "VGG-11, configuration A: 132,863,336 parameters.")
vgg13 = variant(_vgg, "vgg13", (2, 2, 2, 2, 2), "VGG-13, configuration B: 133,047,848 parameters.")
vgg16 = variant(_vgg, "vgg16", (2, 2, 3, 3, 3), "VGG-16, configuration D: 138,357,544 parameters.")
vgg19 = variant(_vgg, "vgg19", (2, 2, 4, 4, 4), "VGG-19, configuration E: 143,667,240 parameters.")
