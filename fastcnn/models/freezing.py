"""Which layers of a model are trained: all below one frozen, and free again."""

from __future__ import annotations

import itertools
from math import prod

from fastcnn.graph.unchanging import unchanging
from fastcnn.layers.base import Layer
from fastcnn.layers.containers import auxiliary_classifiers, lower_network
from fastcnn.models import lookup
from fastcnn.training.model_settings import ModelSettings

ALONE = " For it alone, set model.layer('{path}').trainable."
"""What else to do about a layer inside another one."""


def freeze(model: ModelSettings, until: str | Layer | None = None) -> None:
    """Freeze all layers up to one, that one too; layers above it stay as they are.

    Frozen layers keep their weights, batch normalization in them uses its moving statistics, and
    nothing is computed back through them. `fit` runs them once for each image, where nothing random
    stands before or between them, and keeps what comes out of them from epoch to epoch.

    Args:
        model: The model.
        until: A layer of `model.layers`, or its name; None for the last one below the head, which
            is the last layer with weights.

    Raises:
        ValueError: There is no such layer, or it is inside another one.
    """
    last = _head(model) - 1 if until is None else place_of(model, "freeze: until", until, ALONE)
    for layer in model.layers[: last + 1]:
        layer.trainable = False


def unfreeze(model: ModelSettings, since: str | Layer | None = None) -> None:
    """Let layers be trained again, from one on.

    Args:
        model: The model.
        since: The first of them, of `model.layers`, or its name; None for all.

    Raises:
        ValueError: There is no such layer, or it is inside another one.
    """
    first = 0 if since is None else place_of(model, "unfreeze: since", since, ALONE)
    for layer in model.layers[first:]:
        layer.trainable = True


def frozen_depth(model: ModelSettings) -> int:
    """Return how many layers at the beginning give the same for an image while the others are
    trained; 0 where none of them has weights, or all layers are frozen.

    Nothing in them is trained or random, and no auxiliary classifier is among them. Layers without
    weights at their end which give more numbers than they take, as ZeroPadding2D, are left out.

    Args:
        model: The model.

    Returns:
        The number of layers.
    """
    weights = [parameter for parameter in model.parameters if parameter.kind == "weight"]
    if not weights or weights[0].trainable or not any(w.trainable for w in weights):
        return 0  # without a look at all ops
    program = lower_network(model.layers, model.input_shape, training=True)
    same = unchanging(program)
    same_layers = itertools.takewhile(
        lambda layer: program.outputs_of[layer.path] in same and not auxiliary_classifiers([layer]),
        model.layers[:-1],
    )
    frozen = list(same_layers)
    while frozen and not frozen[-1].all_parameters() and _grows(frozen[-1]):
        frozen.pop()
    return len(frozen) if any(layer.all_parameters() for layer in frozen) else 0


def _grows(layer: Layer) -> bool:
    return prod(layer.output_shape) > prod(layer.input_shape)


def _head(model: ModelSettings) -> int:
    """The place of the last layer with weights."""
    places = [
        place
        for place, layer in enumerate(model.layers)
        if any(parameter.kind == "weight" for parameter in layer.all_parameters())
    ]
    return places[-1] if places else 0


def place_of(model: ModelSettings, argument: str, wanted: str | Layer, more: str = "") -> int:
    """Return the place of a layer in `model.layers`.

    Raises ValueError, in the name of an argument, where it is not there; of a layer inside another
    one it says `more`, with the layer's path in place of {path}.
    """
    layer = wanted if isinstance(wanted, Layer) else lookup.layer(model, wanted)
    for place, top in enumerate(model.layers):
        if top is layer:
            return place
        if layer in top.walk():
            raise ValueError(
                f"{argument} must be a layer of model.layers. Received {layer.label}, which is "
                f"inside {top.label}: name that one.{more.format(path=layer.path)}"
            )
    raise ValueError(f"{argument}: {layer.label} is a layer of another model.")
