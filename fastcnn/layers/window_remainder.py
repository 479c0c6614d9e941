"""Pixels at the end of an image that no window reads, since strides do not fit: (7 - 3) / 3 + 1 is
not whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Protocol

from fastcnn.graph.problem import Pair
from fastcnn.layers.base import Layer
from fastcnn.layers.reshaping import ZeroPadding2D


class Chain(Protocol):
    """A model, as far as its layers go."""

    @property
    def layers(self) -> Sequence[Layer]: ...


def unread_in(model: Chain) -> dict[Layer, Pair]:
    """Return the layers that leave out pixels, with how many rows and columns each."""
    every = {layer: _unread(before, layer) for before, layer in _steps(model.layers)}
    return {layer: pixels for layer, pixels in every.items() if max(pixels)}


def unread_words(layer: Layer, pixels: Pair) -> str:
    """Return the sentence about a layer that leaves out so many rows and columns."""
    parts = [_count(pixels[0], "row"), _count(pixels[1], "column")]
    height, width = layer.input_shape[:2]
    return (
        f"{layer.path}: the strides do not fit, so that no window reads the last "
        f"{' and the last '.join(filter(None, parts))} of its {height} x {width} input"
    )


def _steps(layers: Sequence[Layer]) -> Iterator[tuple[Layer | None, Layer]]:
    """Yield every layer, those inside others too, each with the one before it in its chain."""
    for before, layer in pairwise([None, *layers]):
        if isinstance(layer, Layer):
            yield before, layer
            for chain in getattr(layer, "chains", ()):
                yield from _steps(chain)


def _unread(before: Layer | None, layer: Layer) -> Pair:
    rows, columns = layer.unread()
    if isinstance(before, ZeroPadding2D):  # its zeros are no pixels
        (_, bottom), (_, right) = before.padding
        return max(0, rows - bottom), max(0, columns - right)
    return rows, columns


def _count(number: int, noun: str) -> str:
    if not number:
        return ""
    return noun if number == 1 else f"{number} {noun}s"
