"""Counted randomness: every number is a function of seed, epoch, purpose and image alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from fastcnn._ext import random

Doubles = npt.NDArray[np.float64]

# The odd whole number nearest to 2^64 over the golden ratio, SplitMix64's step.
GOLDEN = 0x9E3779B97F4A7C15
MASK = 2**64 - 1


@lru_cache(1024)
def key(seed: int, epoch: int, number: int, part: int = 0) -> int:
    """Return a key below 2^64 for one purpose.

    Args:
        seed: Of the list of augmentations.
        epoch: The number of the epoch, from 0.
        number: That of an augmentation in its list; what is not in a list takes 1000 and up.
        part: Tells apart what it draws.
    """
    mixed = 0
    for value in (seed, epoch, number, part):
        mixed = random.hashed((mixed + GOLDEN + int(value)) & MASK)
    return mixed


def uniforms(key: int, indices: npt.NDArray[np.int64], count: int) -> Doubles:
    """Return random numbers, a row an image, which depends on key and index alone.

    Args:
        key: What the numbers are for.
        indices: Numbers of the images, int64 [n].
        count: How many numbers an image takes.

    Returns:
        Numbers from 0, below 1.

    Shape:
        float64 [n, count].
    """
    return random.uniforms(np.array([key], np.uint64), indices, np.array([count], np.int64))


def tables(
    keys: Sequence[int], indices: npt.NDArray[np.int64], counts: Sequence[int]
) -> list[Doubles]:
    """Return what `uniforms` returns for each key with its count, all drawn at once.

    Args:
        keys: What the numbers are for.
        indices: Numbers of the images, int64 [n].
        counts: How many numbers an image takes, for each key.
    """
    if not keys:
        return []
    drawn = random.uniforms(np.array(keys, np.uint64), indices, np.array(counts, np.int64))
    ends = accumulate(counts)
    return [drawn[:, end - count : end] for end, count in zip(ends, counts, strict=True)]


def normals(u: Doubles) -> Doubles:
    """Return standard normal numbers, by Box and Muller (1958).

    Args:
        u: Random numbers from 0, below 1, float64 [n, m], m even.

    Shape:
        float64 [n, m].
    """
    radius = np.sqrt(-2 * np.log1p(-u[:, 0::2]))
    angle = 2 * np.pi * u[:, 1::2]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def between(u: Doubles, low: float, high: float) -> Doubles:
    """Return uniform numbers from `low` to `high`; `low` itself where both are equal.

    Args:
        u: Random numbers from 0, below 1.
        low: The least.
        high: The most.
    """
    return low + (high - low) * u
