"""Counted randomness: every number is a function of seed, epoch, purpose and image alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from fastcnn._ext import random

Doubles = npt.NDArray[np.float64]

# The odd whole number nearest to 2^64 over the golden ratio, SplitMix64's step.
GOLDEN = 0x9E3779B97F4A7C15
MASK = 2**64 - 1


@lru_cache(1024)
def key(seed: int, epoch: int, number: int, part: int = 0) -> int:
    """A key below 2^64 for one purpose: ``number`` is that of an augmentation in its list (what is
    not in a list takes 1000 and up), ``part`` tells apart what it draws."""
    mixed = 0
    for value in (seed, epoch, number, part):
        mixed = random.hashed((mixed + GOLDEN + int(value)) & MASK)
    return mixed


def uniforms(key: int, indices: npt.NDArray[np.int64], count: int) -> Doubles:
    """float64 [n, count] in [0, 1), one row an image; a row depends on key and index alone."""
    return random.uniforms(np.array([key], np.uint64), indices, np.array([count], np.int64))


def tables(
    keys: Sequence[int], indices: npt.NDArray[np.int64], counts: Sequence[int]
) -> list[Doubles]:
    """As uniforms() for each key with its count, all drawn at once."""
    if not keys:
        return []
    drawn = random.uniforms(np.array(keys, np.uint64), indices, np.array(counts, np.int64))
    ends = accumulate(counts)
    return [drawn[:, end - count : end] for end, count in zip(ends, counts, strict=True)]


def normals(u: Doubles) -> Doubles:
    """Standard normal numbers [n, m] of uniform ones [n, m], m even, by Box and Muller (1958)."""
    radius = np.sqrt(-2 * np.log1p(-u[:, 0::2]))
    angle = 2 * np.pi * u[:, 1::2]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def between(u: Any, low: float, high: float) -> Any:
    """Uniform numbers from ``low`` to ``high``; ``low`` itself where both are equal."""
    return low + (high - low) * u
