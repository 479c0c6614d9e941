"""What stands around PyTorch's functions of windows: the order of axes, and padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Config = dict[str, Any]


def channels_first(x: Any) -> Any:
    """Return maps with the channels first; vectors as they are."""
    return x.permute(0, 3, 1, 2).contiguous() if x.ndim == 4 else x


def channels_last(x: Any) -> Any:
    return x.permute(0, 2, 3, 1) if x.ndim == 4 else x


def margins(
    padding: Any, x: Any, window: Any, strides: Any, dilation: Any = (1, 1)
) -> list[tuple[int, int]]:
    """Return the pixels before and behind the rows, and the columns."""
    if padding == "valid":
        return [(0, 0), (0, 0)]
    if padding != "same":
        return [(before, behind) for before, behind in padding]
    pairs = []
    for size, taps, stride, step in zip(x.shape[1:3], window, strides, dilation, strict=True):
        missing = max((-(-size // stride) - 1) * stride + (taps - 1) * step + 1 - size, 0)
        pairs.append((missing // 2, missing - missing // 2))
    return pairs


def pool_margins(around: list[tuple[int, int]], x: Any, of: Config) -> list[tuple[int, int]]:
    """Return the padding that also holds all of a last window that begins inside, in ceil mode."""
    if not of["ceil_mode"]:
        return around
    pairs = []
    for (before, behind), size, taps, stride in zip(
        around, x.shape[1:3], of["pool_size"], of["strides"], strict=True
    ):
        whole = before + size + behind
        last = -(-(whole - taps) // stride) * stride
        if last >= before + size:
            last -= stride
        pairs.append((before, behind + max(last + taps - whole, 0)))
    return pairs


def as_padding(around: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Return pairs of rows and columns as F.pad takes them."""
    return (*around[1], *around[0])
