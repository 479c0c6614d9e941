"""`fastcnn summary`: show a network's layers."""

from __future__ import annotations

import argparse
import json
from typing import Any

from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.resolve import model as models
from fastcnn.models.receptive_fields import LayerField, layer_fields
from fastcnn.models.sequential import Sequential
from fastcnn.utils import messages

LARGE = 1e9
"""Multiply-adds of an image from which on a network's receptive fields take a minute and more."""


def run(args: argparse.Namespace) -> int:
    """Print the layers with shapes, parameters and multiply-adds."""
    if (args.model is None) == (args.network is None):
        raise UsageError("Give one MODEL, as in fastcnn summary resnet50, or --model MODEL.")
    model = models.named(args.model or args.network)
    if args.receptive_field and sum(layer.multiply_adds() for layer in model.layers) > LARGE:
        messages.say(
            "Taking the gradients that show how far layers see, a minute and more for a network of "
            "this size."
        )
    if args.plot is not None:
        model.plot(args.plot)
        messages.say(f"The drawing is in '{args.plot}'.")
    if args.json:
        print(json.dumps(_described(model, args.receptive_field)))
    else:
        model.summary(receptive_field=args.receptive_field)
    return 0


def _described(model: Sequential, with_fields: bool) -> dict[str, Any]:
    fields = layer_fields(model, model.layers) if with_fields else []
    seen = {field.layer.path: _sees(field) for field in fields}
    layers = [
        {
            "name": layer.name,
            "type": type(layer).__name__,
            "output_shape": list(layer.output_shape),
            "parameters": sum(parameter.size for parameter in layer.all_parameters()),
            "multiply_adds": layer.multiply_adds(),
            **seen.get(layer.path, {}),
        }
        for layer in model.layers
    ]
    trainable = [parameter.size for parameter in model.parameters if parameter.trainable]
    return {
        "name": model.name,
        "input_shape": list(model.input_shape),
        "layers": layers,
        "parameters": sum(parameter.size for parameter in model.parameters),
        "trainable_parameters": sum(trainable),
        "multiply_adds": sum(layer.multiply_adds() for layer in model.layers),
    }


def _sees(field: LayerField) -> dict[str, Any]:
    """How far a layer sees; receptive field and stride are null where units have no place."""
    places = field.field if field.has_places else None
    return {
        "receptive_field": places and [span.size for span in places],
        "stride": places and [span.stride for span in places],
        "effective_field": field.effective,
    }
