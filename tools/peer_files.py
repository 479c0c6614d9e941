"""A model in a folder, as fastcnn writes it and as the peer's Python reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np


def without_dropout(config: Any) -> Any:
    """Return a configuration in which no layer zeroes anything."""
    if isinstance(config, dict):
        return {
            name: 0.0 if name == "rate" else without_dropout(value)
            for name, value in config.items()
        }
    return [without_dropout(value) for value in config] if isinstance(config, list) else config


def write_model(folder: Path, model: Any, **about: Any) -> None:
    """Write a model of fastcnn's, and what else the peer has to know of it."""
    trained = [parameter.path for parameter in model.parameters if parameter.trainable]
    text = json.dumps({"config": model.get_config(), "trained": trained, **about})
    (folder / "model.json").write_text(text)
    values: dict[str, Any] = {parameter.path: parameter.value for parameter in model.parameters}
    np.savez(folder / "values.npz", **values)


def read_network(folder: Path, dtype: Any = None) -> tuple[Any, dict[str, Any]]:
    """Return the network of PyTorch's functions, by default in float64, and what else is known."""
    import torch
    from torch_network import Network

    about = json.loads((folder / "model.json").read_text())
    with np.load(folder / "values.npz") as values:
        network = Network(about["config"], dict(values), about["trained"], dtype or torch.float64)
    return network, about
