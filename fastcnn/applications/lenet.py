"""LeNet-5, and the LeNet of Caffe's examples."""

from __future__ import annotations

from fastcnn.applications.named import Shape, named
from fastcnn.layers import Conv2D, Dense, Flatten, Layer, MaxPooling2D
from fastcnn.models.sequential import Sequential


def lenet5(
    input_shape: Shape = (28, 28, 1), classes: int = 10, rescale: bool = False, **options: object
) -> Sequential:
    """LeNet-5 (LeCun et al., 1998) with ReLU and max pooling: 61,706 parameters.

    Args:
        input_shape: One image's, (height, width, channels).
        classes: The number of outputs, probabilities of classes.
        rescale: Whether it begins with Rescaling(1 / 255), for uint8 images.
        **options: `Sequential`'s, such as `seed`, `device` and `precision`.

    Returns:
        The network, with its first weights, not compiled.

    Raises:
        ValueError: Images of that shape are too small for its windows, or an argument is out of its
            range.
        TypeError: An option is unknown or an argument of a wrong type.

    References:
        LeCun et al., 1998: Gradient-based learning applied to document recognition.
    """
    layers: list[Layer] = [
        Conv2D(6, 5, padding="same", activation="relu"),
        MaxPooling2D(2),
        Conv2D(16, 5, activation="relu"),
        MaxPooling2D(2),
        Flatten(),
        Dense(120, activation="relu"),
        Dense(84, activation="relu"),
        Dense(classes, activation="softmax"),
    ]
    return named("lenet5", layers, input_shape, rescale, options)


def caffe_lenet(
    input_shape: Shape = (28, 28, 1), classes: int = 10, rescale: bool = False, **options: object
) -> Sequential:
    """The LeNet of Caffe's examples: linear convolutions, 431,080 parameters.

    Args:
        input_shape: One image's, (height, width, channels).
        classes: The number of outputs, probabilities of classes.
        rescale: Whether it begins with Rescaling(1 / 255), for uint8 images.
        **options: `Sequential`'s, such as `seed`, `device` and `precision`.

    Returns:
        The network, with its first weights, not compiled.

    Raises:
        ValueError: Images of that shape are too small for its windows, or an argument is out of its
            range.
        TypeError: An option is unknown or an argument of a wrong type.

    References:
        Jia et al., 2014: Caffe: Convolutional architecture for fast feature embedding.
    """
    layers: list[Layer] = [
        Conv2D(20, 5),
        MaxPooling2D(2),
        Conv2D(50, 5),
        MaxPooling2D(2),
        Flatten(),
        Dense(500, activation="relu"),
        Dense(classes, activation="softmax"),
    ]
    return named("caffe_lenet", layers, input_shape, rescale, options)
