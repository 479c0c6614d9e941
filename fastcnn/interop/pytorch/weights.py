"""Weights from PyTorch and to PyTorch."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

from fastcnn.graph.parameter import Parameter
from fastcnn.hdf5.errors import FormatError
from fastcnn.interop.pytorch import files, state_dict
from fastcnn.interop.pytorch.layout import Array
from fastcnn.interop.pytorch.pairing import Pairing, paired
from fastcnn.interop.pytorch.shortest_walk import Module
from fastcnn.interop.pytorch.slots import Slot, slots_of
from fastcnn.interop.pytorch.state_dict import StateDict
from fastcnn.saving import endings
from fastcnn.saving.weights import assign, refuse_not_finite
from fastcnn.training.model_settings import ModelSettings
from fastcnn.utils import arguments


def load_torch_weights(
    model: ModelSettings,
    weights: StateDict | str | os.PathLike[str],
    skip_mismatch: bool = False,
    verbose: bool = True,
) -> Pairing:
    """Put the weights of a PyTorch network into a model of the same architecture.

    The names need not be alike. The model is walked in its order, and each layer gets a module with
    arrays of its shapes; where several have them, the one that lies nearest in the tree of names to
    the module before, and of these the first. So the order in which a file has its names does
    not matter: torchvision's and timm's load as they are. Look at the pairing where a network has
    layers of the same shapes side by side under names that do not tell their order.

    Kernels are transposed from channels first to channels last, and the rows of the first dense
    layer behind a Flatten, too. What a state dict does not have, such as the epsilon and momentum
    of batch normalization, stays as the model has it. Auxiliary classifiers that only one of the
    two has are left out.

    Args:
        model: The model.
        weights: The state dict, of arrays or tensors, or the path of a file with it: safetensors
            (which the package `safetensors` reads), or what `torch.save` wrote, which is read
            without PyTorch and without executing anything in it. A checkpoint with the state dict
            as its "state_dict" or "model" is seen through.
        skip_mismatch: Leave out what does not fit in place of raising, such as the last layer of a
            model with other classes.
        verbose: Whether the pairing is printed.

    Returns:
        The pairing: the module of each layer, and what was left out.

    Raises:
        FormatError: The file is damaged or holds no state dict, a module or a layer has no
            partner, or weights are not finite (a ValueError); nothing has changed.
        ValueError: A layer of the model is of a kind that PyTorch does not have.
        TypeError: The model is none, as where the two arguments are swapped.
        ImportError: The package that reads the file is not installed.
        OSError: The file cannot be opened.
    """
    check_model("load_torch_weights", model)
    if isinstance(weights, Mapping):
        return load_state_dict(model, "the state dict", weights, skip_mismatch, verbose)
    path = arguments.path("load_torch_weights", "weights", weights)
    endings.check_read(path, endings.PYTORCH, endings.SAFETENSORS)
    return load_state_dict(model, path, files.read(path), skip_mismatch, verbose)


def check_model(reader: str, model: object) -> None:
    """TypeError where what should take weights is no model; `reader` is what was called."""
    if not isinstance(model, ModelSettings):
        raise TypeError(
            f"{reader}: model must be a model, such as a Sequential, and comes first. "
            f"Received {model!r:.80}."
        )


def load_state_dict(
    model: ModelSettings, source: str, state: object, skip_mismatch: bool, verbose: bool
) -> Pairing:
    """Put a state dict into a model; `source` is what errors call it."""
    slots, arrays = slots_of(model.layers), state_dict.unwrapped(source, state)
    modules, pairing = paired(source, slots, arrays, skip_mismatch)
    converted = [
        entry
        for slot, module in zip(slots, modules, strict=True)
        if module is not None
        for entry in _converted(source, slot, module, arrays)
    ]
    with model.lock:
        assign(converted)
    if verbose:
        print(pairing)
    return pairing


def _converted(
    source: str, slot: Slot, module: Module, arrays: StateDict
) -> list[tuple[Parameter, Array]]:
    """Return a layer's parameters with their values of a module."""
    values = []
    for own, entry in slot.entries.items():
        name = module.key(own)
        array = state_dict.array_of(source, name, arrays[name])
        try:
            values.append((entry.parameter, entry.layout.from_torch(array)))
        except ValueError as error:
            raise FormatError(
                f"'{source}': '{name}' cannot be the weights of '{slot.name}': {error}."
            ) from None
    return values


def to_torch_state_dict(
    model: ModelSettings, like: StateDict | None = None
) -> dict[str, np.ndarray]:
    """Return a model's weights as PyTorch has them, as `Sequential.to_torch_state_dict` does."""
    slots = slots_of(model.layers)
    with model.lock:
        for slot in slots:
            for entry in slot.entries.values():
                refuse_not_finite(entry.parameter)
        if like is None:
            return {
                f"{slot.name.replace('/', '.')}.{own}": entry.exported()
                for slot in slots
                for own, entry in slot.entries.items()
            }
        arrays = state_dict.unwrapped("like", like)
        modules, _ = paired("like", slots, arrays, skip_mismatch=False)
        exported = {name: np.array(state_dict.numbers(value)) for name, value in arrays.items()}
        for slot, module in zip(slots, modules, strict=True):
            if module is not None:
                for own, entry in slot.entries.items():
                    name = module.key(own)
                    exported[name] = entry.exported().reshape(exported[name].shape)
    return exported
