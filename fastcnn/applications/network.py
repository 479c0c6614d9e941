"""What every network of these takes, and how its layers become a model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, TypedDict

from fastcnn.layers import GlobalAveragePooling2D, GlobalMaxPooling2D, Layer, Rescaling
from fastcnn.models.sequential import Sequential
from fastcnn.utils import arguments, naming

Shape = tuple[int, ...]

POOLINGS: dict[str, type[Layer]] = {"avg": GlobalAveragePooling2D, "max": GlobalMaxPooling2D}
OF_SEQUENTIAL = ("seed", "device", "precision", "name", "error_bound", "preprocessing")
SMALL = 64
"""Pixels of the shorter side below which an image is small."""


class NetworkOptions(TypedDict, total=False):
    """What every network takes besides its own arguments; `fastcnn.applications` describes it."""

    include_top: bool
    weights: str | os.PathLike[str] | None
    pooling: str | None
    classifier_activation: str | None
    rescale: bool
    seed: int
    device: str
    precision: str
    name: str
    error_bound: float
    preprocessing: Sequence[Any]


def network(
    name: str,
    input_shape: Shape,
    features: Sequence[Layer],
    top: Sequence[Layer],
    options: NetworkOptions,
) -> Sequential:
    """Return the network of some layers.

    Args:
        name: What it is called.
        input_shape: One image's.
        features: The layers of the body.
        top: Those behind it that tell classes apart, which are left out without `include_top`.
        options: Those of all networks.
    """
    _check(name, options)
    first = [Rescaling(1 / 255)] if options.get("rescale", False) else []
    pooling = options.get("pooling")
    if options.get("include_top", True):
        last = list(top)
    else:
        last = [] if pooling is None else [POOLINGS[pooling]()]
    settings: Any = {key: value for key, value in options.items() if key in OF_SEQUENTIAL}
    model = Sequential([*first, *features, *last], input_shape, **{"name": name, **settings})
    weights = options.get("weights")
    if weights is not None:
        model.load_weights(weights)
    return model


def _check(name: str, options: NetworkOptions) -> None:
    """TypeError or ValueError for options that are unknown or contradict each other."""
    for key in options:
        if key not in NetworkOptions.__annotations__:
            names = ["input_shape", "classes", *NetworkOptions.__annotations__]
            raise TypeError(f"{name}: {naming.unknown('argument', key, names)}")
    arguments.flag(name, "rescale", options.get("rescale", False))
    include_top = arguments.flag(name, "include_top", options.get("include_top", True))
    pooling = options.get("pooling")
    if pooling is not None:
        naming.entry(name, "pooling", pooling, POOLINGS)
        if include_top:
            raise ValueError(
                f"{name}: pooling={pooling!r} takes the place of the layers that tell classes "
                "apart: it needs include_top=False."
            )
    weights = options.get("weights")
    if weights == "imagenet":
        raise ValueError(
            f"{name}: fastcnn brings no trained weights. Expected weights to be None or the path "
            "of a file with them, as save_weights writes it. Received 'imagenet'."
        )
    if weights is not None and not isinstance(weights, str | os.PathLike):
        raise TypeError(
            f"{name}: weights must be None or the path of a file. Received {weights!r}."
        )


def last_activation(options: NetworkOptions) -> str | None:
    """Return the activation behind the scores of the classes: softmax, or as asked for."""
    return options.get("classifier_activation", "softmax")


def is_small(name: str, small_input: bool | None, input_shape: Shape) -> bool:
    """Return whether a network takes its form for small images.

    Args:
        name: The network's.
        small_input: What was asked for; None decides by the images.
        input_shape: One image's.
    """
    if small_input is not None:
        return arguments.flag(name, "small_input", small_input)
    # A shape that is none is refused where the model is made.
    sides = input_shape[:2] if isinstance(input_shape, Sequence) else ()
    return any(arguments.is_whole(side) and side < SMALL for side in sides)
