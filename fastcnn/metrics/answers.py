"""What a network's outputs answer: the class of an example, or yes and no to several questions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.backends.step import softmax
from fastcnn.losses import Loss


@dataclass(frozen=True)
class Answers:
    """Outputs and targets read as answers, a column a label.

    labels: how many classes or questions there are, the last axis of the outputs; other axes, as of
    an image of outputs, are further examples. one_of: exactly one of the labels is true, the one
    with the highest output; otherwise those above `threshold` are. `middle` is what the targets of
    no and yes lie around. `logits` are scores of classes before their softmax.
    """

    labels: int
    one_of: bool
    threshold: float
    middle: float
    logits: bool

    @classmethod
    def of(cls, loss: Loss, output_shape: tuple[int, ...], threshold: float | None) -> Answers:
        """Return how outputs of a shape [...] answer under a loss.

        A `threshold` makes each of them a question of its own; it is a probability where the loss
        takes logits.
        """
        several = loss.has_classes or (not loss.yes_no and output_shape[-1] > 1)
        limit = loss.threshold
        if threshold is not None:
            limit = _logit(threshold) if loss.from_logits and loss.yes_no else threshold
        return cls(
            labels=output_shape[-1],
            one_of=several and threshold is None,
            threshold=limit,
            middle=0.0 if loss.target_range == (-1.0, 1.0) else 0.5,
            logits=loss.has_classes and loss.from_logits,
        )

    def scores(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the outputs [n, ...] as scores [rows, labels], of classes as probabilities where
        the loss takes their logits.
        """
        rows = outputs.reshape(-1, self.labels)
        return softmax(rows) if self.logits else rows

    def said(self, outputs: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return what outputs [n, ...] answer, bool [rows, labels]."""
        scores = self.scores(outputs)
        if self.one_of:
            return _only(scores.argmax(axis=1), self.labels)
        return np.asarray(scores > self.threshold)

    def true(self, y: NDArray[Any]) -> NDArray[np.bool_]:
        """Return what targets, labels [n] or like outputs [n, ...], answer: bool [rows, labels]."""
        if y.ndim == 1 and y.dtype.kind in "iu":
            return _only(y, self.labels)
        rows = y.reshape(-1, self.labels)
        if self.one_of:
            return _only(rows.argmax(axis=1), self.labels)
        return np.asarray(rows > self.middle)

    def weights(self, weight: NDArray[Any] | None, count: int, rows: int) -> NDArray[np.float64]:
        """Return the weights of `count` examples as those of their rows, float64 [rows]."""
        each = np.ones(count) if weight is None else np.asarray(weight, np.float64)
        return np.repeat(each, rows // count)


def _only(places: NDArray[Any], labels: int) -> NDArray[np.bool_]:
    return np.asarray(places[:, None] == np.arange(labels))


def _logit(probability: float) -> float:
    if probability in (0.0, 1.0):
        return math.inf if probability else -math.inf
    return math.log(probability / (1.0 - probability))
