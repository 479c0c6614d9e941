"""Inception V3: branches of small convolutions, 1x7 and 7x1 among them, side by side."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Unpack

from fastcnn.applications.blocks import conv_bn, pooled_classifier
from fastcnn.applications.documented import documented
from fastcnn.applications.network import NetworkOptions, Shape, is_small, last_activation, network
from fastcnn.layers import (
    AveragePooling2D,
    BatchNormalization,
    Concat,
    Layer,
    MaxPooling2D,
    ZeroPadding2D,
)
from fastcnn.models.sequential import Sequential
from fastcnn.utils import arguments

VERSIONS = ("keras", "torchvision")

Conv = Callable[..., list[Layer]]
Branch = list[Layer]


@documented
def inception_v3(
    input_shape: Shape = (299, 299, 3),
    classes: int = 1000,
    version: str = "keras",
    dropout: float = 0.0,
    small_input: bool | None = None,
    **options: Unpack[NetworkOptions],
) -> Sequential:
    """Inception V3: 23,817,352 trained parameters, 23,851,784 in all.

    Args:
        version: "keras" normalizes without gamma; "torchvision" has it, which makes 23,834,568
            trained parameters, and counts the padding in the averages of its pooling.
        dropout: The fraction that is zeroed before the scores in training; torchvision's is 0.5.
        small_input: Whether it begins as suits images such as CIFAR's: its convolutions keep the
            size, and a single pooling is before the modules, which see maps of 16x16, 7x7 and 3x3
            for 32x32 pixels; as many parameters. None does for sides below 75 pixels, which it
            cannot take otherwise.

    References:
        Szegedy et al., 2016: Rethinking the Inception architecture for computer vision, table 1.
    """
    arguments.choice("inception_v3", "version", version, VERSIONS)
    torchvision = version == "torchvision"
    batch_norm = partial(BatchNormalization, scale=torchvision, momentum=0.9)
    conv = partial(conv_bn, norm=batch_norm, initializer="glorot_uniform")
    features: list[Layer] = [
        *_stem(conv, is_small("inception_v3", small_input, input_shape, least=75)),
        *(_mixed_35x35(conv, pooled, torchvision) for pooled in (32, 64, 64)),
        _to_17x17(conv),
        *(_mixed_17x17(conv, inner, torchvision) for inner in (128, 160, 160, 192)),
        _to_8x8(conv),
        *(_mixed_8x8(conv, torchvision) for _ in range(2)),
    ]
    top = pooled_classifier(classes, last_activation(options), dropout)
    return network("inception_v3", input_shape, features, top, options, version)


def _stem(conv: Conv, small: bool) -> list[Layer]:
    if small:
        first, second = [*conv(32, 3), *conv(32, 3), *conv(64, 3)], [*conv(80, 1), *conv(192, 3)]
        return [*first, MaxPooling2D(3, strides=2, padding=1), *second]
    return [
        *conv(32, 3, strides=2, padding="valid"),
        *conv(32, 3, padding="valid"),
        *conv(64, 3),
        MaxPooling2D(3, strides=2),
        *conv(80, 1),
        *conv(192, 3, padding="valid"),
        MaxPooling2D(3, strides=2),
    ]


def _mixed_35x35(conv: Conv, pooled: int, pads: bool) -> Layer:
    return Concat(
        conv(64, 1),
        [*conv(48, 1), *conv(64, 5)],
        [*conv(64, 1), *conv(96, 3), *conv(96, 3)],
        [*_average(pads), *conv(pooled, 1)],
    )


def _to_17x17(conv: Conv) -> Layer:
    return Concat(
        conv(384, 3, strides=2, padding="valid"),
        [*conv(64, 1), *conv(96, 3), *conv(96, 3, strides=2, padding="valid")],
        [MaxPooling2D(3, strides=2)],
    )


def _mixed_17x17(conv: Conv, inner: int, pads: bool) -> Layer:
    return Concat(
        conv(192, 1),
        [*conv(inner, 1), *conv(inner, (1, 7)), *conv(192, (7, 1))],
        [
            *(*conv(inner, 1), *conv(inner, (7, 1)), *conv(inner, (1, 7))),
            *(*conv(inner, (7, 1)), *conv(192, (1, 7))),
        ],
        [*_average(pads), *conv(192, 1)],
    )


def _to_8x8(conv: Conv) -> Layer:
    return Concat(
        [*conv(192, 1), *conv(320, 3, strides=2, padding="valid")],
        [
            *(*conv(192, 1), *conv(192, (1, 7)), *conv(192, (7, 1))),
            *conv(192, 3, strides=2, padding="valid"),
        ],
        [MaxPooling2D(3, strides=2)],
    )


def _mixed_8x8(conv: Conv, pads: bool) -> Layer:
    return Concat(
        conv(320, 1),
        [*conv(384, 1), _split(conv)],
        [*conv(448, 1), *conv(384, 3), _split(conv)],
        [*_average(pads), *conv(192, 1)],
    )


def _split(conv: Conv) -> Layer:
    """Return a 1x3 and a 3x1 convolution side by side."""
    return Concat(conv(384, (1, 3)), conv(384, (3, 1)))


def _average(pads: bool) -> Branch:
    """Return pooling that keeps the size, with zeros around the image that count where it pads."""
    if pads:
        return [ZeroPadding2D(1), AveragePooling2D(3, strides=1)]
    return [AveragePooling2D(3, strides=1, padding="same")]
