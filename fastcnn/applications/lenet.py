"""LeNet-1, -4 and -5, and the LeNet of Caffe's examples."""

from __future__ import annotations

from typing import Unpack

from fastcnn.applications.documented import documented
from fastcnn.applications.network import NetworkOptions, Shape, last_activation, network
from fastcnn.layers import (
    AveragePooling2D,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    Layer,
    MaxPooling2D,
)
from fastcnn.models.sequential import Sequential
from fastcnn.utils import arguments

# Of each filter of the third layer, the maps that it sees: table 1 of both papers.
SEEN_IN_LENET1 = "0 01 01 1 01 01 2 23 23 3 23 23"
SEEN_IN_LENET5 = "012 123 234 345 450 501 0123 1234 2345 3450 4501 5012 0134 1245 0235 012345"


@documented
def lenet1(
    input_shape: Shape = (28, 28, 1), classes: int = 10, **options: Unpack[NetworkOptions]
) -> Sequential:
    """LeNet-1, whose third layer sees one or two maps of four: 2,578 parameters.

    References:
        LeCun et al., 1990: Handwritten digit recognition with a back-propagation network, table 1.
    """
    features: list[Layer] = [
        Conv2D(4, 5, activation="tanh", name="H1"),
        *_subsampling("H2"),
        Conv2D(12, 5, activation="tanh", connections=_table(4, SEEN_IN_LENET1), name="H3"),
        *_subsampling("H4"),
    ]
    top: list[Layer] = [Flatten(), Dense(classes, activation=last_activation(options))]
    return network("lenet1", input_shape, features, top, options)


@documented
def lenet4(
    input_shape: Shape = (28, 28, 1), classes: int = 10, **options: Unpack[NetworkOptions]
) -> Sequential:
    """LeNet-4, with two subsamplings of each first map and a hidden layer: 52,698 parameters.

    It follows the description in words. The paper's 17,000 parameters are fewer than the hidden
    layer's 48,120: which connections it leaves out there, and in its third layer, it does not say.

    References:
        LeCun et al., 1995: Comparison of learning algorithms for handwritten digit recognition.
    """
    features: list[Layer] = [
        Conv2D(4, 5, padding="same", activation="tanh", name="C1"),
        *_subsampling("S2", copies=2),
        Conv2D(16, 5, activation="tanh", name="C3"),
        *_subsampling("S4"),
    ]
    top: list[Layer] = [
        Flatten(),
        Dense(120, activation="tanh", name="F5"),
        Dense(classes, activation=last_activation(options)),
    ]
    return network("lenet4", input_shape, features, top, options)


@documented
def lenet5(
    input_shape: Shape = (28, 28, 1),
    classes: int = 10,
    subsampling: str = "max",
    **options: Unpack[NetworkOptions],
) -> Sequential:
    """LeNet-5 with ReLU and max pooling: 61,706 parameters.

    Args:
        subsampling: "max" for max pooling, with ReLU and all connections; "average" for the paper's
            averages with a trained coefficient and bias, its table of connections, and tanh: its
            60,000 parameters and 850 of a softmax layer in place of its fixed outputs.

    References:
        LeCun et al., 1998: Gradient-based learning applied to document recognition.
    """
    arguments.choice("lenet5", "subsampling", subsampling, ("max", "average"))
    if subsampling == "max":
        squash = "relu"
        features: list[Layer] = [
            Conv2D(6, 5, padding="same", activation="relu", name="C1"),
            MaxPooling2D(2, name="S2"),
            Conv2D(16, 5, activation="relu", name="C3"),
            MaxPooling2D(2, name="S4"),
        ]
    else:
        squash = "tanh"
        features = [
            Conv2D(6, 5, padding="same", activation="tanh", name="C1"),
            *_subsampling("S2"),
            Conv2D(16, 5, activation="tanh", connections=_table(6, SEEN_IN_LENET5), name="C3"),
            *_subsampling("S4"),
        ]
    top: list[Layer] = [
        Flatten(),
        Dense(120, activation=squash, name="C5"),
        Dense(84, activation=squash, name="F6"),
        Dense(classes, activation=last_activation(options)),
    ]
    return network("lenet5", input_shape, features, top, options)


@documented
def caffe_lenet(
    input_shape: Shape = (28, 28, 1), classes: int = 10, **options: Unpack[NetworkOptions]
) -> Sequential:
    """The LeNet of Caffe's examples: linear convolutions, 431,080 parameters.

    References:
        Jia et al., 2014: Caffe: Convolutional architecture for fast feature embedding.
    """
    features: list[Layer] = [
        Conv2D(20, 5, name="conv1"),
        MaxPooling2D(2, name="pool1"),
        Conv2D(50, 5, name="conv2"),
        MaxPooling2D(2, name="pool2"),
    ]
    top: list[Layer] = [
        Flatten(),
        Dense(500, activation="relu", name="ip1"),
        Dense(classes, activation=last_activation(options), name="ip2"),
    ]
    return network("caffe_lenet", input_shape, features, top, options)


def _subsampling(name: str, copies: int = 1) -> list[Layer]:
    """Return means of 2x2 pixels, which a map's trained coefficient and bias lead to tanh.

    With `copies` as many maps come of each.
    """
    scale = DepthwiseConv2D(
        1,
        depth_multiplier=copies,
        activation="tanh",
        depthwise_initializer="ones" if copies == 1 else "glorot_uniform",
        name=name,
    )
    return [AveragePooling2D(2), scale]


def _table(maps: int, seen: str) -> list[list[int]]:
    """Return the connections of filters, each given by the digits of the maps that it sees."""
    return [[int(str(number) in of_filter) for of_filter in seen.split()] for number in range(maps)]
