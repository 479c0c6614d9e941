"""How much of what targets vary outputs explain."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.losses import Loss
from fastcnn.metrics.base import BatchResults, Metric
from fastcnn.utils.docstrings import described_by


@described_by(Metric.__doc__)
class R2Score(Metric):
    """The coefficient of determination, 1 - residual / variation, the mean over the outputs.

    1 is exact, 0 what the targets' mean would reach. An output whose targets are all alike counts
    1 where it is exact, else 0, as in scikit-learn.
    """

    name = "r2_score"

    def prepare(self, loss: Loss, output_shape: tuple[int, ...]) -> None:
        if loss.has_classes:
            raise ValueError(
                f"Metric '{self.name}' needs targets that are numbers. Received the loss "
                f"'{loss.name}', whose targets are classes."
            )

    def reset(self) -> None:
        self._weight = 0.0
        self._mean: float | NDArray[np.float64] = 0.0
        self._variation: float | NDArray[np.float64] = 0.0  # around the mean so far
        self._residual: float | NDArray[np.float64] = 0.0

    def update(
        self, batch: BatchResults, y: NDArray[Any] | None, weight: NDArray[Any] | None
    ) -> None:
        outputs = batch.outputs.reshape(len(batch.outputs), -1).astype(np.float64)
        targets = np.asarray(y, np.float64).reshape(outputs.shape)
        each = np.ones(len(targets))
        if self.weighted and weight is not None:
            each = np.asarray(weight, np.float64)
        self._residual = self._residual + each @ np.square(targets - outputs)
        added = each.sum()
        if added <= 0:
            return
        # By Chan, Golub and LeVeque (1983): squares of large targets would cancel.
        mean = each @ targets / added
        total = self._weight + added
        apart = np.square(mean - self._mean) * self._weight * added / total
        self._variation = self._variation + each @ np.square(targets - mean) + apart
        self._mean = self._mean + (mean - self._mean) * added / total
        self._weight = total

    def result(self) -> float:
        if not self._weight:
            return float("nan")
        variation, residual = np.asarray(self._variation), np.asarray(self._residual)
        share = np.divide(residual, variation, out=np.ones_like(residual), where=variation > 0)
        return float(np.mean(np.where((variation == 0) & (residual == 0), 1.0, 1.0 - share)))
