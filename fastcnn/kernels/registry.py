"""Where a device's kernels are: the same nouns, the same names, in a room for each device."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import NamedTuple


class Kernels(NamedTuple):
    """The modules of one device that ops are lowered to."""

    activation: ModuleType
    bias: ModuleType
    conv: ModuleType
    dense: ModuleType
    layout: ModuleType
    normalization: ModuleType
    pooling: ModuleType
    train_step: ModuleType


IN_NN = {"activation", "bias", "dense", "normalization", "pooling", "train_step"}


def kernels_of(device: str) -> Kernels:
    """Return the kernels of "cpu" or "cuda"."""
    room = f"fastcnn.kernels.{device}"
    paths = (f"nn.{name}" if name in IN_NN else name for name in Kernels._fields)
    return Kernels(*(import_module(f"{room}.{path}") for path in paths))
