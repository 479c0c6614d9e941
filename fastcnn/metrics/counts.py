"""Precision, recall and F1."""

from __future__ import annotations

from typing import Any

from fastcnn.metrics.per_label import Counted, ratio


class Precision(Counted):
    """How much of what is said is true."""

    name = "precision"

    def share(self, hits: Any, said: Any, true: Any) -> Any:
        return ratio(hits, said)


class Recall(Counted):
    """How much of what is true is said; with average=None, of each class the share of its examples
    that is right."""

    name = "recall"

    def share(self, hits: Any, said: Any, true: Any) -> Any:
        return ratio(hits, true)


class F1Score(Counted):
    """The harmonic mean of precision and recall; by default the mean of the labels' ones, where
    Keras gives one a label (average=None)."""

    name = "f1_score"

    def __init__(
        self,
        average: str | None = "macro",
        threshold: float | None = None,
        name: str | None = None,
        weighted: bool = False,
    ) -> None:
        super().__init__(average, threshold, name, weighted)

    def share(self, hits: Any, said: Any, true: Any) -> Any:
        return ratio(2 * hits, said + true)
