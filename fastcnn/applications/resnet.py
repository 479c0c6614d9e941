"""Residual networks for ImageNet, and the plain one that the paper compares them with."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Unpack

from fastcnn.applications.blocks import conv_bn, pooled_classifier
from fastcnn.applications.documented import documented
from fastcnn.applications.network import NetworkOptions, Shape, is_small, last_activation, network
from fastcnn.applications.variant import variant
from fastcnn.layers import BatchNormalization, Layer, MaxPooling2D, ReLU, Residual
from fastcnn.models.sequential import Sequential
from fastcnn.utils import arguments

VERSIONS = ("v1.5", "v1", "keras")
FILTERS = (64, 128, 256, 512)

Depths = tuple[int, int, int, int]
"""The number of blocks of each stage."""

Block = Callable[[str, int, int, int], list[Layer]]
"""Makes a block of its name, the channels before it, its filters and its strides."""

conv = partial(conv_bn, norm=partial(BatchNormalization, momentum=0.9, epsilon=1e-5))


@documented
def _shallow(
    net: str,
    design: tuple[Block, Depths],
    /,
    input_shape: Shape = (224, 224, 3),
    classes: int = 1000,
    small_input: bool | None = None,
    **options: Unpack[NetworkOptions],
) -> Sequential:
    """A network of blocks of two 3x3 convolutions.

    Args:
        small_input: Whether it begins as suits images such as CIFAR's: a 3x3 convolution in place
            of the 7x7 with stride 2, and no pooling. None does for sides below 64 pixels.

    References:
        He et al., 2016: Deep residual learning for image recognition, table 1.
    """
    block, depths = design
    features = [
        *_stem(is_small(net, small_input, input_shape), use_bias=False),
        *_stages(block, depths, expansion=1),
    ]
    return network(net, input_shape, features, _top(classes, options), options)


@documented
def _deep(
    net: str,
    depths: Depths,
    /,
    input_shape: Shape = (224, 224, 3),
    classes: int = 1000,
    version: str = "v1.5",
    small_input: bool | None = None,
    **options: Unpack[NetworkOptions],
) -> Sequential:
    """A network of bottlenecks: 3x3 convolutions between two of 1x1.

    Args:
        version: "v1.5", torchvision's, has a stage's stride in its first 3x3 convolution; "v1", the
            paper's, in the 1x1 before it; "keras" is v1 with biases in the convolutions, as
            `keras.applications` has it.
        small_input: Whether it begins as suits images such as CIFAR's: a 3x3 convolution in place
            of the 7x7 with stride 2, and no pooling. None does for sides below 64 pixels.

    References:
        He et al., 2016: Deep residual learning for image recognition, table 1.
    """
    arguments.choice(net, "version", version, VERSIONS)
    features = [
        *_stem(is_small(net, small_input, input_shape), use_bias=version == "keras"),
        *_stages(partial(_bottleneck, version=version), depths, expansion=4),
    ]
    return network(net, input_shape, features, _top(classes, options), options, version)


def _stages(block: Block, depths: Depths, expansion: int) -> list[Layer]:
    """Return stages of blocks, which have `expansion` times as many channels as filters."""
    layers: list[Layer] = []
    channels = 64
    for stage, (depth, filters) in enumerate(zip(depths, FILTERS, strict=True), 2):
        for number in range(1, depth + 1):
            strides = 2 if stage > 2 and number == 1 else 1
            layers += block(f"conv{stage}_{number}", channels, filters, strides)
            channels = expansion * filters
    return layers


def _top(classes: int, options: NetworkOptions) -> list[Layer]:
    return pooled_classifier(classes, last_activation(options), name="fc")


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
    return [Residual(body, shortcut, shortcut_first=bias, name=name), ReLU()]


def _projection(
    name: str, channels: int, filters: int, strides: int, use_bias: bool = False
) -> list[Layer] | None:
    """Return the 1x1 convolution of a shortcut; None, the identity, where the shape stays."""
    if strides == 1 and channels == filters:
        return None
    return conv(filters, 1, strides, activation=None, use_bias=use_bias, name=f"{name}s")


plain34 = variant(
    _shallow,
    "plain34",
    (_plain_block, (3, 4, 6, 3)),
    "Plain-34, ResNet-34 without shortcuts: 21,623,848 trained parameters, 21,639,080 in all.",
)
resnet18 = variant(
    _shallow,
    "resnet18",
    (_basic_block, (2, 2, 2, 2)),
    "ResNet-18: 11,689,512 trained parameters, 11,699,112 in all.",
)
resnet34 = variant(
    _shallow,
    "resnet34",
    (_basic_block, (3, 4, 6, 3)),
    "ResNet-34: 21,797,672 trained parameters, 21,814,696 in all.",
)
resnet50 = variant(
    _deep,
    "resnet50",
    (3, 4, 6, 3),
    "ResNet-50: 25,557,032 trained parameters, 25,610,152 in all.",
)
resnet101 = variant(
    _deep,
    "resnet101",
    (3, 4, 23, 3),
    "ResNet-101: 44,549,160 trained parameters, 44,654,504 in all.",
)
resnet152 = variant(
    _deep,
    "resnet152",
    (3, 8, 36, 3),
    "ResNet-152: 60,192,808 trained parameters, 60,344,232 in all.",
)
