"""Wide residual networks for images such as CIFAR's."""

from __future__ import annotations

from functools import partial
from typing import Unpack

from fastcnn.applications.blocks import pooled_classifier
from fastcnn.applications.documented import documented
from fastcnn.applications.network import NetworkOptions, Shape, last_activation, network
from fastcnn.layers import BatchNormalization, Conv2D, Dropout, Layer, ReLU, Residual
from fastcnn.models.sequential import Sequential

conv = partial(Conv2D, use_bias=False, kernel_initializer="he_normal")
batch_norm = partial(BatchNormalization, momentum=0.9, epsilon=1e-5)


@documented
def wide_resnet_16_4(
    input_shape: Shape = (32, 32, 3),
    classes: int = 10,
    dropout: float = 0.0,
    **options: Unpack[NetworkOptions],
) -> Sequential:
    """WideResNet-16-4, 16 layers, 4 times as wide: 2,748,890 trained parameters, 2,752,506 in all.

    Args:
        dropout: The fraction that is zeroed between the two convolutions of a block in training.

    References:
        Zagoruyko and Komodakis, 2016: Wide residual networks, table 1.
    """
    features: list[Layer] = [conv(16, 3, padding=1, name="conv1")]
    channels = 16
    for stage, filters in enumerate((64, 128, 256), 2):
        for number in (1, 2):
            strides = 2 if stage > 2 and number == 1 else 1
            features += _block(f"conv{stage}_{number}", channels, filters, strides, dropout)
            channels = filters
    features += [batch_norm(), ReLU()]
    top = pooled_classifier(classes, last_activation(options))
    return network("wide_resnet_16_4", input_shape, features, top, options)


def _block(name: str, channels: int, filters: int, strides: int, dropout: float) -> list[Layer]:
    """Return a block that is activated before its convolutions.

    Where its shape differs, what is activated goes through the shortcut, too.
    """
    activated: list[Layer] = [batch_norm(), ReLU()]
    body = [
        conv(filters, 3, strides=strides, padding=1, name=f"{name}a"),
        *(batch_norm(), ReLU(), Dropout(dropout)),
        conv(filters, 3, padding=1, name=f"{name}b"),
    ]
    if channels == filters:
        return [Residual([*activated, *body], name=name)]
    shortcut = [conv(filters, 1, strides=strides, name=f"{name}s")]
    return [*activated, Residual(body, shortcut, name=name)]
