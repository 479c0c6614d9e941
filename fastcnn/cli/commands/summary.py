"""`fastcnn summary`: show a network's layers."""

from __future__ import annotations

import argparse
import json
from typing import Any

from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.resolve import model as models
from fastcnn.models.sequential import Sequential


def run(args: argparse.Namespace) -> int:
    """Print the layers with shapes, parameters and multiply-adds."""
    if (args.model is None) == (args.network is None):
        raise UsageError("Give one MODEL, as in fastcnn summary resnet50, or --model MODEL.")
    model = models.named(args.model or args.network)
    if args.json:
        print(json.dumps(_described(model)))
    else:
        model.summary()
    return 0


def _described(model: Sequential) -> dict[str, Any]:
    layers = [
        {
            "name": layer.name,
            "type": type(layer).__name__,
            "output_shape": list(layer.output_shape),
            "parameters": sum(parameter.size for parameter in layer.all_parameters()),
            "multiply_adds": layer.multiply_adds(),
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
