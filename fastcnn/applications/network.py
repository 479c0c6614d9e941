"""What every network of these takes, and how its layers become a model."""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from typing import Any, TypedDict

from fastcnn.applications import imagenet, pretrained, weights_file
from fastcnn.data.augment.whitening import Preprocessing
from fastcnn.layers import (
    AuxiliaryClassifier,
    Flatten,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    Layer,
    Rescaling,
)
from fastcnn.layers.window_arguments import WindowTooLarge
from fastcnn.models.sequential import Sequential
from fastcnn.utils import arguments, naming

Shape = tuple[int, ...]

POOLINGS: dict[str, type[Layer]] = {"avg": GlobalAveragePooling2D, "max": GlobalMaxPooling2D}
IMAGENET = "imagenet"
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
    preprocessing: Sequence[Preprocessing]


def network(
    name: str,
    input_shape: Shape,
    features: Sequence[Layer],
    top: Sequence[Layer],
    options: NetworkOptions,
    version: str | None = None,
    auxiliary: bool = True,
) -> Sequential:
    """Return the network of some layers.

    Args:
        name: What it is called.
        input_shape: One image's.
        features: The layers of the body.
        top: Those behind it that tell classes apart, which are left out without `include_top`.
        options: Those of all networks.
        version: Which of the network's versions it is, where it has several.
        auxiliary: Whether the body's auxiliary classifiers stay, which are part of the top.
    """
    _check(name, options)
    first = [Rescaling(1 / 255)] if options.get("rescale", False) else []
    weights, include_top = options.get("weights"), options.get("include_top", True)
    from_file = weights is not None and weights != IMAGENET
    candidates = weights_file.candidates(features, top) if from_file else []
    body = [
        layer
        for layer in features
        if (include_top and auxiliary) or not isinstance(layer, AuxiliaryClassifier)
    ]
    last = list(top) if include_top else _pooled(name, body, options.get("pooling"))
    settings: Any = {key: value for key, value in options.items() if key in OF_SEQUENTIAL}
    try:
        model = Sequential([*first, *body, *last], input_shape, **{"name": name, **settings})
    except WindowTooLarge as error:
        raise ValueError(_too_small(name, input_shape, body, error)) from error
    if weights == IMAGENET:
        _load_pretrained(name, model, version, options)
    elif weights is not None:
        weights_file.load(name, model, weights, candidates)
    return model


def _pooled(name: str, body: Sequence[Layer], pooling: str | None) -> list[Layer]:
    """Return what stands in the place of the top; ValueError where there are no maps to pool."""
    if pooling is None:
        return []
    if any(isinstance(layer, Flatten) for layer in body):
        raise ValueError(
            f"{name}: pooling={pooling!r} is of maps, and without its top the network has none, "
            "since it flattens the images. Leave pooling out."
        )
    return [POOLINGS[pooling]()]


def _too_small(name: str, input_shape: Shape, body: Sequence[Layer], error: WindowTooLarge) -> str:
    """Return the sentence for images too small for a network or a side classifier of it."""
    size = "x".join(map(str, input_shape[:2]))
    for layer in body:
        if isinstance(layer, AuxiliaryClassifier) and error.layer in layer.walk():
            return (
                f"{name}: images of {size} pixels are too small for its side classifier "
                f"'{layer.path}'. {error} Pass auxiliary=False or small_input=True, or a larger "
                "input_shape."
            )
    return (
        f"{name}: images of {size} pixels are too small for it. {error} Pass a larger "
        "input_shape (on the command line --image-size, for a folder of pictures)."
    )


def _load_pretrained(
    name: str, model: Sequential, version: str | None, options: NetworkOptions
) -> None:
    """Give a network ImageNet's weights; ValueError where they do not go with its options."""
    weights = pretrained.of_version(name, version)
    if options.get("rescale", False):
        raise ValueError(
            f"{name}: weights='imagenet' sets the preprocessing of images of pixels from 0 to 255 "
            "itself. Received rescale=True."
        )
    whole = options.get("include_top", True)
    if whole and model.output_shape != (imagenet.CLASSES,):
        raise ValueError(
            f"{name}: weights='imagenet' tells {imagenet.CLASSES:,} classes apart. Received "
            f"classes={model.output_shape[-1]}. Pass include_top=False for layers of your own."
        )
    pretrained.load(name, model, weights, whole)


def _check(name: str, options: NetworkOptions) -> None:
    """TypeError, ValueError or FileNotFoundError for options that are unknown or contradict each
    other, or weights that are nowhere.
    """
    for key in options:
        if key not in NetworkOptions.__annotations__:
            raise TypeError(f"{name}: {naming.unknown('argument', key, _arguments_of(name))}")
    arguments.flag(name, "rescale", options.get("rescale", False))
    arguments.flag(name, "include_top", options.get("include_top", True))
    pooling = options.get("pooling")
    if pooling is not None:
        naming.entry(name, "pooling", pooling, POOLINGS)
    weights = options.get("weights")
    if weights is not None and not isinstance(weights, str | os.PathLike):
        raise TypeError(
            f"{name}: weights must be None, 'imagenet' or the path of a file. Received {weights!r}."
        )
    if weights not in (None, IMAGENET) and not os.path.exists(weights):
        raise FileNotFoundError(
            f"{name}: weights must be None, 'imagenet' or the path of a file, and there is no file "
            f"'{os.fspath(weights)}'."
        )


def _arguments_of(name: str) -> list[str]:
    """Return what a network takes: its function's own arguments, then those of all."""
    from fastcnn import applications

    own = inspect.signature(applications.get(name)).parameters
    return [*(key for key in own if key != "options"), *NetworkOptions.__annotations__]


def last_activation(options: NetworkOptions) -> str | None:
    """Return the activation behind the scores of the classes: softmax, or as asked for."""
    return options.get("classifier_activation", "softmax")


def is_small(name: str, small_input: bool | None, input_shape: Shape, least: int = SMALL) -> bool:
    """Return whether a network takes its form for small images.

    Args:
        name: The network's.
        small_input: What was asked for; None decides by the images.
        input_shape: One image's.
        least: The pixels of a side from which on an image is not small.
    """
    if small_input is not None:
        return arguments.flag(name, "small_input", small_input)
    # A shape that is none is refused where the model is made.
    sides = input_shape[:2] if isinstance(input_shape, Sequence) else ()
    return any(arguments.is_whole(side) and side < least for side in sides)
