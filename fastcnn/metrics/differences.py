"""How far outputs are from their targets."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.metrics.base import BatchResults, Metric
from fastcnn.utils.docstrings import described_by


class _Difference(Metric):
    """A mean over outputs and examples; labels are compared as one-hot rows. With a loss on logits
    the outputs are logits.
    """

    direction = "min"

    def differences(self, batch: BatchResults, y: NDArray[Any] | None) -> NDArray[np.float64]:
        """Outputs minus targets, float64 [n, outputs]."""
        outputs, targets = batch.outputs, np.asarray(y)
        if targets.shape != outputs.shape:
            targets = targets[:, None] == np.arange(outputs.shape[-1])
        difference = np.subtract(outputs, targets, dtype=np.float64)
        return difference.reshape(len(outputs), -1)


@described_by(Metric.__doc__)
class MeanAbsoluteError(_Difference):
    """The mean absolute difference of outputs and targets."""

    name = "mean_absolute_error"

    def values(self, batch: BatchResults, y: NDArray[Any] | None) -> NDArray[Any]:
        return np.asarray(np.abs(self.differences(batch, y)).mean(axis=1))


@described_by(Metric.__doc__)
class MeanSquaredError(_Difference):
    """The mean squared difference of outputs and targets."""

    name = "mean_squared_error"

    def values(self, batch: BatchResults, y: NDArray[Any] | None) -> NDArray[Any]:
        return np.asarray(np.square(self.differences(batch, y)).mean(axis=1))


@described_by(Metric.__doc__)
class RootMeanSquaredError(MeanSquaredError):
    """The square root of the mean squared difference over all examples."""

    name = "root_mean_squared_error"

    def result(self) -> float:
        return math.sqrt(super().result())
