"""Shares of right answers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.losses import Loss
from fastcnn.metrics.answers import Answers
from fastcnn.metrics.base import BatchResults, Metric
from fastcnn.utils import arguments
from fastcnn.utils.docstrings import described_by


@described_by(Metric.__doc__)
class Accuracy(Metric):
    """The share of right answers, of the kind that suits the loss.

    With a loss with classes, and with other targets of several numbers, the highest output must be
    the true class. With a loss of yes/no outputs (`binary_crossentropy`, `hinge`,
    `squared_hinge`), and for a single output, each output counts by itself: it is right on the
    targets' side of the threshold, 0.5, or 0 for logits and hinges.
    """

    name = "accuracy"

    def prepare(self, loss: Loss, output_shape: tuple[int, ...]) -> None:
        self.reads = "rank" if loss.has_classes else "outputs"
        self._answers = Answers.of(loss, output_shape, None)

    def values(self, batch: BatchResults, y: NDArray[Any] | None) -> NDArray[Any]:
        if self.reads == "rank":
            return np.asarray(batch.rank == 0)
        return _shares(self._answers, batch, y)


@described_by(Metric.__doc__)
class BinaryAccuracy(Metric):
    """The share of outputs on their target's side of a threshold, whatever the loss.

    Where the loss has classes, each output is compared with its entry of the one-hot row, as Keras
    does.

    Args:
        threshold: The probability above which the answer is yes; with a loss on logits its logit
            counts. None stands for 0.5, and for 0 with a hinge.

    Raises:
        TypeError: An argument is of a wrong type or unknown.
        ValueError: A number is out of its range.
    """

    name = "binary_accuracy"

    def __init__(
        self, threshold: float | None = None, name: str | None = None, weighted: bool = False
    ) -> None:
        super().__init__(name, weighted)
        self.threshold = _checked(self, threshold)

    def prepare(self, loss: Loss, output_shape: tuple[int, ...]) -> None:
        self._answers = _questions(loss, output_shape, self.threshold)

    def values(self, batch: BatchResults, y: NDArray[Any] | None) -> NDArray[Any]:
        return _shares(self._answers, batch, y)

    def get_config(self) -> dict[str, object]:
        return {"threshold": self.threshold, **super().get_config()}


@described_by(BinaryAccuracy.__doc__)
class PerLabelAccuracy(BinaryAccuracy):
    """As BinaryAccuracy, a value for each output: "per_label_accuracy_0" and so on in the logs."""

    name = "per_label_accuracy"

    @property
    def log_names(self) -> tuple[str, ...]:
        return tuple(f"{self.name}_{label}" for label in range(self._answers.labels))

    def reset(self) -> None:
        self._right: float | NDArray[np.float64] = 0.0
        self._rows = 0.0

    def update(
        self, batch: BatchResults, y: NDArray[Any] | None, weight: NDArray[Any] | None
    ) -> None:
        right = self._answers.said(batch.outputs) == self._answers.true(np.asarray(y))
        weight = weight if self.weighted else None
        weights = self._answers.weights(weight, len(batch.outputs), len(right))
        self._right = self._right + weights @ right
        self._rows += weights.sum()

    def result(self) -> float:
        """Return the mean over the labels."""
        return float(np.mean(self._right) / self._rows) if self._rows else float("nan")

    def results(self) -> dict[str, float]:
        shares = np.broadcast_to(self._right, (self._answers.labels,))
        rows = self._rows or float("nan")
        return {name: float(s / rows) for name, s in zip(self.log_names, shares, strict=True)}


@described_by(BinaryAccuracy.__doc__)
class SubsetAccuracy(BinaryAccuracy):
    """The share of examples all of whose outputs are on their targets' side of a threshold."""

    name = "subset_accuracy"

    def values(self, batch: BatchResults, y: NDArray[Any] | None) -> NDArray[Any]:
        right = self._answers.said(batch.outputs) == self._answers.true(np.asarray(y))
        return np.asarray(right.reshape(len(batch.outputs), -1).all(axis=1))


@described_by(Metric.__doc__)
class CategoricalAccuracy(Metric):
    """The share of examples whose highest output is the true class.

    That is the label, or the highest entry of the target.
    """

    name = "categorical_accuracy"

    def prepare(self, loss: Loss, output_shape: tuple[int, ...]) -> None:
        if output_shape[-1] < 2:
            raise ValueError(
                f"Metric '{self.name}' needs an output for each of several classes. Received a "
                "single output, which is always the highest; use 'binary_accuracy'."
            )
        self.reads = "rank" if loss.has_classes else "outputs"

    def values(self, batch: BatchResults, y: NDArray[Any] | None) -> NDArray[Any]:
        if self.reads == "rank":
            return np.asarray(batch.rank == 0)
        right = batch.outputs.argmax(axis=-1) == np.asarray(y).argmax(axis=-1)
        return right.reshape(len(right), -1).mean(axis=1)


@described_by(Metric.__doc__)
class TopKAccuracy(Metric):
    """The share of examples whose true class is among the k highest outputs.

    Args:
        k: How many of the highest outputs count, at least 1.

    Raises:
        ValueError: k is no whole number of at least 1, or, when a model is compiled, more than
            there are classes.
    """

    name = "top_k_categorical_accuracy"
    reads = "rank"

    def __init__(self, k: int = 5, name: str | None = None, weighted: bool = False) -> None:
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
            raise ValueError(f"TopKAccuracy: k must be a positive integer. Received {k!r}.")
        super().__init__(name, weighted)
        self.k = int(k)

    def prepare(self, loss: Loss, output_shape: tuple[int, ...]) -> None:
        if not loss.has_classes:
            raise ValueError(
                f"Metric '{self.name}' needs a loss with classes, such as "
                f"'sparse_categorical_crossentropy'. Received the loss '{loss.name}'."
            )
        if self.k > output_shape[-1]:
            raise ValueError(
                f"Metric '{self.name}': k must be at most the number of classes, "
                f"{output_shape[-1]}. Received k={self.k}."
            )

    def values(self, batch: BatchResults, y: NDArray[Any] | None) -> NDArray[Any]:
        return np.asarray(batch.rank < self.k)

    def get_config(self) -> dict[str, object]:
        return {"k": self.k, **super().get_config()}


def _questions(loss: Loss, output_shape: tuple[int, ...], threshold: float | None) -> Answers:
    """Each output as a question of its own."""
    if threshold is None and not loss.yes_no:
        threshold = 0.5
    return Answers.of(loss, output_shape, threshold)


def _checked(metric: Metric, threshold: float | None) -> float | None:
    return None if threshold is None else arguments.float32(metric, "threshold", threshold)


def _shares(answers: Answers, batch: BatchResults, y: NDArray[Any] | None) -> NDArray[Any]:
    """The share of right answers of each example, float64 [n]."""
    said, true = answers.said(batch.outputs), answers.true(np.asarray(y))
    right = (said & true).any(axis=1) if answers.one_of else (said == true).mean(axis=1)
    return right.reshape(len(batch.outputs), -1).mean(axis=1)
