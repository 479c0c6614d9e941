"""MobileNets: V1, depthwise separable convolutions in a row; V2, inverted residuals."""

from __future__ import annotations

from functools import partial
from typing import Unpack

from fastcnn.applications.blocks import conv_bn, depthwise_bn, inverted_residual, pooled_classifier
from fastcnn.applications.documented import documented
from fastcnn.applications.network import NetworkOptions, Shape, is_small, last_activation, network
from fastcnn.layers import BatchNormalization
from fastcnn.models.sequential import Sequential
from fastcnn.utils import arguments

# The filters of each separable convolution and its strides.
BLOCKS = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *(*5 * [(512, 1)], (1024, 2), (1024, 1)),
)

# Of V2: the expansion, the filters, the blocks of a stage and the strides of the first.
STAGES_V2 = (
    *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
    *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
)
VERSIONS = ("torchvision", "keras")
TORCHVISION_NORM = partial(BatchNormalization, momentum=0.9, epsilon=1e-5)
KERAS_NORM = partial(BatchNormalization, momentum=0.999, epsilon=1e-3)


@documented
def mobilenet(
    input_shape: Shape = (224, 224, 3),
    classes: int = 1000,
    alpha: float = 1.0,
    dropout: float = 1e-3,
    small_input: bool | None = None,
    **options: Unpack[NetworkOptions],
) -> Sequential:
    """MobileNet V1: 4,231,976 trained parameters, 4,253,864 in all.

    Args:
        alpha: What all numbers of filters are multiplied by, above 0; the paper has 0.25, 0.5 and
            0.75 besides 1.
        dropout: The fraction that is zeroed before the scores in training.
        small_input: Whether its first convolution keeps the size, as suits images such as CIFAR's.
            None does for sides below 64 pixels.

    References:
        Howard et al., 2017: MobileNets: Efficient convolutional neural networks for mobile vision
        applications, table 1.
    """
    arguments.number("mobilenet", "alpha", alpha, above=0)
    small = is_small("mobilenet", small_input, input_shape)
    conv = partial(conv_bn, activation="relu6", padding="same", initializer="glorot_uniform")
    features = conv(_scaled(32, alpha), 3, 1 if small else 2, name="conv1")
    for number, (filters, strides) in enumerate(BLOCKS, 1):
        # Before a stride of 2, Keras's network has zeros below and on the right alone.
        padding = "same" if strides == 1 else ((0, 1), (0, 1))
        features += depthwise_bn(3, strides, "relu6", padding, name=f"conv_dw_{number}")
        features += conv(_scaled(filters, alpha), 1, name=f"conv_pw_{number}")
    top = pooled_classifier(classes, last_activation(options), dropout)
    return network("mobilenet", input_shape, features, top, options)


@documented
def mobilenet_v2(
    input_shape: Shape = (224, 224, 3),
    classes: int = 1000,
    alpha: float = 1.0,
    version: str = "torchvision",
    dropout: float = 0.2,
    small_input: bool | None = None,
    **options: Unpack[NetworkOptions],
) -> Sequential:
    """MobileNet V2: 3,504,872 trained parameters, 3,538,984 in all.

    Args:
        alpha: What the numbers of filters are multiplied by, above 0; they stay multiples of 8.
        version: "torchvision" pads alike on all sides, "keras" by "same", and their batch
            normalizations have an epsilon of 1e-5 and 1e-3.
        dropout: The fraction that is zeroed before the scores in training.
        small_input: Whether its first convolution keeps the size, as suits images such as CIFAR's.
            None does for sides below 64 pixels.

    References:
        Sandler et al., 2018: MobileNetV2: Inverted residuals and linear bottlenecks, table 2.
    """
    arguments.choice("mobilenet_v2", "version", version, VERSIONS)
    arguments.number("mobilenet_v2", "alpha", alpha, above=0)
    small = is_small("mobilenet_v2", small_input, input_shape)
    padding = "same" if version == "keras" else None
    norm = KERAS_NORM if version == "keras" else TORCHVISION_NORM
    conv = partial(conv_bn, activation="relu6", norm=norm)
    channels = _multiple_of_8(32 * alpha)
    features = conv(channels, 3, 1 if small else 2, padding=padding, name="conv1")
    for stage, (expansion, width, repeats, first) in enumerate(STAGES_V2, 1):
        filters = _multiple_of_8(width * alpha)
        for number in range(1, repeats + 1):
            features += inverted_residual(
                *(channels, filters, expansion, 3, first if number == 1 else 1),
                *("relu6", padding, norm, f"block{stage}_{number}"),
            )
            channels = filters
    features += conv(_multiple_of_8(1280 * max(1.0, alpha)), 1, name="conv_last")
    top = pooled_classifier(classes, last_activation(options), dropout)
    return network("mobilenet_v2", input_shape, features, top, options, version)


def _scaled(filters: int, alpha: float) -> int:
    return max(1, int(filters * alpha))


def _multiple_of_8(filters: float) -> int:
    """Return the nearest multiple of 8 that is not more than a tenth below."""
    nearest = max(8, int(filters + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * filters else nearest + 8
