"""The types of PTX as NumPy's, and what it is to compute with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

TYPES: dict[str, np.dtype] = {"pred": np.dtype(bool), "tf32": np.dtype(np.uint32)}
for _bits in (8, 16, 32, 64):
    for _letter, _kind in (("s", "i"), ("u", "u"), ("b", "u")):
        TYPES[f"{_letter}{_bits}"] = np.dtype(f"{_kind}{_bits // 8}")
TYPES |= {"f32": np.dtype(np.float32), "f64": np.dtype(np.float64)}

DOUBLE_WIDTH = {"s16": "s32", "u16": "u32", "s32": "s64", "u32": "u64"}


class Operation(NamedTuple):
    """compute(*sources, out=target) with arrays of these types."""

    target: str
    sources: tuple[str, ...]
    compute: Callable[..., object]


def assigned(compute: Callable) -> Callable:
    """A function that returns its result, as one that puts it into `out`."""

    def put(*sources, out):
        out[...] = compute(*sources)

    return put
