"""Where a device's kernels are: the same nouns, the same names, in a room for each device."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import NamedTuple


class Kernels(NamedTuple):
    """The modules of one device that ops are lowered to."""

    activation: ModuleType
    conv_bias: ModuleType
    convolution: ModuleType
    layout: ModuleType
    matmul: ModuleType
    normalization: ModuleType
    pool: ModuleType
    training: ModuleType


def kernels_of(device: str) -> Kernels:
    """Return the kernels of "cpu" or "cuda"."""
    room = f"fastcnn.kernels.{device}"
    return Kernels(*(import_module(f"{room}.{name}") for name in Kernels._fields))
