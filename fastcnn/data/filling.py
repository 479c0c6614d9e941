"""Asking a data set for images, and seeing that it gave them."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

# A NaN that no arithmetic makes.
STRANGE_NAN = np.uint32(0x7FC0FA57)
STRANGE_SEED = 0xFA570000C0FFEE
# A run of this many bytes is never the pattern by chance.
RUN = 8


class Source(Protocol):
    """What writes images of these numbers, int64 [n], into an array [n, ...]."""

    def images(self, indices: npt.NDArray[np.int64], out: npt.NDArray[Any]) -> object: ...


def fill(
    dataset: Source, indices: npt.NDArray[np.int64], out: npt.NDArray[Any], checked: bool = False
) -> None:
    """Have a Dataset write images into an array. The check costs about as much as a copy.

    Args:
        dataset: The source.
        indices: Numbers of the images, int64 [n].
        out: uint8 or float32 [n, ...].
        checked: Whether to see that all of it was written.

    Raises:
        TypeError: The source returns images in place of writing them.
        ValueError: It is checked, and a part of `out` was left as it was.
    """
    pattern = _poison(out) if checked else None
    returned = dataset.images(indices, out)
    name = f"{type(dataset).__name__}.images"
    if returned is not None and returned is not out:
        raise TypeError(
            f"{name}(indices, out) must write the images into out, as out[...] = images, and "
            f"return nothing. Received a {type(returned).__name__}."
        )
    if pattern is not None and (left := _left(out, pattern)):
        raise ValueError(
            f"{name}(indices, out) must write all of out, {out.shape}. {left} of {len(out)} images "
            "were not written, or not to their ends."
        )


def _poison(out: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Overwrite ``out`` with what no image is; returns that, as one image."""
    if out.dtype == np.float32:
        pattern = np.full(out.shape[1:], STRANGE_NAN).view(np.float32)
    else:
        pattern = np.random.default_rng(STRANGE_SEED).integers(0, 256, out.shape[1:], np.uint8)
    out[...] = pattern
    return pattern


def _left(out: npt.NDArray[Any], pattern: npt.NDArray[Any]) -> int:
    """How many images still hold a row of the pattern."""
    if out.dtype == np.float32:
        unchanged = out.view(np.uint32) == STRANGE_NAN
        return int(unchanged.reshape(len(out), -1).any(axis=1).sum())
    whole = pattern[:1].size < RUN  # such rows are too short to tell
    rows = (out == pattern).reshape(len(out), 1 if whole else len(pattern), -1).all(axis=2)
    return int(rows.any(axis=1).sum()) if pattern.size >= RUN else 0
