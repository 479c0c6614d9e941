"""LeNet-5, and the LeNet of Caffe's examples."""

from __future__ import annotations

from typing import Unpack

from fastcnn.applications.network import NetworkOptions, Shape, last_activation, network
from fastcnn.layers import Conv2D, Dense, Flatten, Layer, MaxPooling2D
from fastcnn.models.sequential import Sequential


def lenet5(
    input_shape: Shape = (28, 28, 1), classes: int = 10, **options: Unpack[NetworkOptions]
) -> Sequential:
    """LeNet-5 with ReLU and max pooling: 61,706 parameters.

    Args:
        input_shape: One image's, (height, width, channels).
        classes: The number of classes.
        **options: Of all networks: `weights`, `include_top`, `pooling`, `rescale`, `seed`, ...

    Returns:
        The network, not compiled.

    Raises:
        ValueError: Images of that shape are too small, or an argument is out of its range.
        TypeError: An option is unknown or an argument of a wrong type.

    References:
        LeCun et al., 1998: Gradient-based learning applied to document recognition.
    """
    features: list[Layer] = [
        Conv2D(6, 5, padding="same", activation="relu", name="C1"),
        MaxPooling2D(2, name="S2"),
        Conv2D(16, 5, activation="relu", name="C3"),
        MaxPooling2D(2, name="S4"),
    ]
    top: list[Layer] = [
        Flatten(),
        Dense(120, activation="relu", name="C5"),
        Dense(84, activation="relu", name="F6"),
        Dense(classes, activation=last_activation(options)),
    ]
    return network("lenet5", input_shape, features, top, options)


def caffe_lenet(
    input_shape: Shape = (28, 28, 1), classes: int = 10, **options: Unpack[NetworkOptions]
) -> Sequential:
    """The LeNet of Caffe's examples: linear convolutions, 431,080 parameters.

    Args:
        input_shape: One image's, (height, width, channels).
        classes: The number of classes.
        **options: Of all networks: `weights`, `include_top`, `pooling`, `rescale`, `seed`, ...

    Returns:
        The network, not compiled.

    Raises:
        ValueError: Images of that shape are too small, or an argument is out of its range.
        TypeError: An option is unknown or an argument of a wrong type.

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
