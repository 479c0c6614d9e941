"""Xception: depthwise separable convolutions with shortcuts."""

from __future__ import annotations

from functools import partial
from typing import Unpack

from fastcnn.applications.blocks import conv_bn, pooled_classifier
from fastcnn.applications.documented import documented
from fastcnn.applications.network import NetworkOptions, Shape, is_small, last_activation, network
from fastcnn.layers import BatchNormalization, Layer, MaxPooling2D, ReLU, Residual, SeparableConv2D
from fastcnn.models.sequential import Sequential

conv = partial(conv_bn, initializer="glorot_uniform")


@documented
def xception(
    input_shape: Shape = (299, 299, 3),
    classes: int = 1000,
    small_input: bool | None = None,
    **options: Unpack[NetworkOptions],
) -> Sequential:
    """Xception: 22,855,952 trained parameters, 22,910,480 in all.

    Args:
        small_input: Whether its first two convolutions keep the size, as suits images such as
            CIFAR's. None does for sides below 64 pixels.

    References:
        Chollet, 2017: Xception: Deep learning with depthwise separable convolutions, figure 5.
    """
    small = is_small("xception", small_input, input_shape)
    padding = "same" if small else "valid"
    features: list[Layer] = [
        *conv(32, 3, strides=1 if small else 2, padding=padding, name="conv1"),
        *conv(64, 3, padding=padding, name="conv2"),
        *_halving("block2", [128, 128], begins_with_relu=False),
        *_halving("block3", [256, 256]),
        *_halving("block4", [728, 728]),
        *(_middle(f"block{number}") for number in range(5, 13)),
        *_halving("block13", [728, 1024]),
        *_separable("block14_1", 1536),
        ReLU(),
        *_separable("block14_2", 2048),
        ReLU(),
    ]
    top = pooled_classifier(classes, last_activation(options))
    return network("xception", input_shape, features, top, options)


def _separable(name: str, filters: int) -> list[Layer]:
    convolution = SeparableConv2D(filters, 3, padding="same", use_bias=False, name=name)
    return [convolution, BatchNormalization()]


def _row(name: str, filters: list[int]) -> list[Layer]:
    """Return separable convolutions, each behind a ReLU."""
    layers: list[Layer] = []
    for number, count in enumerate(filters, 1):
        layers += [ReLU(), *_separable(f"{name}_{number}", count)]
    return layers


def _middle(name: str) -> Layer:
    return Residual(_row(name, [728, 728, 728]), name=name)


def _halving(name: str, filters: list[int], begins_with_relu: bool = True) -> list[Layer]:
    row = _row(name, filters)
    body = [*(row if begins_with_relu else row[1:]), MaxPooling2D(3, strides=2, padding="same")]
    shortcut = conv(filters[-1], 1, strides=2, activation=None, padding="same", name=f"{name}s")
    return [Residual(body, shortcut, name=name)]
