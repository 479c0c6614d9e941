"""Metrics of a pass over examples, the confusion matrix, and per-class precision and recall."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcnn import naming


class Batch(Protocol):
    """What an engine returns for n examples; `rank` is empty where the loss has no classes."""

    loss: NDArray[np.float32]
    rank: NDArray[np.int32]
    outputs: NDArray[np.float32]
    penalty: float


class Ranks:
    """The ranks of many batches as one: what a metric that reads only ranks is given."""

    def __init__(self, rank: NDArray[np.int32]) -> None:
        self.rank = rank


class Metric:
    """A weighted mean over examples of one number an example.

    A subclass gives `values`. With `weighted=True` the examples' weights (sample_weight times
    class_weight) count; by default, as in Keras, every example counts the same.
    """

    name = "metric"
    direction = "max"
    """Which way is better, "max" or "min": read by callbacks with mode="auto"."""
    reads = "outputs"
    """What `values` reads of a batch. "rank": no more than batch.rank, so that the metric can be
    computed for a whole epoch at once, y being None; "outputs": anything."""

    def __init__(self, name: str | None = None, weighted: bool = False) -> None:
        self.name = name or type(self).name
        self.weighted = weighted
        self.reset()

    def prepare(self, loss: Any, output_shape: tuple[int, ...]) -> None:
        """Adapts to the model's loss and output shape; ValueError where they do not fit."""

    def reset(self) -> None:
        """Forgets everything seen."""
        self.total = 0.0
        self.count = 0.0

    def values(self, batch: Any, y: NDArray[Any] | None) -> NDArray[Any]:
        """One number for each of the batch's n examples, shape [n]."""
        raise NotImplementedError(f"{type(self).__name__} must define values(batch, y).")

    def update(self, batch: Any, y: NDArray[Any] | None, weight: NDArray[Any] | None) -> None:
        """Takes in a batch: the engine's answer, the targets, the weights or None."""
        values = self.values(batch, y)
        if self.weighted and weight is not None:
            self.total += float(np.sum(values * weight, dtype=np.float64))
            self.count += float(np.sum(weight, dtype=np.float64))
        else:
            self.total += float(np.sum(values, dtype=np.float64))
            self.count += len(values)

    def result(self) -> float:
        """The mean so far; NaN before the first example."""
        return self.total / self.count if self.count else float("nan")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal metric."""
        return {"name": self.name, "weighted": self.weighted}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        """The metric that `get_config` described."""
        return cls(**config)


class Accuracy(Metric):
    """The share of examples whose highest output is the true class.

    With a loss without classes: targets and outputs are compared by their highest entries, or,
    for a single output, by the side of the decision threshold (0.5, or 0 for logits).
    """

    name = "accuracy"
    threshold = 0.5

    def prepare(self, loss: Any, output_shape: tuple[int, ...]) -> None:
        self.reads = "rank" if loss.has_classes else "outputs"
        self.threshold = 0.0 if getattr(loss, "from_logits", False) else 0.5

    def values(self, batch: Any, y: NDArray[Any] | None) -> NDArray[Any]:
        if self.reads == "rank":
            return np.asarray(batch.rank == 0)
        targets = np.asarray(y).reshape(len(batch.outputs), -1)
        outputs = batch.outputs.reshape(targets.shape)
        if targets.shape[1] == 1:
            return np.asarray((outputs > self.threshold) == (targets > 0.5))[:, 0]
        return np.asarray(outputs.argmax(axis=1) == targets.argmax(axis=1))


class TopKAccuracy(Metric):
    """The share of examples whose true class is among the k highest outputs."""

    name = "top_k_categorical_accuracy"
    reads = "rank"

    def __init__(self, k: int = 5, name: str | None = None, weighted: bool = False) -> None:
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
            raise ValueError(f"TopKAccuracy: k must be a positive integer. Received {k!r}.")
        super().__init__(name, weighted)
        self.k = int(k)

    def prepare(self, loss: Any, output_shape: tuple[int, ...]) -> None:
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

    def values(self, batch: Any, y: NDArray[Any] | None) -> NDArray[Any]:
        return np.asarray(batch.rank < self.k)

    def get_config(self) -> dict[str, Any]:
        return {"k": self.k, **super().get_config()}


METRICS: dict[str, type[Metric]] = {
    "accuracy": Accuracy,
    "acc": Accuracy,
    "categorical_accuracy": Accuracy,
    "sparse_categorical_accuracy": Accuracy,
    "binary_accuracy": Accuracy,
    "top_k_categorical_accuracy": TopKAccuracy,
    "sparse_top_k_categorical_accuracy": TopKAccuracy,
    "top_k_accuracy": TopKAccuracy,
}


def get(identifier: Any) -> Metric:
    """The metric meant by a name, a class, a {"class_name", "config"} dict or a metric.

    A metric made from a name carries that name in the history. An unknown name is a ValueError
    with the nearest known one.
    """
    if isinstance(identifier, str) and identifier in METRICS:
        return METRICS[identifier](name=identifier)
    return naming.resolve("metric", identifier, Metric, METRICS)


class Tally:
    """The loss and the metrics of one pass over `capacity` examples, or more where need be.

    A step only copies the engine's numbers; sums wait until somebody asks. The loss is, as in
    Keras, the mean of weight * loss over the examples plus the mean regularization penalty.
    """

    def __init__(self, metrics: Sequence[Metric], capacity: int) -> None:
        own = copy.deepcopy(list(metrics))
        self._metrics = own
        self._ranked = [metric for metric in own if metric.reads == "rank"]
        self._direct = [metric for metric in own if metric.reads != "rank"]
        self._loss = np.empty(capacity, np.float32)
        self._rank = np.empty(capacity if self._ranked else 0, np.int32)
        self._weight: NDArray[np.float32] = np.empty(0, np.float32)
        self.reset()

    def reset(self) -> None:
        """Starts a new pass."""
        self.count = 0
        self._penalty = 0.0
        self._rewind()
        for metric in self._direct:
            metric.reset()

    def _rewind(self) -> None:
        """Lets the next `logs` sum everything again from the first example."""
        self._summed = 0
        self._loss_sum = 0.0
        for metric in self._ranked:
            metric.reset()

    def add(self, batch: Batch, y: NDArray[Any] | None, weight: NDArray[np.float32] | None) -> None:
        """Takes in one step's batch."""
        loss = batch.loss
        start = self.count
        size = len(loss)
        self.count = stop = start + size
        if stop > len(self._loss):
            self._grow(stop)
        self._loss[start:stop] = loss
        if weight is not None:
            if not len(self._weight):
                self._weight = np.ones_like(self._loss)
            self._weight[start:stop] = weight
        elif len(self._weight):
            self._weight[start:stop] = 1
        if self._ranked:
            self._rank[start:stop] = batch.rank
        self._penalty += batch.penalty * size
        for metric in self._direct:
            metric.update(batch, y, weight)

    def _grow(self, least: int) -> None:
        """Makes room for at least so many examples."""
        added = max(least, 2 * len(self._loss)) - len(self._loss)
        self._loss = np.append(self._loss, np.zeros(added, np.float32))
        if self._ranked:
            self._rank = np.append(self._rank, np.zeros(added, np.int32))
        if len(self._weight):
            self._weight = np.append(self._weight, np.ones(added, np.float32))

    def logs(self) -> dict[str, float]:
        """The values so far: {"loss": ..., and each metric by its name}."""
        part = slice(self._summed, self.count)
        self._summed = self.count
        weight = self._weight[part] if len(self._weight) else None
        loss = self._loss[part]
        weighted = loss if weight is None else loss.astype(np.float64) * weight
        self._loss_sum += float(np.sum(weighted, dtype=np.float64))
        ranks = Ranks(self._rank[part])
        for metric in self._ranked:
            metric.update(ranks, None, weight)
        mean = (self._loss_sum + self._penalty) / self.count if self.count else float("nan")
        return {"loss": mean} | {metric.name: metric.result() for metric in self._metrics}

    def final(self) -> dict[str, float]:
        """As `logs`, summed in one go, so that the bits do not depend on earlier calls of it."""
        self._rewind()
        return self.logs()


