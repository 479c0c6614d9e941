"""Rows of layers that several families are built from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from fastcnn.initializers import Constant
from fastcnn.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Layer,
    LocalResponseNormalization,
    ReLU,
    Residual,
)
from fastcnn.layers.window_arguments import PaddingLike, PairLike

Norm = Callable[[], Layer]

hidden_dense = partial(Dense, activation="relu", kernel_initializer="he_normal")

# Krizhevsky's, whose alpha of 1e-4 is not divided by the window's 5 channels.
response_norm = partial(LocalResponseNormalization, size=5, alpha=5e-4, beta=0.75, k=2.0)


def activated(function: str | None) -> list[Layer]:
    """Return the layer of an activation; none for None."""
    if function is None:
        return []
    return [ReLU() if function == "relu" else Activation(function)]


def centred(size: PairLike) -> PaddingLike:
    """Return the padding that keeps an image's size for steps of 1 and an odd kernel."""
    return size // 2 if isinstance(size, int) else [taps // 2 for taps in size]


def dense_classifier(
    hidden: int, dropout: float, classes: int, activation: str | None
) -> list[Layer]:
    """Return AlexNet's three dense layers, fc6 to fc8, with dropout behind the first two.

    Args:
        hidden: Units of each of the first two.
        dropout: The fraction of their outputs that is zeroed in training.
        classes: Units of the last.
        activation: Of the last: a name, or None for none.
    """
    return [
        Flatten(),
        hidden_dense(hidden, name="fc6"),
        Dropout(dropout),
        hidden_dense(hidden, name="fc7"),
        Dropout(dropout),
        Dense(classes, activation=activation, name="fc8"),
    ]


def pooled_classifier(
    classes: int, activation: str | None, dropout: float | None = None, name: str | None = None
) -> list[Layer]:
    """Return the means of whole maps and the dense layer that tells classes apart by them.

    Args:
        classes: Its units.
        activation: Its activation: a name, or None for none.
        dropout: The fraction of the means that is zeroed in training; None for no such layer.
        name: Of the dense layer; None makes one.
    """
    return [
        GlobalAveragePooling2D(),
        *([] if dropout is None else [Dropout(dropout)]),
        Dense(classes, activation=activation, name=name),
    ]


def conv_bn(
    filters: int,
    size: PairLike,
    strides: int = 1,
    activation: str | None = "relu",
    padding: PaddingLike | None = None,
    use_bias: bool = False,
    norm: Norm = BatchNormalization,
    initializer: str = "he_normal",
    name: str | None = None,
) -> list[Layer]:
    """Return a convolution, its batch normalization and the activation.

    Args:
        filters: As Conv2D's.
        size: The kernel's.
        strides: As Conv2D's.
        activation: A name, or None for none.
        padding: As Conv2D's; None centres the kernel.
        use_bias: Whether the convolution has a bias, too.
        norm: What makes the normalization.
        initializer: Of the kernel.
        name: Of the convolution; None makes one.
    """
    convolution = Conv2D(
        filters,
        size,
        strides=strides,
        padding=centred(size) if padding is None else padding,
        use_bias=use_bias,
        kernel_initializer=initializer,
        name=name,
    )
    return [convolution, norm(), *activated(activation)]


def depthwise_bn(
    size: int,
    strides: int = 1,
    activation: str | None = "relu",
    padding: PaddingLike | None = None,
    norm: Norm = BatchNormalization,
    name: str | None = None,
) -> list[Layer]:
    """Return a depthwise convolution, its batch normalization and the activation.

    Args:
        size: The kernel's.
        strides: As DepthwiseConv2D's.
        activation: A name, or None for none.
        padding: As DepthwiseConv2D's; None centres the kernel.
        norm: What makes the normalization.
        name: Of the convolution; None makes one.
    """
    convolution = DepthwiseConv2D(
        size,
        strides=strides,
        padding=centred(size) if padding is None else padding,
        use_bias=False,
        name=name,
    )
    return [convolution, norm(), *activated(activation)]


def inverted_residual(
    channels: int,
    filters: int,
    expansion: int,
    size: int,
    strides: int,
    activation: str,
    padding: PaddingLike | None,
    norm: Norm,
    name: str,
    gate: Sequence[Layer] = (),
    end: Sequence[Layer] = (),
) -> list[Layer]:
    """Return MobileNetV2's block: wide in the middle, narrow and linear at its ends.

    Args:
        channels: Those of its input.
        filters: Those of its output.
        expansion: How many times as many channels the middle has.
        size: The depthwise kernel's.
        strides: Those of the depthwise convolution.
        activation: That of the middle.
        padding: That of the depthwise convolution; None centres the kernel.
        norm: What makes the normalizations.
        name: The block's.
        gate: Layers behind the depthwise convolution.
        end: Layers before the sum, where there is one.
    """
    wide = conv_bn(expansion * channels, 1, 1, activation, norm=norm, name=f"{name}_expand")
    body = [
        *(wide if expansion > 1 else []),
        *depthwise_bn(size, strides, activation, padding, norm, name=f"{name}_depthwise"),
        *gate,
        *conv_bn(filters, 1, activation=None, norm=norm, name=f"{name}_project"),
    ]
    if strides > 1 or channels != filters:
        return body
    return [Residual([*body, *end], name=name)]


def map_classifier(classes: int, activation: str | None, name: str) -> list[Layer]:
    """Return a map for each class, its ReLU, and what tells classes apart by the maps' means.

    The bias begins at 1. From 0, maps close before the network has learnt anything: one that is
    open claims too much of every image and is pushed down, one that is closed has no gradient, and
    when all are closed the loss stays at the logarithm of `classes`.

    Args:
        classes: The number of maps.
        activation: Behind their means: a name, or None for none.
        name: Of the convolution that makes them.
    """
    maps = Conv2D(classes, 1, activation="relu", bias_initializer=Constant(1.0), name=name)
    return [maps, GlobalAveragePooling2D(), Activation(activation or "linear")]
