"""The small CIFAR-10 network of Keras's examples."""

from __future__ import annotations

from fastcnn.applications.named import Shape, named
from fastcnn.layers import Conv2D, Dense, Dropout, Flatten, Layer, MaxPooling2D
from fastcnn.models.sequential import Sequential


def cifar_small(
    input_shape: Shape = (32, 32, 3), classes: int = 10, rescale: bool = False, **options: object
) -> Sequential:
    """The small CIFAR-10 network of Keras's examples, with dropout: 1,250,858 parameters.

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
    """
    layers: list[Layer] = [
        Conv2D(32, 3, padding="same", activation="relu"),
        Conv2D(32, 3, activation="relu"),
        MaxPooling2D(2),
        Dropout(0.25),
        Conv2D(64, 3, padding="same", activation="relu"),
        Conv2D(64, 3, activation="relu"),
        MaxPooling2D(2),
        Dropout(0.25),
        Flatten(),
        Dense(512, activation="relu"),
        Dropout(0.5),
        Dense(classes, activation="softmax"),
    ]
    return named("cifar_small", layers, input_shape, rescale, options)
