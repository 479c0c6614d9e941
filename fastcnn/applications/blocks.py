"""Rows of layers that several families are built from."""

from __future__ import annotations

from collections.abc import Callable

from fastcnn.layers import Activation, BatchNormalization, Conv2D, Layer, ReLU
from fastcnn.layers.window_arguments import PaddingLike, PairLike

Norm = Callable[[], Layer]


def activated(function: str | None) -> list[Layer]:
    """Return the layer of an activation; none for None."""
    if function is None:
        return []
    return [ReLU() if function == "relu" else Activation(function)]


def centred(size: PairLike) -> PaddingLike:
    """Return the padding that keeps an image's size for steps of 1 and an odd kernel."""
    return size // 2 if isinstance(size, int) else [taps // 2 for taps in size]


def conv_bn(
    filters: int,
    size: PairLike,
    strides: int = 1,
    activation: str | None = "relu",
    padding: PaddingLike | None = None,
    groups: int = 1,
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
        groups: As Conv2D's.
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
        groups=groups,
        use_bias=use_bias,
        kernel_initializer=initializer,
        name=name,
    )
    return [convolution, norm(), *activated(activation)]
