"""What methods are given: images as the network sees them, classes."""

from __future__ import annotations

import copy
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcnn.models.probabilities import class_probabilities
from fastcnn.models.sequential import Sequential
from fastcnn.training import (
    data_adapter,
    epoch_iterator,
    input_checks,
    target_checks,
)

Images: TypeAlias = NDArray[np.float32]
"""float32 [n, *input_shape]."""

Classes: TypeAlias = ArrayLike | None
"""A class, or one an image; None for those that the model predicts."""

BATCH = 64


def prepared(model: Sequential, x: object, method: str) -> tuple[Sequential, Images]:
    """Return a model without preprocessing, and images as it made them for the network.

    Args:
        model: The model.
        x: Images, an array or a Dataset.
        method: Who asks, for errors.

    Returns:
        The model, a copy where it has preprocessing, and the images.

    Raises:
        ValueError: The images do not fit the model.
    """
    source = data_adapter.adapted(model, x, f"{method}: x", labelled=False)
    images = input_checks.images(model, source, f"{method}: x")
    batches = [np.array(b, np.float32) for b in epoch_iterator.prepared(model, images, 256)]
    return without_preprocessing(model), np.concatenate(batches)


def without_preprocessing(model: Sequential) -> Sequential:
    """Return a model that takes images as its network does.

    Args:
        model: The model.

    Returns:
        The model, a copy where it has preprocessing.
    """
    if not model.preprocessing:
        return model
    plain = copy.deepcopy(model)
    plain.preprocessing = []
    return plain


def pictures(model: Sequential, x: object, method: str) -> tuple[Sequential, Images]:
    """Return what `prepared` does, of a model whose images can be shown.

    Args:
        model: The model.
        x: Images, an array or a Dataset.
        method: Who asks, for errors.

    Returns:
        The model and the images.

    Raises:
        ValueError: The images do not fit the model, or are no pictures but vectors.
    """
    check_pictures(model, method)
    return prepared(model, x, method)


def check_pictures(model: Sequential, method: str) -> None:
    """Refuse a model whose inputs cannot be shown.

    Args:
        model: The model.
        method: Who asks, for errors.

    Raises:
        ValueError: Its inputs are no pictures but vectors.
    """
    if len(model.input_shape) != 3:
        raise ValueError(
            f"{method}: expected a model of images, (height, width, channels). Received one whose "
            f"inputs have shape {model.input_shape}."
        )


def classes(model: Sequential, x: Images, target: Classes, method: str) -> NDArray[np.int64]:
    """Return a class for each image.

    Args:
        model: The model.
        x: Images.
        target: A class, or one an image; None for those that the model predicts.
        method: Who asks, for errors.

    Returns:
        int64 [n].

    Raises:
        ValueError: The model has no scores of classes, or there is no such class.
    """
    count = class_count(model, method)
    if target is None:
        return predicted(model, x)
    labels = np.asarray(target)
    if labels.dtype.kind not in "iu" or labels.shape not in ((), (len(x),)):
        raise ValueError(
            f"{method}: target must be a class, a whole number, or one for each of {len(x)} "
            f"images. Received {target!r}."
        )
    if labels.min() < 0 or labels.max() >= count:
        raise ValueError(
            f"{method}: target must be a class from 0 to {count - 1}. Received {target!r}."
        )
    return np.broadcast_to(labels, (len(x),)).astype(np.int64)


def predicted(model: Sequential, x: Images) -> NDArray[np.int64]:
    """Return what images are taken for.

    Args:
        model: A model with one score a class, or with one score for two classes.
        x: Images.

    Returns:
        Classes, int64 [n].
    """
    outputs = model.predict(x, batch_size=BATCH)
    if target_checks.is_binary(model):
        return (outputs[:, 0] > _threshold(model)).astype(np.int64)
    return outputs.argmax(axis=1)


def chances(model: Sequential, x: Images) -> Images:
    """Return how sure a model is of each class.

    Args:
        model: A model with one score a class, or with one score for two classes.
        x: Images.

    Returns:
        Numbers from 0 to 1, a fresh array.

    Shape:
        x [n, H, W, C] -> float32 [n, classes].
    """
    return class_probabilities(model, model.predict(x, batch_size=BATCH))


def class_outputs(model: Sequential, x: Images, labels: NDArray[np.int64]) -> Images:
    """Return the model's output of a class for each image.

    Args:
        model: A model with one score a class, or with one score for two classes.
        x: Images.
        labels: The classes, int64 [n].

    Returns:
        float32 [n]; of the first of two classes with one score what is left of a probability, or
        the score's opposite.
    """
    outputs = model.predict(x, batch_size=BATCH)
    if target_checks.is_binary(model):
        yes = outputs[:, 0]
        return np.where(labels == 1, yes, np.float32(2 * _threshold(model)) - yes)
    return np.take_along_axis(outputs, labels[:, None], axis=1)[:, 0]


def _threshold(model: Sequential) -> float:
    return 0.5 if model.loss is None else float(model.loss.threshold)


def class_count(model: Sequential, method: str) -> int:
    """Return how many classes the model tells apart.

    Args:
        model: The model.
        method: Who asks, for errors.

    Returns:
        The number of classes.

    Raises:
        ValueError: Its outputs are no scores.
    """
    if len(model.output_shape) != 1:
        raise ValueError(
            f"{method}: expected a model with one score a class. Received one whose outputs have "
            f"shape {model.output_shape}."
        )
    return 2 if target_checks.is_binary(model) else int(model.output_shape[0])


def names(model: Sequential, labels: NDArray[np.int64]) -> list[str]:
    """Return what the classes of images are called.

    Args:
        model: The model.
        labels: A class for each image.

    Returns:
        A name for each.
    """
    if model.class_names is None:
        return [f"class {label}" for label in labels]
    return [str(model.class_names[label]) for label in labels]


def label_names(model: Sequential, count: int) -> list[str]:
    """Return what labels are called, from 0 on.

    Args:
        model: The model.
        count: How many there are.

    Returns:
        A name for each.
    """
    named = list(model.class_names or ())[:count]
    return [*map(str, named), *(f"class {label}" for label in range(len(named), count))]


def class_labels(model: Sequential, y: ArrayLike, count: int, method: str) -> NDArray[np.int64]:
    """Return the labels of images that are classes of a model.

    Args:
        model: A model with one score a class, or with one score for two classes.
        y: Their labels.
        count: How many images there are.
        method: Who asks, for errors.

    Returns:
        int64 [n].

    Raises:
        ValueError: They are no classes of the model, or not as many.
    """
    labels, most = image_labels(y, count, method), class_count(model, method) - 1
    if labels.max(initial=0) > most:
        raise ValueError(
            f"{method}: y must hold classes of the model, from 0 to {most}. Received a label of "
            f"{labels.max()}."
        )
    return labels


def image_labels(y: ArrayLike, count: int, method: str) -> NDArray[np.int64]:
    """Return the labels of images.

    Args:
        y: Their labels.
        count: How many images there are.
        method: Who asks, for errors.

    Returns:
        int64 [n].

    Raises:
        ValueError: They are no whole numbers from 0 on, or not as many.
    """
    array = np.asarray(y)
    if array.dtype.kind not in "iu" or array.shape != (count,) or array.min(initial=0) < 0:
        raise ValueError(
            f"{method}: y must hold a label, a whole number from 0 on, for each of {count} images. "
            f"Received {'None' if y is None else f'{array.dtype} of shape {array.shape}'}."
        )
    return array.astype(np.int64)
