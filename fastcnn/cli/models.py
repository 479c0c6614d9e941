"""The model that --model means: a network's name, a Python file or a saved model."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import fastcnn
from fastcnn import losses, zoo
from fastcnn.cli.errors import UsageError
from fastcnn.layers import Layer, Normalization, Rescaling, Softmax
from fastcnn.model import Sequential


def named(text: str, **options: Any) -> Sequential:
    """The model that `text` means; `options` go to the function of a network's name."""
    path = Path(text)
    if path.suffix == ".py":
        return _from_python(path)
    if path.suffix in (".h5", ".hdf5"):
        return fastcnn.load(_file("--model", path))
    if path.suffix or len(path.parts) > 1:
        raise UsageError(
            f"--model must be a network's name ({', '.join(zoo.NETWORKS)}), a .py file or a saved "
            f"model, an .h5 file. Received '{text}'."
        )
    try:
        network = zoo.get(text)
    except ValueError as error:
        raise UsageError(f"--model: {error}") from None
    return network(**options)


def with_weights(text: str, weights: str | None) -> Sequential:
    """The model that `text` means, with a file's weights where one is given.

    UsageError for a named network without weights: its answers would be chance.
    """
    if weights is None and is_network(text):
        raise UsageError(
            f"--model {text} has no trained weights: give a saved model (--model FILE.h5), or "
            "--weights FILE."
        )
    model = named(text, **({"rescale": True} if is_network(text) else {}))
    if weights is not None:
        model.load_weights(_file("--weights", Path(weights)))
    return model


def _file(option: str, path: Path) -> Path:
    if not path.is_file():
        raise UsageError(f"{option}: there is no file '{path}'.")
    return path


def is_network(text: str) -> bool:
    """Whether --model names a network, whose shape and seed are still open."""
    return not Path(text).suffix


def _from_python(path: Path) -> Sequential:
    """What a user's file defines as `model`: a Sequential, or a function that returns one."""
    spec = importlib.util.spec_from_file_location(path.stem, _file("--model", path))
    if spec is None or spec.loader is None:
        raise UsageError(f"--model: '{path}' cannot be read as Python.")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
        model = getattr(module, "model", None)
        if callable(model) and not isinstance(model, Sequential):
            model = model()
    except Exception as error:
        raise UsageError(f"--model: '{path}' fails: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(path.parent))
    if not isinstance(model, Sequential):
        raise UsageError(
            f"--model: '{path}' must define `model`, a fastcnn.Sequential or a function without "
            f"arguments that returns one. Found {type(model).__name__}."
        )
    return model


def ends_in_probabilities(model: Sequential) -> bool:
    """Whether the last layer is a softmax."""
    last = model.layers[-1]
    activation = getattr(last, "activation", None)
    return isinstance(last, Softmax) or activation == "softmax"


def begins_with_scaling(model: Sequential) -> bool:
    """Whether the model itself brings pixel values into its range."""
    first: Layer = model.layers[0]
    return isinstance(first, Rescaling | Normalization)


def fitting_loss(model: Sequential) -> losses.Loss:
    """Cross-entropy with labels, from what the model ends in."""
    return losses.SparseCategoricalCrossentropy(from_logits=not ends_in_probabilities(model))
