"""State dicts: arrays by names such as "layer1.0.conv1.weight", whoever made them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from fastcnn.hdf5.errors import FormatError
from fastcnn.interop.pytorch.layout import Array
from fastcnn.interop.pytorch.shortest_walk import Module
from fastcnn.layers.base import Shape

StateDict: TypeAlias = Mapping[str, Any]
"""Arrays or tensors by their names."""

WRAPPERS = ("state_dict", "model", "model_state_dict", "net")
"""Under which names checkpoints have the weights beside other things."""

COUNTERS = ("num_batches_tracked",)
"""What modules have that no network computes with."""


def unwrapped(source: str, state: object) -> StateDict:
    """Return the state dict that a checkpoint holds, or is.

    Args:
        source: What errors call it.
        state: The checkpoint.

    Raises:
        FormatError: It is none, or holds several and none under a usual name.
    """
    if _is_state_dict(state):
        return state  # type: ignore[return-value]
    inner: dict[str, Any] = {}
    if isinstance(state, Mapping):
        inner = {str(name): value for name, value in state.items() if _is_state_dict(value)}
    for name in (*WRAPPERS, *(inner if len(inner) == 1 else ())):
        if name in inner:
            return inner[name]
    has = ", ".join(inner) if inner else f"a {type(state).__name__}"
    raise FormatError(
        f"'{source}' is no state dict: expected arrays by their names, or a checkpoint that has "
        f"them as one of {', '.join(map(repr, WRAPPERS))}. It has {has}."
    )


def _is_state_dict(state: object) -> bool:
    return (
        isinstance(state, Mapping)
        and len(state) > 0
        and all(isinstance(name, str) and hasattr(value, "shape") for name, value in state.items())
    )


def modules_of(state: StateDict) -> list[Module]:
    """Return the modules of a state dict, in its order.

    Names that are sorted as text have lost their order, as those of safetensors have: they are
    sorted as people count, "layer1.10" behind "layer1.2".
    """
    shapes: dict[str, dict[str, Shape]] = {}
    for name, value in state.items():
        module, _, own = name.rpartition(".")
        if own not in COUNTERS:
            shapes.setdefault(module, {})[own] = tuple(int(size) for size in value.shape)
    names = list(shapes)
    if names == sorted(names):
        names.sort(key=_as_counted)
    return [Module(name, tuple(name.split(".")[:-1]), shapes[name]) for name in names]


def _as_counted(name: str) -> list[tuple[int, str]]:
    """Return a key to sort names by, numbers in them by their size."""
    pieces = re.split(r"([0-9]+)", name)  # a text, a number, a text, ...
    return [
        (len(piece.lstrip("0")), piece.lstrip("0")) if number % 2 else (0, piece)
        for number, piece in enumerate(pieces)
    ]


def described(shapes: Mapping[str, Shape]) -> str:
    """Return the arrays of a module as text."""
    return " and ".join(f"{name} {shape}" for name, shape in shapes.items()) or "no arrays"


def numbers(value: Any) -> np.ndarray:
    """Return an array, or a PyTorch tensor on any device, as an array."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if value.is_floating_point() else value  # NumPy has no bfloat16
        value = value.numpy()
    return np.asarray(value)


def array_of(source: str, name: str, value: Any) -> Array:
    """Return a value of a state dict as float32.

    Args:
        source: What errors call the state dict.
        name: The value's name in it.
        value: An array or a tensor.

    Raises:
        FormatError: It is not of real numbers, or some are not finite.
    """
    array = numbers(value)
    if array.dtype.kind != "f":
        raise FormatError(f"'{source}': '{name}' has {array.dtype} where weights were expected.")
    with np.errstate(over="ignore"):
        array = array.astype(np.float32, copy=False)
    if not np.isfinite(array).all():
        raise FormatError(f"'{source}': '{name}' has numbers that are not finite.")
    return array
