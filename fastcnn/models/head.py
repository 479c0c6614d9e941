"""A model's head: the layers that tell its classes apart, exchanged for those of other classes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TypeVar

from fastcnn.layers import (
    AuxiliaryClassifier,
    Conv2D,
    Dense,
    Flatten,
    GlobalAveragePooling2D,
    Layer,
)
from fastcnn.layers.base import Shape
from fastcnn.layers.containers import auxiliary_classifiers, build_chain
from fastcnn.models import reuse
from fastcnn.models.freezing import place_of
from fastcnn.training import loss_checks
from fastcnn.training.model_settings import ModelSettings
from fastcnn.utils import arguments

SCORES = ("linear", "softmax", "sigmoid")
"""What a classifier ends in; features end in other activations, or have them behind them."""

AnyModel = TypeVar("AnyModel", bound=ModelSettings)


def replace_head(
    model: AnyModel, classes: int | Sequence[str], after: str | Layer | None = None
) -> AnyModel:
    """Exchange the layer that gives a score for each class, for other classes.

    The new layer has the settings of the old one and fresh weights, which depend on the model's
    seed; all others keep theirs. A model that ends in features, maps or numbers behind a ReLU, is
    given a dense layer behind them, with the average of each map before it. The heads of auxiliary
    classifiers are exchanged too. Optimizer and epoch start anew, and a loss that does not suit the
    new outputs is taken out: compile the model again.

    Args:
        model: The model.
        classes: How many, at least 2, or their names.
        after: A layer of `model.layers`, or its name: what is behind it is taken away, and a dense
            layer comes in its place. None finds the head.

    Returns:
        The model itself.

    Raises:
        ValueError: There are fewer than two classes, no such layer, or the model has no place for a
            head, as where the last weights are inside a Residual; nothing has changed.
        TypeError: `classes` is neither a number nor names.
    """
    count, names = _classes(classes)
    kept, fresh = _exchanged(model, count, after)
    _refuse_inner_classifiers(kept)
    with model.lock:
        before = {parameter.path: parameter.value.copy() for parameter in model.parameters}
        shape = build_chain(fresh, kept[-1].output_shape if kept else model.input_shape)
        pairs = [_with_other_classes(layer, count) for layer in kept]
        heads = [*fresh, *(head for _, head in pairs if head is not None)]
        _take(model, [*(layer for layer, _ in pairs), *fresh], shape)
        for parameter in model.parameters:
            if parameter.layer not in heads:
                parameter.value[...] = before[parameter.path]
        model.class_names = names
        model.epoch = 0
    return model


def _refuse_inner_classifiers(layers: Sequence[Layer]) -> None:
    for side in auxiliary_classifiers(layers):
        if side not in layers:
            raise ValueError(
                f"replace_head: {side.label} is inside another layer, and tells the old classes "
                "apart. Put it among model.layers, or leave it out."
            )


def _classes(classes: object) -> tuple[int, list[str] | None]:
    if isinstance(classes, Sequence) and not isinstance(classes, str):
        names = list(classes)
        count = len(names)
    else:
        names, count = None, arguments.whole("replace_head", "classes", classes, least=1)
    if count < 2:
        raise ValueError(f"replace_head: classes must be at least 2. Received {count}.")
    return count, names


def _exchanged(
    model: ModelSettings, classes: int, after: str | Layer | None
) -> tuple[list[Layer], list[Layer]]:
    """The layers that stay, and new ones behind them, not built."""
    layers = list(model.layers)
    if after is not None:
        kept = layers[: place_of(model, "replace_head: after", after) + 1]
        return kept, _dense_head(model, kept, classes)
    place = scores_place(layers, model.output_shape)
    if place is None:
        return layers, _dense_head(model, layers, classes)
    behind = [_like(layer, _ending(layer, model.output_shape)) for layer in layers[place + 1 :]]
    return layers[:place], [_scores(layers[place], classes, model.output_shape), *behind]


def scores_place(layers: Sequence[Layer], output_shape: Shape) -> int | None:
    """Return the place of the layer that gives the scores; None where layers end in features.

    Args:
        layers: A chain of them.
        output_shape: That of the last one's outputs.
    """
    weighted = [place for place, layer in enumerate(layers) if layer.all_parameters()]
    if not weighted or len(output_shape) != 1:
        return None
    place = weighted[-1]
    layer, behind = layers[place], layers[place:]
    if isinstance(layer, Dense) and loss_checks.ending(behind) in SCORES:
        return place
    # Network in network: 1x1 filters, one a class, and the average of each map.
    single = isinstance(layer, Conv2D) and layer.kernel_size == (1, 1)
    return place if single and layer.output_shape[-1:] == output_shape else None


def _scores(layer: Layer, classes: int, output_shape: Shape) -> Layer:
    """A layer like the one that gives the scores, for other classes."""
    count = {"units": classes} if isinstance(layer, Dense) else {"filters": classes}
    return _like(layer, {**count, **_ending(layer, output_shape)})


def _ending(layer: Layer, output_shape: Shape) -> dict[str, Any]:
    """The setting that changes where a sigmoid of a single output told two classes apart."""
    single = output_shape == (1,) and getattr(layer, "activation", None) == "sigmoid"
    return {"activation": "softmax"} if single else {}


def _like(layer: Layer, changes: dict[str, Any]) -> Layer:
    """A new layer of the same class, name and settings, but for some."""
    return type(layer).from_config({**layer.get_config(), **changes, "trainable": True})


def _dense_head(model: ModelSettings, kept: Sequence[Layer], classes: int) -> list[Layer]:
    """A dense layer behind features."""
    names = {layer.name for layer in kept}
    shape = kept[-1].output_shape
    dense = Dense(classes, activation="softmax", name=_unused("head", names))
    if len(shape) == 1:
        return [dense]
    pooled = len(shape) == 3
    between = GlobalAveragePooling2D if pooled else Flatten
    return [between(name=_unused("head_pooling" if pooled else "head_flat", names)), dense]


def _unused(name: str, names: set[str]) -> str:
    numbered = (f"{name}_{number}" for number in range(1, len(names) + 2))
    return next(text for text in (name, *numbered) if text not in names)


def _with_other_classes(layer: Layer, classes: int) -> tuple[Layer, Layer | None]:
    """A layer that stays; of an auxiliary classifier a new one, and its new head."""
    if not isinstance(layer, AuxiliaryClassifier):
        return layer, None
    chain = list(layer.chains[0])
    place = scores_place(chain, layer.shapes[0])
    if place is None:
        raise ValueError(f"replace_head: {layer.label} has no layer that gives a score a class.")
    chain = [_like(old, {}) for old in chain]
    chain[place] = _scores(chain[place], classes, layer.shapes[0])
    side = AuxiliaryClassifier(chain, layer.loss_weight, name=layer.name, trainable=layer.trainable)
    side.build(layer.input_shape)
    return side, chain[place]


def _take(model: ModelSettings, layers: list[Layer], shape: Shape) -> None:
    """Make a model consist of other, built layers, with fresh weights."""
    # The loss of a single output tells yes from no, or measures a number: no use to classes.
    single = model.output_shape == (1,) != shape
    reuse.take_layers(model, layers, shape)
    if single:
        model._loss = None
    if model.loss is not None:
        kept_loss = model.loss
        model._loss = None
        with suppress(ValueError):
            loss_checks.refuse_misfit(model, kept_loss, "replace_head")
            model._loss = kept_loss
