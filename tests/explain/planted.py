"""A net whose right answer is known: it looks for a pattern in images where that was planted."""

from __future__ import annotations

import numpy as np

from fastcnn import Sequential
from fastcnn import layers as L

SIDE = 12
PATTERN = np.array([[1, -1, 1], [-1, 1, -1], [1, -1, 1]], np.float32)
PLACES = ((2, 7), (8, 1), (5, 5), (0, 9))
"""The upper left corner of the pattern in each image."""


def images() -> np.ndarray:
    """Faint noise, with the pattern at its place: float32 [4, 12, 12, 1]."""
    x = 0.05 * np.random.default_rng(0).standard_normal((len(PLACES), SIDE, SIDE, 1))
    for image, (i, j) in zip(x, PLACES, strict=True):
        image[i : i + 3, j : j + 3, 0] += PATTERN
    return x.astype(np.float32)


def model(**settings) -> Sequential:
    """Class 1 is scored by the pattern, class 0 by nothing."""
    chain = [
        L.Conv2D(2, 3, activation="relu", name="search"),
        L.GlobalMaxPooling2D(),
        L.Dense(2, activation="softmax"),
    ]
    network = Sequential(chain, (SIDE, SIDE, 1), device="cpu", **settings)
    kernel, bias, dense, dense_bias = (p.value for p in network.parameters)
    kernel[..., 0, 0], kernel[..., 0, 1] = PATTERN, -PATTERN
    bias[...] = [-5, -20]
    dense[...], dense_bias[...] = [[0, 1], [0, 0]], 0
    return network


def inside(place: tuple[int, int], slack: int = 0) -> tuple[slice, slice]:
    """The rows and columns of the pattern at a place, and so many around it."""
    i, j = place
    return slice(max(i - slack, 0), i + 3 + slack), slice(max(j - slack, 0), j + 3 + slack)


def share_inside(relevance: np.ndarray, slack: int = 0) -> np.ndarray:
    """How much of what is found [n, H, W] lies at the planted places."""
    shares = [
        np.abs(row[inside(place, slack)]).sum() / np.abs(row).sum()
        for row, place in zip(relevance, PLACES, strict=True)
    ]
    return np.array(shares)
