"""Residual networks for CIFAR."""

from __future__ import annotations

from fastcnn.applications.named import Shape, named
from fastcnn.layers import (
    BatchNormalization,
    Conv2D,
    Dense,
    GlobalAveragePooling2D,
    Layer,
    ReLU,
    Residual,
)
from fastcnn.models.sequential import Sequential


def resnet20(
    input_shape: Shape = (32, 32, 3), classes: int = 10, rescale: bool = False, **options: object
) -> Sequential:
    """ResNet-20 for CIFAR, with projections where the shape changes.

    Args:
        input_shape: One image's, (height, width, channels).
        classes: The number of outputs, probabilities of classes.
        rescale: Whether it begins with Rescaling(1 / 255), for uint8 images.
        **options: `Sequential`'s, such as `seed`, `device` and `precision`.

    Returns:
        The network, with its first weights, not compiled.

    Raises:
        ValueError: Images of that shape are too small for its windows, or an argument is out of its
            range.
        TypeError: An option is unknown or an argument of a wrong type.

    References:
        He et al., 2016: Deep residual learning for image recognition.
    """
    layers: list[Layer] = [*_conv_bn(16, 3), ReLU()]
    channels = 16
    for filters, strides in ((16, 1), (32, 2), (64, 2)):
        for block in range(3):
            layers += _basic_block(channels, filters, strides if block == 0 else 1)
            channels = filters
    layers += [GlobalAveragePooling2D(), Dense(classes, activation="softmax")]
    return named("resnet20", layers, input_shape, rescale, options)


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
