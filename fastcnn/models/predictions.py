"""What a model says of images, in the words of its classes."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcnn.layers import Rescaling
from fastcnn.models.probabilities import class_probabilities
from fastcnn.training.loss_checks import PROBABILITIES, ending
from fastcnn.training.model_settings import ModelSettings
from fastcnn.utils import arguments

Kind: TypeAlias = Literal["classes", "labels", "values"]
"""One class of several, any number of labels, or numbers that are no probabilities."""


class Prediction(NamedTuple):
    """A class that an image may show.

    Args:
        label: Its number, from 0.
        name: Its name, the number where it has none.
        probability: From 0 to 1.
    """

    label: int
    name: str
    probability: float


def output_kind(model: ModelSettings) -> Kind:
    """Return what a model's outputs are, by its loss and by the activation that it ends in.

    Args:
        model: The model. Outputs of one that has neither loss nor activation are scores of
            classes.

    Returns:
        "classes" where they share a probability of 1, or a single one is the second class's;
        "labels" where each answers a question of its own; "values" where they are a regression's,
        or maps.
    """
    if len(model.output_shape) != 1:
        return "values"
    if isinstance(model.layers[-1], Rescaling):
        return "values"  # scores need no units
    outputs, loss, end = model.output_shape[0], model.loss, ending(model.layers)
    if loss is None:
        return "labels" if outputs > 1 and end in PROBABILITIES and end != "softmax" else "classes"
    if loss.yes_no:
        return "labels" if outputs > 1 else "classes"
    named = model.class_names is not None and len(model.class_names) == max(2, outputs)
    return "classes" if loss.has_classes or end == "softmax" or named else "values"


def names_of(model: ModelSettings) -> list[str]:
    """Return the names of a model's classes by label, their numbers where it has no fitting names.

    Args:
        model: A model that tells classes or labels.
    """
    count = model.output_shape[0]
    if count == 1:
        count = 2  # a single output tells two classes apart
    names = model.class_names
    return list(names) if names and len(names) == count else [str(n) for n in range(count)]


def decode_predictions(
    outputs: ArrayLike, model: ModelSettings, top: int = 5
) -> list[list[Prediction]]:
    """Return the most likely classes of each image, by name.

    Args:
        outputs: What `model.predict` returned, logits or probabilities.
        model: The model, which knows the names and what its outputs are.
        top: How many classes an image.

    Returns:
        A list an image of (label, name, probability), the most likely first.

    Raises:
        ValueError: The outputs are not those of this model, or no scores of classes.

    Shape:
        outputs [n, scores].
    """
    top = arguments.whole("decode_predictions", "top", top, least=1)
    rows = np.asarray(outputs, np.float32)
    if rows.ndim != 2 or rows.shape[1:] != tuple(model.output_shape):
        expected = ", ".join(["n", *map(str, model.output_shape)])
        raise ValueError(
            f"decode_predictions: outputs must be those of the model, ({expected}), one score a "
            f"class. Received shape {rows.shape}."
        )
    if output_kind(model) == "values":
        raise ValueError(
            "decode_predictions: the model's outputs must be scores of classes. With the loss "
            f"'{model.loss.name}' they are values: take them as `predict` returns them."
        )
    names = names_of(model)
    return [_likeliest(row, names, top) for row in class_probabilities(model, rows)]


def _likeliest(row: NDArray[np.float32], names: list[str], count: int) -> list[Prediction]:
    order = np.argsort(-row, kind="stable")[:count]
    return [Prediction(int(label), names[label], float(row[label])) for label in order]


def as_plain_data(
    outputs: NDArray[np.float32], model: ModelSettings, top: int
) -> list[dict[str, object]]:
    """Return what `decode_predictions` does, or a regression's values, as JSON can hold it.

    Args:
        outputs: What `model.predict` returned.
        model: The model.
        top: How many classes an image.

    Returns:
        A dictionary an image: "classes", each with "label", "name" and "probability", beside the
        names that are "true", above 0.5, where each label is a question of its own; or "values",
        beside their "names" where they have such.

    Raises:
        ValueError: Outputs are not finite, which JSON cannot hold and no class follows from.

    Shape:
        outputs [n, scores].
    """
    if not np.isfinite(outputs).all():
        raise ValueError(
            "The model's outputs must be finite numbers, and are not: its weights are too large, "
            "as after a training that diverged."
        )
    if output_kind(model) == "values":
        names = model.class_names
        named = {"names": names} if names and (len(names),) == model.output_shape else {}
        return [{"values": [float(value) for value in row], **named} for row in outputs]
    every = decode_predictions(outputs, model, max(top, outputs.shape[1]))
    is_labels = output_kind(model) == "labels"
    return [
        {"classes": [best._asdict() for best in row[:top]]}
        | ({"true": [best.name for best in row if best.probability > 0.5]} if is_labels else {})
        for row in every
    ]
