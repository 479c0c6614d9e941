"""Gradients with respect to images: `input_gradient` of a model."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcnn.graph.inspection import (
    GRADIENT_ROLE,
    LOSS,
    SCORES,
    GradientRequest,
    Inspection,
)
from fastcnn.graph.program import GRADIENT, RELU_RULES
from fastcnn.models import lookup
from fastcnn.models.layer_outputs import LayerLike, batches_of, capacity_of
from fastcnn.training import input_checks, target_checks
from fastcnn.training.model_settings import ModelSettings
from fastcnn.training.trainer import USUAL_BATCH
from fastcnn.utils import arguments

Array: TypeAlias = NDArray[np.float32]
Target: TypeAlias = Any
"""A class, or one an image; a layer; or (layer, channel), (layer, row, column, channel),
(layer, factors)."""

_Seeds: TypeAlias = Callable[[slice], NDArray[Any]]
"""Gives what a program's target is for some of the images."""


def input_gradient(
    model: ModelSettings,
    x: object,
    target: Target = None,
    y: ArrayLike | None = None,
    source: LayerLike | None = None,
    relu: str = GRADIENT,
    batch_size: int = USUAL_BATCH,
) -> Array:
    """Return the gradient of a number that the model makes of each image, with respect to the
    image.

    That number is, of `target`: a class's score (before a last softmax or sigmoid) for a whole
    number, or one an image, where a single score that tells two classes apart is that of class 1,
    and its opposite that of class 0; the sum of a layer's outputs for a layer, its name or path;
    that of a channel for (layer, channel), a single unit for (layer, row, column, channel), and the
    sum of outputs times factors for (layer, factors). With `y` in its place it is the model's loss.
    The model acts as at inference.

    Args:
        model: The model.
        x: Images, an array or a Dataset; the gradient is with respect to what `preprocessing` makes
            of them.
        target: What the gradient is of.
        y: Targets of the loss, or labels, in place of `target`.
        source: The layer with respect to whose outputs it is; None for the images.
        relu: How gradients pass ReLU: "gradient", as they do; "guided", only where they are above
            0, too; "deconvnet", only where they are above 0, whatever the input was.
        batch_size: Images that go through the model at once.

    Returns:
        The gradients, a fresh array.

    Raises:
        ValueError: Both or neither of `target` and `y` are given, there is no such class, layer,
            channel or unit, the target does not depend on the source, or an op passes no gradient.

    Shape:
        x [n, *input_shape] -> float32 [n, *input_shape], or [n, *source.output_shape].

    References:
        Simonyan et al., 2013: Deep inside convolutional networks. Zeiler and Fergus, 2014:
        Visualizing and understanding convolutional networks. Springenberg et al., 2015: Striving
        for simplicity.
    """
    arguments.choice("input_gradient", "relu", relu, RELU_RULES)
    if (target is None) == (y is None):
        raise ValueError(
            "input_gradient: expected either target, a class, a layer or a part of one, or y, the "
            f"targets of the loss. Received {'neither' if target is None else 'both'}."
        )
    path = None if source is None else lookup.own_layer(model, source, "input_gradient").path
    count, batches = batches_of(model, x, batch_size, "input_gradient")
    if count is None:
        raise TypeError(
            "input_gradient: x must be images in an array or a Dataset. Received an iterable of "
            "batches: take the gradients of each of them."
        )
    of, seeds = _loss(model, y, count) if target is None else _seeds(model, target, count)
    inspection = Inspection(gradient=GradientRequest(of, path, relu))
    engine, capacity = model.engine(), capacity_of(count, batch_size)
    parts = []
    start = 0
    with closing(batches):
        for batch in batches:
            target_part = seeds(slice(start, start + len(batch)))
            outputs = engine.inspect(batch, inspection, capacity, target_part)
            parts.append(outputs[GRADIENT_ROLE])
            start += len(batch)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _loss(model: ModelSettings, y: object, count: int) -> tuple[str, _Seeds]:
    input_checks.compiled(model, "input_gradient")
    labels = input_checks.labels(model, y, count, "input_gradient: y", one_hot=True)
    return LOSS, lambda part: labels[part]


def _seeds(model: ModelSettings, target: Target, count: int) -> tuple[str, _Seeds]:
    """Return what the gradient is of, and its factors for images."""
    if isinstance(target, tuple):
        layer = lookup.own_layer(model, target[0], "input_gradient")
        return layer.path, _of_part(layer.label, layer.output_shape, target[1:], count)
    if isinstance(target, str) or hasattr(target, "output_shape"):
        layer = lookup.own_layer(model, target, "input_gradient")
        return layer.path, _constant(np.ones(layer.output_shape, np.float32))
    return SCORES, _of_classes(model, target, count)


def _of_classes(model: ModelSettings, target: object, count: int) -> _Seeds:
    classes = np.asarray(target)
    if len(model.output_shape) != 1 or classes.dtype.kind not in "iu":
        raise ValueError(
            "input_gradient: target must be a class, a whole number or one an image, a layer, or a "
            f"part of one, such as ('conv2d', 17). Received {target!r}, for outputs of shape "
            f"{model.output_shape}."
        )
    one_hot = np.eye(model.output_shape[0], dtype=np.float32)
    if target_checks.is_binary(model):
        one_hot = np.array([[-1], [1]], np.float32)
    most = len(one_hot)
    if classes.shape not in ((), (count,)) or classes.min() < 0 or classes.max() >= most:
        raise ValueError(
            f"input_gradient: target must be a class from 0 to {most - 1}, or one for each of "
            f"{count} images. Received {target!r}."
        )
    each = np.broadcast_to(classes, (count,))
    return lambda part: one_hot[each[part]]


def _of_part(label: str, shape: tuple[int, ...], part: tuple[Any, ...], count: int) -> _Seeds:
    """Return the factors of a channel, of a unit, or those that are given."""
    first = np.asarray(part[0] if part else np.nan)
    if len(part) == 1 and first.dtype.kind == "f" and first.shape[-len(shape) :] == shape:
        if first.shape == shape:
            return _constant(first)
        if first.shape == (count, *shape):
            return lambda images: first[images]
    extents = shape[-1:] if len(part) == 1 else shape
    inside = len(part) == len(extents) and all(
        arguments.is_whole(place) and 0 <= place < extent
        for place, extent in zip(part, extents, strict=True)
    )
    if not inside:
        raise ValueError(
            f"input_gradient: target must be (layer, channel), with a channel below {shape[-1]}, "
            f"(layer, {', '.join(['place'] * len(shape))}), with a unit inside {shape}, or "
            f"(layer, factors), with an array of floats of that shape or {(count, *shape)}. "
            f"Received {part!r} for {label}."
        )
    factors = np.zeros(shape, np.float32)
    factors[(..., *part)] = 1
    return _constant(factors)


def _constant(factors: NDArray[Any]) -> _Seeds:
    """Return the same factors for all images."""
    return lambda part: np.broadcast_to(factors, (part.stop - part.start, *factors.shape))
