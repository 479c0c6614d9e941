"""SqueezeNets: fire modules, which squeeze the channels before they widen them."""

from __future__ import annotations

from functools import partial
from typing import Unpack

from fastcnn.applications.network import (
    NetworkOptions,
    Shape,
    is_small,
    last_activation,
    network,
)
from fastcnn.layers import (
    Activation,
    Concat,
    Conv2D,
    Dropout,
    GlobalAveragePooling2D,
    Layer,
    MaxPooling2D,
)
from fastcnn.models.sequential import Sequential

conv = partial(Conv2D, activation="relu", kernel_initializer="he_uniform")
halving = partial(MaxPooling2D, 3, strides=2, ceil_mode=True)


def squeezenet1_0(
    input_shape: Shape = (224, 224, 3),
    classes: int = 1000,
    dropout: float = 0.5,
    small_input: bool | None = None,
    **options: Unpack[NetworkOptions],
) -> Sequential:
    """SqueezeNet 1.0: 1,248,424 parameters.

    Args:
        input_shape: One image's, (height, width, channels).
        classes: The number of classes.
        dropout: The fraction that is zeroed before the scores in training.
        small_input: Whether it begins as suits images such as CIFAR's: a 3x3 convolution in place
            of the 7x7 with stride 2. None does for sides below 64 pixels.
        **options: Of all networks: `weights`, `include_top`, `pooling`, `rescale`, `seed`, ...

    Returns:
        The network, not compiled.

    Raises:
        ValueError: Images of that shape are too small, or an argument is out of its range.
        TypeError: An option is unknown or an argument of a wrong type.

    References:
        Iandola et al., 2016: SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and
        <0.5MB model size, table 1.
    """
    small = is_small("squeezenet1_0", small_input, input_shape)
    features: list[Layer] = [
        conv(96, 3, padding=1, name="conv1") if small else conv(96, 7, strides=2, name="conv1"),
        halving(),
        *_fire("fire2", 16, 64),
        *_fire("fire3", 16, 64),
        *_fire("fire4", 32, 128),
        halving(),
        *_fire("fire5", 32, 128),
        *_fire("fire6", 48, 192),
        *_fire("fire7", 48, 192),
        *_fire("fire8", 64, 256),
        halving(),
        *_fire("fire9", 64, 256),
    ]
    return network("squeezenet1_0", input_shape, features, _top(classes, dropout, options), options)


def squeezenet1_1(
    input_shape: Shape = (224, 224, 3),
    classes: int = 1000,
    dropout: float = 0.5,
    small_input: bool | None = None,
    **options: Unpack[NetworkOptions],
) -> Sequential:
    """SqueezeNet 1.1, which needs 2.4 times less work than 1.0: 1,235,496 parameters.

    Args:
        input_shape: One image's, (height, width, channels).
        classes: The number of classes.
        dropout: The fraction that is zeroed before the scores in training.
        small_input: Whether it begins as suits images such as CIFAR's: the first convolution keeps
            the size. None does for sides below 64 pixels.
        **options: Of all networks: `weights`, `include_top`, `pooling`, `rescale`, `seed`, ...

    Returns:
        The network, not compiled.

    Raises:
        ValueError: Images of that shape are too small, or an argument is out of its range.
        TypeError: An option is unknown or an argument of a wrong type.

    References:
        Iandola et al., 2016: SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and
        <0.5MB model size; 1.1 is described with the authors' published models.
    """
    small = is_small("squeezenet1_1", small_input, input_shape)
    features: list[Layer] = [
        conv(64, 3, padding=1, name="conv1") if small else conv(64, 3, strides=2, name="conv1"),
        halving(),
        *_fire("fire2", 16, 64),
        *_fire("fire3", 16, 64),
        halving(),
        *_fire("fire4", 32, 128),
        *_fire("fire5", 32, 128),
        halving(),
        *_fire("fire6", 48, 192),
        *_fire("fire7", 48, 192),
        *_fire("fire8", 64, 256),
        *_fire("fire9", 64, 256),
    ]
    return network("squeezenet1_1", input_shape, features, _top(classes, dropout, options), options)


def _fire(name: str, squeezed: int, filters: int) -> list[Layer]:
    """Return a squeeze to few channels and what expands them, half by 1x1 and half by 3x3."""
    expand = Concat(
        [conv(filters, 1, name=f"{name}_expand1x1")],
        [conv(filters, 3, padding=1, name=f"{name}_expand3x3")],
        name=name,
    )
    return [conv(squeezed, 1, name=f"{name}_squeeze1x1"), expand]


def _top(classes: int, dropout: float, options: NetworkOptions) -> list[Layer]:
    return [
        Dropout(dropout),
        conv(classes, 1, name="conv10"),
        GlobalAveragePooling2D(),
        Activation(last_activation(options) or "linear"),
    ]
