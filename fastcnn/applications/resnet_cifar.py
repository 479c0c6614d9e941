"""Residual networks for images such as CIFAR's."""

from __future__ import annotations

from typing import Unpack

from fastcnn.applications.blocks import conv_bn
from fastcnn.applications.network import NetworkOptions, Shape, choice, last_activation, network
from fastcnn.layers import (
    Dense,
    GlobalAveragePooling2D,
    IdentityShortcut,
    Layer,
    ReLU,
    Residual,
)
from fastcnn.models.sequential import Sequential

SHORTCUTS = ("A", "B")


def resnet20(
    input_shape: Shape = (32, 32, 3),
    classes: int = 10,
    shortcut: str = "B",
    **options: Unpack[NetworkOptions],
) -> Sequential:
    """ResNet-20 for CIFAR: 272,474 trained parameters, 274,042 in all.

    Args:
        input_shape: One image's, (height, width, channels).
        classes: The number of classes.
        shortcut: What leads around a block whose shape differs: "B", a 1x1 convolution, or "A", the
            identity with zeros for the new channels, as in the paper: 269,722 trained parameters.
        **options: Of all networks: `weights`, `include_top`, `pooling`, `rescale`, `seed`, ...

    Returns:
        The network, not compiled.

    Raises:
        ValueError: Images of that shape are too small, or an argument is out of its range.
        TypeError: An option is unknown or an argument of a wrong type.

    References:
        He et al., 2016: Deep residual learning for image recognition, section 4.2.
    """
    return _resnet("resnet20", 3, input_shape, classes, shortcut, options)


def resnet32(
    input_shape: Shape = (32, 32, 3),
    classes: int = 10,
    shortcut: str = "B",
    **options: Unpack[NetworkOptions],
) -> Sequential:
    """ResNet-32 for CIFAR: 466,906 trained parameters, 469,370 in all.

    Args:
        input_shape: One image's, (height, width, channels).
        classes: The number of classes.
        shortcut: What leads around a block whose shape differs: "B", a 1x1 convolution, or "A", the
            identity with zeros for the new channels, as in the paper: 464,154 trained parameters.
        **options: Of all networks: `weights`, `include_top`, `pooling`, `rescale`, `seed`, ...

    Returns:
        The network, not compiled.

    Raises:
        ValueError: Images of that shape are too small, or an argument is out of its range.
        TypeError: An option is unknown or an argument of a wrong type.

    References:
        He et al., 2016: Deep residual learning for image recognition, section 4.2.
    """
    return _resnet("resnet32", 5, input_shape, classes, shortcut, options)


def resnet44(
    input_shape: Shape = (32, 32, 3),
    classes: int = 10,
    shortcut: str = "B",
    **options: Unpack[NetworkOptions],
) -> Sequential:
    """ResNet-44 for CIFAR: 661,338 trained parameters, 664,698 in all.

    Args:
        input_shape: One image's, (height, width, channels).
        classes: The number of classes.
        shortcut: What leads around a block whose shape differs: "B", a 1x1 convolution, or "A", the
            identity with zeros for the new channels, as in the paper: 658,586 trained parameters.
        **options: Of all networks: `weights`, `include_top`, `pooling`, `rescale`, `seed`, ...

    Returns:
        The network, not compiled.

    Raises:
        ValueError: Images of that shape are too small, or an argument is out of its range.
        TypeError: An option is unknown or an argument of a wrong type.

    References:
        He et al., 2016: Deep residual learning for image recognition, section 4.2.
    """
    return _resnet("resnet44", 7, input_shape, classes, shortcut, options)


def resnet56(
    input_shape: Shape = (32, 32, 3),
    classes: int = 10,
    shortcut: str = "B",
    **options: Unpack[NetworkOptions],
) -> Sequential:
    """ResNet-56 for CIFAR: 855,770 trained parameters, 860,026 in all.

    Args:
        input_shape: One image's, (height, width, channels).
        classes: The number of classes.
        shortcut: What leads around a block whose shape differs: "B", a 1x1 convolution, or "A", the
            identity with zeros for the new channels, as in the paper: 853,018 trained parameters.
        **options: Of all networks: `weights`, `include_top`, `pooling`, `rescale`, `seed`, ...

    Returns:
        The network, not compiled.

    Raises:
        ValueError: Images of that shape are too small, or an argument is out of its range.
        TypeError: An option is unknown or an argument of a wrong type.

    References:
        He et al., 2016: Deep residual learning for image recognition, section 4.2.
    """
    return _resnet("resnet56", 9, input_shape, classes, shortcut, options)


def resnet110(
    input_shape: Shape = (32, 32, 3),
    classes: int = 10,
    shortcut: str = "B",
    **options: Unpack[NetworkOptions],
) -> Sequential:
    """ResNet-110 for CIFAR: 1,730,714 trained parameters, 1,739,002 in all.

    Args:
        input_shape: One image's, (height, width, channels).
        classes: The number of classes.
        shortcut: What leads around a block whose shape differs: "B", a 1x1 convolution, or "A", the
            identity with zeros for the new channels, as in the paper: 1,727,962 trained parameters.
        **options: Of all networks: `weights`, `include_top`, `pooling`, `rescale`, `seed`, ...

    Returns:
        The network, not compiled.

    Raises:
        ValueError: Images of that shape are too small, or an argument is out of its range.
        TypeError: An option is unknown or an argument of a wrong type.

    References:
        He et al., 2016: Deep residual learning for image recognition, section 4.2.
    """
    return _resnet("resnet110", 18, input_shape, classes, shortcut, options)


def _resnet(
    name: str,
    depth: int,
    input_shape: Shape,
    classes: int,
    shortcut: str,
    options: NetworkOptions,
) -> Sequential:
    """Return three stages of `depth` blocks."""
    choice(name, "shortcut", shortcut, SHORTCUTS)
    features = conv_bn(16, 3, name="conv1")
    channels = 16
    for stage, filters in enumerate((16, 32, 64), 2):
        for number in range(1, depth + 1):
            strides = 2 if stage > 2 and number == 1 else 1
            around = (
                None
                if channels == filters
                else _shortcut(shortcut, filters, f"conv{stage}_{number}s")
            )
            features += _block(f"conv{stage}_{number}", filters, strides, around)
            channels = filters
    top: list[Layer] = [
        GlobalAveragePooling2D(),
        Dense(classes, activation=last_activation(options), name="fc"),
    ]
    return network(name, input_shape, features, top, options)


def _block(name: str, filters: int, strides: int, shortcut: list[Layer] | None) -> list[Layer]:
    body = [
        *conv_bn(filters, 3, strides, name=f"{name}a"),
        *conv_bn(filters, 3, activation=None, name=f"{name}b"),
    ]
    return [Residual(body, shortcut, name=name), ReLU()]


def _shortcut(option: str, filters: int, name: str) -> list[Layer]:
    """Return what leads around the first block of a stage, which halves the size."""
    if option == "A":
        return [IdentityShortcut(filters, strides=2)]
    return conv_bn(filters, 1, 2, activation=None, name=name)
