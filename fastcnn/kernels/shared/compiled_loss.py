"""A loss of the user's own as Numba functions, joined with what every loss has besides."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from fastcnn.kernels.lazy_numba import numba, register_jitable


@register_jitable
def rank_of(scores, label):
    """Return how many classes score higher than the label, ties going to the lower class."""
    rank = 0
    for j in range(scores.size):
        if scores[j] > scores[label] or (scores[j] == scores[label] and j < label):
            rank += 1
    return rank


@lru_cache(256)
def loss_of_image(value: Any, gradient: Any, takes_labels: bool, has_classes: bool) -> Any:
    """Return the Numba function that writes one image's loss, gradient and rank.

    Args:
        value: Numba function of the target and the scores that returns the loss.
        gradient: Numba function of these that writes the derivatives into a third array, 0 before.
        takes_labels: Whether the target is the number of a class.
        has_classes: Whether the scores are those of classes, among which the true one has a rank.

    Shape:
        scores, slopes [...]; target [] of a label, else that of the scores; weight, loss, rank [].
    """

    make = _of_label if takes_labels else _of_target
    return make(value, gradient, has_classes)


def _of_label(value: Any, gradient: Any, has_classes: bool) -> Any:
    @numba.njit(error_model="numpy")
    def value_and_gradient(scores, target, weight, slopes, loss, rank):
        # Whatever another thread may write there, nothing is read or written elsewhere.
        label = min(max(target[()], 0), scores.size - 1)
        loss[()] = value(label, scores) if label == target[()] else np.float32(np.nan)
        gradient(label, scores, slopes)
        slopes *= weight[()]
        rank[()] = rank_of(scores.ravel(), label) if has_classes else 0

    return value_and_gradient


def _of_target(value: Any, gradient: Any, has_classes: bool) -> Any:
    @numba.njit(error_model="numpy")
    def value_and_gradient(scores, target, weight, slopes, loss, rank):
        loss[()] = value(target, scores)
        gradient(target, scores, slopes)
        slopes *= weight[()]
        rank[()] = rank_of(scores.ravel(), target.argmax()) if has_classes else 0

    return value_and_gradient
