"""Parts of networks in other networks: layers taken from a model, added to one, or cut off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from fastcnn.graph.state import State
from fastcnn.layers.base import Layer, Shape, name_layers
from fastcnn.layers.containers import AuxiliaryClassifier, auxiliary_classifiers, build_chain
from fastcnn.layers.layer_list import LayerList
from fastcnn.models.freezing import place_of
from fastcnn.training import rate_multipliers
from fastcnn.training.model_settings import FIXED_LAYERS, ModelSettings
from fastcnn.utils import custom_objects
from fastcnn.utils.settings import FixedList

AnyModel = TypeVar("AnyModel", bound=ModelSettings)


def add(model: ModelSettings, layer: Layer) -> None:
    """Append a layer, before the model is first used.

    Args:
        model: The model.
        layer: The layer; one of another model comes as a copy, with its weights.

    Raises:
        ValueError: The model has been used, the layer cannot take its outputs or has a name that
            another one has; nothing has changed.
    """
    (listed,) = checked_layers([layer])
    with model.lock:
        if model._engine is not None or model.state.drawn:
            raise ValueError(
                "add: the model has been used already. Make another one, which takes its layers "
                "with their weights: Sequential([*model.layers, layer], input_shape)."
            )
        if auxiliary_classifiers([*model.layers, listed]):
            raise ValueError(
                "add: an AuxiliaryClassifier must end in the shape of the model's outputs, which "
                "other layers change. Pass all layers to Sequential at once."
            )
        added = unbuilt(listed)
        name_layers([added], {before.name for before in model.layers})
        shape = build_chain([added], model.output_shape)
        take_layers(model, [*model.layers, added], shape)
        copy_weights([listed], [added])


def truncated(model: AnyModel, layer: str | Layer) -> AnyModel:
    """Return the network up to a layer as a model of its own, with copies of the weights.

    Args:
        model: The model.
        layer: A layer of `model.layers`, or its name.

    Returns:
        The model, not compiled; its outputs are that layer's.

    Raises:
        ValueError: It is no layer of this model, or lies inside another one.
    """
    last = place_of(model, "truncated: layer", layer)
    config = model.get_config()
    part = type(model).from_config({**config, "layers": []}, model.device, model.precision)
    # Side classifiers end in the shape of the whole network's outputs, not of this part's.
    before = model.layers[:last]
    kept = [layer for layer in before if not isinstance(layer, AuxiliaryClassifier)]
    kept.append(model.layers[last])
    copies = [unbuilt(layer) for layer in kept]
    take_layers(part, copies, build_chain(copies, part.input_shape))
    copy_weights(kept, copies)
    part.decoder = model.decoder
    return part


def checked_layers(layers: object) -> list[Layer]:
    """Return layers as a list; TypeError where they are none, ValueError where one is twice."""
    if not isinstance(layers, Sequence) or not all(isinstance(layer, Layer) for layer in layers):
        raise TypeError(f"Sequential: expected a list of layers. Received {layers!r}.")
    for number, layer in enumerate(layers):
        if any(layer is before for before in layers[:number]):
            raise ValueError(layer.refusal_of_reuse)
    return list(layers)


def unbuilt(layer: Layer) -> Layer:
    """Return a layer that no model has: itself, or a copy where one has it; ValueError where its
    class cannot be made anew from its settings."""
    if not layer.built:
        return layer
    return copied(layer)


def copied(layer: Layer) -> Layer:
    """Return a layer like another, not built; ValueError where its class cannot be made anew from
    its settings."""
    try:
        with custom_objects.collected() as own:
            config = layer.get_config()
        with custom_objects.passed(own):
            return type(layer).from_config(config)
    except TypeError as error:
        raise ValueError(
            f"{layer.label} cannot be copied for another model, since its class cannot "
            f"be made from its settings: {error}. Name all arguments of its constructor in "
            "`settings`."
        ) from error


def take_layers(model: ModelSettings, layers: Sequence[Layer], shape: Shape) -> None:
    """Make a model consist of built layers that end in a shape, with fresh weights."""
    parameters = [parameter for layer in layers for parameter in layer.all_parameters()]
    state = State(parameters, model.seed)
    model._assign(
        layers=LayerList(layers, FIXED_LAYERS),
        parameters=FixedList(parameters, FIXED_LAYERS),
        output_shape=shape,
        state=state,
        _engine=None,
        _split_engines=None,
        _rate_multipliers=rate_multipliers.kept(model.learning_rate_multipliers, layers),
    )
    if model.optimizer is not None:
        state.set_slots(model.optimizer)


def copy_weights(sources: Sequence[Layer], targets: Sequence[Layer]) -> None:
    """Copy all weights of layers to those that are copies of them; ValueError where the copies'
    have other shapes."""
    for source, target in zip(sources, targets, strict=True):
        if source is target:
            continue
        for own, copied in zip(source.all_parameters(), target.all_parameters(), strict=True):
            if own.shape != copied.shape:
                raise ValueError(
                    f"{source.label} comes from another model with weights {own.path} of shape "
                    f"{own.shape}. Behind an input of shape {target.input_shape} they would need "
                    f"shape {copied.shape}."
                )
            copied.value[...] = own.value
