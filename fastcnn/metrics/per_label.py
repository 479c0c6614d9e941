"""Metrics that have a value for each class or question, and how they become one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.losses import Loss
from fastcnn.metrics.answers import Answers
from fastcnn.metrics.base import BatchResults, Metric
from fastcnn.utils import arguments

AVERAGES = ("auto", "macro", "micro", None)

Counts = NDArray[np.float64] | np.float64 | float
"""Weighted counts of examples: one label's or each label's."""


class PerLabel(Metric):
    """A metric over the labels: classes, or questions that are answered yes or no.

    `average` is "macro" for the mean of the labels' values, "micro" for one value of all answers
    together, None for a value a label, in the logs as "name_0" and so on, or "auto": micro where
    each output answers a question of its own, as Keras does, macro for classes.
    """

    def __init__(
        self, average: str | None = "auto", name: str | None = None, weighted: bool = False
    ) -> None:
        if average not in AVERAGES:
            raise ValueError(
                f"{type(self).__name__}: average must be 'macro', 'micro', None or 'auto'. "
                f"Received {average!r}."
            )
        self.average = average
        super().__init__(name, weighted)

    threshold: float | None = None

    def prepare(self, loss: Loss, output_shape: tuple[int, ...]) -> None:
        self._answers = Answers.of(loss, output_shape, self.threshold)
        average = "macro" if self._answers.one_of else "micro"
        self._average = average if self.average == "auto" else self.average

    @property
    def log_names(self) -> tuple[str, ...]:
        if self._average is not None:
            return (self.name,)
        return tuple(f"{self.name}_{label}" for label in range(self._answers.labels))

    def each(self) -> NDArray[np.float64]:
        """Return the value of each label so far, float64 [labels]; NaN where it has none."""
        raise NotImplementedError(f"{type(self).__name__} must define each().")

    def pooled(self) -> float:
        """Return the value of all answers together."""
        raise NotImplementedError(f"{type(self).__name__} must define pooled().")

    def result(self) -> float:
        """Return the average so far; NaN where no label has a value."""
        if self._average == "micro":
            return self.pooled()
        values = self.each()
        values = values[~np.isnan(values)]
        return float(values.mean()) if len(values) else float("nan")

    def results(self) -> dict[str, float]:
        if self._average is not None:
            return {self.name: self.result()}
        return dict(zip(self.log_names, self.each().tolist(), strict=True))

    def get_config(self) -> dict[str, object]:
        return {"average": self.average, **super().get_config()}


class Counted(PerLabel):
    """A metric made of counts: how often a label was said, was true, and both.

    A class is said where its output is the highest; the answer to a question is yes above the
    threshold, 0.5, or 0 for logits and hinges. Another `threshold`, a probability, makes each
    output a question of its own, of classes too. A share of nothing is 0, as in Keras.

    Args:
        average: "macro" (the mean of the labels' values), "micro" (one value of all answers
            together), None (a value a label, "name_0" and so on in the logs) or "auto" (micro where
            each output answers a question of its own, else macro).
        threshold: The probability above which the answer is yes; None takes the class with the
            highest output, or 0.5 (0 with a hinge) where each output answers a question.
        name: What it is called in the logs; None takes the class's.
        weighted: Whether the examples' weights (sample_weight times class_weight) count.

    Raises:
        ValueError: `average` is none of these, or a number is out of its range.
        TypeError: The threshold is no number.
    """

    def __init__(
        self,
        average: str | None = "auto",
        threshold: float | None = None,
        name: str | None = None,
        weighted: bool = False,
    ) -> None:
        super().__init__(average, name, weighted)
        if threshold is not None:
            self.threshold = arguments.float32(self, "threshold", threshold)

    def reset(self) -> None:
        self._hits: Counts = 0.0
        self._said: Counts = 0.0
        self._true: Counts = 0.0
        self._rows = 0.0

    def update(
        self, batch: BatchResults, y: NDArray[Any] | None, weight: NDArray[Any] | None
    ) -> None:
        said, true = self._answers.said(batch.outputs), self._answers.true(np.asarray(y))
        weight = weight if self.weighted else None
        weights = self._answers.weights(weight, len(batch.outputs), len(said))
        self._hits = self._hits + weights @ (said & true)
        self._said = self._said + weights @ said
        self._true = self._true + weights @ true
        self._rows += weights.sum()

    def share(self, hits: Counts, said: Counts, true: Counts) -> Counts:
        """Return the metric's value from counts, of one label or of many."""
        raise NotImplementedError(f"{type(self).__name__} must define share(hits, said, true).")

    def each(self) -> NDArray[np.float64]:
        if not self._rows:
            return np.full(self._answers.labels, np.nan)
        return np.asarray(self.share(self._hits, self._said, self._true), np.float64)

    def pooled(self) -> float:
        if not self._rows:
            return float("nan")
        return float(self.share(np.sum(self._hits), np.sum(self._said), np.sum(self._true)))

    def get_config(self) -> dict[str, object]:
        return {"threshold": self.threshold, **super().get_config()}


def ratio(part: Counts, whole: Counts) -> Counts:
    """Return part / whole, and 0 where the whole is 0."""
    return np.divide(part, whole, out=np.zeros(np.shape(whole)), where=np.asarray(whole) > 0)
