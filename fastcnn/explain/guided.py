"""Guided backpropagation and deconvnet: gradients with ReLU's rule exchanged."""

from __future__ import annotations

from fastcnn.explain import inputs
from fastcnn.explain.attribution import Attribution, gradients
from fastcnn.explain.inputs import Classes
from fastcnn.graph.program import DECONVNET, GUIDED
from fastcnn.graph.relu_rules import is_rectified
from fastcnn.models.sequential import Sequential


def guided_backprop(model: Sequential, x: object, target: Classes = None) -> Attribution:
    """Return the gradient of a class's score that passes ReLU only where it is above 0, too.

    Args:
        model: A model with one score a class, and with ReLU.
        x: Images, an array or a Dataset.
        target: The class, or one an image; None for what the model predicts.

    Returns:
        A result whose `array` has a number for each of the images' numbers.

    Raises:
        ValueError: The images do not fit, there is no such class, the model has no ReLU, or a
            layer passes no such gradient.

    Shape:
        x [n, H, W, C] -> array float32 [n, H, W, C].

    References:
        Springenberg et al., 2015: Striving for simplicity.
    """
    return _exchanged(model, x, target, GUIDED, "guided_backprop", "Guided backpropagation")


def deconvnet(model: Sequential, x: object, target: Classes = None) -> Attribution:
    """Return what Zeiler's deconvnet makes of a class's score: the way back, with the switches of
    max pooling, on which ReLU acts on the signal itself.

    Args:
        model: A model with one score a class, and with ReLU.
        x: Images, an array or a Dataset.
        target: The class, or one an image; None for what the model predicts.

    Returns:
        A result whose `array` has a number for each of the images' numbers.

    Raises:
        ValueError: The images do not fit, there is no such class, the model has no ReLU, or a
            layer passes no such gradient.

    Shape:
        x [n, H, W, C] -> array float32 [n, H, W, C].

    References:
        Zeiler and Fergus, 2014: Visualizing and understanding convolutional networks.
    """
    return _exchanged(model, x, target, DECONVNET, "deconvnet", "Deconvnet")


def check_rectified(model: Sequential, method: str) -> None:
    """Refuse a model on which ReLU's rule has no effect.

    Args:
        model: The model.
        method: Who asks.

    Raises:
        ValueError: It has no ReLU.
    """
    if not any(is_rectified(op) for op in model.program().ops):
        raise ValueError(
            f"{method}: expected a network with ReLU, whose backward rule is exchanged. Received "
            "one without: take saliency."
        )


def _exchanged(
    model: Sequential, x: object, target: Classes, rule: str, method: str, title: str
) -> Attribution:
    model, images = inputs.pictures(model, x, method)
    check_rectified(model, method)
    labels = inputs.classes(model, images, target, method)
    relevance = model.input_gradient(images, labels, relu=rule)
    return Attribution(relevance, images, inputs.names(model, labels), title, gradients)
