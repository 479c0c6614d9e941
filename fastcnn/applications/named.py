"""What every network of these is given: a name, the shape of its images, and how it begins."""

from __future__ import annotations

from typing import Any

from fastcnn.layers import Layer, Rescaling
from fastcnn.models.sequential import Sequential

Shape = tuple[int, ...]


def named(
    name: str, layers: list[Layer], input_shape: Shape, rescale: bool, options: dict[str, Any]
) -> Sequential:
    """Return the network of some layers; `options` are Sequential's."""
    first: list[Layer] = [Rescaling(1 / 255)] if rescale else []
    return Sequential([*first, *layers], input_shape=tuple(input_shape), name=name, **options)
