"""The area under a curve over all thresholds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.metrics.base import BatchResults
from fastcnn.metrics.per_label import PerLabel

CURVES = ("ROC", "PR")


class AUC(PerLabel):
    """The area under the ROC curve, or with curve="PR" the average precision.

    It is exact: every score is a threshold, where Keras has 200 of them and is a little off. For
    that the scores of a pass are kept, 5 bytes for each label of each example. A class is compared
    with all others. ROC's is the share of pairs of a true and a false answer in which the true one
    scores higher, a tie being half. A label that is always true, or never, has no area (NaN), and
    a mean leaves it out. While an epoch runs the logs show it as of some batches ago.

    Args:
        curve: "ROC" or "PR".
        average: "macro" (the mean of the labels' values), "micro" (one value of all answers
            together), None (a value a label, "name_0" and so on in the logs) or "auto" (micro where
            each output answers a question of its own, else macro).
        name: What it is called in the logs; None takes the class's.
        weighted: Whether the examples' weights (sample_weight times class_weight) count.

    Raises:
        ValueError: `curve` or `average` is none of these.

    References:
        Fawcett, 2006: An introduction to ROC analysis.
    """

    name = "auc"

    def __init__(
        self,
        curve: str = "ROC",
        average: str | None = "auto",
        name: str | None = None,
        weighted: bool = False,
    ) -> None:
        if curve not in CURVES:
            raise ValueError(f"AUC: curve must be 'ROC' or 'PR'. Received {curve!r}.")
        self.curve = curve
        super().__init__(average, name, weighted)

    def reset(self) -> None:
        self._scores: list[NDArray[np.float32]] = []
        self._true: list[NDArray[np.bool_]] = []
        self._weights: list[NDArray[np.float64]] = []
        self._rows = 0
        self._shown: dict[str, float] = {}
        self._shown_rows = 0

    def update(
        self, batch: BatchResults, y: NDArray[Any] | None, weight: NDArray[Any] | None
    ) -> None:
        scores = self._answers.scores(batch.outputs)
        self._scores.append(scores)
        self._true.append(self._answers.true(np.asarray(y)))
        if self.weighted:
            count = len(batch.outputs)
            self._weights.append(self._answers.weights(weight, count, len(scores)))
        self._rows += len(scores)

    def _all(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Scores and truths [rows, labels], weights [rows]."""
        weights = np.concatenate(self._weights) if self._weights else np.ones(self._rows)
        return np.concatenate(self._scores), np.concatenate(self._true), weights

    def each(self) -> NDArray[np.float64]:
        if not self._rows:
            return np.full(self._answers.labels, np.nan)
        scores, true, weights = self._all()
        return np.array(
            [self._area(scores[:, i], true[:, i], weights) for i in range(scores.shape[1])]
        )

    def pooled(self) -> float:
        if not self._rows:
            return float("nan")
        scores, true, weights = self._all()
        return self._area(scores.ravel(), true.ravel(), np.repeat(weights, scores.shape[1]))

    def _area(self, scores: NDArray[Any], true: NDArray[Any], weights: NDArray[Any]) -> float:
        if np.isnan(scores).any():
            return float("nan")
        levels, level = np.unique(scores, return_inverse=True)
        yes = np.bincount(level, weights * true, len(levels))[::-1]  # from the highest score down
        no = np.bincount(level, weights * ~true, len(levels))[::-1]
        if not yes.sum() or not no.sum():
            return float("nan")
        if self.curve == "PR":
            hits, said = yes.cumsum(), (yes + no).cumsum()
            precision = np.divide(hits, said, out=np.zeros_like(hits), where=said > 0)
            return float((yes * precision).sum() / yes.sum())
        higher = yes.cumsum() - yes / 2
        return float((no * higher).sum() / (yes.sum() * no.sum()))

    def running(self) -> dict[str, float]:
        # Sorting at each of a pass's batches would cost more than the batches.
        if not self._shown or self._rows >= 1.25 * self._shown_rows:
            self._shown, self._shown_rows = self.results(), self._rows
        return dict(self._shown)

    def get_config(self) -> dict[str, object]:
        return {"curve": self.curve, **super().get_config()}
