"""Classifiers without convolutions: the perceptron, the linear classifier and the two-layer net."""

from __future__ import annotations

from typing import Unpack

from fastcnn.applications.documented import documented
from fastcnn.applications.network import NetworkOptions, Shape, last_activation, network
from fastcnn.layers import Dense, Flatten
from fastcnn.models.sequential import Sequential


@documented
def perceptron(
    input_shape: Shape = (28, 28, 1), classes: int = 10, **options: Unpack[NetworkOptions]
) -> Sequential:
    """The perceptron with one unit a class: 7,850 parameters.

    Its outputs are weighted sums of the pixels, of which the largest names the class; it has no
    activation unless `classifier_activation` names one. With `classes=1` it is Rosenblatt's, for
    two classes, to be trained with `BinaryCrossentropy(from_logits=True)` or a hinge loss.

    Args:
        input_shape: One image's, (height, width, channels), or (features,).
        classes: The number of units.
        **options: Of all networks: `weights`, `include_top`, `rescale`, `seed`, ...

    Raises:
        ValueError: An argument is out of its range.
        TypeError: An option is unknown or an argument of a wrong type.

    References:
        Rosenblatt, 1958: The perceptron: A probabilistic model for information storage and
        organization in the brain.
    """
    unit = Dense(classes, activation=options.get("classifier_activation"))
    return network("perceptron", input_shape, [Flatten()], [unit], options)


@documented
def linear_classifier(
    input_shape: Shape = (28, 28, 1), classes: int = 10, **options: Unpack[NetworkOptions]
) -> Sequential:
    """The linear classifier with softmax, multinomial logistic regression: 7,850 parameters.

    Args:
        input_shape: One image's, (height, width, channels), or (features,).
        **options: Of all networks: `weights`, `include_top`, `rescale`, `seed`, ...

    Raises:
        ValueError: An argument is out of its range.
        TypeError: An option is unknown or an argument of a wrong type.

    References:
        LeCun et al., 1998: Gradient-based learning applied to document recognition, section III-C.
    """
    top = [Dense(classes, activation=last_activation(options))]
    return network("linear_classifier", input_shape, [Flatten()], top, options)


@documented
def two_layer(
    input_shape: Shape = (28, 28, 1),
    classes: int = 10,
    hidden: int = 300,
    activation: str = "tanh",
    **options: Unpack[NetworkOptions],
) -> Sequential:
    """The net with one hidden layer, 28x28-300-10: 238,510 parameters.

    Args:
        input_shape: One image's, (height, width, channels), or (features,).
        hidden: The number of hidden units.
        activation: That of the hidden units.
        **options: Of all networks: `weights`, `include_top`, `rescale`, `seed`, ...

    Raises:
        ValueError: An argument is out of its range.
        TypeError: An option is unknown or an argument of a wrong type.

    References:
        Rumelhart, Hinton and Williams, 1986: Learning representations by back-propagating errors.
        LeCun et al., 1998: Gradient-based learning applied to document recognition, section III-C.
    """
    features = [Flatten(), Dense(hidden, activation=activation)]
    top = [Dense(classes, activation=last_activation(options))]
    return network("two_layer", input_shape, features, top, options)
