"""VGG networks."""

from __future__ import annotations

from fastcnn.applications.named import Shape, named
from fastcnn.layers import Conv2D, Dense, Flatten, Layer, MaxPooling2D
from fastcnn.models.sequential import Sequential


def vgg16(
    input_shape: Shape = (224, 224, 3),
    classes: int = 1000,
    rescale: bool = False,
    **options: object,
) -> Sequential:
    """VGG-16: 138,357,544 parameters.

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
        Simonyan and Zisserman, 2014: Very deep convolutional networks for large-scale image
        recognition.
    """
    layers: list[Layer] = []
    for convolutions, filters in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
        layers += [
            Conv2D(filters, 3, padding="same", activation="relu") for _ in range(convolutions)
        ]
        layers.append(MaxPooling2D(2))
    layers += [
        Flatten(),
        Dense(4096, activation="relu"),
        Dense(4096, activation="relu"),
        Dense(classes, activation="softmax"),
    ]
    return named("vgg16", layers, input_shape, rescale, options)
