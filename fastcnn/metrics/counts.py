"""Precision, recall and F1."""

from __future__ import annotations

from fastcnn.metrics.per_label import Counted, Counts, ratio
from fastcnn.utils.docstrings import described_by


@described_by(Counted.__doc__)
class Precision(Counted):
    """The share of the answers "yes" that are true."""

    name = "precision"

    def share(self, hits: Counts, said: Counts, true: Counts) -> Counts:
        return ratio(hits, said)


@described_by(Counted.__doc__)
class Recall(Counted):
    """The share of what is true that is answered "yes".

    With average=None, of each class the share of its examples that is right.
    """

    name = "recall"

    def share(self, hits: Counts, said: Counts, true: Counts) -> Counts:
        return ratio(hits, true)


@described_by(Counted.__doc__)
class F1Score(Counted):
    """The harmonic mean of precision and recall.

    By default the mean of the labels' ones, where Keras gives one a label (average=None).
    """

    name = "f1_score"

    def __init__(
        self,
        average: str | None = "macro",
        threshold: float | None = None,
        name: str | None = None,
        weighted: bool = False,
    ) -> None:
        super().__init__(average, threshold, name, weighted)

    def share(self, hits: Counts, said: Counts, true: Counts) -> Counts:
        return ratio(2 * hits, said + true)
