"""Residual networks for images such as CIFAR's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Unpack

from fastcnn.applications.blocks import conv_bn, pooled_classifier
from fastcnn.applications.documented import documented
from fastcnn.applications.network import NetworkOptions, Shape, last_activation, network
from fastcnn.applications.variant import variant
from fastcnn.layers import (
    BatchNormalization,
    IdentityShortcut,
    Layer,
    ReLU,
    Residual,
)
from fastcnn.models.sequential import Sequential
from fastcnn.utils import arguments

SHORTCUTS = ("A", "B")
VERSIONS = ("keras", "pytorch")
PYTORCH_NORM = partial(BatchNormalization, momentum=0.9, epsilon=1e-5)

Conv = Callable[..., list[Layer]]


@documented
def _resnet(
    net: str,
    depth: int,
    /,
    input_shape: Shape = (32, 32, 3),
    classes: int = 10,
    shortcut: str = "B",
    version: str = "keras",
    **options: Unpack[NetworkOptions],
) -> Sequential:
    """A network of three stages of `depth` blocks.

    Args:
        shortcut: What leads around a block whose shape differs: "B", a 1x1 convolution, the default
            as in the larger ResNets, and made of layers that Keras has too; or "A", the identity
            with zeros for the new channels, as in the paper for CIFAR: 2,752 trained parameters
            fewer, 2,944 in all. ResNet-20 then has 269,722 and 271,098.
        version: "keras" normalizes as Keras does by default, with an epsilon of 1e-3 and a momentum
            of 0.99, and has option A's zeros behind the channels; "pytorch" with 1e-5 and 0.9, and
            half of the zeros before them, as the weights of Idelbayev's "Proper ResNet
            implementation for CIFAR10 in PyTorch" take it.

    References:
        He et al., 2016: Deep residual learning for image recognition, section 4.2.
    """
    arguments.choice(net, "shortcut", shortcut, SHORTCUTS)
    arguments.choice(net, "version", version, VERSIONS)
    pytorch = version == "pytorch"
    conv = partial(conv_bn, norm=PYTORCH_NORM) if pytorch else conv_bn
    features = conv(16, 3, name="conv1")
    channels = 16
    for stage, filters in enumerate((16, 32, 64), 2):
        for number in range(1, depth + 1):
            strides = 2 if stage > 2 and number == 1 else 1
            around = None
            if channels != filters:
                before = (filters - channels) // 2 if pytorch else 0
                around = _shortcut(conv, shortcut, filters, before, f"conv{stage}_{number}s")
            features += _block(conv, f"conv{stage}_{number}", filters, strides, around)
            channels = filters
    top = pooled_classifier(classes, last_activation(options), name="fc")
    return network(net, input_shape, features, top, options)


def _block(
    conv: Conv, name: str, filters: int, strides: int, shortcut: list[Layer] | None
) -> list[Layer]:
    body = [
        *conv(filters, 3, strides, name=f"{name}a"),
        *conv(filters, 3, activation=None, name=f"{name}b"),
    ]
    return [Residual(body, shortcut, name=name), ReLU()]


def _shortcut(conv: Conv, option: str, filters: int, before: int, name: str) -> list[Layer]:
    """Return what leads around the first block of a stage, which halves the size; of option A's
    zeros, some stand before the channels.
    """
    if option == "A":
        return [IdentityShortcut(filters, strides=2, zeros_before=before)]
    return conv(filters, 1, 2, activation=None, name=name)


resnet20 = variant(
    _resnet, "resnet20", 3, "ResNet-20 for CIFAR: 272,474 trained parameters, 274,042 in all."
)
resnet32 = variant(
    _resnet, "resnet32", 5, "ResNet-32 for CIFAR: 466,906 trained parameters, 469,370 in all."
)
resnet44 = variant(
    _resnet, "resnet44", 7, "ResNet-44 for CIFAR: 661,338 trained parameters, 664,698 in all."
)
resnet56 = variant(
    _resnet, "resnet56", 9, "ResNet-56 for CIFAR: 855,770 trained parameters, 860,026 in all."
)
resnet110 = variant(
    _resnet,
    "resnet110",
    18,
    "ResNet-110 for CIFAR: 1,730,714 trained parameters, 1,739,002 in all.",
)
