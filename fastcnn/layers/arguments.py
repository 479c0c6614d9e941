"""Checks of layer arguments, each an error that names the layer, what was expected and what came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastcnn.problem import Padding, Pair, output_size, same_padding

if TYPE_CHECKING:
    from fastcnn.layers.base import Layer


def is_whole(value: Any) -> bool:
    """Say whether a value is an integer and not a truth value."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def positive(layer: Layer, name: str, value: Any) -> int:
    """Return a positive integer."""
    if not is_whole(value) or value < 1:
        raise ValueError(f"{layer.label}: {name} must be a positive integer. Received {value!r}.")
    return int(value)


def pair(layer: Layer, name: str, value: Any) -> Pair:
    """Return a pair of positive integers from one integer or two."""
    if is_whole(value):
        value = (value, value)
    if isinstance(value, tuple | list) and len(value) == 2 and all(is_whole(v) for v in value):
        if min(value) >= 1:
            return int(value[0]), int(value[1])
    raise ValueError(
        f"{layer.label}: {name} must be a positive integer or a pair of them. Received {value!r}."
    )


def fraction(layer: Layer, name: str, value: Any, top_included: bool = False) -> float:
    """Return a number from 0 up to 1."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not (0 <= number < 1 or (top_included and number == 1)):
        raise ValueError(
            f"{layer.label}: {name} must be at least 0 and below 1. Received {value!r}."
        )
    return number


def pixels(layer: Layer, name: str, value: Any) -> Padding:
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
            return (int(top), int(bottom)), (int(left), int(right))
    raise ValueError(
        f"{layer.label}: {name} must be an integer, (rows, columns) or ((top, bottom), (left, right)), "
        f"none negative. Received {value!r}."
    )


def padding(layer: Layer, value: Any) -> str | Padding:
    """Return "valid", "same" or explicit pixels."""
    if isinstance(value, str):
        if value.lower() not in ("valid", "same"):
            raise ValueError(
                f"{layer.label}: padding must be 'valid', 'same', an integer or "
                f"((top, bottom), (left, right)). Received {value!r}."
            )
        return value.lower()
    return pixels(layer, "padding", value)


def resolve_padding(
    given: str | Padding, shape: tuple[int, ...], window: Pair, strides: Pair, dilation: Pair
) -> Padding:
    """Return a padding setting in pixels for an input of a given shape."""
    if given == "valid":
        return (0, 0), (0, 0)
    if given == "same":
        rows, columns = (
            same_padding(shape[i], window[i], strides[i], dilation[i]) for i in range(2)
        )
        return rows, columns
    return given  # type: ignore[return-value]


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
        raise ValueError(
            f"{layer.label}: a window of {window[0]}x{window[1]}{spread} does not fit into the input of "
            f"{shape[0]}x{shape[1]} pixels with padding {pad}."
        )
    return out[0], out[1]
