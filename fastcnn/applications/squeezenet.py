"""SqueezeNets: fire modules, which squeeze the channels before they widen them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Unpack

from fastcnn.applications.blocks import map_classifier
from fastcnn.applications.documented import documented
from fastcnn.applications.network import NetworkOptions, Shape, is_small, last_activation, network
from fastcnn.applications.variant import variant
from fastcnn.layers import Concat, Conv2D, Dropout, Layer, MaxPooling2D
from fastcnn.models.sequential import Sequential

conv = partial(Conv2D, activation="relu", kernel_initializer="he_uniform")
halving = partial(MaxPooling2D, 3, strides=2, ceil_mode=True)


@documented
def _squeezenet(
    net: str,
    features: Callable[[bool], list[Layer]],
    /,
    input_shape: Shape = (224, 224, 3),
    classes: int = 1000,
    dropout: float = 0.5,
    small_input: bool | None = None,
    **options: Unpack[NetworkOptions],
) -> Sequential:
    """A network of fire modules.

    Args:
        dropout: The fraction that is zeroed before the scores in training.
        small_input: Whether its first convolution is one of 3x3 that keeps the size, as suits
            images such as CIFAR's. None does for sides below 64 pixels.

    References:
        Iandola et al., 2016: SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and
        <0.5MB model size, table 1; 1.1 is described with the authors' published models.
    """
    scores = map_classifier(classes, last_activation(options), "conv10")
    top = [Dropout(dropout), *scores]
    small = is_small(net, small_input, input_shape)
    return network(net, input_shape, features(small), top, options)


def _features_1_0(small: bool) -> list[Layer]:
    return [
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


def _features_1_1(small: bool) -> list[Layer]:
    return [
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


def _fire(name: str, squeezed: int, filters: int) -> list[Layer]:
    """Return a squeeze to few channels and what expands them, half by 1x1 and half by 3x3."""
    expand = Concat(
        [conv(filters, 1, name=f"{name}_expand1x1")],
        [conv(filters, 3, padding=1, name=f"{name}_expand3x3")],
        name=name,
    )
    return [conv(squeezed, 1, name=f"{name}_squeeze1x1"), expand]


squeezenet1_0 = variant(
    _squeezenet, "squeezenet1_0", _features_1_0, "SqueezeNet 1.0: 1,248,424 parameters."
)
squeezenet1_1 = variant(
    _squeezenet,
    "squeezenet1_1",
    _features_1_1,
    "SqueezeNet 1.1, which needs 2.4 times less work than 1.0: 1,235,496 parameters.",
)
