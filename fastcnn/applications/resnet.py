"""Residual networks for ImageNet, and the plain one that the paper compares them with."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Unpack

from fastcnn.applications.blocks import conv_bn
from fastcnn.applications.network import (
    NetworkOptions,
    Shape,
    choice,
    is_small,
    last_activation,
    network,
)
from fastcnn.layers import (
    BatchNormalization,
    Dense,
    GlobalAveragePooling2D,
    Layer,
    MaxPooling2D,
    ReLU,
    Residual,
)
from fastcnn.models.sequential import Sequential

VERSIONS = ("v1.5", "v1", "keras")
FILTERS = (64, 128, 256, 512)

Block = Callable[[str, int, int, int], list[Layer]]
"""Makes a block of its name, the channels before it, its filters and its strides."""

conv = partial(conv_bn, norm=partial(BatchNormalization, momentum=0.9, epsilon=1e-5))


def plain34(
    input_shape: Shape = (224, 224, 3),
    classes: int = 1000,
    small_input: bool | None = None,
    **options: Unpack[NetworkOptions],
) -> Sequential:
    """Plain-34, ResNet-34 without shortcuts: 21,623,848 trained parameters, 21,639,080 in all.

    Args:
        input_shape: One image's, (height, width, channels).
        classes: The number of classes.
        small_input: Whether it begins as suits images such as CIFAR's: a 3x3 convolution in place
            of the 7x7 with stride 2, and no pooling. None does for sides below 64 pixels.
        **options: Of all networks: `weights`, `include_top`, `pooling`, `rescale`, `seed`, ...

    Returns:
        The network, not compiled.

    Raises:
        ValueError: Images of that shape are too small, or an argument is out of its range.
        TypeError: An option is unknown or an argument of a wrong type.

    References:
        He et al., 2016: Deep residual learning for image recognition, table 1.
    """
    return _resnet(
        "plain34", _plain_block, (3, 4, 6, 3), input_shape, classes, small_input, options
    )


def resnet18(
    input_shape: Shape = (224, 224, 3),
    classes: int = 1000,
    small_input: bool | None = None,
    **options: Unpack[NetworkOptions],
) -> Sequential:
    """ResNet-18: 11,689,512 trained parameters, 11,699,112 in all.

    Args:
        input_shape: One image's, (height, width, channels).
        classes: The number of classes.
        small_input: Whether it begins as suits images such as CIFAR's: a 3x3 convolution in place
            of the 7x7 with stride 2, and no pooling. None does for sides below 64 pixels.
        **options: Of all networks: `weights`, `include_top`, `pooling`, `rescale`, `seed`, ...

    Returns:
        The network, not compiled.

    Raises:
        ValueError: Images of that shape are too small, or an argument is out of its range.
        TypeError: An option is unknown or an argument of a wrong type.

    References:
        He et al., 2016: Deep residual learning for image recognition, table 1.
    """
    return _resnet(
        "resnet18", _basic_block, (2, 2, 2, 2), input_shape, classes, small_input, options
    )


def resnet34(
    input_shape: Shape = (224, 224, 3),
    classes: int = 1000,
    small_input: bool | None = None,
    **options: Unpack[NetworkOptions],
) -> Sequential:
    """ResNet-34: 21,797,672 trained parameters, 21,814,696 in all.

    Args:
        input_shape: One image's, (height, width, channels).
        classes: The number of classes.
        small_input: Whether it begins as suits images such as CIFAR's: a 3x3 convolution in place
            of the 7x7 with stride 2, and no pooling. None does for sides below 64 pixels.
        **options: Of all networks: `weights`, `include_top`, `pooling`, `rescale`, `seed`, ...

    Returns:
        The network, not compiled.

    Raises:
        ValueError: Images of that shape are too small, or an argument is out of its range.
        TypeError: An option is unknown or an argument of a wrong type.

    References:
        He et al., 2016: Deep residual learning for image recognition, table 1.
    """
    return _resnet(
        "resnet34", _basic_block, (3, 4, 6, 3), input_shape, classes, small_input, options
    )


def resnet50(
    input_shape: Shape = (224, 224, 3),
    classes: int = 1000,
    version: str = "v1.5",
    small_input: bool | None = None,
    **options: Unpack[NetworkOptions],
) -> Sequential:
    """ResNet-50: 25,557,032 trained parameters, 25,610,152 in all.

    Args:
        input_shape: One image's, (height, width, channels).
        classes: The number of classes.
        version: "v1.5", torchvision's, has a stage's stride in its first 3x3 convolution; "v1", the
            paper's, in the 1x1 before it; "keras" is v1 with biases in the convolutions, as
            `keras.applications` has it.
        small_input: Whether it begins as suits images such as CIFAR's: a 3x3 convolution in place
            of the 7x7 with stride 2, and no pooling. None does for sides below 64 pixels.
        **options: Of all networks: `weights`, `include_top`, `pooling`, `rescale`, `seed`, ...

    Returns:
        The network, not compiled.

    Raises:
        ValueError: Images of that shape are too small, or an argument is out of its range.
        TypeError: An option is unknown or an argument of a wrong type.

    References:
        He et al., 2016: Deep residual learning for image recognition, table 1.
    """
    return _deep("resnet50", (3, 4, 6, 3), input_shape, classes, version, small_input, options)


def resnet101(
    input_shape: Shape = (224, 224, 3),
    classes: int = 1000,
    version: str = "v1.5",
    small_input: bool | None = None,
    **options: Unpack[NetworkOptions],
) -> Sequential:
    """ResNet-101: 44,549,160 trained parameters, 44,654,504 in all.

    Args:
        input_shape: One image's, (height, width, channels).
        classes: The number of classes.
        version: "v1.5", torchvision's, has a stage's stride in its first 3x3 convolution; "v1", the
            paper's, in the 1x1 before it; "keras" is v1 with biases in the convolutions, as
            `keras.applications` has it.
        small_input: Whether it begins as suits images such as CIFAR's: a 3x3 convolution in place
            of the 7x7 with stride 2, and no pooling. None does for sides below 64 pixels.
        **options: Of all networks: `weights`, `include_top`, `pooling`, `rescale`, `seed`, ...

    Returns:
        The network, not compiled.

    Raises:
        ValueError: Images of that shape are too small, or an argument is out of its range.
        TypeError: An option is unknown or an argument of a wrong type.

    References:
        He et al., 2016: Deep residual learning for image recognition, table 1.
    """
    return _deep("resnet101", (3, 4, 23, 3), input_shape, classes, version, small_input, options)


def resnet152(
    input_shape: Shape = (224, 224, 3),
    classes: int = 1000,
    version: str = "v1.5",
    small_input: bool | None = None,
    **options: Unpack[NetworkOptions],
) -> Sequential:
    """ResNet-152: 60,192,808 trained parameters, 60,344,232 in all.

    Args:
        input_shape: One image's, (height, width, channels).
        classes: The number of classes.
        version: "v1.5", torchvision's, has a stage's stride in its first 3x3 convolution; "v1", the
            paper's, in the 1x1 before it; "keras" is v1 with biases in the convolutions, as
            `keras.applications` has it.
        small_input: Whether it begins as suits images such as CIFAR's: a 3x3 convolution in place
            of the 7x7 with stride 2, and no pooling. None does for sides below 64 pixels.
        **options: Of all networks: `weights`, `include_top`, `pooling`, `rescale`, `seed`, ...

    Returns:
        The network, not compiled.

    Raises:
        ValueError: Images of that shape are too small, or an argument is out of its range.
        TypeError: An option is unknown or an argument of a wrong type.

    References:
        He et al., 2016: Deep residual learning for image recognition, table 1.
    """
    return _deep("resnet152", (3, 8, 36, 3), input_shape, classes, version, small_input, options)


def _deep(
    name: str,
    depths: tuple[int, ...],
    input_shape: Shape,
    classes: int,
    version: str,
    small_input: bool | None,
    options: NetworkOptions,
) -> Sequential:
    """Return a network of bottlenecks."""
    choice(name, "version", version, VERSIONS)
    block = partial(_bottleneck, version=version)
    settings = (input_shape, classes, small_input, options)
    return _resnet(name, block, depths, *settings, expansion=4, use_bias=version == "keras")


def _resnet(
    name: str,
    block: Block,
    depths: tuple[int, ...],
    input_shape: Shape,
    classes: int,
    small_input: bool | None,
    options: NetworkOptions,
    expansion: int = 1,
    use_bias: bool = False,
) -> Sequential:
    """Return the first convolution, stages of blocks and the classifier."""
    features = _stem(is_small(name, small_input, input_shape), use_bias)
    channels = 64
    for stage, (depth, filters) in enumerate(zip(depths, FILTERS, strict=True), 2):
        for number in range(1, depth + 1):
            strides = 2 if stage > 2 and number == 1 else 1
            features += block(f"conv{stage}_{number}", channels, filters, strides)
            channels = expansion * filters
    top: list[Layer] = [
        GlobalAveragePooling2D(),
        Dense(classes, activation=last_activation(options), name="fc"),
    ]
    return network(name, input_shape, features, top, options)


def _stem(small: bool, use_bias: bool) -> list[Layer]:
    if small:
        return conv(64, 3, use_bias=use_bias, name="conv1")
    return [
        *conv(64, 7, strides=2, use_bias=use_bias, name="conv1"),
        MaxPooling2D(3, strides=2, padding=1),
    ]


def _plain_block(name: str, channels: int, filters: int, strides: int) -> list[Layer]:
    return [
        *conv(filters, 3, strides, name=f"{name}a"),
        *conv(filters, 3, name=f"{name}b"),
    ]


def _basic_block(name: str, channels: int, filters: int, strides: int) -> list[Layer]:
    body = [
        *conv(filters, 3, strides, name=f"{name}a"),
        *conv(filters, 3, activation=None, name=f"{name}b"),
    ]
    return [Residual(body, _projection(name, channels, filters, strides), name=name), ReLU()]


def _bottleneck(name: str, channels: int, filters: int, strides: int, version: str) -> list[Layer]:
    first, second = (1, strides) if version == "v1.5" else (strides, 1)
    bias = version == "keras"
    body = [
        *conv(filters, 1, first, use_bias=bias, name=f"{name}a"),
        *conv(filters, 3, second, use_bias=bias, name=f"{name}b"),
        *conv(4 * filters, 1, activation=None, use_bias=bias, name=f"{name}c"),
    ]
    shortcut = _projection(name, channels, 4 * filters, strides, bias)
    return [Residual(body, shortcut, name=name), ReLU()]


def _projection(
    name: str, channels: int, filters: int, strides: int, use_bias: bool = False
) -> list[Layer] | None:
    """Return the 1x1 convolution of a shortcut; None, the identity, where the shape stays."""
    if strides == 1 and channels == filters:
        return None
    return conv(filters, 1, strides, activation=None, use_bias=use_bias, name=f"{name}s")
