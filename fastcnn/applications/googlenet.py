"""GoogLeNet: inception modules of four branches side by side."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Unpack

from fastcnn.applications.blocks import conv_bn, pooled_classifier
from fastcnn.applications.documented import documented
from fastcnn.applications.network import NetworkOptions, Shape, is_small, last_activation, network
from fastcnn.layers import (
    AuxiliaryClassifier,
    AveragePooling2D,
    BatchNormalization,
    Concat,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Layer,
    LocalResponseNormalization,
    MaxPooling2D,
)
from fastcnn.models.sequential import Sequential
from fastcnn.utils import arguments

VERSIONS = ("paper", "torchvision")

Conv = Callable[..., list[Layer]]

# The filters of the 1x1; of the 3x3 and the 1x1 before it; of the 5x5 and the 1x1 before it; of the
# 1x1 behind the pooling.
MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


@documented
def googlenet(
    input_shape: Shape = (224, 224, 3),
    classes: int = 1000,
    version: str = "paper",
    auxiliary: bool = True,
    dropout: float = 0.4,
    small_input: bool | None = None,
    **options: Unpack[NetworkOptions],
) -> Sequential:
    """GoogLeNet with its three classifiers: 13,378,280 parameters, 6,998,552 without the side ones.

    Args:
        version: "paper" normalizes responses twice; "torchvision" has batch normalization behind
            each convolution and 3x3 in place of 5x5, which makes 13,004,888 trained parameters, and
            6,624,904 without the side classifiers.
        auxiliary: Whether two side classifiers train the middle, with 0.3 times their loss; they
            are part of the top, and are left out at inference.
        dropout: The fraction that is zeroed before the scores in training.
        small_input: Whether it begins as suits images such as CIFAR's: a 3x3 convolution in place
            of the 7x7 with stride 2, and no pooling before the modules. None does for sides below
            65 pixels.

    References:
        Szegedy et al., 2015: Going deeper with convolutions, table 1.
    """
    arguments.choice("googlenet", "version", version, VERSIONS)
    torchvision = version == "torchvision"
    module = partial(_module, _conv_bn if torchvision else _conv, 3 if torchvision else 5)
    wanted = arguments.flag("googlenet", "auxiliary", auxiliary)
    side = partial(_side, torchvision, classes, options)
    features = [
        *_stem(torchvision, is_small("googlenet", small_input, input_shape, least=65)),
        *(module("3a"), module("3b")),
        _halving(),
        *(module("4a"), *side("loss1")),
        *(module("4b"), module("4c"), module("4d"), *side("loss2")),
        module("4e"),
        _halving(2 if torchvision else 3),
        *(module("5a"), module("5b")),
    ]
    top = pooled_classifier(classes, last_activation(options), dropout, name="fc")
    return network("googlenet", input_shape, features, top, options, auxiliary=wanted)


def _stem(torchvision: bool, small: bool) -> list[Layer]:
    conv = _conv_bn if torchvision else _conv
    norm = [] if torchvision else [_response_norm]
    if small:
        first = [*conv(64, 3, name="conv1")]
    else:
        first = [*conv(64, 7, strides=2, name="conv1"), _halving()]
    second = [*conv(64, 1, name="conv2r"), *conv(192, 3, name="conv2")]
    return [
        *(*first, *(make() for make in norm)),
        *(*second, *(make() for make in norm)),
        *([] if small else [_halving()]),
    ]


def _side(torchvision: bool, classes: int, options: NetworkOptions, name: str) -> list[Layer]:
    """Return a classifier on the side, which the network's loss trains as well."""
    conv = _conv_bn if torchvision else _conv
    layers = [
        AveragePooling2D(5, strides=3, name=f"{name}_pool"),
        *conv(128, 1, name=f"{name}_conv"),
        Flatten(),
        Dense(1024, activation="relu", name=f"{name}_fc"),
        Dropout(0.7),
        Dense(classes, activation=last_activation(options), name=f"{name}_classifier"),
    ]
    return [AuxiliaryClassifier(layers, loss_weight=0.3, name=name)]


def _halving(size: int = 3) -> Layer:
    return MaxPooling2D(size, strides=2, ceil_mode=True)


def _module(conv: Conv, wide: int, name: str) -> Layer:
    """Return an inception module whose widest kernel is `wide`."""
    plain, before3, three, before5, five, pooled = MODULES[name]
    return Concat(
        conv(plain, 1, name=f"{name}_1x1"),
        [*conv(before3, 1, name=f"{name}_3x3r"), *conv(three, 3, name=f"{name}_3x3")],
        [*conv(before5, 1, name=f"{name}_5x5r"), *conv(five, wide, name=f"{name}_5x5")],
        [MaxPooling2D(3, strides=1, padding=1), *conv(pooled, 1, name=f"{name}_pool")],
        name=name,
    )


def _conv(filters: int, size: int, strides: int = 1, name: str | None = None) -> list[Layer]:
    padding = size // 2
    return [Conv2D(filters, size, strides, padding, activation="relu", name=name)]


_response_norm = partial(LocalResponseNormalization, size=5, alpha=1e-4, beta=0.75, k=1.0)
_conv_bn = partial(
    conv_bn,
    norm=partial(BatchNormalization, momentum=0.9, epsilon=1e-3),
    initializer="glorot_uniform",
)