def confusion_matrix(
    y_true: ArrayLike, y_pred: ArrayLike, classes: int | None = None
) -> NDArray[np.int64]:
    """How often each true class (row) was predicted as each class (column), as counts.

    Returns int64[classes, classes]. y_true and y_pred are labels [n], or one-hot rows and
    probabilities [n, classes]. `classes` defaults to what the arrays show. ValueError for labels
    outside 0 .. classes - 1.
    """
    true, predicted = _labels("y_true", y_true), _labels("y_pred", y_pred)
    if len(true) != len(predicted):
        raise ValueError(
            "confusion_matrix: y_true and y_pred must have equal lengths. "
            f"Received {len(true)} and {len(predicted)}."
        )
    if classes is None:
        widths = [np.shape(a)[1] for a in (y_true, y_pred) if np.ndim(a) == 2]
        classes = max([*widths, int(true.max(initial=-1)) + 1, int(predicted.max(initial=-1)) + 1])
    for name, labels in (("y_true", true), ("y_pred", predicted)):
        outside = labels[(labels < 0) | (labels >= classes)]
        if len(outside):
            raise ValueError(
                f"confusion_matrix: {name} must hold labels 0 to {classes - 1}. "
                f"Received the label {outside[0]}."
            )
    counts = np.bincount(true * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


def _labels(name: str, values: ArrayLike) -> NDArray[np.int64]:
    array = np.asarray(values)
    if array.ndim == 2:
        array = array.argmax(axis=1)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iub"):
        raise ValueError(
            f"confusion_matrix: {name} must hold whole-number labels of shape (n,) or rows of "
            f"shape (n, classes). Received {array.dtype} of shape {array.shape}."
        )
    return array.astype(np.int64)


def precision_recall(matrix: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Per-class precision and recall, float64[classes] each, of a confusion matrix.

    Precision is 0 for a class never predicted, recall 0 for a class that never occurs.
    """
    counts = np.asarray(matrix, dtype=np.float64)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ValueError(
            f"precision_recall: the matrix must be square. Received shape {counts.shape}."
        )
    hits = counts.diagonal()
    predicted, occurring = counts.sum(axis=0), counts.sum(axis=1)
    return hits / np.maximum(predicted, 1.0), hits / np.maximum(occurring, 1.0)
