"""EfficientNets: inverted residuals with gates, whose depth, width and size grow together."""

from __future__ import annotations

from functools import partial
from typing import Unpack

from fastcnn.applications.blocks import conv_bn, inverted_residual, pooled_classifier
from fastcnn.applications.documented import documented
from fastcnn.applications.network import NetworkOptions, Shape, is_small, last_activation, network
from fastcnn.layers import BatchNormalization, Layer, SqueezeExcite, StochasticDepth
from fastcnn.models.sequential import Sequential
from fastcnn.utils import arguments

# The expansion, the filters, the kernel, the blocks of a stage and the strides of the first.
STAGES = (
    *((1, 16, 3, 1, 1), (6, 24, 3, 2, 2), (6, 40, 5, 2, 2), (6, 80, 3, 3, 2)),
    *((6, 112, 5, 3, 1), (6, 192, 5, 4, 2), (6, 320, 3, 1, 1)),
)
BLOCKS = sum(repeats for *_, repeats, _ in STAGES)
DEEPEST = 0.2
"""The fraction of images whose last block is left out in training; before it, it grows evenly."""

VERSIONS = ("torchvision", "keras")


@documented
def efficientnet_b0(
    input_shape: Shape = (224, 224, 3),
    classes: int = 1000,
    version: str = "torchvision",
    dropout: float = 0.2,
    small_input: bool | None = None,
    **options: Unpack[NetworkOptions],
) -> Sequential:
    """EfficientNet-B0: 5,288,548 trained parameters, 5,330,564 in all.

    Args:
        version: "torchvision" pads alike on all sides, "keras" by "same", and their batch
            normalizations have an epsilon of 1e-5 and 1e-3.
        dropout: The fraction that is zeroed before the scores in training.
        small_input: Whether its first convolution keeps the size, as suits images such as CIFAR's.
            None does for sides below 64 pixels.

    References:
        Tan and Le, 2019: EfficientNet: Rethinking model scaling for convolutional neural networks,
        table 1.
    """
    arguments.choice("efficientnet_b0", "version", version, VERSIONS)
    small = is_small("efficientnet_b0", small_input, input_shape)
    features = _features(version, small, "swish", gated=True)
    top = pooled_classifier(classes, last_activation(options), dropout)
    return network("efficientnet_b0", input_shape, features, top, options, version)


@documented
def efficientnet_lite0(
    input_shape: Shape = (224, 224, 3),
    classes: int = 1000,
    version: str = "keras",
    dropout: float = 0.2,
    small_input: bool | None = None,
    **options: Unpack[NetworkOptions],
) -> Sequential:
    """EfficientNet-Lite0, without gates: 4,652,008 trained parameters, 4,694,024 in all.

    Args:
        version: "keras" pads by "same", as the authors do, "torchvision" alike on all sides, and
            their batch normalizations have an epsilon of 1e-3 and 1e-5.
        dropout: The fraction that is zeroed before the scores in training.
        small_input: Whether its first convolution keeps the size, as suits images such as CIFAR's.
            None does for sides below 64 pixels.

    References:
        Tan and Le, 2019: EfficientNet: Rethinking model scaling for convolutional neural networks.
        Liu, 2020: Higher accuracy on vision models with EfficientNet-Lite.
    """
    arguments.choice("efficientnet_lite0", "version", version, VERSIONS)
    small = is_small("efficientnet_lite0", small_input, input_shape)
    features = _features(version, small, "relu6", gated=False)
    top = pooled_classifier(classes, last_activation(options), dropout)
    return network("efficientnet_lite0", input_shape, features, top, options, version)


def _features(version: str, small: bool, activation: str, gated: bool) -> list[Layer]:
    keras = version == "keras"
    padding = "same" if keras else None
    norm = partial(BatchNormalization, momentum=0.99, epsilon=1e-3 if keras else 1e-5)
    conv = partial(conv_bn, activation=activation, norm=norm)
    features = conv(32, 3, 1 if small else 2, padding=padding, name="conv1")
    channels, before = 32, 0
    for stage, (expansion, filters, size, repeats, first) in enumerate(STAGES, 1):
        for number in range(1, repeats + 1):
            units = max(1, channels // 4)
            features += inverted_residual(
                *(channels, filters, expansion, size, first if number == 1 else 1),
                *(activation, padding, norm, f"block{stage}_{number}"),
                gate=[SqueezeExcite(activation=activation, units=units)] if gated else [],
                end=[StochasticDepth(DEEPEST * before / BLOCKS)],
            )
            channels, before = filters, before + 1
    return [*features, *conv(1280, 1, name="conv_last")]
