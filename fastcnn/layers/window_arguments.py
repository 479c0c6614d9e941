"""Windows that slide over an image: their sizes, steps and padding as arguments of layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from fastcnn.graph.problem import (
    PADDING_MODES,
    Padding,
    Pair,
    output_size,
    overhang,
    same_padding,
    unread_pixels,
)
from fastcnn.utils import naming
from fastcnn.utils.arguments import MOST_PIXELS, is_whole

if TYPE_CHECKING:
    from fastcnn.layers.base import Layer

PairLike: TypeAlias = int | Sequence[int]
"""One integer for both axes, or one for each."""

PaddingLike: TypeAlias = str | int | Sequence[int | Sequence[int]]
""""valid", "same", or pixels: an integer, (rows, columns) or ((top, bottom), (left, right))."""


class WindowTooLarge(ValueError):
    """A window that does not fit once into its layer's input."""

    def __init__(self, layer: Layer, text: str) -> None:
        super().__init__(text)
        self.layer = layer


def pair(layer: Layer, name: str, value: object, least: int = 1) -> Pair:
    """Return a pair of integers of at least ``least`` from one integer or two."""
    if is_whole(value):
        value = (value, value)
    if isinstance(value, tuple | list) and len(value) == 2:
        rows, columns = value
        if is_whole(rows) and is_whole(columns) and min(rows, columns) >= least:
            _check_most(layer, name, max(rows, columns))
            return int(rows), int(columns)
    kind = "a positive integer" if least else "an integer of at least 0"
    raise ValueError(f"{layer.label}: {name} must be {kind} or a pair of them. Received {value!r}.")


def _check_most(layer: Layer, name: str, value: int) -> None:
    if value > MOST_PIXELS:
        raise ValueError(
            f"{layer.label}: {name} must be at most {MOST_PIXELS:,} pixels. Received {value!r}."
        )


def pixels(layer: Layer, name: str, value: object) -> Padding:
    """Return ((top, bottom), (left, right)) from an int, (rows, columns) or the full form."""
    if is_whole(value):
        value = (value, value)
    if isinstance(value, tuple | list) and len(value) == 2:
        sides = [(v, v) if is_whole(v) else v for v in value]
        if all(
            isinstance(side, tuple | list)
            and len(side) == 2
            and all(is_whole(v) and v >= 0 for v in side)
            for side in sides
        ):
            (top, bottom), (left, right) = sides
            _check_most(layer, name, max(top, bottom, left, right))
            return (int(top), int(bottom)), (int(left), int(right))
    raise ValueError(
        f"{layer.label}: {name} must be an integer, (rows, columns) or ((top, bottom), "
        f"(left, right)), none negative. Received {value!r}."
    )


def padding(layer: Layer, value: object) -> str | Padding:
    """Return "valid", "same" or explicit pixels."""
    if isinstance(value, str):
        if value.lower() not in ("valid", "same"):
            raise ValueError(
                f"{layer.label}: padding must be 'valid', 'same', an integer or "
                f"((top, bottom), (left, right)). Received {value!r}."
            )
        return value.lower()
    return pixels(layer, "padding", value)


def padding_mode(layer: Layer, value: object) -> str:
    """Return what stands around an image: "zeros", "edge" or "reflect"."""
    if not isinstance(value, str) or value not in PADDING_MODES:
        unknown = naming.unknown("padding_mode", str(value), PADDING_MODES)
        raise ValueError(f"{layer.label}: {unknown}")
    return value


def resolve_padding(
    padding: str | Padding, shape: tuple[int, ...], window: Pair, strides: Pair, dilation: Pair
) -> Padding:
    """Return a padding setting in pixels for an input of a given shape."""
    if not isinstance(padding, str):
        return padding
    if padding == "valid":
        return (0, 0), (0, 0)
    rows, columns = (same_padding(shape[i], window[i], strides[i], dilation[i]) for i in range(2))
    return rows, columns


def ceil_padding(shape: tuple[int, ...], window: Pair, strides: Pair, pad: Padding) -> Padding:
    """Return the padding with which windows reach the last pixels: more at the end, where needed.

    The last window begins inside the image or its padding before it, as in Caffe and PyTorch.
    """
    rows, columns = (
        (pad[i][0], pad[i][1] + overhang(shape[i], window[i], strides[i], pad[i])) for i in range(2)
    )
    return rows, columns


def window_output(
    layer: Layer,
    shape: tuple[int, ...],
    window: Pair,
    strides: Pair,
    pad: Padding,
    dilation: Pair = (1, 1),
) -> Pair:
    """Return (height, width) after a sliding window; raises where it does not fit once."""
    out = tuple(output_size(shape[i], window[i], strides[i], dilation[i], pad[i]) for i in range(2))
    if min(out) < 1:
        spread = f" with dilation {dilation}" if dilation != (1, 1) else ""
        raise WindowTooLarge(
            layer,
            f"{layer.label}: a window of {window[0]}x{window[1]}{spread} does not fit into the "
            f"input of {shape[0]}x{shape[1]} pixels with padding {pad}.",
        )
    return out[0], out[1]


def unread(
    shape: tuple[int, ...], window: Pair, strides: Pair, pad: Padding, dilation: Pair = (1, 1)
) -> Pair:
    """Return how many rows and columns at the end of an input no window reads."""
    rows, columns = (
        unread_pixels(shape[i], window[i], strides[i], dilation[i], pad[i]) for i in range(2)
    )
    return rows, columns
