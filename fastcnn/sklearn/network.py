"""The network that an estimator trains."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from fastcnn import applications
from fastcnn.layers import Conv2D, Dense, Flatten, Layer, MaxPooling2D, Normalization
from fastcnn.models.sequential import Sequential

ModelLike: TypeAlias = str | Sequential | Mapping[str, Any] | Callable[..., Sequential]
"""What stands for a network: see `network`."""

AUTO = "auto"
HIDDEN_UNITS = 100
WIDTHS = (32, 64, 128, 128, 128)
"""Filters of the usual network's stages."""
LEAST_POOLED = 8
"""The shorter side, in pixels, of maps that are still halved."""


def network(model: ModelLike, owner: str, **wanted: Any) -> Sequential:
    """Return a new network, not compiled, or raise a sentence.

    Args:
        model: "auto"; a name of `fastcnn.applications`; a function, which is called with those of
            `wanted` that it takes; what `Sequential.get_config` returned; or a `Sequential`, of
            which a copy is returned, with its weights.
        owner: The estimator that errors name.
        **wanted: `input_shape`, `classes`, `seed`, `classifier_activation` and `rescale`.

    Raises:
        TypeError: `model` is none of these.
        ValueError: The network has not `classes` outputs, or takes images of another shape.
    """
    built = _built(model, wanted)
    if not isinstance(built, Sequential):
        raise TypeError(
            f"{owner}: model must be 'auto', a name of fastcnn.applications, a Sequential or its "
            f"configuration, or a function that returns a Sequential. Received {model!r}."
        )
    if built.input_shape != wanted["input_shape"]:
        raise ValueError(
            f"{owner}: the model takes images of shape {built.input_shape}. Received X with images "
            f"of shape {wanted['input_shape']}; input_shape says what flat rows are."
        )
    return built


def _built(model: Any, wanted: Mapping[str, Any]) -> object:
    """What a `model` stands for; None for nothing."""
    if isinstance(model, Sequential):
        own = copy.deepcopy(model)
        own.seed = wanted["seed"]
        return own
    if isinstance(model, Mapping):
        return Sequential.from_config({**model, "seed": wanted["seed"]})
    if model == AUTO:
        return _usual(**wanted)
    if isinstance(model, str):
        return applications.get(model)(**wanted)
    if isinstance(model, type) or not callable(model):
        return None
    parameters = inspect.signature(model).parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return model(**{name: v for name, v in wanted.items() if takes_all or name in parameters})


def _usual(
    input_shape: tuple[int, ...],
    classes: int,
    seed: int,
    classifier_activation: str | None,
    rescale: bool,
) -> Sequential:
    """A small network for images of any size, and one with a hidden layer for rows of features.

    It begins with a Normalization, which `rescale` has nothing to add to.
    """
    layers: list[Layer] = [Normalization()]
    if len(input_shape) == 1:
        layers.append(Dense(HIDDEN_UNITS, activation="relu"))
    else:
        side = min(input_shape[:2])
        for stage, width in enumerate(WIDTHS):
            if stage and side < LEAST_POOLED:
                break
            layers.append(Conv2D(width, 3, padding="same", activation="relu"))
            if side >= LEAST_POOLED:
                layers.append(MaxPooling2D(2))
            side //= 2
        layers.append(Flatten())
    layers.append(Dense(classes, activation=classifier_activation))
    return Sequential(layers, input_shape, seed=seed)
